"""Names of levels: ``theta[3]`` is shown as ``theta[Hotchkiss]`` where somebody said what the entries of theta are.

Data keep the number: tables in CSV, results.json and whatever looks a component up.  Only what people read is named,
once, where it is shown: a level may be called by another's number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from guidebench.config.text import without_middle

#: By site, the names of the levels along each of its axes; nothing along an axis whose levels have none.
Levels: TypeAlias = Mapping[str, tuple[tuple[str, ...], ...]]

#: Letters of a name in a picture.
LONGEST = 16


def named(text: str, levels: Levels) -> str:
    """Return a text in which every component of a site is called by its levels.

    Examples
    --------
    >>> named("sd of theta[1] off by 20%", {"theta": (("Choate", "Deerfield"),)})
    'sd of theta[Deerfield] off by 20%'
    """
    if not levels or "[" not in text:
        return text
    sites = "|".join(re.escape(site) for site in sorted(levels, key=len, reverse=True))
    return re.sub(rf"(?<![\w/.])({sites})\[(\d+(?:,\d+)*)\]", lambda found: _named(found[1], found[2], levels), text)


def abbreviated(levels: Levels) -> Levels:
    """Return long names with their middles left out, for pictures; as they are where that makes two of them alike."""

    def short(names: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(without_middle(one, LONGEST) for one in names)
        return found if len(set(found)) == len(names) else names

    return {site: tuple(map(short, axes)) for site, axes in levels.items()}


def _named(site: str, index: str, levels: Levels) -> str:
    axes, parts = levels[site], index.split(",")
    if len(parts) != len(axes) or any(
        names and int(part) >= len(names) for part, names in zip(parts, axes, strict=True)
    ):
        return f"{site}[{index}]"
    return f"{site}[{', '.join(names[int(part)] if names else part for part, names in zip(parts, axes, strict=True))}]"
