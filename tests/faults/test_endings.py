"""Exit statuses tell the truth, whatever ends a command: one line, no traceback, nothing half-written."""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guidebench.cli import ending
from guidebench.cli.life import WORDS
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.ending import refused
from guidebench.plugins.isolation.state import restored
from guidebench.results import store
from tests import made

MODELS = """
import os, pathlib, sys, time
import numpyro
import numpyro.distributions as dist

CALLS = 0

class Odd(BaseException):
    pass

def good(x, y=None):
    w = numpyro.sample("w", dist.Normal(0, 1))
    with numpyro.plate("rows", len(x)):
        numpyro.sample("y", dist.Normal(w * x, 1), obs=y)

def exits(x, y=None):
    sys.exit(0)

def leaves(x, y=None):
    os._exit(0)

def odd(x, y=None):
    raise Odd("not an error")

def exits_later(x, y=None):
    count(lambda: os._exit(0), x, y)

def fails_later(x, y=None):
    count(lambda: {}["later"], x, y)

def count(end, x, y):
    global CALLS
    CALLS += 1
    if CALLS > 8:
        end()
    good(x, y)

def waits(x, y=None):
    pathlib.Path("waiting").touch()
    time.sleep(60)
"""

SETTINGS = ("--recipe", "plain", "--steps", "40", "--draws", "200", "--reference", "none", "--data", "data.csv", "-q")


def arguments(model: str, *more: str) -> tuple[str, ...]:
    return ("run", f"own.py:{model}", "-g", "mean_field", *SETTINGS, *more)


def written(folder: Path) -> Path:
    (folder / "own.py").write_text(MODELS)
    (folder / "data.csv").write_text("x,y\n1,0.5\n2,-0.25\n3,1.0\n")
    return folder


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("exits", r"code in own\.py, line \d+, tried to end the program: SystemExit: 0"),
        ("leaves", r"code in own\.py, line \d+, tried to end the program: SystemExit: 0"),
        ("odd", r"code in own\.py, line \d+, tried to end the program: Odd: not an error"),
        pytest.param("exits_later", r"code in own\.py, line \d+, tried to end the program", marks=pytest.mark.slow),
        pytest.param("fails_later", r"code in own\.py, line \d+, failed: KeyError: 'later'", marks=pytest.mark.slow),
    ],
)
def test_no_model_ends_a_run_with_nothing_done_and_status_0(
    command: Callable[..., Any], tmp_path: Path, forgotten_modules: None, model: str, said: str
) -> None:
    written(tmp_path)
    ended = command(*arguments(model))
    assert (ended.status, ended.out) == (1, "")
    assert re.fullmatch(f"guidebench: {said}.*\n", ended.err)
    folder = tmp_path / "reports" / model.replace("_", "-")
    assert {file.name for file in folder.iterdir()} <= {"run.log"} if folder.exists() else True
    if model == "fails_later":
        assert "the traceback is in reports/fails-later/run.log" in ended.err
        assert "KeyError: 'later'" in (folder / "run.log").read_text(encoding="utf-8")


class Rude(BaseException):
    def __str__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize("raised", [SystemExit(0), Rude(), type("Odd", (BaseException,), {})("x")])
def test_whatever_a_plugin_raises_ends_its_block_alone(raised: BaseException) -> None:
    with Boundary("build", plugin="p", distribution="d", name="g") as at:
        raise raised
    assert at.failure is not None
    assert at.failure.message.startswith(type(raised).__name__)


ODD = """
class Odd(BaseException):
    pass

raise Odd("not an error")
"""


