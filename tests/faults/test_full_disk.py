"""A disk that is full is one line and status 1; what was there before is there still, and the same command finishes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guidebench.api import load
from guidebench.cli import folder
from guidebench.config.errors import DiskFullError
from tests.faults.test_endings import arguments, written

#: At how many points of a run a disk is full; fewer where a machine has little to spare.
POINTS = int(os.environ.get("GUIDEBENCH_POINTS", "20"))

#: Becomes the command that follows the largest size of a file.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and file systems of Linux")


def test_too_little_room_is_said_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 9_000_000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    folder.check_room(tmp_path / "new" / "run", problems=1, guides=5)
    with pytest.raises(DiskFullError, match=r"9\.0 MB are free on the disk and the results will take 10 MB or more"):
        folder.check_room(tmp_path / "new" / "run", problems=1, guides=6)
    assert DiskFullError.status == 1


def run(cwd: Path, *more: str, largest: int | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command; no file that it writes may be larger than `largest` bytes."""
    command = [sys.executable, "-m", "guidebench", *arguments("good", "-g", "auto_delta", *more)]
    return subprocess.run(
        command if largest is None else [sys.executable, "-c", LIMITED, str(largest), *command],
        cwd=cwd,
        env={**os.environ, "PYTHONSAFEPATH": "1", **options},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_no_file_may_be_as_large_as_it_would_be(tmp_path: Path) -> None:
    """Files grow beyond the limit one kind after the other: draws, tables, results, figures, the report."""
    written(tmp_path)
    assert run(tmp_path, "--seed", "1").returncode == 0
    results = tmp_path / "reports" / "good"
    sizes = sorted(file.stat().st_size for file in results.rglob("*") if file.is_file())
    limits = [size - 1 for size in (sizes[len(sizes) * at // 10] for at in range(10)) if size > 2000]
    # The largest of the other run is of nearly the same size.
    for largest in sorted({*limits, int(0.95 * sizes[-1])}):
        done = run(tmp_path, "--seed", "2", "--fresh", largest=largest)
        assert done.returncode == 1, done.stderr
        assert done.stderr.count("\n") == 1
        assert "file too large" in done.stderr
        assert load(results).config["seed"] in (1, 2)
        assert not [file for file in results.rglob(".*") if file.name not in (".fits", ".lock")]
    assert run(tmp_path, "--seed", "2").returncode == 0
    assert load(results).config["seed"] == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system in memory of eight megabytes, which root can have."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.mark.slow
def test_a_disk_that_fills_at_any_point_of_a_run(small_disk: Path, tmp_path: Path) -> None:
    """The room is eaten up to so many sizes, and the disk is full at as many points."""
    written(tmp_path)
    out = ("--out", str(small_disk))
    assert run(tmp_path, *out, "--seed", "1").returncode == 0
    results, ballast = small_disk / "good", small_disk / "ballast"
    before = {fit.guide: fit.value("elbo") for fit in load(results)}
    ended = []
    for point in range(POINTS):
        stat = os.statvfs(small_disk)
        room = 4096 + point * 1_200_000 // POINTS
        ballast.write_bytes(bytes(max(0, stat.f_bavail * stat.f_frsize - room)))
        code = "import guidebench.cli.folder as f; f.check_room = lambda *_: None; from guidebench.cli import program"
        done = subprocess.run(
            [sys.executable, "-c", f"{code}; program()", *arguments("good", "-g", "auto_delta", *out, "--seed", "2")],
            cwd=tmp_path,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        ballast.unlink()
        ended.append(done.returncode)
        assert done.returncode in (0, 1), done.stderr
        assert done.stderr.count("\n") == done.returncode
        found = load(results)
        if found.config["seed"] == 1:
            assert {fit.guide: fit.value("elbo") for fit in found} == before
        else:
            assert run(tmp_path, *out, "--seed", "1").returncode == 0
    assert 1 in ended
    assert run(tmp_path, *out, "--seed", "2").returncode == 0
    assert load(results).config["seed"] == 2
