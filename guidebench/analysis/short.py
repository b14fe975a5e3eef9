"""Why a guide got its verdict, in ten words at the most: for a line that is read at a glance."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from guidebench.analysis.limits import MEAN_ERROR, SD_ERROR
from guidebench.results import Fit, Verdict

#: The most words of a reason.
MOST_WORDS = 10

#: Metrics of the errors of a guide's own draws, the mean's and the sd's, by what they are measured against; the source
#: that knows more comes first.
AGAINST: dict[str, tuple[str, str]] = {
    "reference": ("mean_error", "sd_error"),
    "witness": ("witness_mean_error", "witness_sd_error"),
    "chains": ("mean_moved", "sd_moved"),
    "weights": ("mean_shift", "sd_shift"),
}


class Off(NamedTuple):
    """The error of one moment of one component.

    Attributes
    ----------
    over : float
        The error over the limit that draws are held against.
    said : str
        The error in words.
    """

    over: float
    said: str


def why(fit: Fit) -> str:
    """Return the reason of a verdict in at most :data:`MOST_WORDS` words; ``fit.reason`` has all of it."""
    return cut(_why(fit))


def cut(text: str, words: int = MOST_WORDS) -> str:
    """Return the first words of a text, with a mark where there were more."""
    found = text.split()
    return " ".join(found) if len(found) <= words else f"{' '.join(found[:words])} …"


def _why(fit: Fit) -> str:
    if fit.verdict is Verdict.POINT:
        return "a point estimate: no spread, no intervals"
    if fit.verdict is Verdict.FAILED:
        return re.sub(r"^(\w+): ValueError: ", r"\1: ", fit.message) or str(fit.status)
    worst = largest(fit)
    if fit.verdict is Verdict.TRUST:
        return _within(fit)
    what = worst.said if worst is not None and worst.over > 1 else ""
    if fit.verdict is Verdict.DISTRUST:
        return _distrusted(fit, what)
    if fit.own_verdict is Verdict.DISTRUST:
        whose = "the mixture" if fit.refreshed_by == "mixture" else "other chains"
        return f"use {whose}: {what}" if what else f"use {whose} in its place"
    by = "weights" if fit.verdict is Verdict.REWEIGHT else "chains"
    return f"{by} repair it: {what}" if what else f"{by} are surer than its own draws"


def _within(fit: Fit) -> str:
    source = against(fit)
    if source is None:
        return fit.reason
    mean, sd = (fit.value(name) for name in AGAINST[source])
    if mean is None or sd is None:
        return fit.reason
    by = {"reference": "by reference", "witness": "by witness"}.get(source, f"by its {source}")
    return f"means within {mean:.2f} sd, sds within {sd:.0%}, {by}"


def _distrusted(fit: Fit, what: str) -> str:
    """Return what speaks against a guide, the gravest first."""
    findings = {one.source: one for one in fit.evidence}
    dropped = fit.value("dropped_mass") or 0.0
    if dropped > 0 and findings.get("modes") is not None and findings["modes"].raw is False:
        return f"misses modes that hold {dropped:.0%} of the posterior"
    if "guides" in findings:
        return "its chains settled elsewhere than those of another guide"
    if what:
        return f"{what}; nothing repairs it"
    if fit.chains is not None and fit.chains.chains and not fit.chains.settled:
        return "its chains did not settle; nothing else can tell"
    return "nothing can tell how good its draws are" if fit.evidence else fit.reason


def against(fit: Fit) -> str | None:
    """Return what the errors of a fit are measured against, a key of :data:`AGAINST`; ``None`` without any.

    Weights that say nothing of the draws measure nothing.
    """
    silent = {one.source for one in fit.evidence if one.source == "weights" and one.raw is None}
    found = (source for source, names in AGAINST.items() if any(fit.metric(name) for name in names))
    return next((source for source in found if source not in silent), None)


def largest(fit: Fit) -> Off | None:
    """Return the error that is largest over its limit, by what is measured against; ``None`` where none is known."""
    source = against(fit)
    if source is None:
        return None
    mean, sd = AGAINST[source]
    units = {mean: (MEAN_ERROR, "mean{} off by {:.2f} sd"), sd: (SD_ERROR, "sd{} off by {:.0%}")}
    found = [
        Off(_over(one.value, units[one.metric][0]), units[one.metric][1].format(_of(one.variable), one.value))
        for one in fit.metrics
        if one.metric in units
    ]
    # The largest of all has no name; the component that it is of comes first among equals.
    return max(found, key=lambda one: (one.over, " of " in one.said), default=None)


def _over(value: float, limit: float) -> float:
    return math.inf if math.isnan(value) else value / limit


def _of(variable: str) -> str:
    return f" of {variable}" if variable else ""
