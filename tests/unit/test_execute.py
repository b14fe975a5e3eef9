"""A plan is worked through in its order, as many tasks at a time as fit; what is lost takes only its own line along."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import numpy as np
import pytest

from guidebench.config import make_config
from guidebench.contracts import Guide, Problem
from guidebench.engine.events import Event, PhaseBegan, RunBegan, Tell, nobody
from guidebench.engine.execute import Done, Lost, Outcome, execute
from guidebench.engine.executors import Executor, Job
from guidebench.engine.executors.here import Here
from guidebench.engine.lost import TaskLostError
from guidebench.engine.plan import Need, Node, make_plan
from guidebench.engine.recipe import recipe_of
from guidebench.engine.request import Request, Settings
from guidebench.engine.tasks import Last
from guidebench.plugins.isolation.failures import LOCAL
from guidebench.plugins.registry import Registered, Registry
from guidebench.request.selection import ChosenGuide

CONFIG = make_config({})
SETTINGS = Settings(CONFIG, recipe_of(CONFIG))


@dataclass(frozen=True, kw_only=True)
class Step:
    """A task that costs nothing: a function of what those before it came to, and of where it can tell of events."""

    does: Callable[..., Any]
    settings: Settings = SETTINGS

    def run(self, inputs: tuple[Any, ...], tell: Tell) -> Any:
        """Return what the function returns."""
        return self.does(tell, *inputs)


def gives(value: Any) -> Callable[..., Any]:
    return lambda tell, *inputs: value


def fails(error: BaseException) -> Callable[..., Any]:
    def does(tell: Tell, *inputs: Any) -> Any:
        raise error

    return does


zero = gives(0)


def node(name: str, does: Callable[..., Any] = zero, *needs: str, **parts: Any) -> Node:
    """A node that is given the outcomes of others; ``"x.part"`` is a part of that of ``x``."""
    found = tuple(Need(*one.split(".")) for one in needs)
    return Node(name=name, problem="p", task=Step(does=does), needs=found, **parts)


class Heard:
    """Follows nodes, and remembers what became of each and how many were going on at a time."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.outcomes: dict[str, Outcome] = {}
        self.at_a_time: list[int] = []

    def begin(self, node: Node) -> None:
        """A node's task begins."""
        self.begun.append(node.name)
        self.at_a_time.append(len(self.begun) - len(self.outcomes.keys() & set(self.begun)))

    def settle(self, node: Node, outcome: Outcome) -> None:
        """A node has its outcome."""
        assert node.name not in self.outcomes
        self.outcomes[node.name] = outcome


class Names:
    """Follows nodes, and remembers their names alone."""

    def __init__(self) -> None:
        self.settled: list[str] = []

    def begin(self, node: Node) -> None:
        """Say nothing."""

    def settle(self, node: Node, outcome: Outcome) -> None:
        """Remember the name."""
        self.settled.append(node.name)


