"""Who reads the events of a run: one keeps results, one shows how far it is, one has them at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from guidebench.engine.events import (
    Event,
    FitFinished,
    PhaseBegan,
    PhaseEnded,
    ProblemBegan,
    ProblemDescribed,
    ProblemRemarked,
    RunBegan,
    StepsDone,
    Warned,
)
from guidebench.engine.keep import Keep, worth_keeping
from guidebench.engine.progress import Progress
from guidebench.results import Comparison, Fit, ProblemRecord

#: ``warn(problem, text)`` says what should be known of a problem before anything is trained on it.
Warn = Callable[[str, str], None]


class Keeping:
    """Keeps each fit as soon as it is there, and with the first of them what is known of its problem."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._described: dict[str, ProblemDescribed] = {}

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, ProblemDescribed) and event.key is not None:
            self._described[event.record.name] = event
        elif isinstance(event, FitFinished) and not event.kept and event.key is not None and worth_keeping(event.fit):
            self._keep.keep_fit(event.key, event.fit)
            described = self._described.pop(event.fit.problem, None)
            if described is not None and described.key is not None:
                self._keep.keep_problem(described.key, (described.record, described.reference))


class Showing:
    """Says on a terminal or in a notebook what happens."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, event: Event) -> None:
        """Take one event."""
        shown = self._progress
        match event:
            case RunBegan():
                shown.begin(*event)
            case ProblemBegan():
                shown.problem(*event)
            case PhaseBegan():
                shown.phase(*event)
            case StepsDone():
                shown.steps(*event)
            case FitFinished():
                shown.finish(event.fit, kept=event.kept)
            case ProblemDescribed() | ProblemRemarked() | PhaseEnded() | Warned():
                pass


class Remarking:
    """Hands on what should be known before training; the face knows how to say it."""

    def __init__(self, warn: Warn) -> None:
        self._warn = warn

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, ProblemRemarked):
            self._warn(event.problem, event.text)


class Collecting:
    """Has all that a run found, for whoever asked for it."""

    def __init__(self) -> None:
        self.fits: dict[tuple[str, str], Fit] = {}
        self.described: dict[str, ProblemDescribed] = {}
        self.kept = 0

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, FitFinished):
            self.fits[event.fit.problem, event.fit.guide] = event.fit
            self.kept += event.kept
        elif isinstance(event, ProblemDescribed):
            self.described[event.record.name] = event


class Meanwhile(Protocol):
    """What the process of a run does while others run its tasks."""

    def take(self, comparison: Comparison, problem: ProblemRecord) -> None:
        """Take a problem of which nothing will change any more; the comparison has its fits and no others."""

    def work(self) -> bool:
        """Do the next piece of work, which is short; return whether there was one."""


class Settling:
    """Says of each problem that nothing of it will change any more: it is described, and all its fits are there.

    Parameters
    ----------
    found : Collecting
        What there is; it takes each event before.
    guides : collection of str
        Whose fits a problem has.
    settled : callable
        Is told the name of the problem.
    """

    def __init__(self, found: Collecting, guides: Collection[str], settled: Callable[[str], None]) -> None:
        self._found, self._guides, self._settled = found, guides, settled

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if not isinstance(event, (FitFinished, ProblemDescribed)):
            return
        name = event.fit.problem if isinstance(event, FitFinished) else event.record.name
        # What completes a problem is the last that is told of it: it is described before the first fit that is made.
        if name in self._found.described and all((name, guide) in self._found.fits for guide in self._guides):
            self._settled(name)
