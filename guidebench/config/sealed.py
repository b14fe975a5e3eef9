"""JSON that knows whether it is whole: it carries a digest of everything else that it says.

The digest is of what the text means, not of its bytes: who only lays a file out anew has not changed it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

#: The key of the digest; a file without it was written by hand, or before there was one, and is believed.
DIGEST = "digest"


class DamagedError(ValueError):
    """A file that does not say what was written into it."""


def sealed(values: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return `values` as JSON with their digest, which comes first.

    Parameters
    ----------
    values : mapping
        What JSON can hold, without a number that is not finite.
    indent : int, optional
        As for :func:`json.dumps`.
    """
    said = {name: value for name, value in values.items() if name != DIGEST}
    return json.dumps({DIGEST: _digest(said), **said}, indent=indent, allow_nan=False)


def unsealed(text: str | bytes, *, always: bool = False) -> Any:
    """Return what :func:`sealed` made a text of, the digest left out; with `always` there has to be one.

    Raises
    ------
    DamagedError
        Where something of it was changed.
    ValueError
        Where it is no JSON.
    """
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or (DIGEST not in found and not always):
            return found
        digest = found.pop(DIGEST, None)
        whole = digest == _digest(found)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not whole:
        raise DamagedError("it does not hold what was written into it: its digest is another")
    return found


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
