"""What a run consists of: tasks, each of which some process can be given with what it needs.

A task is frozen data that can be pickled.  It is given what the tasks before it came to, and returns data; the
programs that it compiles on the way stay with the process it ran in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from guidebench.contracts import Bound, Metric, Problem
from guidebench.engine import simulations
from guidebench.engine.allowance import Meter
from guidebench.engine.events import PhaseBegan, PhaseEnded, ProblemRemarked, Tell
from guidebench.engine.fit.calibrate import Calibrated, calibrate
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.draw import Drawn, Judged, ToScore
from guidebench.engine.fit.judge import judge_draws
from guidebench.engine.fit.score import Scored, score
from guidebench.engine.fit.stages import fit_guide
from guidebench.engine.judging import JudgedAll, judge_all
from guidebench.engine.lost import TaskLostError
from guidebench.engine.own import checked
from guidebench.engine.prepared import PreparedProblem, prepare
from guidebench.engine.references import Referenced, find_reference
from guidebench.engine.request import Settings
from guidebench.engine.simulations import Simulations, simulate_problem
from guidebench.engine.workbench import WORKBENCHES, Workbench
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.isolation.time_limit import OutOfTime, TimeLimit, told
from guidebench.plugins.registry import Registered
from guidebench.request.selection import ChosenGuide
from guidebench.results import Fit

#: Seconds that looking at a problem may take however short the time limit is: compiling alone takes some.
LOOKING = 60.0


class Task(Protocol):
    """A piece of work on plain data; `settings` are those of the run."""

    @property
    def settings(self) -> Settings:
        """How everything in the run is done."""

    def run(self, inputs: tuple[Any, ...], tell: Tell) -> Any:
        """Return what the task comes to, given what those before it came to."""


class Last(NamedTuple):
    """What a task returns where nothing is left to do for the tasks after it."""

    value: Any


@dataclass(frozen=True, kw_only=True)
class CheckGuide:
    """Hold a guide of the user's own against the model, before anything is searched, compiled or trained."""

    problem: Problem
    guide: ChosenGuide
    settings: Settings

    def run(self, inputs: tuple[()], tell: Tell) -> Bound:
        """Return what its ELBO is a bound on: that of a guide in which nothing is random on nothing."""
        return checked(self.guide, self.problem, self.settings.config)


@dataclass(frozen=True, kw_only=True)
class PrepareProblem:
    """Look at a model and its data, and find where training starts.

    `most` is how many seconds that may take, where there is a limit.
    """

    problem: Problem
    settings: Settings
    most: float | None = None

    def run(self, inputs: tuple[()], tell: Tell) -> PreparedProblem:
        """Return the problem made ready."""
        config, recipe = self.settings.config, self.settings.recipe
        what = "looking for modes" if recipe.standardise else "looking for starting points"
        tell(PhaseBegan(self.problem.name, "preparing", what))
        try:
            with restored(), TimeLimit(self.most):  # a model is somebody's code, too
                found = prepare(self.problem, config, recipe)
        except OutOfTime:
            assert self.most is not None
            raise TaskLostError(told(self.most)) from None
        for phase, work in found.problem.record.work.items():
            tell(PhaseEnded(self.problem.name, "", phase, work))
        for text in found.problem.record.warnings:
            tell(ProblemRemarked(self.problem.name, text))
        if config.simulations is not None and self.settings.alone:  # refused before anything takes long
            simulations.check(self.problem.name, found.problem.structure)
        return WORKBENCHES.adopt(Workbench(found.problem, found.target)).prepared


@dataclass(frozen=True, kw_only=True)
class SampleReference:
    """Get what the guides are measured against."""

    settings: Settings
    given: Mapping[str, Any] | None = None

    def run(self, inputs: tuple[PreparedProblem] | tuple[PreparedProblem, float], tell: Tell) -> Referenced:
        """Return the reference of a prepared problem, within what is left of a budget where there is one."""
        prepared, *left = inputs
        meter = Meter(self.settings.config.allowance, *left) if left else None
        with restored():
            return find_reference(WORKBENCHES.of(prepared), self.settings, self.given, tell, meter)


@dataclass(frozen=True, kw_only=True)
class SimulateProblem:
    """Draw data sets from a model, to which every guide will be fitted."""

    settings: Settings

    def run(self, inputs: tuple[PreparedProblem], tell: Tell) -> Simulations:
        """Return the data sets, and where the posterior of each is."""
        (prepared,), config = inputs, self.settings.config
        tell(PhaseBegan(prepared.problem.name, "simulations", f"drawing {config.simulations} data sets"))
        with restored():
            found = simulate_problem(prepared, config, self.settings.recipe)
        tell(PhaseEnded(prepared.problem.name, "", "simulations", found.work))
        return found


@dataclass(frozen=True, kw_only=True)
class FitGuide:
    """Train a guide on a prepared problem and draw from it; `guides` is how many share the budget of the run."""

    guide: ChosenGuide
    settings: Settings
    guides: int = 1

    def run(self, inputs: tuple[PreparedProblem], tell: Tell) -> Drawn | Last:
        """Return the draws to be scored, or the fit where it ended before there were any."""
        bench = WORKBENCHES.of(inputs[0])
        found = fit_guide(Case(bench, self.guide, self.settings, tell, sharing=self.guides))
        return Last(found) if isinstance(found, Fit) else found


@dataclass(frozen=True, kw_only=True)
class JudgeFits:
    """Run chains from the draws of all guides on a problem, the best first, while the budget lasts."""

    guides: tuple[ChosenGuide, ...]
    settings: Settings

    def run(self, inputs: tuple[Any, ...], tell: Tell) -> JudgedAll:
        """Return what the chains came to, given the prepared problem and what has become of each guide."""
        prepared, *fits = inputs
        with restored():
            return judge_all(WORKBENCHES.of(prepared), self.guides, fits, self.settings, tell)


@dataclass(frozen=True, kw_only=True)
class ScoreFit:
    """Put the draws of a fit to the test, compute every metric against the reference, and pass the verdict."""

    guide: ChosenGuide
    settings: Settings
    metrics: tuple[Registered[Metric], ...]

    def run(self, inputs: tuple[Any, ...], tell: Tell) -> Scored:
        """Return the metrics and the verdict, given draws, reference and problem.

        Within a budget, what chains came to takes the place of the problem: they were run apart.
        """
        drawn: ToScore
        drawn, reference, other = inputs
        judged: Judged | None
        if isinstance(other, PreparedProblem):
            judged = judge_draws(Case(WORKBENCHES.of(other), self.guide, self.settings, tell), drawn, reference)
        else:
            judged = other.get(self.guide.label)
        drawn = drawn if judged is None else drawn.with_judged(judged)
        return replace(score(drawn, reference, self.guide, self.metrics, self.settings.config), judged=judged)


@dataclass(frozen=True, kw_only=True)
class CalibrateGuide:
    """Fit a guide to simulated data, for the true coverage of its intervals."""

    guide: ChosenGuide
    settings: Settings

    def run(self, inputs: tuple[PreparedProblem, Simulations], tell: Tell) -> Calibrated:
        """Return the ranks of the true values among the draws."""
        prepared, simulated = inputs
        bench = WORKBENCHES.of(prepared)
        return calibrate(Case(bench, self.guide, self.settings, tell), simulated, bench.simulated_target(simulated))
