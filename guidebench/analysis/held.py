"""The errors of a guide's own draws, component by component, against the best that is known of the posterior."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from guidebench.analysis.limits import MEAN_ERROR, SD_ERROR
from guidebench.analysis.short import AGAINST, against
from guidebench.results import LENDERS, Fit

#: What is measured against where it is the chains of another guide.
OTHERS = "others"

#: The moments of a guide's own draws, and those of its chains.
_OWN = ("mean", "sd")
_REFRESHED = ("mean_refreshed", "sd_refreshed")


class Error(NamedTuple):
    """The error of a mean, in posterior sds, and that of an sd, as a share; ``None`` where it is not known."""

    mean: float | None
    sd: float | None

    @property
    def over(self) -> float:
        """The larger of both over the limit that draws are held against; infinite where one is no number."""
        pairs = ((self.mean, MEAN_ERROR), (self.sd, SD_ERROR))
        shares = [value / limit for value, limit in pairs if value is not None]
        return math.inf if any(math.isnan(share) for share in shares) else max(shares, default=0.0)


class Held(NamedTuple):
    """The errors of one fit.

    Attributes
    ----------
    source : str
        What they are measured against: a key of :data:`~guidebench.analysis.short.AGAINST`, or :data:`OTHERS`.
    largest : Error
        The largest of each.
    each : mapping of str to Error
        By component.
    """

    source: str
    largest: Error
    each: Mapping[str, Error]


def standard_of(ordered: Sequence[Fit]) -> Fit | None:
    """Return the first usable fit with settled chains of its own: what others are held against for want of better."""
    found = (fit for fit in ordered if fit.verdict.usable and fit.refreshed_by not in LENDERS)
    return next((fit for fit in found if _by_component(fit, _REFRESHED[0])), None)


def held(fit: Fit, standard: Fit | None = None) -> Held | None:
    """Return the errors of a fit, or ``None`` where none is known.

    They are those against the reference, a witness or the chains that began at its draws, else against those of
    `standard`, else by its weights.
    """
    source = against(fit)
    if source in (None, "weights") and standard is not None and (found := _against(fit, standard)):
        means, sds = ([one for one in every if one is not None] for every in zip(*found.values(), strict=True))
        return Held(OTHERS, Error(max(means, default=None), max(sds, default=None)), found)
    if source is None:
        return None
    names = AGAINST[source]
    own_means, own_sds = (_by_component(fit, name) for name in names)
    each = {name: Error(own_means.get(name), own_sds.get(name)) for name in {**own_means, **own_sds}}
    mean, sd = (fit.value(name) for name in names)
    return Held(source, Error(mean, sd), each)


def _against(fit: Fit, standard: Fit) -> dict[str, Error]:
    """Return how far the moments of a fit are from those of another one's chains."""
    means, sds = (_by_component(fit, name) for name in _OWN)
    right_means, right_sds = (_by_component(standard, name) for name in _REFRESHED)
    return {
        name: Error(abs(mean - right_means[name]) / scale, abs(sds[name] / scale - 1) if name in sds else None)
        for name, mean in means.items()
        if name in right_means and (scale := right_sds.get(name, 0.0)) > 0
    }


def _by_component(fit: Fit, metric: str) -> dict[str, float]:
    return {one.variable: one.value for one in fit.metrics if one.metric == metric and one.variable}
