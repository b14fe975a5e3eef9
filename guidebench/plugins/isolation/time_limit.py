"""A limit on how long somebody's code may take.

On the main thread of a POSIX system the operating system's timer interrupts it (``SIGALRM``), whatever
Python code it is in, a sleep or a wait included.  Elsewhere, and where somebody else uses that signal, a
thread raises in the thread that is to be stopped: that reaches Python code at its next instruction, but
not a sleep.  Nothing reaches into compiled code: a loop inside XLA or a C extension goes on until it
returns to Python, unless it runs in a worker process, which is then ended.
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from types import FrameType
from typing import Protocol, Self

from guidebench.plugins.isolation import whereabouts

#: Seconds that a process may go on after its time before it is ended as a whole: it may come back by itself.
GRACE = 3.0

#: Seconds that a clock of the system can be set to, at least: three years.
LONGEST = 1e8

#: Seconds until an exception is raised again, in case what is to be stopped has swallowed it.
AGAIN = 1.0


class OutOfTime(BaseException):
    """Something has taken longer than it may.

    Not an :class:`Exception`, so that no ``except Exception`` on the way out keeps the code running.
    """


def told(seconds: float) -> str:
    """Return what is said of something that was ended for its time."""
    return f"took longer than the time limit of {seconds:g} s"


class _Alarm(Protocol):
    def start(self, seconds: float) -> None: ...

    def stop(self) -> None: ...


class _Signal:
    """Raises from the operating system's timer, on the main thread."""

    @staticmethod
    def usable() -> bool:
        """Return whether there is such a timer, and nobody uses it."""
        return (
            hasattr(signal, "setitimer")
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, signal.SIG_IGN)
            and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        )

    def start(self, seconds: float) -> None:
        self._before = signal.signal(signal.SIGALRM, self._raise)
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    @staticmethod
    def _raise(number: int, frame: FrameType | None) -> None:
        raise OutOfTime


class _Nothing(BaseException):
    """Takes the place of what has not arrived yet, and is swallowed."""


class _FromThread:
    """Raises from another thread, at the next instruction of Python."""

    def __init__(self) -> None:
        self._target = threading.get_ident()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._raised = False

    def start(self, seconds: float) -> None:
        threading.Thread(target=self._watch, args=(seconds,), daemon=True).start()

    def stop(self) -> None:
        with self._lock:
            self._over.set()
        if self._raised:
            self._take_back()

    def _take_back(self) -> None:
        """Take back what was raised in this thread and has not arrived.

        To raise nothing, as CPython has it for that, leaves its 3.11 and 3.12 looking for an exception at every turn,
        and 3.11 does so without end where a debugger or a measure of coverage traces it.
        """
        try:
            if self._raise(_Nothing):
                while True:  # it arrives at once, at the end of a turn
                    pass
        except _Nothing:
            self._raised = False

    def _watch(self, seconds: float) -> None:
        while not self._over.wait(seconds):
            with self._lock:
                if not self._over.is_set():
                    self._raised = True
                    self._raise(OutOfTime)
            seconds = AGAIN

    def _raise(self, kind: type[BaseException]) -> bool:
        """Raise in the thread; return whether there is such a thread."""
        target = ctypes.c_ulong(self._target)
        return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(target, ctypes.py_object(kind)))


class TimeLimit:
    """Raises :class:`OutOfTime` inside a block that takes longer than it may.

    Parameters
    ----------
    seconds : float or None
        ``None`` for no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._alarm: _Alarm | None = None
        self._until = float("inf")

    def __enter__(self) -> Self:
        if self.seconds is not None:
            self._until = time.monotonic() + self.seconds
            whereabouts.limited(self.seconds)
            self._alarm = _Signal() if _Signal.usable() else _FromThread()
            self._alarm.start(min(self.seconds, LONGEST))
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._stop()
        finally:  # where the exception arrives on the way out
            self._stop()

    def check(self) -> None:
        """Raise where the time is over; for places that everything comes by, whatever became of the alarm."""
        if time.monotonic() > self._until:
            raise OutOfTime

    def _stop(self) -> None:
        self._until = float("inf")
        if self._alarm is not None:
            self._alarm.stop()
            self._alarm = None
            whereabouts.limited(None)
