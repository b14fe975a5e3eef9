"""What a worker process does: it takes orders from the process of the run, one after the other.

It is started as ``python -c`` with the number of its end of a pipe.  Whose code it runs and how long that may take
it says before it runs it, so that the other end knows what to do should it not come back.  It ends with the process
of the run.
"""

from __future__ import annotations

import pickle
import signal
import sys
import threading
from collections import OrderedDict
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from guidebench.engine.executors.remote import Returned, Session, run
from guidebench.inference.device import threads
from guidebench.plugins.isolation import ending

if TYPE_CHECKING:
    from guidebench.engine.events import Event
    from guidebench.engine.executors.wire import Packed
    from guidebench.plugins.isolation.whereabouts import Where

#: Inputs of tasks that a worker keeps at hand: those that several tasks share, of the last two problems.
AT_HAND = 6


class Hello(NamedTuple):
    """The first thing a worker is told: where modules are, where compiled programs are kept, and about the run."""

    path: list[str]
    cache: str
    session: Session


class Order(NamedTuple):
    """A task, packed; the names of what it is given, and those of these things, packed, that the worker lacks.

    What is given to no other task is named in `once`; what the task comes to is kept at hand under the name in
    `result`, where several tasks will be given that.
    """

    task: Packed
    needed: tuple[str, ...]
    sent: dict[str, Packed]
    once: tuple[str, ...]
    result: str


class Entered(NamedTuple):
    """The code of a plugin begins to run."""

    where: Where | None


class Limited(NamedTuple):
    """What runs now may take so long; no limit is ``None``."""

    seconds: float | None


class Told(NamedTuple):
    """An event of the task."""

    event: Event


class Answer(NamedTuple):
    """What a task has come to, and the names of the inputs that the worker has at hand from now on."""

    returned: Returned
    held: tuple[str, ...]


class _Line:
    """The connection to the process of the run."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._heard: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._heard.put(self._connection.recv_bytes())
        ending.end(1)  # the process of the run is gone, or wants this one gone

    def idle(self) -> bool:
        """Return whether nobody has said anything yet."""
        return self._heard.empty()

    def next(self) -> Any:
        """Return the next message; to read one imports modules, which two threads must not do at a time."""
        return pickle.loads(self._heard.get())  # noqa: S301 - from the run itself

    def say(self, message: Any) -> None:
        """Send a message; an alarm of the time limit that goes off meanwhile has to wait."""
        data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        try:
            self._connection.send_bytes(data)
        except OSError:
            ending.end(1)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    # What is said of where the process is

    def entered(self, where: Where | None) -> None:
        """Say whose code begins to run, or that it has ended."""
        self.say(Entered(where))

    def limited(self, seconds: float | None) -> None:
        """Say how long what runs now may take."""
        self.say(Limited(seconds))


def main(descriptor: int) -> None:
    """Take orders until there are none."""
    line = _Line(Connection(descriptor))
    ending.allow()
    threads.enough()  # before JAX starts

    from guidebench.inference.device import cache
    from guidebench.plugins.isolation import whereabouts
    from guidebench.plugins.isolation.replaced import watched

    import_module("guidebench.engine.perform")
    if line.idle():  # what scoring will need
        from guidebench.results.inference_data import arviz

        arviz()
    hello: Hello = line.next()
    sys.path[:] = hello.path
    cache.enable(hello.cache)
    whereabouts.listen(line)
    held: OrderedDict[str, Any] = OrderedDict()
    with watched():
        while True:
            _serve(line, hello.session, line.next(), held)


def _serve(line: _Line, session: Session, order: Order, held: OrderedDict[str, Any]) -> None:
    from guidebench.engine.executors.wire import unpack

    def load() -> tuple[Any, tuple[Any, ...]]:
        for name, packed in order.sent.items():
            held[name] = unpack(packed, no_plugins=session.no_plugins)
        for name in order.needed:
            held.move_to_end(name)
        while len(held) > max(AT_HAND, len(order.needed)):
            held.popitem(last=False)
        task = unpack(order.task, no_plugins=session.no_plugins)
        inputs = tuple(held[name] for name in order.needed)
        for name in order.once:
            del held[name]
        return task, inputs

    def keep(value: Any) -> None:
        if order.result:
            held[order.result] = value

    returned = run(session, load, lambda event: line.say(Told(event)), keep)
    line.say(Answer(returned, tuple(held)))
