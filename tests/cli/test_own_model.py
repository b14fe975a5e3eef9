"""A model of one's own and a table: from two files to a report, and again from its results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Command = Callable[..., Any]

OWN = """
import numpyro
import numpyro.distributions as dist
from priors import WIDTH

def logit(age, income, smoker, region, n_region, bought=None, scale=WIDTH):
    intercept = numpyro.sample("intercept", dist.Normal(0, scale))
    slopes = numpyro.sample("slopes", dist.Normal(0, scale).expand([3]).to_event(1))
    with numpyro.plate("regions", n_region):
        offset = numpyro.sample("offset", dist.Normal(0, 1))
    logits = intercept + slopes[0] * (age - 45) / 15 + slopes[1] * income + slopes[2] * smoker + offset[region]
    with numpyro.plate("people", age.shape[0]):
        numpyro.sample("obs", dist.Bernoulli(logits=logits), obs=bought)

def flat(bought=None, prior=1.0):
    p = numpyro.sample("p", dist.Beta(prior, prior))
    with numpyro.plate("people", 100 if bought is None else bought.shape[0]):
        numpyro.sample("obs", dist.Bernoulli(p), obs=bought)
"""

QUICK = ("-g", "auto_normal", "--steps", "100", "--restarts", "1", "--draws", "200", "--reference", "none")


def write(folder: Path) -> None:
    random = np.random.default_rng(3)
    lines = ["id,age,income,smoker,region,bought"]
    for row in range(100):
        smoker, bought = random.choice(["True", "False"], 2)
        region = random.choice(["north", "south", "east"])
        lines.append(f"{row},{random.integers(20, 70)},{random.normal():.3f},{smoker},{region},{bought}")
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    (folder / "own.py").write_text(OWN)
    (folder / "priors.py").write_text("WIDTH = 2.0\n")


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_a_logistic_regression_from_a_table(command: Command, tmp_path: Path) -> None:
    write(tmp_path)

    ended = command("run", "own.py:logit", "--data", "people.csv", "--heldout", "0.2", *QUICK)

    assert ended.status == 0, ended.err
    found = results(tmp_path / "reports" / "logit")
    (problem,) = found["problems"]
    assert problem["name"] == "logit"
    assert problem["summary"] == "logit of own.py on people.csv, 100 rows"
    assert problem["latents"] == ["intercept", "slopes", "offset"]
    assert problem["heldout_size"] == 20
    notes = [
        "region is coded east = 0, north = 1, south = 2.",
        "Column id is no argument of the model and was left out.",
        "Left at its default: scale = 2.0.",
        "20 of 100 rows, drawn at random, are held out; they split age, income, smoker, region, bought.",
    ]
    assert problem["notes"][:4] == notes
    report = (tmp_path / "reports" / "logit" / "report.md").read_text(encoding="utf-8")
    assert all(note in report for note in notes)
    (fit,) = found["fits"]
    assert "elpd" in {metric["metric"] for metric in fit["metrics"]}


def test_a_configuration_in_another_folder_and_the_same_again_from_its_results(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "study").mkdir()
    write(tmp_path / "study")
    (tmp_path / "study" / "run.toml").write_text(
        'problems = "own.py:flat"\ndata = "people.csv"\ntest = "people.csv"\nstatic.prior = 2.0\n'
    )

    ended = command("run", "--config", "study/run.toml", "-g", "auto_delta", *QUICK[2:], "--quiet")

    assert (ended.status, ended.out) == (0, ""), ended.err
    found = results(tmp_path / "reports" / "flat")
    (problem,) = found["problems"]
    assert problem["heldout_size"] == 100
    assert problem["notes"][:2] == [
        "Columns id, age, income, smoker, region are no arguments of the model and were left out.",
        "100 rows of people.csv are held out.",
    ]

    again = command("run", "--config", "reports/flat", "--out", "again")

    assert again.status == 0, again.err
    repeated = results(tmp_path / "again" / "flat")
    assert repeated["config"] == {**found["config"], "out": "again", "quiet": True}
    assert [fit["metrics"] for fit in repeated["fits"]] == [fit["metrics"] for fit in found["fits"]]
