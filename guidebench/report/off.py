"""What is off: the errors of every quantity in the guide that has it worst, and whose draws these are held against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import xarray as xr

from guidebench.analysis.answer import ranked
from guidebench.analysis.held import Error, held, standard_of
from guidebench.report.draws import Component, component_of
from guidebench.results import LENDERS, Fit
from guidebench.results.inference_data import group

#: The most limits by which a component counts as off in one guide.
MOST = 5.0


class Off(NamedTuple):
    """The error of one component in the guide in which it is farthest off."""

    component: Component
    fit: Fit
    error: Error


def off(fits: Sequence[Fit], sites: Iterable[str]) -> list[Off]:
    """Return every component of which an error is known, in the guide that has it worst, the worst first.

    The worst is farthest off in all guides together, in each by :data:`MOST` limits at the most: where one guide is
    lost altogether, the others still decide.
    """
    known, worst, together = frozenset(sites), dict[str, Off](), dict[str, float]()
    other = standard_of(ranked(fits))
    for fit in fits:
        found = held(fit, other)
        for name, error in () if found is None else found.each.items():
            component = component_of(name)
            if component.site not in known:
                continue
            together[name] = together.get(name, 0.0) + min(error.over, MOST)
            if name not in worst or error.over > worst[name].error.over:
                worst[name] = Off(component, fit, error)
    order = sorted(worst, key=lambda name: (-together[name], -worst[name].error.over))
    return [worst[name] for name in order]


def standard(fits: Sequence[Fit], reference: xr.Dataset | None, called: str) -> tuple[str, xr.Dataset] | None:
    """Return whose draws a picture holds others against, and these; ``None`` where there are none.

    They are the reference's, `called` so, or else the refreshed ones of the first guide to use that has any.
    """
    if reference is not None:
        return f"the reference ({called})", reference
    for fit in ranked(fits):
        draws = group(fit.inference_data, "refreshed")
        if draws is not None and fit.verdict.usable:
            own = f"the chains that began at {fit.guide}"
            return LENDERS.get(fit.refreshed_by, own), draws
    return None