@pytest.mark.parametrize("asked", [("list",), ("list", "--format", "json"), ("report", "results")])
def test_what_a_plugin_raises_on_import_ends_no_command(
    command: Callable[..., Any], tmp_path: Path, forgotten_modules: None, asked: tuple[str, ...]
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    store.save(made.comparison(made.fit("one", {"elbo": (-1.0, 0.1)})), tmp_path / "results")
    ended = command(*asked, "--plugin", "odd.py")
    assert (ended.status, ended.err) == (0, "")
    if asked[0] == "list":
        assert "failed on import with Odd: not an error" in " ".join(ended.out.split())
    else:
        assert (tmp_path / "results" / "report.html").exists()


def test_ctrl_c_goes_through_a_block() -> None:
    with pytest.raises(KeyboardInterrupt), Boundary("build", plugin="p", distribution="d"):
        raise KeyboardInterrupt


@pytest.mark.parametrize("block", [refused, restored, lambda: Boundary("build", plugin="p", distribution="d")])
def test_to_leave_the_process_is_an_exception_inside_and_as_it_was_outside(block: Callable[[], Any]) -> None:
    before, seen = os._exit, []
    try:
        with block():
            seen.append(os._exit)
            os._exit(0)
    except SystemExit as ended:
        assert ended.code == 0  # noqa: PT017 - a Boundary lets nothing out
    assert seen[0] is not before
    assert os._exit is before


FORK = """
import os
from guidebench.plugins.isolation.ending import refused
with refused():
    child = os.fork()
    if child == 0:
        os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


def test_a_process_that_is_forked_inside_may_leave(python: Callable[..., Any], tmp_path: Path) -> None:
    done = python("-c", FORK, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


# Signals


def begun(folder: Path, *command: str, **more: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "guidebench", *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [(signal.SIGTERM, 143, "terminated"), pytest.param(signal.SIGINT, 130, "interrupted", marks=pytest.mark.slow)],
)
def test_a_signal_is_one_line_and_leaves_nothing(tmp_path: Path, number: int, status: int, said: str) -> None:
    process = begun(written(tmp_path), *arguments("waits"))
    while process.poll() is None and not (tmp_path / "waiting").exists():
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (status, "", f"guidebench: {said}\n")
    assert not (tmp_path / "reports").exists()


def listens(process: subprocess.Popen[str]) -> bool:
    """Return whether a process hears SIGTERM by now, or is gone; before that it is Python's."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return True
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return caught is None or bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="what a process hears is in /proc")
@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["here", "jobs"])
def test_a_signal_at_any_moment_is_one_line(tmp_path: Path, jobs: tuple[str, ...]) -> None:
    """Imports, compiling, writing: after the first moments, which are Python's own."""
    written(tmp_path)
    chance = random.Random(7)
    for attempt in range(12):
        number, status = chance.choice([(signal.SIGINT, 130), (signal.SIGTERM, 143)])
        process = begun(tmp_path, *arguments("good", "--fresh", "--seed", str(attempt), *jobs))
        while not listens(process):
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 6.0))
        over = process.poll() is not None
        process.send_signal(number)
        _, err = process.communicate()
        assert process.returncode in ((0,) if over else (0, status))
        assert "Traceback" not in err
        if process.returncode:
            assert err == f"guidebench: {'interrupted' if status == 130 else 'terminated'}\n"
        left = [
            str(file) for file in tmp_path.rglob("*") if ".partial" in file.name or file.name in (".lock", ".saving")
        ]
        assert left == []


def test_a_signal_in_a_callback_comes_again() -> None:
    class Dying:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass

    def run() -> None:
        with ending._Signals():
            Dying()
            time.sleep(5)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    try:
        with pytest.raises(ending.StoppedError):
            run()
    finally:
        signal.signal(signal.SIGINT, before)


LINGERING = """
import atexit, os, threading, time
atexit.register(os._exit, 0)
threading.Thread(target=time.sleep, args=(600,)).start()

def model(y=None):
    raise SystemExit(0)
"""


def test_what_is_left_for_the_exit_changes_no_status(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(LINGERING)
    process = begun(tmp_path, "run", "own.py:model", "-q")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert re.fullmatch(r"guidebench: code in own\.py, line 7, tried to end the program: SystemExit: 0.*\n", err)


# Where there is nobody to print to


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirect", "status", "said"),
    [
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("> /dev/full", 1, "guidebench: standard output cannot be written: No space left on device\n"),
        ("| head -1 > /dev/null; exit ${PIPESTATUS[0]}", 0, ""),
    ],
)
def test_what_becomes_of_standard_output_is_nothing_to_a_run(
    tmp_path: Path, redirect: str, status: int, said: str
) -> None:
    command = " ".join(one for one in arguments("good") if one != "-q")
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m guidebench {command} {redirect}"],
        cwd=written(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = re.sub(rf"^(\d+ of \d+: .*|{WORDS})\n", "", done.stderr, flags=re.MULTILINE)
    assert (done.returncode, complaints) == (status, said)
    assert json.loads((tmp_path / "reports" / "good" / "results.json").read_text())["fits"]


def test_a_letter_that_a_terminal_lacks_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    ending._streams()
    sys.stdout.write("– \ud800\n")
    sys.stdout.flush()
    assert raw.getvalue() == b"\\u2013 \\ud800\n"


@pytest.mark.slow
def test_a_home_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "GUIDEBENCH_CACHE_DIR"), "/proc/nowhere")
    done = subprocess.run(
        [sys.executable, "-m", "guidebench", *arguments("good")],
        cwd=written(tmp_path),
        env={**os.environ, "PYTHONSAFEPATH": "1", **nowhere},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
