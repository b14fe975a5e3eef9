"""Running tasks in worker processes on this machine, several at a time.

Each worker is a process of its own, started anew (not forked), which a thread of this process talks to.  One that
dies costs the task that it ran; one whose task takes longer than it may is ended.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from guidebench.config.errors import RequestError
from guidebench.config.settings import RunConfig
from guidebench.engine.executors.base import Job
from guidebench.engine.executors.remote import Returned, Session, opened
from guidebench.engine.executors.worker import Answer, Entered, Hello, Limited, Order, Told
from guidebench.engine.lost import TaskLostError
from guidebench.inference.device import cache
from guidebench.plugins.isolation.time_limit import GRACE, told
from guidebench.plugins.isolation.whereabouts import Where

if TYPE_CHECKING:
    from guidebench.engine.events import Tell

#: Signals that come from outside: what ran is not to blame, and may do better a second time.
FROM_OUTSIDE = frozenset({"SIGKILL", "SIGTERM", "SIGHUP"})

#: Seconds that a process which has been killed is waited for.
PATIENCE = 5.0

#: Seconds between two looks at the memory of a worker that says nothing.
EVERY = 0.1

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from guidebench.engine.executors.worker import main; main(int(sys.argv[1]))"
)


def of(config: RunConfig) -> Processes:
    """Return as many workers as a run asks for."""
    if os.name != "posix":
        raise RequestError("worker processes need Linux or macOS; a Dask cluster does not", option="jobs")
    if config.most_memory is not None and sys.platform != "linux":
        raise RequestError("how much memory a process takes is known on Linux only", option="memory_limit")
    assert config.jobs is not None
    return Processes(config.jobs, no_plugins=config.no_plugins, isolate=config.isolate, most_memory=config.most_memory)


class _Order(NamedTuple):
    job: Job
    tell: Tell
    future: Future[Any]


class Processes:
    """Runs jobs in worker processes.

    Parameters
    ----------
    count : int
        How many.
    no_plugins : bool
        Whether the run has no plugins but guidebench's own.
    isolate : bool
        Whether a worker that has run the code of one guide runs that of no other.
    most_memory : int, optional
        Bytes that a worker may take.
    """

    def __init__(
        self, count: int, *, no_plugins: bool = False, isolate: bool = False, most_memory: int | None = None
    ) -> None:
        rules = _Rules(no_plugins, isolate, most_memory)
        self._lanes = [_Lane(rules) for _ in range(count)]

    def slots(self) -> int:
        """Return the number of workers."""
        return len(self._lanes)

    def at_hand(self) -> frozenset[str]:
        """Return what the workers have that are free."""
        return frozenset().union(*(lane.held for lane in self._lanes if not lane.orders))

    def submit(self, job: Job, tell: Tell) -> Future[Any]:
        """Give a job to the worker with the fewest jobs, of several to the one that has most of what it needs."""
        future: Future[Any] = Future()
        needed = {one.name for one in job.inputs}
        lane = min(self._lanes, key=lambda lane: (lane.orders, not lane.suits(job), -len(needed & lane.held)))
        lane.take(_Order(job, tell, future))
        self._start(self._lanes)
        return future

    def __enter__(self) -> Self:
        # One imports what the others will find in the file system's cache, next to this process, which does the same.
        self._start(self._lanes[:1])
        return self

    def _start(self, lanes: Sequence[_Lane]) -> None:
        try:
            for lane in lanes:
                lane.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all workers, whatever they are doing."""
        for lane in self._lanes:
            lane.kill()
        for lane in self._lanes:
            lane.join()


class _Rules(NamedTuple):
    """What holds for all workers."""

    no_plugins: bool
    isolate: bool
    most_memory: int | None


class _Worker:
    """A process and this end of the pipe to it."""

    def __init__(self) -> None:
        here, there = Pipe()
        self._connection: Connection = here
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(there.fileno()), json.dumps(list(map(str, sys.path)))],
            pass_fds=(there.fileno(),),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the process of the run, which ends the others
        )
        there.close()
        self.greeted = False
        self.held: tuple[str, ...] = ()
        #: The guide whose code it has run.
        self.owner = ""

    def memory(self) -> int:
        """Return the bytes that the process takes; nothing of one that is gone."""
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def greet(self, *, no_plugins: bool) -> None:
        """Tell a new worker what it has to know."""
        if not self.greeted:
            session = Session.of(no_plugins=no_plugins)
            self.say(Hello(list(map(str, sys.path)), cache.in_use() or "", session))
            self.greeted = True

    def say(self, message: Any) -> None:
        """Send a message."""
        self._connection.send_bytes(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))

    def hear(self, until: float | None) -> Any:
        """Return the next message; ``None`` where there is none in time."""
        if until is not None and not self._connection.poll(max(until - time.monotonic(), 0)):
            return None
        return pickle.loads(self._connection.recv_bytes())  # noqa: S301 - from a process of our own

    def end(self) -> None:
        """Kill the process."""
        with suppress(OSError):
            self._process.kill()

    def ended(self) -> int:
        """Return the exit status of a process that is gone; minus a signal's number where that ended it."""
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:  # it has closed the pipe and goes on
            self.end()
            return self._process.wait()
        finally:
            self._connection.close()


