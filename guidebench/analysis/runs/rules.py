"""What each metric counts for between two runs: by its declaration, as it was saved with the results.

A metric that nobody declared is noted where it changed, since nobody knows which way is better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from guidebench.contracts import Quantity

#: Where a metric has no error, and declares no least change that matters, a tenth of its value does.
WITHOUT_ERROR = 0.1


def compared(names: Iterable[str], *declared: Iterable[Quantity]) -> Mapping[str, Quantity]:
    """Return what every metric means that is compared; of several declarations the last one counts."""
    known = {one.name: one for each in declared for one in each}
    found = (_judged(known.get(name, Quantity(name=name))) for name in dict.fromkeys(names))
    return {one.name: one for one in found if one.rule.compared}


def _judged(one: Quantity) -> Quantity:
    """Return a quantity without a direction where nobody said where its nominal value lies."""
    return replace(one, better="none") if one.better == "nominal" and one.nominal is None else one
