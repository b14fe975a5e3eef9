"""Seeds derived from names.

Every random number of a run comes from the run's seed and the names of what it is for, so that
adding a guide, a restart or a metric changes no other number, and the same run gives the same bits.
"""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """Return a seed in [0, 2**31) for the purpose that `names` spell out.

    It is the leading 31 bits of the SHA-256 digest of the seed and the names; any change of any of
    them gives an unrelated seed.
    """
    text = "\x1f".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
