"""What every stage of a fit works on: one guide on one prepared problem."""

from __future__ import annotations

from typing import NamedTuple

from guidebench.config import RunConfig
from guidebench.contracts import Guide
from guidebench.engine.allowance import Meter
from guidebench.engine.events import PhaseBegan, PhaseEnded, StepsDone, Tell
from guidebench.engine.prepared import PreparedProblem
from guidebench.engine.request import Settings
from guidebench.engine.workbench import Workbench
from guidebench.inference.recipe import Recipe
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.failures import Phase
from guidebench.request.selection import ChosenGuide
from guidebench.results import Fit, Status, Verdict, Work


class Case(NamedTuple):
    """One guide on one prepared problem; the meter says what it may spend of a budget that so many guides share."""

    bench: Workbench
    guide: ChosenGuide
    settings: Settings
    tell: Tell
    meter: Meter = Meter()
    sharing: int = 1

    @property
    def prepared(self) -> PreparedProblem:
        """The problem."""
        return self.bench.prepared

    @property
    def declaration(self) -> Guide:
        """The declaration of the guide."""
        return self.guide.declaration

    @property
    def config(self) -> RunConfig:
        """The settings of the run."""
        return self.settings.config

    @property
    def recipe(self) -> Recipe:
        """How guides are trained."""
        return self.settings.recipe

    @property
    def names(self) -> tuple[str, str]:
        """What the random numbers of this fit are named after."""
        return self.prepared.problem.name, self.guide.label

    def phase(self, phase: str) -> None:
        """Say what happens to the guide."""
        self.tell(PhaseBegan(*self.names, phase))

    def ended(self, phase: str, work: Work | None) -> None:
        """Say what a phase has computed, where that was counted."""
        if work is not None:
            self.tell(PhaseEnded(*self.names, phase, work))

    def steps(self, done: int, total: int, loss: float) -> None:
        """Say how far its training is."""
        self.tell(StepsDone(*self.names, done, total, loss))

    def boundary(self, phase: Phase) -> Boundary:
        """Return the boundary inside which the code of the guide runs."""
        return boundary(self.guide, phase, self.config.time_limit)


def boundary(guide: ChosenGuide, phase: Phase, time_limit: float | None = None) -> Boundary:
    """Return a boundary that names a guide and whose it is."""
    return Boundary(
        phase,
        plugin=guide.registered.plugin,
        distribution=guide.registered.distribution,
        name=guide.label,
        time_limit=time_limit,
    )


def blank(problem: str, guide: ChosenGuide) -> Fit:
    """Return the fit of a guide that has not got anywhere yet."""
    declaration = guide.declaration
    return Fit(
        problem=problem,
        guide=guide.label,
        plugin=guide.registered.distribution,
        status=Status.FAILED,
        bound=declaration.bound,
        verdict=Verdict.FAILED,
        summary=declaration.summary,
        cite=declaration.cite,
        options={**declaration.options(), **guide.options},
        method=declaration.method(),
    )
