"""Two runs, fit by fit and metric by metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from guidebench.analysis.runs import context
from guidebench.analysis.runs.fits import Tested, metric_changes, seconds, status
from guidebench.analysis.runs.noise import LEVEL, p_values
from guidebench.analysis.runs.result import Change, Diff, Outcome
from guidebench.analysis.runs.rules import compared
from guidebench.config.errors import RequestError
from guidebench.contracts import Quantity
from guidebench.results import Comparison, Fit, Verdict

#: From what can be used as it is to what cannot be used at all; a point estimate stands apart.
_ORDER = (Verdict.TRUST, Verdict.REFRESH, Verdict.REWEIGHT, Verdict.DISTRUST, Verdict.FAILED)


def diff(old: Comparison, new: Comparison, names: tuple[str, str] | None = None) -> Diff:
    r"""Compare two runs: what got better or worse, beyond noise.

    For every guide on every problem of both, and every metric of both fits,

    .. math:: z = \frac{m_{after} - m_{before}}
                       {\sqrt{\mathrm{MCSE}_{after}^2 + \mathrm{MCSE}_{before}^2 + v_{after} + v_{before}}}

    with v what training adds, of which the restarts tell.  The p-values of all metrics that decide are corrected
    together by Holm's rule, so that two runs of the same code differ anywhere with a probability of 5 % at the most.  A
    change is called worse or better where it is significant and beyond the least that matters.

    Parameters
    ----------
    old, new : Comparison
        What was before, and what is after.
    names : (str, str), optional
        What the runs are called; their own names by default.

    Returns
    -------
    Diff
        With ``.worse``, ``.better`` and ``.table()``.

    Raises
    ------
    RequestError
        Where the runs have no guide on the same problem and data in common.

    References
    ----------
    Holm (1979), Scand. J. Statist. 6(2).  Welch (1947), Biometrika 34(1-2), doi:10.1093/biomet/34.1-2.28.
    """
    told = list(context.of_runs(old, new))
    shared = {one.name for one in old.problems} & {one.name for one in new.problems}
    if not shared:
        theirs = " and ".join(", ".join(one.name for one in run.problems) or "none" for run in (old, new))
        raise RequestError(f"diff: the runs have no problem in common; theirs are {theirs}")
    changes: list[Change] = []
    tested: list[Tested] = []
    metrics = (found.metric for run in (old, new) for fit in run for found in fit.metrics)
    known = compared(metrics, old.quantities, new.quantities)
    reasons: list[str] = []
    pairs: list[tuple[Fit, Fit]] = []
    for problem in (one.name for one in old.problems if one.name in shared):
        notes, same = context.of_problem(old, new, problem)
        told += notes
        if not same.posterior:
            reasons.append(f"{problem}: {notes[0].text}")
            continue
        for first, second in _pairs(old, new, problem):
            pairs.append((first, second))
            changes += status(first, second)
            dropping = same.modes and any(fit.value("dropped_mass") != 0 for fit in (first, second))
            tested += metric_changes(first, second, known, same, dropping=dropping)
    if not pairs:
        why = "; ".join(reasons) or "the problems are the same, the guides are not"
        raise RequestError(f"diff: the runs have nothing in common that can be compared ({why})")
    told += [*context.of_metrics(pairs), *context.of_time(pairs)]
    numbers = _judged(tested, known)
    changes += [change for first, second in pairs for change in _verdict(first, second, numbers)]
    before, after = names or (old.name, new.name)
    return Diff(before=before, after=after, changes=(*changes, *numbers, *seconds(pairs)), context=tuple(told))


def _pairs(old: Comparison, new: Comparison, problem: str) -> Iterator[tuple[Fit, Fit]]:
    after = {fit.guide: fit for fit in new.of(problem)}
    yield from ((fit, after[fit.guide]) for fit in old.of(problem) if fit.guide in after)


def _judged(tested: Sequence[Tested], known: Mapping[str, Quantity]) -> list[Change]:
    """Return the changes with their outcomes; those that decide and those that are noted are corrected apart."""
    done: dict[int, Change] = {}
    for decides in (True, False):
        family = [(at, one) for at, one in enumerate(tested) if one.change.decides is decides and one.variance]
        corrected = p_values([one.worth for _, one in family], [one.variance for _, one in family if one.variance])
        for (at, one), p in zip(family, corrected, strict=True):
            beyond = p < LEVEL and abs(one.worth) > one.least
            done[at] = replace(one.change, p=float(p), outcome=_outcome(one, known, beyond=bool(beyond)))
    for at, one in enumerate(tested):
        if at not in done:
            done[at] = replace(one.change, outcome=_outcome(one, known, beyond=abs(one.worth) > one.least))
    return [_told(done[at], one) for at, one in enumerate(tested)]


def _outcome(one: Tested, known: Mapping[str, Quantity], *, beyond: bool) -> Outcome:
    if one.settled is not None:
        return one.settled
    if not beyond:
        return Outcome.UNCHANGED
    if one.doubt:
        return Outcome.UNCLEAR
    better = known[one.change.metric].better
    if better == "none":
        return Outcome.CHANGED
    return Outcome.BETTER if (one.worth > 0) == (better == "higher") else Outcome.WORSE


def _told(change: Change, one: Tested) -> Change:
    """Return a change with the reason for doubt, where it is in doubt."""
    return replace(change, note=one.doubt) if change.outcome is Outcome.UNCLEAR else change


def _verdict(before: Fit, after: Fit, numbers: Sequence[Change]) -> Iterator[Change]:
    """Yield the change of a verdict on draws, which decides where a number of the fit moved with it."""
    first, second = before.verdict, after.verdict
    if first is second or not (before.status.has_draws and after.status.has_draws):
        return
    found = Change(problem=before.problem, guide=before.guide, metric="verdict", before=str(first), after=str(second))
    if Verdict.POINT in (first, second):
        yield replace(found, outcome=Outcome.CHANGED, note="a point estimate is no approximation of a posterior")
        return
    outcome = Outcome.WORSE if _ORDER.index(second) > _ORDER.index(first) else Outcome.BETTER
    moved = any(
        one.decides and one.outcome is outcome and (one.problem, one.guide) == (after.problem, after.guide)
        for one in numbers
    )
    border = "no number that decides moved with it: it lies near a limit"
    yield replace(found, outcome=outcome, decides=moved, note="" if moved else border)
