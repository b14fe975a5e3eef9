"""When a run starts a process that draws beside it, and that it ends with the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from guidebench.report import beside

RUN = ("run", "-g", "auto_delta", "--steps", "100", "--restarts", "1", "--draws", "100", "--quiet")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[beside.Beside]:
    """The processes that are started from now on, where there is a core for them."""
    found: list[beside.Beside] = []
    enter = beside.Beside.__enter__

    def noted(self: beside.Beside) -> beside.Beside:
        found.append(self)
        return enter(self)

    monkeypatch.setattr(beside.Beside, "__enter__", noted)
    monkeypatch.setattr(beside, "worthwhile", lambda: True)
    return found


def test_one_is_started_where_something_is_to_be_drawn_and_ends_with_the_run(
    command: Callable[..., Any], started: list[beside.Beside]
) -> None:
    assert command(*RUN).status == 0
    assert len(started) == 1
    assert started[0]._process is None
    assert command(*RUN).status == 0  # all of it stands
    assert len(started) == 1


def test_none_is_started_beside_workers(command: Callable[..., Any], started: list[beside.Beside]) -> None:
    assert command(*RUN, "--jobs", "1").status == 0
    assert started == []


def test_none_is_started_where_there_is_no_core_for_it(
    command: Callable[..., Any], started: list[beside.Beside], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "worthwhile", lambda: False)
    assert command(*RUN).status == 0
    assert started == []
