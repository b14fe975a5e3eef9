"""How far a run is: fits done of all, the problem it is at, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable

#: The share of a fit that its training is taken for.
TRAINING = 0.9


class Tally:
    """Counts what the engine says is done.

    Attributes
    ----------
    fits, problems : int
        How many there will be; 0 as long as that is not known.
    done : int
        Fits that are done, those of an earlier run among them.
    kept : int
        Fits of an earlier run.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self.fits = self.problems = self.done = self.kept = 0
        self._number = 0
        self._within: dict[tuple[str, str], float] = {}
        self._since = self._began

    def begin(self, fits: int, problems: int) -> None:
        """Learn how much there is to do."""
        self.fits, self.problems = fits, problems
        self._since = self._clock()

    def problem(self, number: int) -> None:
        """Go on to another problem."""
        self._number = number

    def steps(self, fit: tuple[str, str], done: int, total: int) -> None:
        """Go on within the fit of a guide to a problem; one that trains for another round does not go back."""
        self._within[fit] = max(self._within.get(fit, 0.0), TRAINING * done / total)

    def finish(self, fit: tuple[str, str], *, kept: bool) -> None:
        """Count a fit."""
        self.done += 1
        self._within.pop(fit, None)
        if kept:
            self.kept += 1
            self._since = self._clock()  # no measure of how long others take

    @property
    def completed(self) -> float:
        """Fits that are done, and the shares of those that are going on."""
        return self.done + sum(self._within.values())

    def elapsed(self) -> float:
        """Return the seconds since the run began."""
        return self._clock() - self._began

    def left(self) -> float | None:
        """Return about how many seconds are left: as many per fit as so far; ``None`` before the first is done."""
        made = self.done - self.kept
        if made == 0 or not self.fits:
            return None
        return (self._clock() - self._since) / (made + sum(self._within.values())) * (self.fits - self.completed)

    def counted(self) -> str:
        """Return ``7 of 150 fits``, or nothing as long as nobody knows how many there will be."""
        if not self.fits:
            return ""
        kept = f", {self.kept} kept" if self.kept else ""
        return f"{self.done} of {self.fits} fits{kept}"

    def place(self) -> str:
        """Return which of several problems the run is at."""
        return f"problem {self._number} of {self.problems}" if self.problems > 1 and self._number else ""

    def timed(self) -> str:
        """Return the time that has passed and, where that can be told, what is left."""
        left = self.left()
        soon = "" if left is None or self.done == self.fits else f", about {spelled(left)} left"
        return f"{spelled(self.elapsed())}{soon}"


def spelled(seconds: float) -> str:
    """Return a time as somebody would say it."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes, seconds_left = divmod(whole, 60)
    large, small = (
        (f"{minutes} min", f"{seconds_left} s")
        if minutes < 100
        else (
            f"{minutes // 60} h",
            f"{minutes % 60} min",
        )
    )
    return large if small.startswith("0 ") else f"{large} {small}"
