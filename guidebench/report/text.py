"""Numbers and names as text, the same in HTML and in Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

#: What an empty cell shows; the summary explains it.
EMPTY = "–"


def number(value: float | None, mcse: float | None = None, digits: int = 4) -> str:
    """Return a number as text, with its standard error where there is one.

    The standard error is given to two significant digits and the value to the same decimals, so
    that the digits shown are those that mean something.
    """
    if value is None:
        return EMPTY
    if not math.isfinite(value):
        return f"{value}"
    if mcse is None or not math.isfinite(mcse) or mcse < 0:
        return significant(value, digits)
    if mcse == 0:
        return f"{significant(value, digits)} ± 0"
    if abs(value) >= 1e7 or max(abs(value), mcse) < 1e-4:
        return f"{significant(value, digits)} ± {significant(mcse, 2)}"
    decimals = min(max(1 - math.floor(math.log10(mcse)), 0), 6)
    return f"{value:,.{decimals}f} ± {mcse:,.{decimals}f}"


def significant(value: float, digits: int = 4) -> str:
    """Return a finite number rounded to significant digits, in scientific notation at the extremes."""
    if value == 0:
        return "0"
    if isinstance(value, int) and abs(value) < 10**9:
        return f"{value:,}"
    exponent = math.floor(math.log10(abs(value)))
    if exponent >= 7 or exponent < -4:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(digits - 1 - exponent, 0)}f}"


def percent(share: float | None) -> str:
    """Return a share as a percentage of two significant digits, never in scientific notation."""
    if share is None:
        return EMPTY
    return f"{significant(100 * share, 2)} %" if math.isfinite(share) else f"{share}"


def p_value(value: float | None) -> str | None:
    """Return a p-value with three decimals, or that it is below what they show."""
    if value is None or not math.isfinite(value):
        return None
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def listed(names: Sequence[str]) -> str:
    """Return names as an enumeration: ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def slug(name: str) -> str:
    """Return a name that is safe as a file name and as an anchor."""
    return re.sub(r"[^a-z0-9_.]+", "-", name.lower()).strip("-.") or "unnamed"


def one_line(text: object, limit: int = 240) -> str:
    """Return the first line of a text, shortened where it is long."""
    lines = str(text).strip().splitlines()
    line = " ".join(lines[0].split()) if lines else ""
    return line if len(line) <= limit else line[: limit - 1] + "…"
