"""Six models as their users write them: one command each, and the same numbers from a script."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import guidebench as gb
from guidebench.api import Comparison
from tests.models.cases import CASES, Case

Command = Callable[..., Any]
Python = Callable[..., Any]

QUICK = {"steps": 200, "restarts": 1, "draws": 200, "reference": "none"}

every_case = pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])


def options(settings: dict[str, Any]) -> list[str]:
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


#: A file of arrays, and a discrete site that is summed out, in the default run; the others, which take long to compile,
#: with the slow tests.
QUICK_TO_COMPILE = [CASES[name] for name in ("eight-schools-noncentered", "fishing")]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=[] if case in QUICK_TO_COMPILE else [pytest.mark.slow])
        for name, case in CASES.items()
    ],
)
def test_one_command_and_a_script_find_the_same_bits(case: Case, command: Command, tmp_path: Path) -> None:
    ended = command("run", *case.command, "-g", "auto_normal", *options(QUICK))
    assert ended.status == 0, ended.err
    folder = tmp_path / "reports" / case.name
    (told,) = json.loads((folder / "results.json").read_text(encoding="utf-8"))["fits"]
    assert (folder / "report.html").stat().st_size > 10_000

    fit = gb.compare(case.model, guides="auto_normal", **case.options, **QUICK)["auto_normal"]

    assert (fit.status, fit.message, fit.coordinates) == (told["status"], told["message"], told["coordinates"])
    assert fit.status in ("converged", "max_steps")
    found = {(one["metric"], one["variable"]): (one["value"], one["mcse"]) for one in told["metrics"]}
    same = {(one.metric, one.variable): (one.value, one.mcse) for one in fit.metrics}
    assert found.keys() == same.keys()
    assert json.loads(json.dumps(list(same.values()))) == [list(found[key]) for key in same]


@pytest.mark.slow
@every_case
def test_all_default_guides_with_default_settings(case: Case, python: Python, tmp_path: Path) -> None:
    """None fails, and those that are trusted have the true values in their 99 % intervals."""
    done = python("-m", "guidebench", "run", *case.command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "reports" / case.name
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    for row in rows:
        assert row["status"] in ("converged", "max_steps"), f"{row['guide']}: {row['message']}"
    fits = {row["guide"]: row for row in rows}
    full, diagonal = fits["auto_multivariate_normal"], fits["auto_normal"]
    assert full["status"] == "converged", full["message"]
    noise = 4 * np.hypot(float(full["elbo_mcse"]), float(diagonal["elbo_mcse"]))
    assert float(full["elbo"]) >= float(diagonal["elbo"]) - noise
    comparison = Comparison.load(folder)
    for row in rows:
        if row["verdict"] == "trust":
            draws = comparison[row["guide"]].inference_data.posterior
            for site, truth in case.truth.items():
                if site in draws:
                    inside(draws[site].to_numpy(), truth, f"{row['guide']}: {site}")


def inside(draws: np.ndarray, truth: Any, what: str) -> None:
    """Check that true values lie within the central 99 % of draws, leading axes chain and draw."""
    low, high = np.quantile(draws.reshape(-1, *draws.shape[2:]), [0.005, 0.995], axis=0)
    assert np.all((low <= truth) & (truth <= high)), f"{what}: {truth} outside of {low} to {high}"
