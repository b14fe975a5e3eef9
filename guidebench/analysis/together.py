"""What guides say of each other: chains that began at the draws of different guides must settle in the same place.

Chains do not cross between far modes.  Where those of one guide settle elsewhere than those of another, neither has
seen all of the posterior, whatever its own evidence says, unless a reference knows better.  Agreement proves nothing
that the chains did not prove before: all guides may miss the same mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from guidebench.analysis.apart import apart
from guidebench.contracts import MetricValue
from guidebench.metrics.moments import Moments
from guidebench.results import LENDERS, Finding, Fit, Verdict
from guidebench.results.noise import allowance

#: Of every component under settled chains.
_Moments = dict[str, Moments]


def together(fits: Sequence[Fit]) -> tuple[Fit, ...]:
    """Return the fits of one problem, with what their chains say of each other."""
    moments = {index: _moments(fit) for index, fit in enumerate(fits) if _has_a_say(fit)}
    against: dict[int, tuple[int, str]] = {}
    for (first, own), (second, other) in combinations(moments.items(), 2):
        for here, there in ((first, second), (second, first)):
            if here not in against and (apart := _apart(own, other)):
                against[here] = there, apart
    return tuple(
        fit if index not in against else _contradicted(fit, fits[against[index][0]].guide, against[index][1])
        for index, fit in enumerate(fits)
    )


def _has_a_say(fit: Fit) -> bool:
    """Return whether the chains of a fit have settled, and no reference says how good they are."""
    known = any(one.source in ("reference", "witness") and one.raw is not None for one in fit.evidence)
    return fit.chains is not None and fit.chains.settled and fit.refreshed_by not in LENDERS and not known


def _moments(fit: Fit) -> _Moments:
    found: dict[str, dict[str, MetricValue]] = {"mean_refreshed": {}, "sd_refreshed": {}}
    for one in fit.metrics:
        if one.metric in found and one.variable:
            found[one.metric][one.variable] = one
    means, sds = found.values()
    both = ((name, mean, sds[name]) for name, mean in means.items() if name in sds)
    return {name: Moments(mean.value, sd.value, mean.mcse or 0.0, sd.mcse or 0.0) for name, mean, sd in both}


def _apart(own: _Moments, other: _Moments) -> str:
    """Return by how much moments differ for sure, in words, or nothing."""
    shared = [name for name in own if name in other]
    noise = allowance(len(shared))
    found = [(by, name) for name in shared if (by := apart(own[name], other[name], noise)) is not None]
    if not found:
        return ""
    worst, name = max(found, key=lambda one: one[0].beyond)
    return f"{worst.said} of {name}"


def _contradicted(fit: Fit, guide: str, apart: str) -> Fit:
    said = f"Chains from its draws and from those of {guide} settled in different places ({apart})."
    finding = Finding(source="guides", raw=False, reweighted=False, refreshed=False, said=said)
    found = replace(fit, evidence=(*(one for one in fit.evidence if one.source != "guides"), finding))
    if not fit.verdict.usable:
        return found
    reason = f"{said} Neither has seen all of the posterior."
    sites = dict.fromkeys(fit.sites, Verdict.DISTRUST)
    return replace(found, verdict=Verdict.DISTRUST, reason=reason, sites=sites)
