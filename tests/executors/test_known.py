"""What is known of the processes of an executor that says nothing of them."""

from __future__ import annotations

from typing import Any

from guidebench.engine.executors.base import Input, Job
from guidebench.engine.executors.futures import LATELY, Known


def job(name: str, *inputs: str, shared: bool = False) -> Job:
    task: Any = None
    return Job(name=name, task=task, inputs=tuple(Input(one, None, shared=True) for one in inputs), shared=shared)


def test_a_process_that_has_finished_is_free_until_the_next_is_submitted() -> None:
    known = Known()
    assert known.at_hand() == frozenset()
    known.finished("one", job("p/prepare", shared=True))
    assert known.at_hand() == {"p/prepare"}
    known.submitted()
    assert known.at_hand() == frozenset()
    known.finished("other", job("q/fit", "q/prepare"))
    assert known.at_hand() == {"q/prepare"}
    known.finished("one", job("p/fit", "p/prepare"))
    assert known.at_hand() == {"p/prepare", "q/prepare"}


def test_only_what_came_lately_is_remembered() -> None:
    known = Known()
    for number in range(LATELY + 1):
        known.finished("one", job("fit", f"{number}/prepare"))
    assert known.at_hand() == {f"{number}/prepare" for number in range(1, LATELY + 1)}
