"""No plugin reaches further than its own row: each is named, and no bit of anybody else's changes."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from textwrap import dedent
from typing import Any

import pytest

from guidebench.results import Comparison, Status
from guidebench.results.store import load
from tests.faults.misbehaving import APART, DISORDER, HERE
from tests.isolation.broken import Broken
from tests.isolation.conftest import IMPORTS, PROBLEM, SETTINGS
from tests.isolation.test_broken_plugins import HEALTHY, numbers

Runs = Callable[..., Any]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def healthy(run: Runs) -> dict[Any, Any]:
    found: dict[Any, Any] = numbers(run({}, (HEALTHY,)).comparison)
    return found


def beside(run: Runs, broken: Mapping[str, Broken], *options: str) -> Any:
    guides = [name for one in broken.values() for name in one.guides]
    return run({name: one.source for name, one in broken.items()}, (*guides, HEALTHY), *options)


@pytest.fixture(scope="module")
def crowd(run: Runs) -> Any:
    return beside(run, HERE)


def test_nobody_elses_numbers_change(crowd: Any, healthy: dict[Any, Any]) -> None:
    assert (crowd.status, crowd.err) == (1, "")
    assert numbers(crowd.comparison) == healthy


def named(ran: Any, name: str, expected: Broken) -> None:
    found = [one for one in ran.comparison.all_failures() if one.distribution == name]
    assert {(one.phase, one.name) for one in found} == {(expected.phase, expected.name)}
    assert all(expected.reason in one.message and "\n" not in one.message for one in found)
    assert name in ran.report()


@pytest.mark.parametrize("name", HERE)
def test_each_is_named_with_its_phase_and_distribution(crowd: Any, name: str) -> None:
    named(crowd, name, HERE[name])


def test_whatever_is_left_in_disorder_is_put_back(run: Runs, healthy: dict[Any, Any]) -> None:
    def order() -> tuple[Any, ...]:
        os.umask(umask := os.umask(0o022))
        hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
        signals = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        finders = [type(one) for one in sys.meta_path]
        return (list(sys.path), finders, sys.getrecursionlimit(), sys.gettrace(), gc.isenabled(), umask, hooks, signals)

    before = order()
    ran = run({"acme-disorder": DISORDER}, ("disorder", HEALTHY))
    assert (ran.status, ran.err) == (0, "")
    assert order()[1:] == before[1:]
    assert set(before[0]) <= set(order()[0])
    assert ran.comparison["disorder"].status is Status.MAX_STEPS
    assert numbers(ran.comparison) == healthy


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Those that take their process with them, in worker processes, which know local plugins alone."""
    place = tmp_path_factory.mktemp("apart")
    sources = {"acme-problem": PROBLEM, **{name: one.source for name, one in APART.items()}}
    for name, source in sources.items():
        (place / f"{name.replace('-', '_')}.py").write_text(IMPORTS + dedent(source))
    given = [word for name in sources for word in ("--plugin", f"{name.replace('-', '_')}.py")]
    given += [word for one in APART.values() for word in ("-g", one.name)]
    options = (*SETTINGS, "--jobs", "1", "--time-limit", "100", "-q")
    done = subprocess.run(
        [sys.executable, "-m", "guidebench", "run", "tiny", *given, "-g", HEALTHY, *options],
        cwd=place,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return load(place / "reports" / "tiny")


def test_no_process_takes_others_with_it(apart: Comparison, healthy: dict[Any, Any]) -> None:
    assert numbers(apart) == healthy


@pytest.mark.parametrize("name", APART)
def test_each_that_ends_its_process_is_named(apart: Comparison, name: str) -> None:
    (found,) = apart[APART[name].name].failures
    assert found.phase == APART[name].phase
    assert found.plugin == f"{name.replace('-', '_')}.py"
    assert APART[name].reason in found.message
