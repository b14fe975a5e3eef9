"""Ending a worker from inside: for executors that do not end a worker whose task takes longer than it may."""

from __future__ import annotations

import multiprocessing
import threading
import time
from functools import cache

from guidebench.plugins.isolation import ending, whereabouts
from guidebench.plugins.isolation.time_limit import GRACE
from guidebench.plugins.isolation.whereabouts import Where

#: Seconds between two looks at the clock.
EVERY = 0.5

#: The exit status of a process that was ended.
TIMED_OUT = 70


class _Watchdog:
    """Ends the process once its limit is over: a compiled loop hears no exception."""

    def __init__(self) -> None:
        self._until = float("inf")
        threading.Thread(target=self._watch, daemon=True).start()

    def entered(self, where: Where | None) -> None:
        """Take no note."""

    def limited(self, seconds: float | None) -> None:
        """Take note of the limit."""
        self._until = float("inf") if seconds is None else time.monotonic() + seconds + GRACE

    def _watch(self) -> None:
        while time.monotonic() < self._until:
            time.sleep(EVERY)
        ending.end(TIMED_OUT)


@cache
def start() -> None:
    """Have this process watched, if it was started to work for another; one that a person started is left alone."""
    if multiprocessing.parent_process() is not None:
        whereabouts.listen(_Watchdog())
