"""Ending a worker from inside: executors may not end one whose task takes too long, or for whom nobody waits."""

from __future__ import annotations

import multiprocessing
import threading
import time
from functools import cache
from multiprocessing.process import BaseProcess

from guidebench.plugins.isolation import ending, whereabouts
from guidebench.plugins.isolation.time_limit import GRACE
from guidebench.plugins.isolation.whereabouts import Where

#: Seconds between two looks at the clock.
EVERY = 0.5

#: The exit status of a process that was ended because its task took too long, or the process that it works for is gone.
TIMED_OUT = 70
ORPHANED = 71


class _Watchdog:
    """Ends the process once its limit is over, or its parent: a compiled loop hears no exception."""

    def __init__(self, parent: BaseProcess) -> None:
        self._until, self._parent = float("inf"), parent
        threading.Thread(target=self._watch, daemon=True).start()

    def entered(self, where: Where | None) -> None:
        """Take no note."""

    def limited(self, seconds: float | None) -> None:
        """Take note of the limit."""
        self._until = float("inf") if seconds is None else time.monotonic() + seconds + GRACE

    def _watch(self) -> None:
        while time.monotonic() < self._until:
            if not self._parent.is_alive():
                ending.end(ORPHANED)
            time.sleep(EVERY)
        ending.end(TIMED_OUT)


@cache
def start() -> None:
    """Have this process watched, if it was started to work for another; one that a person started is left alone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        whereabouts.listen(_Watchdog(parent))
