"""A panel in a notebook that shows how far a run is, and one line once it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from guidebench.engine.progress.tally import Tally, spelled
from guidebench.results import Fit

#: Seconds between two updates, at least: each is a message to the browser.
EVERY = 0.2

#: Colours are those of the notebook, light or dark, and greys that show on both.
_STYLE = """<style>
.guidebench-progress { font-size: 0.9em; line-height: 1.5; max-width: 44em; font-variant-numeric: tabular-nums; }
.guidebench-progress div { display: flex; gap: 0.6em; justify-content: space-between; }
.guidebench-progress .soft { opacity: 0.7; }
.guidebench-progress progress { width: 100%; height: 0.6em; accent-color: #0173b2; }
</style>"""


class Panel:
    """Keeps what is known of a run and shows it anew, though not too often."""

    def __init__(self, show: Callable[[str, str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._clock = clock
        self._tally = Tally(clock)
        self._shown = -float("inf")
        self._what, self._phase = "preparing", ""
        self._update(force=True)

    def begin(self, fits: int, problems: int = 1) -> None:
        """Set the length of the bar to the number of fits."""
        self._tally.begin(fits, problems)
        self._update()

    def problem(self, number: int, name: str) -> None:
        """Say which problem it is."""
        self._tally.problem(number)
        self._what, self._phase = name, ""
        self._update(force=True)

    def phase(self, problem: str, guide: str, phase: str) -> None:
        """Name the guide and what happens to it."""
        news = f"{problem}: {guide}" != self._what
        self._what, self._phase = f"{problem}: {guide}", phase
        self._update(force=news)

    def steps(self, problem: str, guide: str, done: int, total: int, loss: float) -> None:
        """Advance within a fit and show the loss."""
        self._tally.steps((problem, guide), done, total)
        self._what = f"{problem}: {guide}"
        self._phase = f"step {done:,} of {total:,}, loss {loss:.4g}"
        self._update()

    def finish(self, fit: Fit, *, kept: bool = False) -> None:
        """Count one more fit."""
        self._tally.finish((fit.problem, fit.guide), kept=kept)
        self._what, self._phase = f"{fit.problem}: {fit.guide}", str(fit.status)
        self._update(force=self._tally.done == self._tally.fits)

    def note(self, text: str) -> None:
        """Say what happens outside of fits."""
        self._what, self._phase = text, ""
        self._update(force=True)

    def end(self, *, well: bool) -> None:
        """Leave one line in the place of the panel."""
        tally, elapsed = self._tally, spelled(self._tally.elapsed())
        kept = f", {tally.kept} of them kept from an earlier run" if tally.kept else ""
        done = f"{tally.done} fit{'' if tally.done == 1 else 's'}"
        text = f"guidebench: {done} in {elapsed}{kept}" if well else f"guidebench: stopped after {elapsed}"
        self._show(f'{_STYLE}<div class="guidebench-progress"><span class="soft">{escape(text)}</span></div>', text)

    def _update(self, *, force: bool = False) -> None:
        now = self._clock()
        if not force and now - self._shown < EVERY:
            return
        self._shown = now
        self._show(self._html(), f"{self._what} {self._phase}".strip())

    def _html(self) -> str:
        # Without a value the bar moves to and fro: something happens, nobody knows for how long.
        tally = self._tally
        at = "" if not tally.fits else f' max="{tally.fits}" value="{tally.completed:.3f}"'
        soft = " · ".join(part for part in (tally.place(), tally.counted(), tally.timed()) if part)
        return (
            f'{_STYLE}<div class="guidebench-progress"><div><span>{escape(self._what)} '
            f'<span class="soft">{escape(self._phase)}</span></span>'
            f'<span class="soft">{soft}</span></div><progress{at}></progress></div>'
        )


@contextmanager
def panel() -> Iterator[Panel]:
    """Show a panel below the running cell while the block runs."""
    from IPython.display import display

    def bundle(html: str, text: str) -> dict[str, Any]:
        return {"text/html": html, "text/plain": text}

    handle = display(bundle("", ""), raw=True, display_id=True)
    shown = Panel(lambda html, text: handle.update(bundle(html, text), raw=True))
    well = False
    try:
        yield shown
        well = True
    finally:
        shown.end(well=well)
