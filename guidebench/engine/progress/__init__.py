"""Showing how far a run is: a bar on a terminal, a panel in a notebook, a line per fit in a pipe that asks for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from guidebench.results import Fit


class Progress(Protocol):
    """Where the engine says what it is doing."""

    def begin(self, fits: int, problems: int = 1) -> None:
        """A run of so many fits begins."""

    def problem(self, number: int, name: str) -> None:
        """The next problem's turn has come; `number` counts from 1."""

    def phase(self, problem: str, guide: str, phase: str) -> None:
        """A fit enters a phase: compiling, training, drawing."""

    def steps(self, problem: str, guide: str, done: int, total: int, loss: float) -> None:
        """So many training steps of a fit are done; others may be going on beside it."""

    def finish(self, fit: Fit, *, kept: bool = False) -> None:
        """A fit is complete, or was made by an earlier run."""


class Watcher(Progress, Protocol):
    """What shows a run: it is told all that the engine says, and notes."""

    def note(self, text: str) -> None:
        """Something else happens."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, fits: int, problems: int = 1) -> None:
        """Say nothing."""

    def problem(self, number: int, name: str) -> None:
        """Say nothing."""

    def phase(self, problem: str, guide: str, phase: str) -> None:
        """Say nothing."""

    def steps(self, problem: str, guide: str, done: int, total: int, loss: float) -> None:
        """Say nothing."""

    def finish(self, fit: Fit, *, kept: bool = False) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""


class Lines(Silent):
    """Writes a line to standard error for every fit, where there is nothing better."""

    def __init__(self) -> None:
        self._total = self._done = 0

    def begin(self, fits: int, problems: int = 1) -> None:
        """Remember how many there will be."""
        self._total = fits

    def finish(self, fit: Fit, *, kept: bool = False) -> None:
        """Say which fit is done and how it ended."""
        self._done += 1
        earlier = " (kept from an earlier run)" if kept else ""
        sys.stderr.write(f"{self._done} of {self._total}: {fit.guide} on {fit.problem}: {fit.status}{earlier}\n")
        sys.stderr.flush()


def watch(shown: bool | None) -> AbstractContextManager[Watcher]:
    """Return what shows a run while it lasts.

    Parameters
    ----------
    shown : bool or None
        ``None`` for a panel in a notebook, a bar on a terminal and nothing elsewhere; ``True`` for a line
        per fit elsewhere; ``False`` for nothing at all.
    """
    if shown is False:
        return _only(Silent())
    if _in_notebook():
        from guidebench.engine.progress.notebook import panel

        return panel()
    if sys.stderr is not None and sys.stderr.isatty():
        from guidebench.engine.progress.terminal import bar

        return bar()
    return _only(Lines() if shown else Silent())


@contextmanager
def _only(watcher: Watcher) -> Iterator[Watcher]:
    yield watcher


def _in_notebook() -> bool:
    """Return whether an IPython kernel runs this, as notebooks have it; IPython itself is never imported for this."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
