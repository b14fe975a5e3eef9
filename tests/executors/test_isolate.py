"""A worker for every guide, and a limit on the memory of each."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from guidebench.config import make_config
from guidebench.engine.events import nobody
from guidebench.engine.executors import Job
from guidebench.engine.executors.processes import Processes, of
from guidebench.engine.lost import TaskLostError
from guidebench.engine.recipe import recipe_of
from guidebench.engine.request import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the memory of processes, as Linux tells it")

CONFIG = make_config({})


@dataclass(frozen=True, kw_only=True)
class Leaves:
    """Says which process it runs in and what others have left there, and leaves something itself."""

    settings: Settings = field(default_factory=lambda: Settings(CONFIG, recipe_of(CONFIG), True))
    word: str = ""

    def run(self, inputs: tuple[Any, ...], tell: Any) -> tuple[int, list[str]]:
        found: list[str] = sys.__dict__.setdefault("_left", [])
        found.append(self.word)
        return os.getpid(), list(found)


@dataclass(frozen=True, kw_only=True)
class Takes:
    """Takes memory, and keeps it."""

    settings: Settings = field(default_factory=lambda: Settings(CONFIG, recipe_of(CONFIG), True))

    def run(self, inputs: tuple[Any, ...], tell: Any) -> int:
        kept = np.ones(400_000_000)
        time.sleep(60)
        return len(kept)


def left_in(workers: Processes, word: str, owner: str) -> Any:
    return workers.submit(Job(name=word, task=Leaves(word=word), owner=owner), nobody).result()


def test_what_one_guide_leaves_in_its_process_no_other_finds() -> None:
    with of(make_config({"isolate": True})) as workers:
        first, left = left_in(workers, "prepared", "")
        assert left == ["prepared"]
        assert left_in(workers, "a fits", "a") == (first, ["prepared", "a fits"])
        assert left_in(workers, "a scores", "a") == (first, ["prepared", "a fits", "a scores"])
        second, left = left_in(workers, "b fits", "b")
        assert left == ["b fits"]
        third, left = left_in(workers, "prepared again", "")
        assert left == ["prepared again"]
        assert len({first, second, third}) == 3


@pytest.mark.slow
def test_without_it_they_share_one() -> None:
    with of(make_config({"jobs": 1})) as workers:
        assert left_in(workers, "a", "a")[0] == left_in(workers, "b", "b")[0]


@pytest.mark.slow
def test_a_worker_that_takes_too_much_is_ended_and_the_next_job_gets_another() -> None:
    with of(make_config({"memory_limit": "1.5G"})) as workers:
        future = workers.submit(Job(name="takes", task=Takes(), owner="a"), nobody)
        with pytest.raises(TaskLostError, match=r"^took more memory than the limit of 1\.5 GB$"):
            future.result()
        assert left_in(workers, "b", "b")[1] == ["b"]
