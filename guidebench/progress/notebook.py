"""A panel in a notebook that shows how far a run is, and one line once it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

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
        self._began = clock()
        self._shown = -float("inf")
        self._what, self._phase = "preparing", ""
        self._total: int | None = None
        self._done = 0
        self._within = 0.0
        self._update(force=True)

    def begin(self, fits: int) -> None:
        """Set the length of the bar to the number of fits."""
        self._total = fits
        self._update()

    def phase(self, problem: str, guide: str, phase: str) -> None:
        """Name the guide and what happens to it."""
        news = f"{problem}: {guide}" != self._what
        self._what, self._phase = f"{problem}: {guide}", phase
        self._update(force=news)

    def steps(self, done: int, total: int, loss: float) -> None:
        """Advance within a fit and show the loss."""
        self._within = 0.9 * done / total
        self._phase = f"step {done:,} of {total:,}, loss {loss:.4g}"
        self._update()

    def finish(self, fit: Fit) -> None:
        """Count one more fit."""
        self._done += 1
        self._within = 0.0
        self._phase = str(fit.status)
        self._update(force=self._done == self._total)

    def note(self, text: str) -> None:
        """Say what happens outside of fits."""
        self._what, self._phase = text, ""
        self._update(force=True)

    def end(self, *, well: bool) -> None:
        """Leave one line in the place of the panel."""
        guides = f"{self._done} fit{'' if self._done == 1 else 's'}"
        text = f"guidebench: {guides} in {self._elapsed()}" if well else f"guidebench: stopped after {self._elapsed()}"
        self._show(f'{_STYLE}<div class="guidebench-progress"><span class="soft">{escape(text)}</span></div>', text)

    def _elapsed(self) -> str:
        seconds = self._clock() - self._began
        return f"{seconds:.0f} s" if seconds < 100 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"

    def _update(self, *, force: bool = False) -> None:
        now = self._clock()
        if not force and now - self._shown < EVERY:
            return
        self._shown = now
        self._show(self._html(), f"{self._what} {self._phase}".strip())

    def _html(self) -> str:
        # Without a value the bar moves to and fro: something happens, nobody knows for how long.
        at = "" if not self._total else f' max="{self._total}" value="{self._done + self._within:.3f}"'
        count = "" if not self._total else f"{self._done} of {self._total} · "
        return (
            f'{_STYLE}<div class="guidebench-progress"><div><span>{escape(self._what)} '
            f'<span class="soft">{escape(self._phase)}</span></span>'
            f'<span class="soft">{count}{self._elapsed()}</span></div><progress{at}></progress></div>'
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
