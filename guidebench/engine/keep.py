"""What a run keeps of its work for a later one, as far as the engine knows."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from guidebench.results import Fit, ProblemRecord, Status
from guidebench.results.inference_data import InferenceData


class KeptProblem(NamedTuple):
    """What the report needs of a problem, and the draws of its reference where it has one."""

    record: ProblemRecord
    reference: InferenceData | None = None


class Keep(Protocol):
    """Where finished work is kept, by keys that differ wherever a number could.

    What is not there, or cannot be read, is ``None``; what cannot be written is not kept.
    """

    def fit(self, key: str) -> Fit | None:
        """Return the fit that was kept under a key."""

    def problem(self, key: str) -> tuple[ProblemRecord, InferenceData | None] | None:
        """Return the problem that was kept under a key."""

    def keep_fit(self, key: str, fit: Fit) -> None:
        """Keep a fit."""

    def keep_problem(self, key: str, problem: tuple[ProblemRecord, InferenceData | None]) -> None:
        """Keep what is known of a problem."""


def worth_keeping(fit: Fit) -> bool:
    """Return whether a fit is a result; one that an exception or the time limit cut short is tried again."""
    if fit.status is Status.DIVERGED:
        return True
    return not fit.failures and fit.status is not Status.FAILED
