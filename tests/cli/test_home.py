"""A run put to use from the command line: new rows predicted, and its guide held against new data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tests.conftest import Python

Command = Callable[..., Any]

MODEL = """
import numpyro
import numpyro.distributions as dist

def line(x, group, n_group, y=None):
    a = numpyro.sample("a", dist.Normal(0, 5).expand([n_group]).to_event(1))
    b = numpyro.sample("b", dist.Normal(0, 5))
    mu = numpyro.deterministic("mu", a[group] + b * x)
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(mu, 0.5), obs=y)
"""


def table(rows: int, seed: int, slope: float = 2.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    group, x = random.integers(0, 3, rows), random.normal(size=rows)
    y = group + slope * x + 0.5 * random.normal(size=rows)
    return pd.DataFrame({"x": x, "group": np.array(list("abc"))[group], "y": y})


@pytest.fixture(scope="module")
def made(python: Python, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    (folder / "model.py").write_text(MODEL)
    table(200, 0).to_csv(folder / "train.csv", index=False)
    table(200, 1).to_csv(folder / "fresh.csv", index=False)
    table(200, 2, slope=2.25).to_csv(folder / "drifted.csv", index=False)
    table(30, 3).drop(columns="y").to_csv(folder / "new.csv", index=False)
    table(30, 3).drop(columns="x").to_csv(folder / "lacks.csv", index=False)
    asked = ("run", "model.py:line", "--data", "train.csv", "-g", "auto_multivariate_normal", "-g", "auto_delta")
    done = python(
        "-m", "guidebench", *asked, "--restarts", "1", "--draws", "1000", "--reference", "none", "--quiet", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


RUN = "reports/line"


def test_new_rows_are_predicted(command: Command, home: Path) -> None:
    ended = command("predict", RUN, "--data", "new.csv", "--out", "out.csv")
    assert ended.status == 0, ended.err
    assert ended.out.startswith("30 rows predicted with 1,000 draws of auto_multivariate_normal.")
    found, rows = pd.read_csv(home / "out.csv"), table(30, 3)
    assert list(found)[:5] == ["mu.mean", "mu.sd", "mu.q5", "mu.q50", "mu.q95"]
    expected = rows["group"].map({"a": 0, "b": 1, "c": 2}) + 2 * rows["x"]
    assert found["mu.mean"].to_numpy() == pytest.approx(expected.to_numpy(), abs=0.35)
    assert found["y.sd"].to_numpy() == pytest.approx(0.5, abs=0.1)


def test_observed_rows_are_scored_and_written_as_netcdf(command: Command, home: Path) -> None:
    ended = command("predict", RUN, "--data", "fresh.csv", "--draws", "300", "--out", "out.nc")
    assert ended.status == 0, ended.err
    assert "inside the 90 % intervals" in ended.out
    assert "CRPS" in ended.out
    assert "nat per observation" in ended.out
    with xr.open_dataset(home / "out.nc", engine="h5netcdf") as found:
        assert found["y"].dims == ("statistic", "row")
        assert found["y"].shape == (5, 200)
        assert list(found["statistic"].to_numpy()) == ["mean", "sd", "q5", "q50", "q95"]


def test_a_guide_that_is_named_is_used_and_its_verdict_said(command: Command, home: Path) -> None:
    ended = command("predict", RUN, "--data", "new.csv", "-g", "auto_delta")
    assert ended.status == 0
    assert ended.err.startswith("guidebench: auto_delta is point")
    assert "and 20 rows more" in ended.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--data", "lacks.csv"), "--data lacks.csv lacks the argument x"),
        (("--data", "nothing.csv"), "there is no such file"),
        (("--data", "new.csv", "-g", "nobody"), "its guides are auto_multivariate_normal, auto_delta"),
        (("--data", "new.csv", "--out", "out.txt"), "should end in .csv or .nc"),
        (("--data", "new.csv", "--problem", "other"), "name one of line"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(command: Command, home: Path, arguments: tuple[str, ...], told: str) -> None:
    ended = command("predict", RUN, *arguments)
    assert ended.status == 2
    assert told in ended.err
    assert ended.err.count("\n") == 1
    assert not (home / "out.txt").exists()


def test_fresh_data_are_quiet_and_drifted_ones_are_not(command: Command, home: Path) -> None:
    ended = command("recheck", RUN, "--data", "fresh.csv")
    assert ended.status == 0, ended.err
    assert "No drift" in ended.out
    ended = command("recheck", RUN, "--data", "drifted.csv")
    assert ended.status == 1, ended.err
    assert "Drift: the posterior has moved further than by chance" in ended.out
    assert "b by +" in ended.out
    ended = command("recheck", RUN, "--data", "new.csv")
    assert ended.status == 2
    assert "new values of y must be given" in ended.err


def test_the_data_it_was_trained_on_are_trusted(command: Command, home: Path) -> None:
    ended = command("recheck", RUN, "--data", "train.csv")
    assert ended.status == 0
    assert "No drift: by chance alone the posterior would move as far with probability 1." in ended.out
