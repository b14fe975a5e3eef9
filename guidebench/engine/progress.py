"""Where the engine says what it is doing."""

from __future__ import annotations

from typing import Protocol

from guidebench.results import Fit


class Progress(Protocol):
    """Where the engine says what it is doing."""

    def begin(self, fits: int) -> None:
        """A run of so many fits begins."""

    def phase(self, problem: str, guide: str, phase: str) -> None:
        """A fit enters a phase: compiling, training, drawing."""

    def steps(self, done: int, total: int, loss: float) -> None:
        """So many training steps are done."""

    def finish(self, fit: Fit) -> None:
        """A fit is complete."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, fits: int) -> None:
        """Say nothing."""

    def phase(self, problem: str, guide: str, phase: str) -> None:
        """Say nothing."""

    def steps(self, done: int, total: int, loss: float) -> None:
        """Say nothing."""

    def finish(self, fit: Fit) -> None:
        """Say nothing."""
