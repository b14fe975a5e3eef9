"""A run that is interrupted or killed leaves no process behind, and keeps what is finished."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.executors.conftest import Commands, Notes, numbers, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]

#: Seconds after which no worker may be left.
SECONDS = 5.0

GUIDES = ("first", "second", "waits")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("where", [("--jobs", "2"), ("--dask", "local:2")], ids=["jobs", "dask"])
def test_no_process_is_left_and_nothing_is_done_twice(
    notes: Notes, command: Commands, where: tuple[str, str], number: signal.Signals, tmp_path: Path
) -> None:
    run = command(GUIDES, *where)
    until(lambda: notes.waiting() and run.kept() == 3)  # two fits, and what is known of their problem
    own = run.process.pid
    assert len(notes.processes()) > 2
    began = time.monotonic()
    run.send(number)
    until(lambda: set(notes.processes()) <= {own})
    taken = time.monotonic() - began
    status = run.ended()
    assert status == (130 if number is signal.SIGINT else -signal.SIGKILL), run.said()
    assert taken < SECONDS
    assert notes.trained() == {"first": 1, "second": 1, "waits": 1}

    notes.go()
    again = command(GUIDES, *where)
    assert again.ended() == 0, again.said()
    assert "2 of 3 fits kept from an earlier run" in again.said()
    assert notes.trained() == {"first": 1, "second": 1, "waits": 2}
    assert again.numbers() == numbers(notes.compared(*GUIDES), tmp_path / "alone")
