"""What takes too long is ended: by a signal, from another thread, and where a training step is done."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from guidebench.plugins.isolation import time_limit
from guidebench.plugins.isolation.time_limit import OutOfTime, TimeLimit

LIMIT = 0.2

posix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no timer of the operating system's")


def count() -> None:
    while True:
        sum(range(100))


def swallow() -> None:
    while True:
        with suppress(Exception):
            count()


def swallow_everything_once() -> None:
    try:
        count()
    except BaseException:  # noqa: BLE001 - what a guide should not do
        count()


def sleep() -> None:
    time.sleep(60)


def in_thread(function: Callable[[], Any]) -> list[Any]:
    """Call a function in a thread of its own; return what it returned or raised."""
    found: list[Any] = []

    def call() -> None:
        try:
            found.append(function())
        except BaseException as error:  # noqa: BLE001 - what is looked for
            found.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    return found


def ended(function: Callable[[], None]) -> float:
    """Return after how many seconds a function was ended."""
    began = time.monotonic()
    with pytest.raises(OutOfTime), TimeLimit(LIMIT):
        function()
    return time.monotonic() - began


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "AGAIN", 0.2)


@pytest.fixture
def no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit._Signal, "usable", staticmethod(lambda: False))


@pytest.mark.parametrize("function", [count, swallow, swallow_everything_once, pytest.param(sleep, marks=posix)])
def test_the_main_thread_is_interrupted(function: Callable[[], None]) -> None:
    assert LIMIT <= ended(function) < 20


@pytest.mark.usefixtures("no_signal")
@pytest.mark.parametrize("function", [count, swallow, swallow_everything_once])
def test_so_it_is_without_a_signal(function: Callable[[], None]) -> None:
    assert LIMIT <= ended(function) < 20


@pytest.mark.parametrize("function", [count, swallow, swallow_everything_once])
def test_so_is_any_other_thread(function: Callable[[], None]) -> None:
    (took,) = in_thread(lambda: ended(function))
    assert LIMIT <= took < 20


@posix
def test_nothing_is_left_of_the_timer() -> None:
    before = signal.getsignal(signal.SIGALRM)
    for function in (count, lambda: None):
        try:
            with TimeLimit(LIMIT):
                assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
                function()
        except OutOfTime:
            assert function is count
        assert signal.getsignal(signal.SIGALRM) == before
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.fixture
def their_alarm() -> Iterator[list[float]]:
    """Somebody else's alarm, as a test runner has one; when it rang."""
    rung: list[float] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, 3 * LIMIT)
    yield rung
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@posix
def test_the_alarm_of_somebody_else_rings_in_its_time(their_alarm: list[float]) -> None:
    began = time.monotonic()
    ended(count)
    assert not their_alarm
    while not their_alarm and time.monotonic() < began + 20:
        time.sleep(0.01)
    assert their_alarm[0] - began == pytest.approx(3 * LIMIT, abs=LIMIT)


@pytest.mark.parametrize("call", [lambda function: [function()], in_thread], ids=["main", "thread"])
def test_what_comes_back_in_time_is_left_alone(call: Callable[..., Any]) -> None:
    def quick() -> int:
        with TimeLimit(LIMIT) as limit:
            limit.check()
        time.sleep(2 * LIMIT)  # an exception that comes late would come now
        return sum(range(1_000))

    assert call(quick) == [499_500]


def test_limits_may_be_nested() -> None:
    with TimeLimit(30):
        assert ended(count) < 20
    with pytest.raises(OutOfTime), TimeLimit(LIMIT), TimeLimit(30):
        count()


def test_without_a_limit_there_is_none() -> None:
    with TimeLimit(None) as limit:
        assert threading.active_count() >= 1
        limit.check()


def test_a_check_raises_whatever_became_of_the_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit._Signal, "start", lambda *_: None)
    monkeypatch.setattr(time_limit._Signal, "stop", lambda *_: None)
    with TimeLimit(LIMIT) as limit:
        time.sleep(2 * LIMIT)
        with pytest.raises(OutOfTime):
            limit.check()


def test_no_except_clause_of_a_plugin_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not issubclass(OutOfTime, Exception)


TRACED = """
import sys, threading, time
from guidebench.plugins.isolation.time_limit import OutOfTime, TimeLimit

def limited(seconds, busy):
    with TimeLimit(seconds):
        until = time.monotonic() + busy
        while time.monotonic() < until:
            pass

def run():
    limited(100, 0)
    try:
        limited(0.05, 60)
    except OutOfTime:
        print("stopped")
    sys.settrace(lambda *event: None)
    print(len([one for one in range(1000)]))

thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_a_limit_that_is_over_leaves_nothing_to_look_for() -> None:
    """Under a debugger or a measure of coverage Python 3.11 would look for it without end."""
    done = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["stopped", "1000"]


def test_what_was_raised_and_has_not_arrived_is_taken_back() -> None:
    alarm = time_limit._FromThread()
    alarm._raised = True
    try:
        alarm._raise(OutOfTime)
        alarm.stop()
    except OutOfTime:  # it has arrived on the way
        alarm.stop()
    assert not alarm._raised
    assert sum(range(1000)) == 499_500
