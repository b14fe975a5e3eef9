"""A progress bar on a terminal; silence in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich import markup
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from guidebench.config.text import shown
from guidebench.engine.progress.tally import Tally
from guidebench.results import Fit


def escape(text: str) -> str:
    """Return `text` as Rich shows it as it is, with what a terminal would act on as escapes."""
    return markup.escape(shown(text))


class Bar:
    """Shows the problem and the guide that is being trained, how many fits are done, and the time that is left."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tally = Tally()
        self._task = bar.add_task("preparing", total=None, detail="", count="", time=self._tally.timed)

    def begin(self, fits: int, problems: int = 1) -> None:
        """Set the length of the bar to the number of fits."""
        self._tally.begin(fits, problems)
        self._update(total=fits)

    def problem(self, number: int, name: str) -> None:
        """Say which problem it is."""
        self._tally.problem(number)
        self._update(description=self._placed(name), detail="")

    def phase(self, problem: str, guide: str, phase: str) -> None:
        """Name the guide and what happens to it."""
        self._update(description=self._placed(f"{problem}: {guide}"), detail=escape(phase))

    def steps(self, problem: str, guide: str, done: int, total: int, loss: float) -> None:
        """Advance within a fit and show the loss."""
        self._tally.steps((problem, guide), done, total)
        detail = f"step {done:,} of {total:,}, loss {loss:.4g}"
        self._update(description=self._placed(f"{problem}: {guide}"), detail=detail)

    def finish(self, fit: Fit, *, kept: bool = False) -> None:
        """Count one more fit."""
        self._tally.finish((fit.problem, fit.guide), kept=kept)
        self._update(description=self._placed(f"{fit.problem}: {fit.guide}"), detail=str(fit.status))

    def note(self, text: str) -> None:
        """Say what happens outside of fits."""
        self._update(description=escape(text), detail="")

    def _placed(self, what: str) -> str:
        place = self._tally.place()
        return escape(f"{place} · {what}" if place else what)

    def _update(self, **fields: Any) -> None:
        self._bar.update(self._task, completed=self._tally.completed, count=self._tally.counted(), **fields)


class _Time(ProgressColumn):
    """The time that has passed and what is left, which go on while nothing is told."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["time"](), style="progress.elapsed")


@contextmanager
def bar(*, quiet: bool = False) -> Iterator[Bar]:
    """Show progress on standard error while the block runs, where that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[detail]}", style="dim"),
        _Time(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as shown:
        yield Bar(shown)
