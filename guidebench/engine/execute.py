"""Working through a plan: every task as soon as what it needs is there, and as many at a time as the executor takes.

The graph is this module's; an executor is given one job after the other and knows nothing of their meaning.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol

from guidebench.engine.events import Event, Tell, Warned
from guidebench.engine.executors import Executor, Input, Job
from guidebench.engine.lost import TaskLostError
from guidebench.engine.plan import Need, Node
from guidebench.engine.tasks import Last


class Done(NamedTuple):
    """What a task has come to.

    `last` says that nothing is left to do for those after it, and `spare` that the value stands in for one that is
    lost.
    """

    value: Any
    last: bool = False
    spare: bool = False


class Lost(NamedTuple):
    """The exception that ended a task, or one before it."""

    error: BaseException


Outcome = Done | Lost


class Follower(Protocol):
    """Is told what becomes of nodes, in the thread that works through them."""

    def begin(self, node: Node) -> None:
        """A node's task begins."""

    def settle(self, node: Node, outcome: Outcome) -> None:
        """A node has its outcome; where that is lost, or the last of its line, so are those after it."""


class _Ended(NamedTuple):
    node: Node
    future: Future[Any]


def nothing() -> bool:
    """Do nothing, and say so."""
    return False


def execute(
    nodes: Sequence[Node],
    executor: Executor,
    tell: Tell,
    follower: Follower,
    meanwhile: Callable[[], bool] = nothing,
) -> None:
    """Run the tasks of all nodes.

    Parameters
    ----------
    nodes : sequence of Node
        In the order in which those that are ready are begun.
    executor : Executor
        Runs one task, or several at a time.
    tell : callable
        Is told what tasks say while they run, in the thread that calls this.
    follower : Follower
        Is told what becomes of each node.
    meanwhile : callable
        Does a short piece of other work in the thread that calls this, as long as nothing has come to anything, and
        returns whether there was any to do.
    """
    graph = _Graph(nodes, follower)
    here, inbox = threading.current_thread(), SimpleQueue[Event | _Ended]()

    def hear(event: Event) -> None:
        if threading.current_thread() is here:
            tell(event)
        else:
            inbox.put(event)

    running = 0
    while True:
        while running < executor.slots() and (node := graph.next(executor.at_hand())) is not None:
            running += 1
            follower.begin(node)
            future = executor.submit(graph.job(node), _of(node, hear))
            future.add_done_callback(lambda future, node=node: inbox.put(_Ended(node, future)))  # type: ignore[misc]
        if not running:
            return
        while inbox.empty() and meanwhile():
            pass
        found = inbox.get()
        if isinstance(found, _Ended):
            running -= 1
            graph.settle(found.node, _outcome(*found))
        else:
            tell(found)


def _of(node: Node, tell: Tell) -> Tell:
    """Return `tell` as the task of a node calls it: it does not know whose warnings it gives."""

    def named(event: Event) -> None:
        tell(event._replace(problem=node.problem, guide=node.guide) if isinstance(event, Warned) else event)

    return named


def _outcome(node: Node, future: Future[Any]) -> Outcome:
    error = future.exception()
    if isinstance(error, TaskLostError) and node.spare is not None:
        return Done(node.spare(error.how), spare=True)
    if error is not None:
        return Lost(error)
    value = future.result()
    return Done(value.value, last=True) if isinstance(value, Last) else Done(value)


def _name(need: Need) -> str:
    """Return what an input is called."""
    return "/".join(filter(None, need))


class _Graph:
    """Which nodes are left, and what those that others wait for have come to."""

    def __init__(self, nodes: Sequence[Node], follower: Follower) -> None:
        self._follower = follower
        self._left = list(nodes)
        self._outcomes: dict[str, Outcome] = {}
        self._lost: dict[str, Lost] = {}
        self._wanted = Counter(name for node in nodes for name in node.waits_for)
        self._given = Counter(need for node in nodes for need in node.needs)

    def next(self, at_hand: frozenset[str] = frozenset()) -> Node | None:
        """Take a node that has all it needs, or return ``None``.

        The first one goes first.  Where something is at hand, a node that is given that goes before, and after these
        one that is given nothing, with which something new begins: what one worker has compiled for a problem another
        would have to compile again.
        """
        ready = list(self._ready())
        if at_hand:
            ready.sort(key=lambda node: (not any(_name(need) in at_hand for need in node.needs), bool(node.needs)))
        if not ready:
            return None
        self._left.remove(ready[0])
        return ready[0]

    def _ready(self) -> Iterator[Node]:
        """Yield the nodes that have all they need; those that never will have are settled on the way."""
        for node in list(self._left):
            before = [self._outcomes.get(name) for name in node.waits_for]
            hard = [self._outcomes.get(name) for name in node.depends_on]
            ended = next((one for one in hard if isinstance(one, Lost) or (one is not None and one.last)), None)
            ended = ended or next((self._lost[name] for name in node.unless if name in self._lost), None)
            if ended is not None:
                self._left.remove(node)
                self.settle(node, ended)
            elif None not in before:
                yield node

    def job(self, node: Node) -> Job:
        """Return a node's task with all it is given."""
        shared = self._given[Need(node.name)] > 1
        inputs = tuple(self._inputs(node))
        return Job(name=node.name, task=node.task, inputs=inputs, shared=shared, owner=node.guide)

    def _inputs(self, node: Node) -> Iterator[Input]:
        for need in node.needs:
            outcome = self._outcomes[need.node]
            assert isinstance(outcome, Done)
            value = getattr(outcome.value, need.part) if need.part else outcome.value
            yield Input(name=_name(need), value=value, shared=self._given[need] > 1)
        for name in node.softly:
            found = self._outcomes[name]
            yield Input(name=name, value=None if isinstance(found, Lost) else found.value, shared=False)

    def settle(self, node: Node, outcome: Outcome) -> None:
        """Note what a node has come to, and let go of what nobody waits for any more."""
        if isinstance(outcome, Lost):
            self._lost[node.name] = outcome
        if self._wanted[node.name]:
            self._outcomes[node.name] = outcome
        for name in node.waits_for:
            self._wanted[name] -= 1
            if not self._wanted[name]:
                self._outcomes.pop(name, None)  # not there where a node was given up before this one had an outcome
        self._follower.settle(node, outcome)
