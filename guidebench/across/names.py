"""Names of problems without the part that all of them share."""

from __future__ import annotations

from collections.abc import Sequence


def shared_prefix(names: Sequence[str]) -> str:
    """Return how all names begin, up to a slash: ``posteriordb/`` of the posteriors of one database.

    It is empty where there is one name only, or no such beginning.
    """
    first = min(names, default="")
    prefix = first[: first.rfind("/") + 1]
    while prefix and (len(names) < 2 or not all(name.startswith(prefix) for name in names)):
        prefix = prefix[: prefix.rfind("/", 0, -1) + 1]
    return prefix
