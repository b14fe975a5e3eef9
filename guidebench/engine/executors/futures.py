"""Running tasks on whatever has ``submit`` and returns futures, as :mod:`concurrent.futures` has it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from types import TracebackType
from typing import Any, Protocol, Self

from guidebench.engine.events import Tell
from guidebench.engine.executors.base import Job
from guidebench.engine.executors.remote import Session, opened, parcel, run_parcel
from guidebench.engine.lost import TaskLostError
from guidebench.plugins.isolation.failures import said

#: Jobs that are submitted at a time.  More wait here, in the order in which they are wanted.
AHEAD = 32

#: Names of what a process was given lately, for which it has compiled programs.
LATELY = 6


class Submitted(Protocol):
    """What submitting a task gives: a future of the standard library's kind, or one of Dask's."""

    def result(self) -> Any:
        """Return the result, or raise what ended the task."""

    def add_done_callback(self, callback: Callable[[Any], Any], /) -> Any:
        """Call back once the task is over."""

    def cancel(self) -> Any:
        """Give the task up, if it has not begun."""


class Submitting(Protocol):
    """What can be given tasks."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Submitted:
        """Run a function elsewhere, or at another time."""


class Futures:
    """Runs jobs on an executor that belongs to somebody else, which is left as it is.

    Parameters
    ----------
    executor : Submitting
        Any of :mod:`concurrent.futures`, or one that is like them.
    session : Session
        What other processes have to know of the run.
    slots : callable, optional
        Returns how many jobs are submitted at a time.
    lost : callable, optional
        Returns an exception of the executor's that tells of the death of a worker as a :class:`TaskLostError`, and
        any other as it is.
    known : Known, optional
        Of an executor that begins a task at once where `slots` allows one: what its processes were given.
    """

    def __init__(
        self,
        executor: Submitting,
        session: Session,
        slots: Callable[[], int] = lambda: AHEAD,
        lost: Callable[[BaseException], BaseException] | None = None,
        known: Known | None = None,
    ) -> None:
        self._executor, self._session, self._slots = executor, session, slots
        self._in_our_words = lost or broken
        self._running: set[Submitted] = set()
        self._known = known

    def slots(self) -> int:
        """Return how many jobs are submitted at a time."""
        return self._slots()

    def at_hand(self) -> frozenset[str]:
        """Return what the processes that are free were given before, where it is known which these are."""
        return frozenset() if self._known is None else self._known.at_hand()

    def submit(self, job: Job, tell: Tell) -> Future[Any]:
        """Submit a job; what its task says meanwhile is not heard."""
        outer: Future[Any] = Future()

        def finish(inner: Submitted) -> None:
            self._running.discard(inner)
            try:
                returned = inner.result()
                if self._known is not None:
                    self._known.finished(returned.process, job)
                outer.set_result(opened(returned))
            except BaseException as error:  # noqa: BLE001 - whatever it is, somebody waits for the outcome
                outer.set_exception(self._in_our_words(error))

        try:
            if self._known is not None:
                self._known.submitted()
            inner = self._executor.submit(run_parcel, self._session, parcel(job))
        except Exception as error:  # noqa: BLE001 - as above
            outer.set_exception(self._in_our_words(error))
            return outer
        self._running.add(inner)
        inner.add_done_callback(finish)
        return outer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what has not begun."""
        for one in list(self._running):
            one.cancel()


class Known:
    """What is known of the processes of an executor that says nothing of them: what they were given, and who is free.

    A process that has finished a task is free until the next one is submitted, which goes to one that is free: where
    several are, it is not known to which.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: dict[str, deque[str]] = {}
        self._free: set[str] = set()

    def finished(self, process: str, job: Job) -> None:
        """Note that a process has done a job."""
        with self._lock:
            given = self._given.setdefault(process, deque(maxlen=LATELY))
            for name in (*(one.name for one in job.inputs if one.shared), *([job.name] if job.shared else [])):
                if name in given:
                    given.remove(name)
                given.append(name)
            self._free.add(process)

    def submitted(self) -> None:
        """Note that a job goes to one of them."""
        with self._lock:
            self._free.clear()

    def at_hand(self) -> frozenset[str]:
        """Return what the free ones were given."""
        with self._lock:
            return frozenset(name for process in self._free for name in self._given[process])


def broken(error: BaseException) -> BaseException:
    """Return the end of an executor of the standard library's, whose workers are gone with it, as a task's loss."""
    if isinstance(error, BrokenExecutor):
        return TaskLostError(f"its process is gone, and with it the executor: {said(error)}")
    return error
