"""The line that ``guidebench new`` promises, word for word, in an environment that holds nothing else."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Python = Callable[..., CompletedProcess[str]]

ROOT = Path(__file__).parents[2]

LINE = "guidebench new my-guide && cd my-guide && pip install . && pytest && guidebench run -g my_guide"

#: Seconds: everything is compiled for the first time, on however busy a machine.
PATIENCE = 1800


@pytest.fixture(scope="module")
def clean(python: Python, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of commands of a fresh environment with guidebench, from a wheel built here, and pytest."""
    folder = tmp_path_factory.mktemp("clean")
    # A copy, for building leaves files beside the sources.
    sources = folder / "sources"
    for name in ("guidebench", "plugins"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        shutil.copy(ROOT / name, sources / name)
    for arguments in (
        ("-m", "venv", str(folder / "env")),
        ("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(sources)),
    ):
        done = python(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("guidebench-*.whl")
    commands = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    constraints = sources / "constraints.txt"
    installed = subprocess.run(
        [commands / "pip", "install", "--quiet", "-c", constraints, wheel, "pytest"],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr
    return commands


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the line is for a POSIX shell")
def test_the_line_works_word_for_word(clean: Path, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    done = subprocess.run(
        ["bash", "-c", LINE],
        cwd=tmp_path,
        env={**kept, "PATH": f"{clean}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 15 passed" in done.stdout
    with (tmp_path / "my-guide/reports/linear-regression/summary.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["guide"], row["plugin"], row["status"]) == ("my_guide", "my-guide", "converged")

    listed = subprocess.run(
        [clean / "guidebench", "list"], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=60, check=True
    )
    (found,) = [line for line in listed.stdout.splitlines() if line.startswith(" my_guide ")]
    assert found.split()[-1] == "my-guide"
    assert "Broken" not in listed.stdout
