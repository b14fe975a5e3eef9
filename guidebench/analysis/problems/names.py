"""Names of problems without the part that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile


def shared_prefix(names: Sequence[str]) -> str:
    """Return how all names begin, up to a slash: ``posteriordb/`` of the posteriors of one database.

    It is empty where there is one name only, or no such beginning.
    """
    if len(names) < 2:
        return ""
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    return "".join(f"{level[0]}/" for level in takewhile(lambda level: len(set(level)) == 1, levels))
