"""One fit before and after: how training ended, how long it took, and every metric."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from guidebench.analysis.runs.context import Same, took
from guidebench.analysis.runs.noise import Variance, combined, drawing, spread, training
from guidebench.analysis.runs.result import Change, Outcome
from guidebench.analysis.runs.rules import WITHOUT_ERROR
from guidebench.contracts import MetricValue, Quantity, Rule
from guidebench.results import Fit, Status

#: A time is noted where it grew or shrank by this factor against the times of all fits, and by so many seconds.
SLOWER, SECONDS = 2.0, 1.0

#: The tail shape of weights up to which the errors of reweighted numbers hold.
SETTLED = 0.7

ONE_START = "trained from one start: how much training differs from run to run is not known"
SOME_MODES = "the posterior has several modes, and which of them a guide holds is chance"


@dataclass(frozen=True, kw_only=True)
class Tested:
    """A change of a metric, and what its outcome hangs on.

    Attributes
    ----------
    change : Change
        So far without a p-value and an outcome.
    worth : float
        After minus before; of a metric with a nominal value, of the distances from it.
    variance : Variance or None
        Of `worth`; ``None`` where the metric has no error.
    least : float
        The least that matters.
    doubt : str
        Why noise may be larger than it seems.
    settled : Outcome or None
        Where no number decides.
    """

    change: Change
    worth: float = 0.0
    variance: Variance | None = None
    least: float = 0.0
    doubt: str = ""
    settled: Outcome | None = None


def status(before: Fit, after: Fit) -> Iterator[Change]:
    """Yield the change of a status.

    To lose the draws of a fit that had converged is worse, and to gain draws that converge is better.  Whether a fit
    that has not settled gives draws, or settles just before its last step, is chance: that is noted.
    """
    first, second = before.status, after.status
    if first is second:
        return
    drawn = int(second.has_draws) - int(first.has_draws)
    settled = int(second is Status.CONVERGED) - int(first is Status.CONVERGED)
    step = drawn or settled
    yield Change(
        problem=before.problem,
        guide=before.guide,
        metric="status",
        before=str(first),
        after=str(second),
        outcome=Outcome.CHANGED if step == 0 else Outcome.WORSE if step < 0 else Outcome.BETTER,
        decides=drawn != 0 and (settled != 0 or Status.UNSUPPORTED in (first, second)),
        note=" ".join(after.message.split()) if drawn < 0 else "",
    )


def seconds(pairs: Sequence[tuple[Fit, Fit]]) -> Iterator[Change]:
    """Yield the wall time of every fit, noted where it grew or shrank against that of all, and never deciding.

    All fits of a run are slower on a slower machine, or with an empty cache of compiled programs: that is divided out.
    """
    timed = [(pair, took(pair[0]), took(pair[1])) for pair in pairs]
    timed = [one for one in timed if min(one[1:]) > 0]
    if not timed:
        return
    usual = sum(second for *_, second in timed) / sum(first for _, first, _ in timed)
    for (before, _), first, second in timed:
        factor = second / first / usual
        beyond = max(factor, 1 / factor) >= SLOWER and abs(second - first * usual) >= SECONDS * max(1.0, usual)
        moved = Outcome.WORSE if factor > 1 else Outcome.BETTER
        yield Change(
            problem=before.problem,
            guide=before.guide,
            metric="seconds",
            before=first,
            after=second,
            change=second - first,
            outcome=moved if beyond else Outcome.UNCHANGED,
            note=f"{factor:.1f} times as long as before, measured by all fits" if beyond else "",
        )


def metric_changes(
    before: Fit, after: Fit, known: Mapping[str, Quantity], same: Same, *, dropping: bool
) -> Iterator[Tested]:
    """Yield the change of every metric that both fits have.

    Parameters
    ----------
    before, after : Fit
        The fit in either run.
    known : mapping of str to Quantity
        What every metric means.
    same : Same
        What is the same in both runs.
    dropping : bool
        Whether the guide may hold some of several modes.
    """
    if not (before.status.has_draws and after.status.has_draws):
        return
    earlier = {(one.metric, one.variable): one for one in before.metrics}
    spreads = spread(before), spread(after)
    # What is not known to be light counts as heavy.
    heavy = any(not (fit.value("khat") or 0.0) <= SETTLED for fit in (before, after))
    for second in after.metrics:
        first, meant = earlier.get((second.metric, second.variable)), known.get(second.metric)
        if first is None or meant is None:
            continue
        rule = meant.rule
        if not same.allows(rule.measured_on) or (rule.weighted and heavy):
            continue
        decides = rule.decides and not second.variable
        doubt = ONE_START if None in spreads else SOME_MODES if dropping and second.metric != "elbo" else ""
        found = Change(
            problem=before.problem,
            guide=before.guide,
            metric=second.metric,
            variable=second.variable,
            before=_finite(first.value),
            after=_finite(second.value),
            decides=decides,
        )
        if found.before is None or found.after is None:
            yield from _not_finite(found)
            continue
        errors = drawing(rule, first, before), drawing(rule, second, after)
        worth = _distance(meant, second) - _distance(meant, first)
        variance = None
        if errors[0] is not None and errors[1] is not None:
            parts = [
                training(rule, one, fit, between)
                for one, fit, between in zip((first, second), (before, after), spreads, strict=True)
            ]
            variance = combined([Variance(errors[0] * errors[0]), Variance(errors[1] * errors[1]), *parts])
        yield _tested(found, rule, worth, variance, doubt if decides else "")


def _tested(found: Change, rule: Rule, worth: float, variance: Variance | None, doubt: str) -> Tested:
    assert isinstance(found.before, float)
    assert isinstance(found.after, float)
    least = rule.least(found.before, found.after)
    if variance is None:
        # Nothing tells how large its noise is: beyond its tolerance it is noted, and does not decide.
        if not found.decides and not rule.smallest:
            least = max(least, WITHOUT_ERROR * max(abs(found.before), abs(found.after)))
        return Tested(change=_with(found, worth, None, decides=False), worth=worth, least=least)
    return Tested(
        change=_with(found, worth, math.sqrt(variance.value), decides=found.decides),
        worth=worth,
        variance=variance,
        least=least,
        doubt=doubt,
    )


def _with(found: Change, worth: float, error: float | None, *, decides: bool) -> Change:
    return replace(found, change=worth, error=error, z=worth / error if error else None, decides=decides)


def _not_finite(found: Change) -> Iterator[Tested]:
    """Yield what stopped to be a number, or became one; what is none in both runs is no change."""
    if found.before is None and found.after is None:
        return
    lost = found.after is None
    outcome = Outcome.CHANGED
    if found.decides:
        outcome = Outcome.WORSE if lost else Outcome.BETTER
    note = "no finite number any more" if lost else "was no finite number"
    yield Tested(change=replace(found, note=note), settled=outcome)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _distance(meant: Quantity, found: MetricValue) -> float:
    """Return what is compared: the value, or how far it is from the nominal one."""
    # A plugin's value may be NumPy's.
    near = meant.nominal if meant.better == "nominal" else None
    return float(found.value if near is None else abs(found.value - near))
