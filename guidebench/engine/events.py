"""What a run says while it goes on: one stream of events, read by whatever keeps, shows or returns its results.

The tasks of a run tell of phases and steps wherever they are executed; what they come to is put together
in the process of the run, which tells of problems and fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from guidebench.results import Fit, ProblemRecord, Work
from guidebench.results.inference_data import InferenceData


class RunBegan(NamedTuple):
    """A run of so many fits, on so many problems, begins."""

    fits: int
    problems: int


class ProblemBegan(NamedTuple):
    """The turn of a problem has come; `number` counts from 1."""

    number: int
    problem: str


class ProblemRemarked(NamedTuple):
    """Something should be known of a problem before anything is trained on it."""

    problem: str
    text: str


class Warned(NamedTuple):
    """Something gave a warning while a task ran: of the problem itself, or of a guide on it."""

    problem: str
    guide: str
    text: str


class PhaseBegan(NamedTuple):
    """A guide on a problem enters a phase; so does the problem itself, under the name of what is done for it."""

    problem: str
    guide: str
    phase: str


class PhaseEnded(NamedTuple):
    """A phase of a guide, or of the problem itself (then without a guide), has computed so much."""

    problem: str
    guide: str
    phase: str
    work: Work


class StepsDone(NamedTuple):
    """So many of the steps of one training are done, and this is the loss."""

    problem: str
    guide: str
    done: int
    total: int
    loss: float


class ProblemDescribed(NamedTuple):
    """What the report needs of a problem is known, with the draws of its reference where it has one.

    `key` is what it may be kept under, where there is such a key.
    """

    record: ProblemRecord
    reference: InferenceData | None = None
    key: str | None = None


class FitFinished(NamedTuple):
    """A fit is complete, whatever became of it; or an earlier run made it, and it was `kept`."""

    fit: Fit
    key: str | None = None
    kept: bool = False


Event = (
    RunBegan
    | ProblemBegan
    | ProblemRemarked
    | Warned
    | PhaseBegan
    | PhaseEnded
    | StepsDone
    | ProblemDescribed
    | FitFinished
)

#: Is told what happens.
Tell = Callable[[Event], None]


def nobody(event: Event) -> None:
    """Tell nobody."""
