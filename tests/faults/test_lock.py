"""A folder of results belongs to one process at a time, and to one set of problems."""

from __future__ import annotations

import errno
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guidebench.cli.folder import claim_of
from guidebench.cli.place import place_of
from guidebench.config import make_config
from guidebench.config.errors import FolderInUseError
from guidebench.contracts import Problem
from guidebench.results import lock
from guidebench.results.kept import CLAIM, Kept, claimed
from guidebench.results.lock import owned
from tests import made

HOLD = """
import sys, time
from pathlib import Path
from guidebench.results.lock import owned
with owned(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the folder ``tmp_path / "run"``."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def take(folder: Path) -> None:
    with owned(folder):
        pass


def test_a_folder_that_another_has_is_refused_and_one_of_a_killed_process_is_not(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    folder = tmp_path / "run"
    said = rf"^another guidebench writes into {folder} \(process {holder.pid} on {platform.node()}, since 20.*\): wait"
    with pytest.raises(FolderInUseError, match=said):
        take(folder)
    holder.kill()
    holder.wait()
    assert (folder / lock.LOCK).exists()
    take(folder)
    assert list(folder.iterdir()) == []


def test_a_command_says_so_in_one_line(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(folder: Path, *_: object) -> None:
        raise FolderInUseError(f"another guidebench writes into {folder}")

    monkeypatch.setattr(lock, "_taken", taken)
    ended = command("run", "-g", "mean_field")
    assert ended == (2, "", "guidebench: another guidebench writes into reports/linear-regression\n")


def test_who_has_it_may_have_it_again(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    with owned(folder):
        with owned(folder):
            owner = json.loads((folder / lock.LOCK).read_text())
        assert owner["pid"] == os.getpid()
        assert (folder / lock.LOCK).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_stays(tmp_path: Path) -> None:
    with owned(tmp_path / "run"):
        (tmp_path / "run" / "x").touch()
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("owner", "free"),
    [
        ("", True),
        ("not JSON", True),
        ({"pid": 2**22 + 1, "host": platform.node(), "since": "now"}, True),
        ({"pid": 1, "host": platform.node(), "since": "now"}, False),
        ({"pid": 1, "host": "elsewhere", "since": "now"}, False),
    ],
)
def test_without_locks_the_process_that_is_named_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, free: bool
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", none)
    (tmp_path / lock.LOCK).write_text(owner if isinstance(owner, str) else json.dumps(owner))
    if free:
        take(tmp_path)
    else:
        with pytest.raises(FolderInUseError, match=r"process 1 on"):
            take(tmp_path)


# Which folder a run has


def problems(*names: str) -> list[Problem]:
    return [Problem(name=name, model=lambda: None) for name in names]


def named(out: Path, targets: tuple[str, ...], *names: str) -> str:
    claim = claim_of(problems(*names), targets, out)
    found, _ = place_of(make_config({"problems": targets, "out": str(out)}), names, ["g"], claim)
    if not (out / found).exists():  # a run that is killed after its first fit
        Kept(out / found, claim=claim).keep_fit("a" * 64, made.fit())
    return found


def test_runs_over_different_problems_never_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = Path("reports")
    asked = {
        (("funnel",), "funnel"),
        (("a", "b"), "a", "b"),
        (("a", "c"), "a", "c"),
        (("own.py:line",), "line"),
        (("other/own.py:line",), "line"),
        (("pkg.models:line",), "line"),
        (("own.py:line", "a"), "line", "a"),
        (("other.py:line", "a"), "line", "a"),
    }
    found = {one: named(out, one[0], *one[1:]) for one in sorted(asked)}
    assert len(set(found.values())) == len(asked)
    assert found[("funnel",), "funnel"] == "funnel"
    for one, name in found.items():
        assert named(out, one[0], *one[1:]) == name


def test_one_file_is_one_problem_however_it_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "reports"
    spelled = ("own.py:line", "./own.py:line", "x/../own.py:line", f"{tmp_path}/own.py:line")
    assert {named(out, (one,), "line") for one in spelled} == {"line"}
    assert named(out, ("*",), "b", "a") == named(out, ("a", "b"), "a", "b")


def test_what_a_folder_is_about_is_noted_with_the_first_fit_and_no_path_with_it(tmp_path: Path) -> None:
    claim = claim_of(problems("line"), (f"{tmp_path}/own.py:line",), tmp_path)
    kept = Kept(tmp_path / "line", claim=claim)
    assert claimed(tmp_path / "line") is None
    kept.keep_fit("a" * 64, made.fit())
    assert claimed(tmp_path / "line") == claim
    kept.tidy()
    assert str(tmp_path) not in (tmp_path / "line" / ".fits" / CLAIM).read_text()
