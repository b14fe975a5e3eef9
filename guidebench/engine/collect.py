"""From outcomes of tasks to fits: what belongs together is put together, and told as events.

What is kept on disk, what is shown and what is returned are three consumers of these events.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace

import xarray as xr

from guidebench.config.errors import ModelError
from guidebench.config.text import passed_on
from guidebench.engine import datasets
from guidebench.engine.events import Event, FitFinished, ProblemBegan, ProblemDescribed, Tell
from guidebench.engine.execute import Done, Lost, Outcome
from guidebench.engine.fit.calibrate import Calibrated
from guidebench.engine.fit.case import blank, boundary
from guidebench.engine.fit.draw import Drawn
from guidebench.engine.fit.score import Scored
from guidebench.engine.fit.stages import failed
from guidebench.engine.fit.subset import marked
from guidebench.engine.listed import listed
from guidebench.engine.lost import TaskLostError
from guidebench.engine.perform import TURN
from guidebench.engine.plan import FitNodes, Node, Plan, ProblemPlan
from guidebench.engine.sampled import labelled
from guidebench.plugins.isolation.ending import is_foreign
from guidebench.plugins.isolation.failures import OWN, Failure, Phase, reason, said
from guidebench.plugins.isolation.whereabouts import Where
from guidebench.plugins.isolation.whose import whose
from guidebench.request.selection import ChosenGuide
from guidebench.results import Fit, ProblemRecord, Work
from guidebench.results.inference_data import from_groups
from guidebench.results.work import merged

#: Of an InferenceData, by name.
Groups = dict[str, xr.Dataset]

#: Longest text of an exception that is told of a problem.
LONGEST_LINE = 1_000


class Assembly:
    """Follows the nodes of a plan, and tells of problems and fits as they become complete."""

    def __init__(self, plan: Plan, tell: Tell) -> None:
        self._tell = tell
        self._alone = plan.settings.alone
        budget = plan.settings.config.allowance
        timed = budget is not None and budget.timed
        self._problems = {
            one.problem.name: _Parts(one, number, timed=timed) for number, one in enumerate(plan.problems, 1)
        }

    def begin(self, node: Node) -> None:
        """Say that the turn of a problem has come."""
        one = self._problems[node.problem]
        if node.name == one.plan.prepare:
            self._tell(ProblemBegan(one.number, node.problem))

    def settle(self, node: Node, outcome: Outcome) -> None:
        """Take the outcome of a node.

        Raises
        ------
        BaseException
            What ended the preparation of the only problem of a run: there is nothing to go on with.  The death of
            the process it was prepared in is no such end.
        """
        lost = isinstance(outcome, Lost) and not isinstance(outcome.error, TaskLostError)
        if lost and not node.guide and self._alone:
            assert isinstance(outcome, Lost)
            error = outcome.error
            if is_foreign(error):
                told = f"code{whose(error) or ' of somebody'} tried to end the program: {reason(error)}"
                raise ModelError(told) from error
            raise error
        one = self._problems[node.problem]
        one.outcomes[node.name] = outcome
        for event in one.complete():
            self._tell(event)


class _Parts:
    """The outcomes of the nodes of one problem, for as long as they are needed."""

    def __init__(self, plan: ProblemPlan, number: int, *, timed: bool) -> None:
        self.plan, self.number, self._timed = plan, number, timed
        self.outcomes: dict[str, Outcome] = {}
        self._described = False
        self._left = list(plan.fits)

    def complete(self) -> Iterator[Event]:
        """Yield the events of all that has become complete."""
        plan = self.plan
        shared = [name for name in (plan.prepare, plan.reference, plan.simulations, plan.judging) if name]
        if not all(name in self.outcomes for name in shared):
            return
        if not self._described:
            self._described = True
            yield self._description()
        for one in list(self._left):
            nodes = [name for name in (one.fit, one.score, one.calibration) if name is not None]
            if all(name in self.outcomes for name in nodes):
                self._left.remove(one)
                key = self.plan.keys.fits[one.guide.label] if self.plan.keys and self._whole() else None
                fit = self._fit(one)
                yield FitFinished(fit, None if self._timed and fit.left_out else key)
                for name in nodes:  # its draws may be large
                    del self.outcomes[name]
        if not self._left:  # and so may be the data of the problem
            self.outcomes.clear()

    def _description(self) -> ProblemDescribed:
        prepared, referenced = self.outcomes[self.plan.prepare], self.outcomes[self.plan.reference]
        if isinstance(prepared, Lost) or isinstance(referenced, Lost):
            problem, known = self.plan.problem, self.plan.known
            record, data = known or (ProblemRecord(name=problem.name, summary=problem.summary), None)
            return ProblemDescribed(record, data)
        reference = referenced.value.reference
        record = replace(
            referenced.value.described(prepared.value.record), fingerprints=self.plan.fingerprints
        )  # by which a guide knows later what it was trained on
        simulated = self.outcomes.get(self.plan.simulations)
        if isinstance(simulated, Lost):
            note = f"There is no calibration by simulation: {said(simulated.error, LONGEST_LINE)}."
            record = replace(record, notes=(*record.notes, note))
        elif simulated is not None:
            record = replace(record, work=merged(record.work, {"simulations": simulated.value.work}))
        data = (
            labelled(reference.chains, prepared.value.structure, prepared.value.coords()) if reference.label else None
        )
        return ProblemDescribed(record, data, self.plan.keys.problem if self.plan.keys and self._whole() else None)

    def _whole(self) -> bool:
        """Return whether nothing that all fits share is lost: if something is, the next run shall try again."""
        reference, simulations = (self.outcomes.get(name) for name in (self.plan.reference, self.plan.simulations))
        if not isinstance(reference, Done) or reference.spare or isinstance(simulations, Lost):
            return False
        # What seconds cut hangs on the machine: another run shall have another try.
        return not (self._timed and reference.value.reference.left_out)

    def _fit(self, one: FitNodes) -> Fit:
        problem = self.plan.problem.name
        for name in (self.plan.prepare, self.plan.reference):
            shared = self.outcomes[name]
            if isinstance(shared, Lost):
                text = f"the problem could not be prepared: {_line(shared.error)}"
                return replace(blank(problem, one.guide), message=text, reason=text)
        fit, score = self.outcomes[one.fit], self.outcomes[one.score]
        if isinstance(fit, Lost):
            return failed(blank(problem, one.guide), _failure(one.guide, fit.error, "train"))
        if fit.last:
            ended: Fit = fit.value
            return ended
        if isinstance(score, Lost):
            return failed(blank(problem, one.guide), _failure(one.guide, score.error, "metric"))
        drawn: Drawn = fit.value
        prepared = self.outcomes[self.plan.prepare]
        assert isinstance(prepared, Done)  # else it has ended above
        return assembled(drawn, score.value, one, self._calibration(one), prepared.value.named)

    def _calibration(self, one: FitNodes) -> Calibrated | None:
        """Return what became of the calibration of a fit; nothing where there are no simulated data."""
        if one.calibration is None or isinstance(self.outcomes[self.plan.simulations], Lost):
            return None
        outcome = self.outcomes[one.calibration]
        if isinstance(outcome, Lost):
            return Calibrated(None, (), _failure(one.guide, outcome.error, "simulations"), 0.0)
        found: Calibrated = outcome.value
        return found


def assembled(
    drawn: Drawn, scored: Scored, one: FitNodes, calibrated: Calibrated | None, named: Callable[[Groups], Groups]
) -> Fit:
    """Return a fit made of its parts; ``named(groups)`` returns these with the names of levels."""
    drawn = drawn if scored.judged is None else drawn.with_judged(scored.judged)
    fit, failures = drawn.fit, list(scored.failures)
    notes = [f"{bad.phase} {bad.name!r} of {bad.distribution} failed: {bad.message}" for bad in failures]
    groups, seconds = dict(drawn.groups), None
    if scored.lent:
        first = {name: value[: fit.draws_kept] for name, value in scored.lent.items()}
        lent = datasets.in_place_of(groups["posterior"], first)
        groups["refreshed"] = marked(lent, scored.lent).assign_attrs(source=scored.lender)
    metrics, cut = listed(scored.metrics)
    notes += [cut] if cut else []
    work = merged(fit.work, {"scoring": Work(seconds=scored.seconds)})
    if one.note:
        notes.append(one.note)
    if calibrated is not None and calibrated.failure is not None:
        failures.append(calibrated.failure)
        notes.append(f"fitting simulated data failed: {calibrated.failure.message}")
    elif calibrated is not None and calibrated.ranks is not None:
        groups["simulations"], seconds = calibrated.ranks, calibrated.seconds
        metrics = (*metrics, *calibrated.metrics)
    if calibrated is not None and calibrated.work is not None:
        work["simulations"] = calibrated.work
    with TURN, boundary(one.guide, "inference data") as at:
        return replace(
            fit,
            metrics=metrics,
            verdict=scored.judgement.verdict,
            reason=scored.judgement.reason,
            sites=scored.judgement.sites,
            evidence=scored.judgement.evidence,
            chains=drawn.to_score.chains,
            refreshed_by=scored.lender or ("chains" if "refreshed" in groups else ""),
            message="; ".join([*drawn.remarks, *fit.left_out, *notes]),
            evaluate_s=(fit.evaluate_s or 0.0) + scored.seconds,
            simulate_s=seconds,
            work=work,
            inference_data=from_groups(named(groups)),
            failures=tuple(failures),
        )
    assert at.failure is not None
    return failed(blank(fit.problem, one.guide), at.failure)


def _failure(guide: ChosenGuide, error: BaseException, phase: Phase) -> Failure:
    """Return what ended a task of a guide as a failure: the guide's where its process died, else guidebench's own."""
    if not isinstance(error, TaskLostError):
        trace = passed_on("".join(traceback.format_exception(error)))
        return Failure(
            plugin="", distribution=OWN, phase=phase, name=guide.label, message=reason(error), traceback=trace
        )
    own = Where(phase, guide.registered.plugin, guide.registered.distribution, guide.label)
    where = error.where or own
    return Failure(
        plugin=where.plugin,
        distribution=where.distribution,
        phase=where.phase,
        name=where.name,
        message=error.how,
    )


def _line(error: BaseException) -> str:
    """Return an exception in one line; the death of a process has no type that anybody need know."""
    return error.how if isinstance(error, TaskLostError) else reason(error, LONGEST_LINE)
