"""Guides of other people's distributions, compared by ``guidebench run`` without any change to the core."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from guidebench.cli.life import WORDS

Python = Callable[..., CompletedProcess[str]]

SETTINGS = ("--steps", "400", "--restarts", "2", "--draws", "1000")

#: Of the mean-field family on the seed problem, to about 0.003 nat.
BEST_ELBO = -23.204


@dataclass(frozen=True)
class Run:
    """What one run said and wrote."""

    done: CompletedProcess[str]
    folder: Path
    rows: Mapping[str, Mapping[str, str]]


def run(python: Python, installed: str, out: Path, *guides: str, **environment: str) -> Run:
    chosen = [argument for guide in guides for argument in ("-g", guide)]
    done = python(
        *("-m", "guidebench", "run", *chosen, *SETTINGS, "--out", str(out)),
        **{"cwd": out, "PYTHONPATH": installed, **environment},
    )
    folder = out / "linear-regression"
    assert (folder / "summary.csv").exists(), done.stderr
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["guide"]: row for row in csv.DictReader(file)}
    return Run(done, folder, rows)


@pytest.fixture(scope="module")
def good(python: Python, installed: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("good")
    # Those that are broken would show in the exit status.
    others = "broken-import, BROKEN_HOOK, broken_name, rival-one, rival.two"
    return run(python, installed, folder, "diagonal:scale=0.2", "mean_field", GUIDEBENCH_DISABLE_PLUGINS=others)


@pytest.fixture(scope="module")
def mixed(python: Python, installed: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    guides = ("unfinished", "mean_field", "poser", "rival-one/contested")
    return run(python, installed, tmp_path_factory.mktemp("mixed"), *guides)


def untimed(row: Mapping[str, str]) -> dict[str, str]:
    return {column: cell for column, cell in row.items() if not column.endswith("_s")}


def test_a_good_guide_takes_part(good: Run) -> None:
    assert good.done.returncode == 0, good.done.stderr
    assert list(good.rows) == ["diagonal:scale=0.2", "mean_field"]
    row = good.rows["diagonal:scale=0.2"]
    assert (row["plugin"], row["status"], row["bound"]) == (
        "acme-diagonal",
        "max_steps",
        "elbo",
    )  # 400 steps show little
    assert row["message"] == ""
    assert float(row["elbo"]) == pytest.approx(BEST_ELBO, abs=0.1)
    assert good.rows["mean_field"]["plugin"] == "guidebench"


def test_a_good_guide_is_in_the_report(good: Run) -> None:
    for name in ("report.html", "report.md"):
        text = (good.folder / name).read_text(encoding="utf-8")
        assert "diagonal:scale=0.2" in text
        assert "acme-diagonal" in text
    drawn = sorted(file.name for file in (good.folder / "inference_data" / "linear-regression").iterdir())
    assert drawn == ["diagonal%3Ascale=0.2.nc", "mean_field.nc", "reference.nc"]


@pytest.mark.parametrize(
    ("guide", "plugin", "message"),
    [
        pytest.param(
            "unfinished",
            "acme-unfinished",
            "build: RuntimeError: the weights file is missing",
            id="raises in build",
        ),
        pytest.param(
            "poser",
            "acme-poser",
            r"draw: ValueError: no spread: .* should declare bound='none' \(draws of .+ do not vary\)",
            id="a point that claims an ELBO",
        ),
        pytest.param("rival-one/contested", "rival-one", r"draw: ValueError: no spread: .+", id="asked for in full"),
    ],
)
def test_a_bad_guide_fails_in_its_own_row(mixed: Run, guide: str, plugin: str, message: str) -> None:
    row = mixed.rows[guide]
    assert (row["plugin"], row["status"], row["verdict"]) == (plugin, "failed", "failed")
    assert re.fullmatch(message, row["message"])
    for column in ("elbo", "elbo_mcse", "khat", "ess", "coverage_90", "crps"):
        assert row[column] == ""


def test_a_bad_guide_shows_in_the_exit_status_and_on_the_terminal(mixed: Run) -> None:
    assert mixed.done.returncode == 1
    # A pipe hears of every fit as it ends, and nothing else.
    heard = [one for one in mixed.done.stderr.splitlines() if one != WORDS]
    assert [one.partition(":")[0] for one in heard] == [f"{at} of 4" for at in range(1, 5)]
    assert "1 of 4: unfinished on linear-regression: failed" in heard
    owner = "plugin 'acme_unfinished' of acme-unfinished"
    assert f"unfinished: build: RuntimeError: the weights file is missing ({owner})" in mixed.done.stdout
    assert "Traceback" not in mixed.done.stdout


def test_a_plugin_that_cannot_be_imported_is_named_in_the_run(mixed: Run) -> None:
    why = "failed on import with ImportError: this plugin needs a newer libfoo"
    assert f"import: {why} (plugin 'broken_import' of broken-import)" in mixed.done.stdout
    for name in ("report.html", "report.md"):
        assert "needs a newer libfoo" in (mixed.folder / name).read_text(encoding="utf-8")
    failures = json.loads((mixed.folder / "results.json").read_text(encoding="utf-8"))["failures"]
    (found,) = [one for one in failures if one["plugin"] == "broken_import"]
    assert (found["distribution"], found["phase"]) == ("broken-import", "import")
    assert "ImportError: this plugin needs a newer libfoo" in found["traceback"]


def test_a_bad_guide_changes_no_other_number(good: Run, mixed: Run) -> None:
    assert untimed(mixed.rows["mean_field"]) == untimed(good.rows["mean_field"])
