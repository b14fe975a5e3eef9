"""A worker that dies costs its own fit only, which is tried once more where that can help."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import guidebench as gb
from guidebench.results import Status
from tests.executors.conftest import Commands, Notes, numbers, of, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


def failed(comparison: gb.Comparison, guide: str) -> str:
    """Return what the row of a guide that failed says: how its process ended, and whose code ran."""
    (failure,) = comparison[guide].failures
    assert comparison[guide].status is Status.FAILED
    return str(failure)


@contextmanager
def killed(notes: Notes, times: int) -> Iterator[list[int]]:
    """Kill so many processes in which a guest waits, one after the other; then let it go on."""
    gone: list[int] = []

    def kill() -> None:
        for _ in range(times):
            (pid,) = until(lambda: set(notes.waiting()) - set(gone))
            os.kill(pid, signal.SIGKILL)
            gone.append(pid)
        notes.go()

    thread = threading.Thread(target=kill)
    thread.start()
    yield gone
    thread.join()


def test_a_fit_whose_process_is_killed_is_tried_once_more(notes: Notes, tmp_path: Path) -> None:
    with killed(notes, 1) as gone:
        found = notes.compared("first", "waits", jobs=2)
    assert notes.trained() == {"first": 1, "waits": 2}  # what is done is not done again
    assert len({*gone, *notes.waiting()}) == 2
    assert not found.all_failures()
    assert numbers(found, tmp_path / "killed") == numbers(notes.compared("first", "waits"), tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("where", [("--jobs", "2"), ("--dask", "local:2")])
def test_a_run_with_a_killed_worker_ends_well(
    notes: Notes, command: Commands, where: tuple[str, str], tmp_path: Path
) -> None:
    with killed(notes, 1):
        run = command(("first", "waits", "second"), *where)
        assert run.ended() == 0, run.said()
    assert notes.trained() == {"first": 1, "second": 1, "waits": 2}
    assert "orker" not in run.said()
    assert not notes.processes()
    assert run.numbers() == numbers(notes.compared("first", "waits", "second"), tmp_path / "alone")


@pytest.mark.slow
def test_one_that_is_killed_twice_is_named(notes: Notes, tmp_path: Path) -> None:
    with killed(notes, 2):
        found = notes.compared("first", "waits", jobs=2)
    assert notes.trained() == {"first": 1, "waits": 2}
    owner = f"(local plugin {notes.plugin!r})"
    assert failed(found, "waits") == f"waits, train: its process was killed by SIGKILL, twice {owner}"
    assert found["first"].status.has_draws


@pytest.mark.slow
def test_guides_that_end_their_process_cost_their_rows(notes: Notes, tmp_path: Path) -> None:
    found = notes.compared("first", "exits", "crashes", "loops", "second", jobs=2, time_limit=30.0)
    owner = f"(local plugin {notes.plugin!r})"
    assert failed(found, "exits") == f"exits, train: its process ended with exit status 0 {owner}"
    assert failed(found, "crashes") == f"crashes, train: its process was killed by SIGSEGV {owner}"
    assert failed(found, "loops") == f"loops, train: took longer than the time limit of 30 s {owner}"
    assert set(notes.trained().values()) == {1}  # none would do better a second time
    lines, alone = numbers(found, tmp_path / "all"), notes.compared("first", "second")
    assert [line for one in ("first", "second") for line in of(one, lines)] == numbers(alone, tmp_path / "alone")[1:]
    until(lambda: not notes.processes())


@pytest.mark.slow
def test_on_a_cluster_they_cost_their_rows_too(notes: Notes, command: Commands) -> None:
    run = command(("first", "crashes", "second"), "--dask", "local:2")
    assert run.ended() == 1, run.said()
    assert "crashes: train: its process died, as did those that it was tried in again" in run.said()
    assert {line.split(",")[1] for line in run.numbers()[1:]} == {"first", "second"}
    assert notes.trained()["first"] == notes.trained()["second"] == 1


@pytest.mark.slow
def test_a_model_that_never_returns_costs_its_rows(notes: Notes, tmp_path: Path) -> None:
    began = time.monotonic()
    found = notes.compared("first", problem="never", jobs=2, time_limit=5.0)
    assert 60 < time.monotonic() - began < 150
    assert found["first"].status is Status.FAILED
    assert found["first"].message == "the problem could not be prepared: took longer than the time limit of 60 s"


@pytest.mark.slow
def test_a_file_that_changes_meanwhile_is_named_in_the_row(notes: Notes) -> None:
    def change() -> None:
        (pid,) = until(notes.waiting)
        until(lambda: "first" in notes.trained())  # a job whose worker takes longer to begin would see the change, too
        with Path(notes.plugin).open("a") as file:
            file.write("# another\n")
        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=change)
    thread.start()
    found = notes.compared("first", "waits", jobs=2)
    thread.join()
    assert found["waits"].message.startswith(f"train: TravelError: {notes.plugin} has changed since the run began")
    assert found["first"].status.has_draws