class _Block:
    """What an executor does as a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""


class Recording(_Block):
    """Runs nothing: every job comes at once to what `outcome` says of it, and is remembered."""

    def __init__(self, *slots: int, outcome: Callable[[Job], Any] = lambda job: SimpleNamespace()) -> None:
        self._slots = iter(slots or (1,))
        self._last = 1
        self._outcome = outcome
        self.jobs: list[Job] = []
        self.held: set[str] = set()

    def slots(self) -> int:
        """Return the next of the numbers, and the last one from then on."""
        self._last = next(self._slots, self._last)
        return self._last

    def at_hand(self) -> frozenset[str]:
        """Return what a test has put at hand."""
        return frozenset(self.held)

    def submit(self, job: Job, tell: Tell) -> Future[Any]:
        """Remember a job."""
        self.jobs.append(job)
        future: Future[Any] = Future()
        try:
            future.set_result(self._outcome(job))
        except Exception as error:  # noqa: BLE001 - the outcome of a job, as every executor has it
            future.set_exception(error)
        return future


class Threads(_Block):
    """Runs jobs in threads of their own, so many at a time."""

    def __init__(self, pool: ThreadPoolExecutor, count: int) -> None:
        self._pool, self._count = pool, count

    def slots(self) -> int:
        """Return how many at a time."""
        return self._count

    def at_hand(self) -> frozenset[str]:
        """Have nothing at hand."""
        return frozenset()

    def submit(self, job: Job, tell: Tell) -> Future[Any]:
        """Run a job in a thread."""
        return self._pool.submit(job.task.run, job.values(), tell)


@contextmanager
def threads(count: int) -> Iterator[Threads]:
    with ThreadPoolExecutor(count) as pool:
        yield Threads(pool, count)


def outcomes(nodes: Sequence[Node], executor: Executor | None = None, tell: Tell = nobody) -> dict[str, Outcome]:
    heard = Heard()
    execute(nodes, executor or Here(), tell, heard)
    return heard.outcomes


# The order of a run


def problem(name: str) -> Problem:
    return Problem(name=name, model=lambda y=None: None, kwargs={"y": np.zeros(3)})


def guide(name: str, **parts: Any) -> ChosenGuide:
    declaration = Guide(name=name, build=lambda model: model, **parts)
    return ChosenGuide(registered=Registered(declaration, "acme", LOCAL), label=name)


def nodes(problems: str, *guides: ChosenGuide, side_by_side: bool = False, **options: Any) -> tuple[Node, ...]:
    config = make_config(options)
    request = Request(
        name="run",
        problems=tuple(problem(name) for name in problems.split()),
        guides=guides,
        config=config,
        registry=Registry(),
    )
    return make_plan(request, Settings(config, recipe_of(config)), None).nodes(side_by_side=side_by_side)


def came_to(job: Job) -> Any:
    """What a task of a run comes to, as far as others are given parts of it."""
    return SimpleNamespace(reference="the reference", to_score=f"the draws of {job.name}")


def test_one_process_works_through_one_problem_after_the_other_and_one_guide_after_the_other() -> None:
    executor = Recording(outcome=came_to)
    heard = Heard()
    execute(nodes("p q", guide("a"), guide("b")), executor, nobody, heard)
    assert [job.name for job in executor.jobs] == [
        "p/prepare", "p/reference", "p/a/fit", "p/a/score", "p/b/fit", "p/b/score",
        "q/prepare", "q/reference", "q/a/fit", "q/a/score", "q/b/fit", "q/b/score",
    ]  # fmt: skip
    assert heard.begun == list(heard.outcomes) == [job.name for job in executor.jobs]
    assert set(heard.at_a_time) == {1}


def test_simulated_data_are_made_before_any_fit_and_fitted_after_it() -> None:
    executor = Recording(outcome=came_to)
    execute(nodes("p", guide("a"), guide("b", bound="none"), simulations=64), executor, nobody, Heard())
    assert [job.name for job in executor.jobs] == [
        "p/prepare", "p/reference", "p/simulations", "p/a/fit", "p/a/score", "p/a/calibration", "p/b/fit", "p/b/score",
    ]  # fmt: skip


def test_a_task_is_given_what_it_needs_under_one_name() -> None:
    executor = Recording(outcome=came_to)
    execute(nodes("p", guide("a"), simulations=64), executor, nobody, Heard())
    given = {job.name: [one.name for one in job.inputs] for job in executor.jobs}
    assert given == {
        "p/prepare": [],
        "p/reference": ["p/prepare"],
        "p/simulations": ["p/prepare"],
        "p/a/fit": ["p/prepare"],
        "p/a/score": ["p/a/fit/to_score", "p/reference/reference", "p/prepare"],
        "p/a/calibration": ["p/prepare", "p/simulations"],
    }
    score = next(job for job in executor.jobs if job.name == "p/a/score")
    assert score.values()[:2] == ("the draws of p/a/fit", "the reference")


def test_several_at_a_time_go_on_with_what_is_ready() -> None:
    executor = Recording(2, outcome=came_to)
    execute(nodes("p q", guide("a")), executor, nobody, Heard())
    assert [job.name for job in executor.jobs] == [
        "p/prepare", "q/prepare", "p/reference", "p/a/fit", "q/reference", "p/a/score", "q/a/fit", "q/a/score",
    ]  # fmt: skip


def test_the_richest_guides_go_first_where_several_go_on_at_a_time() -> None:
    plain, scaled, rich, last = (
        guide("a"), guide("b", family="diagonal"), guide("c", family="affine"), guide("d", family="affine")
    )  # fmt: skip
    alone, together = Recording(outcome=came_to), Recording(2, outcome=came_to)
    execute(nodes("p", plain, scaled, rich, last), alone, nobody, Heard())
    execute(nodes("p", plain, scaled, rich, last, side_by_side=True), together, nobody, Heard())
    fits = [[job.name for job in executor.jobs if job.name.endswith("fit")] for executor in (alone, together)]
    assert fits == [
        ["p/a/fit", "p/b/fit", "p/c/fit", "p/d/fit"], ["p/d/fit", "p/c/fit", "p/a/fit", "p/b/fit"],
    ]  # fmt: skip
    assert {job.name for job in alone.jobs} == {job.name for job in together.jobs}


def test_slots_are_respected_as_they_come_and_go() -> None:
    heard = Heard()
    execute([node(f"{number}") for number in range(8)], Recording(3, 3, 3, 3, 1, 1, 1, 1, 2), nobody, heard)
    assert heard.begun == [f"{number}" for number in range(8)]
    assert max(heard.at_a_time[:3]) == 3
    assert max(heard.at_a_time[3:]) <= 2


def test_two_run_side_by_side_and_no_more() -> None:
    at_a_time, lock = [0], threading.Lock()
    meet = threading.Barrier(2)  # neither goes on without another

    def does(tell: Tell) -> int:
        with lock:
            at_a_time.append(at_a_time[-1] + 1)
        meet.wait(timeout=30)
        with lock:
            at_a_time.append(at_a_time[-1] - 1)
        return 0

    with threads(2) as executor:
        found = outcomes([node(f"{number}", does) for number in range(6)], executor)
    assert len(found) == 6
    assert max(at_a_time) == 2


def test_other_work_is_done_piece_by_piece_while_tasks_run_elsewhere() -> None:
    done, two, here = list[str](), threading.Event(), threading.get_ident()

    def waits(tell: Tell) -> int:
        assert two.wait(timeout=30)
        return 0

    def piece() -> bool:
        assert threading.get_ident() == here
        done.append("a piece")
        if len(done) == 2:
            two.set()  # what has ended by then is seen before the next piece
        return len(done) < 2

    with threads(2) as executor:
        execute([node("a", waits), node("b", waits)], executor, nobody, Heard(), piece)
    assert done[:2] == ["a piece"] * 2


def test_and_it_never_holds_up_what_is_done_here() -> None:
    def piece() -> bool:
        raise AssertionError

    execute([node("a"), node("b", zero, "a")], Here(), nobody, Heard(), piece)


def test_nothing_to_do_is_done() -> None:
    assert outcomes([]) == {}


# What becomes of outcomes


def test_values_and_parts_of_them_go_on() -> None:
    found = outcomes(
        [
            node("a", gives(SimpleNamespace(part=2, other=3))),
            node("b", lambda tell, part, other: (part, other), "a.part", "a.other"),
            node("c", lambda tell, one, whole: (one, whole.other), "b", "a"),
        ]
    )
    assert found["b"] == Done((2, 3))
    assert found["c"] == Done(((2, 3), 3))


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), MemoryError()], ids=lambda one: type(one).__name__)
def test_a_lost_task_loses_what_comes_after_it_and_nothing_else(error: BaseException) -> None:
    found = outcomes(
        [
            node("a"),
            node("b", fails(error), "a"),
            node("c", gives(1), "b"),
            node("d", gives(2), "a"),
            node("e", gives(3), after=("c",)),
            node("f", gives(4), "a", "d"),
        ]
    )
    assert {name for name, outcome in found.items() if isinstance(outcome, Lost)} == {"b", "c", "e"}
    for name in "bce":
        assert found[name] == Lost(error)
    assert (found["d"], found["f"]) == (Done(2), Done(4))


def test_the_last_of_a_line_ends_it() -> None:
    called: list[str] = []

    def never(tell: Tell, *inputs: Any) -> None:
        called.append("never")

    found = outcomes(
        [
            node("a", gives(Last("over"))),
            node("b", never, "a"),
            node("c", never, "b"),
            node("d", never, after=("a",)),
            node("e", gives("on")),
        ]
    )
    assert {name: found[name] for name in "abcd"} == dict.fromkeys("abcd", Done("over", last=True))
    assert found["e"] == Done("on")
    assert called == []


def test_what_only_has_to_be_over_is_not_handed_on() -> None:
    found = outcomes([node("a", gives("kept")), node("b", lambda tell, *inputs: inputs, after=("a",))])
    assert found["b"] == Done(())


class Large:
    """Something that can be seen to go."""


class Seen:
    """A task that makes something large, and others that look whether it is still there."""

    def __init__(self) -> None:
        self._made: list[weakref.ref[Large]] = []
        self.there: list[bool] = []

    def large(self, tell: Tell) -> Large:
        """Make it."""
        found = Large()
        self._made.append(weakref.ref(found))
        return found

    def look(self, tell: Tell, *inputs: Any) -> int:
        """Look for it."""
        del inputs
        self.there.append(self._made[0]() is not None)
        return 0


def test_what_is_not_needed_any_more_is_let_go() -> None:
    seen, follower = Seen(), Names()
    chain = [
        node("a", seen.large),
        node("b", seen.look),
        node("c", seen.look, "a"),
        node("d", seen.look, "b"),
        node("e", seen.look, "d"),
    ]
    execute(chain, Here(), nobody, follower)
    assert follower.settled == list("abcde")
    assert seen.there == [True, True, False, False]


def test_what_a_line_that_was_lost_waited_for_is_let_go() -> None:
    seen = Seen()
    chain = [
        node("a", seen.large),
        node("b", fails(ValueError("no"))),
        node("c", zero, "a", "b"),
        node("d", seen.look),
        node("e", seen.look),
    ]
    execute(chain, Here(), nobody, Names())
    assert seen.there[-1] is False


def test_what_nothing_waits_for_is_not_held() -> None:
    seen = Seen()
    execute([node("a", seen.large), node("b", seen.look), node("c", seen.look)], Here(), nobody, Names())
    assert seen.there[-1] is False


DIED = TaskLostError("was killed by SIGKILL")


def test_a_spare_stands_in_where_a_worker_died() -> None:
    def outcome(job: Job) -> Any:
        if job.name in ("a", "b"):
            raise DIED
        return job.values()

    found = outcomes(
        [
            node("a", spare=lambda how: f"nothing, for it {how}"),
            node("b"),
            node("c", gives(0), "a"),
            node("d", gives(0), "b"),
        ],
        Recording(outcome=outcome),
    )
    assert found["a"] == Done("nothing, for it was killed by SIGKILL", spare=True)
    assert found["c"] == Done(("nothing, for it was killed by SIGKILL",))
    assert found["b"] == found["d"] == Lost(DIED)


def test_a_spare_stands_in_for_no_other_failure() -> None:
    error = ValueError("no")
    assert outcomes([node("a", fails(error), spare=lambda how: "spare")]) == {"a": Lost(error)}


def test_the_reference_of_a_run_has_a_spare_and_nothing_else_has() -> None:
    found = [one for one in nodes("p", guide("a"), simulations=64) if one.spare is not None]
    assert [one.name for one in found] == ["p/reference"]
    spare = found[0].spare
    assert spare is not None
    assert (
        "for it could not be found: its process was killed by SIGKILL"
        in spare("its process was killed by SIGKILL").reference.note
    )


# What ends a run


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
def test_what_is_to_end_the_process_goes_through(error: type[BaseException]) -> None:
    heard = Heard()
    with pytest.raises(error):
        execute([node("a"), node("b", fails(error())), node("c")], Here(), nobody, heard)
    assert heard.begun == ["a", "b"]
    assert list(heard.outcomes) == ["a"]


def test_a_follower_may_end_it() -> None:
    class Strict(Heard):
        def settle(self, node: Node, outcome: Outcome) -> None:
            if isinstance(outcome, Lost):
                raise outcome.error
            super().settle(node, outcome)

    heard = Strict()
    with pytest.raises(ZeroDivisionError):
        execute([node("a"), node("b", fails(ZeroDivisionError())), node("c")], Here(), nobody, heard)
    assert heard.begun == ["a", "b"]


# Events


def say(text: str) -> Callable[..., int]:
    def does(tell: Tell, *inputs: Any) -> int:
        tell(PhaseBegan("p", "a", text))
        return 0

    return does


@pytest.mark.parametrize("count", [0, 1, 3])
def test_events_arrive_in_the_calling_thread_before_the_outcome(count: int) -> None:
    """With no threads it is the caller's own; with one or more, others tell of them."""
    arrived: list[tuple[str, bool]] = []

    def tell(event: Event) -> None:
        assert isinstance(event, PhaseBegan)
        arrived.append((event.phase, threading.current_thread() is here))

    class Ends(Names):
        def settle(self, node: Node, outcome: Outcome) -> None:
            assert isinstance(outcome, Done)
            arrived.append((f"{node.name} is over", threading.current_thread() is here))

    here = threading.current_thread()
    chain = [node("a", say("a")), node("b", say("b"), "a"), node("c", say("c"), "b")]
    if count:
        with threads(count) as executor:
            execute(chain, executor, tell, Ends())
    else:
        execute(chain, Here(), tell, Ends())
    assert arrived == [(text, True) for one in "abc" for text in (one, f"{one} is over")]


def test_an_event_is_heard_while_its_task_goes_on() -> None:
    heard = threading.Event()

    def waits(tell: Tell) -> bool:
        tell(RunBegan(1, 1))
        return heard.wait(timeout=30)

    with threads(1) as executor:
        found = outcomes([node("a", waits)], executor, lambda event: heard.set())
    assert found["a"] == Done(True)


def test_what_is_at_hand_goes_before_what_begins_anew_and_that_before_the_rest() -> None:
    executor = Recording(1)
    executor.held.add("b")
    found = [node("a"), node("b"), node("of a", gives(0), "a"), node("of b", gives(0), "b"), node("c")]
    outcomes(found, executor)
    assert [job.name for job in executor.jobs] == ["a", "b", "of b", "c", "of a"]


def test_a_job_says_whether_others_are_given_what_it_comes_to() -> None:
    executor = Recording(1)
    outcomes([node("a"), node("b"), node("x", gives(0), "a"), node("y", gives(0), "a", "b")], executor)
    assert [(job.name, job.shared) for job in executor.jobs] == [("a", True), ("b", False), ("x", False), ("y", False)]
