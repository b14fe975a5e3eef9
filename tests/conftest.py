"""What the tests share: the command line in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests import strict

strict.shapes()

from guidebench.inference.device import cache, threads  # noqa: E402 - they are of the modules whose shapes are checked

Python = Callable[..., subprocess.CompletedProcess[str]]

#: How the modules begin that tests write as a user would.
OF_A_USERS = ("guidebench_own_", "guidebench_test_", "beside", "tools")

threads.enough()  # before any test starts JAX, as the command line does
strict.ranks()


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C, and keep compiled programs, as the command line does; compiling is most of what these tests take.

    A background job of a shell ignores Ctrl-C, and so does every process that it begins.

    The processes of a test run share a folder: that of the environment, or else one that goes with the run.
    A program is found by all that went into it, so that no test can see what another one has left there.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if cache.VARIABLE not in os.environ:
        os.environ[cache.VARIABLE] = tempfile.mkdtemp(prefix="guidebench-tests-")
        config.add_cleanup(partial(shutil.rmtree, os.environ[cache.VARIABLE], ignore_errors=True))
    cache.enable()


@pytest.fixture(autouse=True)
def drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs in this process draw their reports alone: another process would import for each of them anew."""
    monkeypatch.setattr("guidebench.report.beside.worthwhile", lambda: False)


@pytest.fixture
def forgotten_modules() -> Iterator[None]:
    """Forget the files of a user's that a test imports: the next test has another ``beside`` of that name."""
    yield
    for name in [name for name in sys.modules if name.startswith(OF_A_USERS)]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def python() -> Python:
    """Run ``python ARGUMENTS`` in the folder `cwd`; further keywords are environment variables."""
    # The last is set by JAX itself, where a test of this process has imported it.
    dropped = ("FORCE_COLOR", "TTY_COMPATIBLE", "TF_CPP_MIN_LOG_LEVEL")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}

    def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env={**kept, "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", **environment},
            capture_output=True,
            encoding="utf-8",
            timeout=600,
            check=False,
        )

    return run