class _Talk:
    """What a worker says of one task, and what is seen of it meanwhile."""

    def __init__(self, worker: _Worker, tell: Tell, most_memory: int | None = None) -> None:
        self._worker, self._tell, self._most_memory = worker, tell, most_memory
        self.where: Where | None = None

    def until_answered(self) -> Answer:
        """Pass on what is told, until there is an answer.

        Raises
        ------
        TaskLostError
            Where the task takes longer than it may, or more memory.
        EOFError, OSError
            Where the worker is gone.
        """
        seconds, until = 0.0, None
        while True:
            match self._worker.hear(self._next_look(until)):
                case Answer() as answer:
                    return answer
                case Told(event):
                    self._tell(event)
                case Entered(where):
                    self.where = where
                case Limited(limit):
                    seconds, until = limit or 0.0, None if limit is None else time.monotonic() + limit + GRACE
                case None:
                    self._look()
                    if until is not None and time.monotonic() >= until:
                        raise TaskLostError(told(seconds), self.where)

    def _next_look(self, until: float | None) -> float | None:
        """Return when to look after the worker: at the end of its time, and often where its memory is limited."""
        if self._most_memory is None:
            return until
        soon = time.monotonic() + EVERY
        return soon if until is None else min(soon, until)

    def _look(self) -> None:
        if self._most_memory is not None and self._worker.memory() > self._most_memory:
            raise TaskLostError(f"took more memory than the limit of {self._most_memory / 1e9:g} GB", self.where)


class _Lane:
    """A thread that passes one order after the other to a worker, and starts another one where that is gone."""

    def __init__(self, rules: _Rules) -> None:
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._rules = rules
        #: Orders that are not done yet.
        self.orders = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._worker: _Worker | None = None
        self._closing = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start a worker, which has much to import, and begin to take orders; unless that is done."""
        if self._thread.ident is None and not self._closing:
            self._worker = _Worker()
            self._thread.start()

    @property
    def held(self) -> frozenset[str]:
        """The inputs that the worker has."""
        worker = self._worker
        return frozenset() if worker is None else frozenset(worker.held)

    def suits(self, job: Job) -> bool:
        """Return whether the worker may be given a job, so that there need not be a new one."""
        worker = self._worker
        return worker is None or not self._rules.isolate or worker.owner in ("", job.owner)

    def take(self, order: _Order) -> None:
        """Take an order, which is the next or waits for its turn."""
        with self._lock:
            self.orders += 1
        self._orders.put(order)

    def kill(self) -> None:
        """Kill the worker, and give it no more orders."""
        self._orders.put(None)
        with self._lock:
            self._closing = True
            if self._worker is not None:
                self._worker.end()

    def join(self) -> None:
        """Wait for the thread, which has nothing left to do, and see the process off."""
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)
        if self._worker is not None:
            self._lost(self._worker)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            value, failure = None, None
            try:
                value = opened(self._run(order))
            except BaseException as error:  # noqa: BLE001 - whatever it is, somebody waits for the outcome
                failure = error
            with self._lock:
                self.orders -= 1
            if failure is None:
                order.future.set_result(value)
            else:
                order.future.set_exception(failure)

    def _run(self, order: _Order) -> Returned:
        """Return what a job comes to; it is tried once more where its process was killed from outside."""
        try:
            return self._attempt(order)
        except TaskLostError as died:
            if not died.again or self._closing:
                raise
        try:
            return self._attempt(order)
        except TaskLostError as second:
            raise TaskLostError(f"{second.how}, twice" if second.again else second.how, second.where) from None

    def _attempt(self, order: _Order) -> Returned:
        from guidebench.engine.executors.wire import pack

        worker = self._at_work(order.job)
        inputs = order.job.inputs
        sent = {one.name: pack(one.value) for one in inputs if one.name not in worker.held}
        once = tuple(one.name for one in inputs if not one.shared)
        needed = tuple(one.name for one in inputs)
        message = Order(pack(order.job.task), needed, sent, once, order.job.name if order.job.shared else "")
        talk = _Talk(worker, order.tell, self._rules.most_memory)
        try:
            worker.greet(no_plugins=self._rules.no_plugins)
            worker.say(message)
            answer = talk.until_answered()
        except (EOFError, OSError):
            raise _died(self._lost(worker), talk.where) from None
        except BaseException:  # what it says from now on could be about this task or the next
            worker.end()
            self._lost(worker)
            raise
        worker.held = answer.held
        return answer.returned

    def _at_work(self, job: Job) -> _Worker:
        """Return a worker that may be given a job: a new one where the old one has run the code of another guide."""
        if not self.suits(job) and (other := self._worker) is not None:
            other.end()
            self._lost(other)
        with self._lock:
            if self._closing:
                raise TaskLostError("the run is over")
            if self._worker is None:
                self._worker = _Worker()
            self._worker.owner = job.owner or self._worker.owner
            return self._worker

    def _lost(self, worker: _Worker) -> int:
        with self._lock:
            self._worker = None
        return worker.ended()


def _died(status: int, where: Where | None) -> TaskLostError:
    """Return how a process has ended, in words."""
    if status >= 0:
        return TaskLostError(f"its process ended with exit status {status}", where)
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return TaskLostError(f"its process was killed by {name}", where, again=name in FROM_OUTSIDE)
