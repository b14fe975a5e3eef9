"""A run that was killed goes on where it stopped, and ends with the same bits."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import xarray as xr

from guidebench.engine.fit.case import Case, blank
from guidebench.results import Comparison, Fit, Status, inference_data
from guidebench.results.store import load

Python = Callable[..., CompletedProcess[str]]

MODEL = """
import numpyro
import numpyro.distributions as dist

SCALE = 1.0

def tiny(x, y=None):
    w = numpyro.sample("w", dist.Normal(0, SCALE))
    s = numpyro.sample("s", dist.HalfNormal(1))
    with numpyro.plate("rows", len(x)):
        numpyro.sample("y", dist.Normal(w * x, s), obs=y)

def guide(x, y=None):
    at = numpyro.param("at", 0.0)
    numpyro.sample("w", dist.Normal(at, 0.5))
    numpyro.sample("s", dist.LogNormal(0.0, 0.5))
"""

DATA = "x,y\n1,0.5\n2,-0.25\n3,1.0\n"

SETTINGS = ("--recipe", "plain", "--steps", "40", "--draws", "200", "--reference", "none", "--data", "data.csv")


def arguments(*guides: str) -> tuple[str, ...]:
    return ("-m", "guidebench", "run", "own.py:tiny", *(part for one in guides for part in ("-g", one)), *SETTINGS)


def written(folder: Path) -> Path:
    folder.mkdir()
    (folder / "own.py").write_text(MODEL)
    (folder / "data.csv").write_text(DATA)
    return folder


def untimed(folder: Path) -> list[Mapping[str, str]]:
    with (folder / "summary.csv").open(newline="") as file:
        return [{name: cell for name, cell in row.items() if not name.endswith("_s")} for row in csv.DictReader(file)]


def assert_same_draws(one: Comparison, other: Comparison) -> None:
    for fit in one:
        ours, theirs = fit.inference_data, other[fit.guide].inference_data
        assert inference_data.group_names(ours) == inference_data.group_names(theirs)
        for name in inference_data.group_names(ours):
            group = inference_data.group(ours, name)
            assert group is not None
            xr.testing.assert_identical(group, inference_data.group(theirs, name))


def killed(arguments: tuple[str, ...], cwd: Path, kept: Path) -> None:
    """Run until the first fit is kept, and kill it there."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    with subprocess.Popen([sys.executable, *arguments], cwd=cwd, env=environment) as process:
        while process.poll() is None and not list(kept.glob("*.json")):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_stopped(python: Python, tmp_path: Path) -> None:
    command = arguments("mean_field", "own.py:guide", "auto_delta")
    whole, broken = written(tmp_path / "whole"), written(tmp_path / "broken")
    done = python(*command, cwd=whole)
    assert done.returncode == 0, done.stderr
    assert "kept" not in done.stdout

    results = broken / "reports" / "tiny"
    killed(command, broken, results / ".fits")
    assert not (results / "results.json").exists()
    told = python("-m", "guidebench", "report", str(results), cwd=broken)
    assert told.returncode == 2
    assert "fits of a run that was interrupted" in told.stderr
    again = python(*command, cwd=broken)
    assert again.returncode == 0, again.stderr
    assert "of 3 fits kept from an earlier run" in again.stdout

    one, other = load(whole / "reports" / "tiny"), load(results)
    assert 1 <= other.kept < 3
    assert untimed(results) == untimed(whole / "reports" / "tiny")
    assert (results / "metrics.csv").read_bytes() == (whole / "reports" / "tiny" / "metrics.csv").read_bytes()
    assert_same_draws(one, other)
    report = python("-m", "guidebench", "report", str(results), cwd=broken)
    assert report.returncode == 0
    assert "kept from an earlier run" in (results / "report.md").read_text()


class Trained:
    """Runs the command in this process with fits that cost nothing, and says which guides it would have trained."""

    def __init__(self, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self._command = command
        self._calls: list[str] = []
        monkeypatch.setattr("guidebench.engine.tasks.fit_guide", self._fit)
        monkeypatch.setattr("guidebench.report.write", lambda comparison, folder, **_: Path(folder) / "report.html")

    def _fit(self, case: Case) -> Fit:
        self._calls.append(case.guide.label)
        posterior = xr.Dataset({"w": (("chain", "draw"), np.zeros((1, 9)))})
        data = inference_data.from_groups({"posterior": posterior})
        return replace(blank(case.prepared.problem.name, case.guide), status=Status.CONVERGED, inference_data=data)

    def __call__(self, *guides: str, more: tuple[str, ...] = ()) -> list[str]:
        self._calls.clear()
        ended = self._command(*arguments(*guides)[2:], *more)
        assert ended.status == 0, ended.err
        return list(self._calls)


def test_what_is_edited_is_trained_again_and_nothing_else(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = Trained(command, monkeypatch)
    model, data = tmp_path / "own.py", tmp_path / "data.csv"
    model.write_text(MODEL)
    data.write_text(DATA)
    assert trained("auto_delta") == ["auto_delta"]
    assert trained("auto_delta") == []
    assert trained("own.py:guide", "auto_delta") == ["guide"]
    raw = json.loads((tmp_path / "reports" / "tiny" / "results.json").read_text())
    assert (raw["kept"], "fresh" in raw["config"]) == (1, False)

    data.write_text(DATA.replace("0.5", "0.75"))
    assert trained("auto_delta") == ["auto_delta"]
    data.write_text(DATA)
    model.write_text(MODEL.replace("SCALE = 1.0", "SCALE = 1.5"))
    assert trained("auto_delta") == ["auto_delta"]
    assert trained("auto_delta", more=("--fresh",)) == ["auto_delta"]

    # The run of two guides keeps its place: this is beside it.
    results = max((tmp_path / "reports").glob("*/results.json"), key=lambda file: file.stat().st_mtime).parent
    assert results.name != "tiny"
    (draws,) = (results / "inference_data").rglob("auto_delta.nc")
    draws.write_bytes(draws.read_bytes()[:-10])
    assert trained("auto_delta") == ["auto_delta"]
    assert trained("auto_delta") == []
    assert sorted(file.suffix for file in (results / ".fits").iterdir()) == ["", "", ".json", ".json"]
