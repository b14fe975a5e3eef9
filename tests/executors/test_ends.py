"""A run that is interrupted or killed leaves no process behind, and keeps what is finished."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from tests.executors.conftest import Commands, Notes, until

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
    notes: Notes, command: Commands, where: tuple[str, str], number: signal.Signals
) -> None:
    run = command(GUIDES, *where)
    until(lambda: notes.waiting() and run.kept() >= 2)  # a problem is kept with its first fit, and a fit
    until(lambda: run.kept() >= 3)
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
    alone = command(GUIDES, folder="alone")
    assert alone.ended() == 0, alone.said()
    assert again.numbers() == alone.numbers()
