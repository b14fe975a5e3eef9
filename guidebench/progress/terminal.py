"""A progress bar on a terminal; silence in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from guidebench.results import Fit


class Bar:
    """Shows which guide is being trained, how far it is, and how many are done."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("preparing", total=None, detail="")
        self._done = 0

    def begin(self, fits: int) -> None:
        """Set the length of the bar to the number of fits."""
        self._bar.update(self._task, total=fits)

    def phase(self, problem: str, guide: str, phase: str) -> None:
        """Name the guide and what happens to it."""
        self._bar.update(self._task, description=escape(f"{problem}: {guide}"), detail=escape(phase))

    def steps(self, done: int, total: int, loss: float) -> None:
        """Advance within a fit and show the loss."""
        detail = f"step {done:,} of {total:,}, loss {loss:.4g}"
        self._bar.update(self._task, completed=self._done + 0.9 * done / total, detail=detail)

    def finish(self, fit: Fit) -> None:
        """Count one more fit."""
        self._done += 1
        self._bar.update(self._task, completed=self._done, detail=str(fit.status))

    def note(self, text: str) -> None:
        """Say what happens outside of fits."""
        self._bar.update(self._task, description=escape(text), detail="")


@contextmanager
def bar(*, quiet: bool = False) -> Iterator[Bar]:
    """Show progress on standard error while the block runs, where that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[detail]}", style="dim"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as shown:
        yield Bar(shown)
