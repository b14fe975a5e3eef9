"""A small run, from the command to every file it leaves behind."""

from __future__ import annotations

import csv
import json
import math
import platform
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Python = Callable[..., CompletedProcess[str]]

RUN = ("run", "-g", "mean_field", "-g", "auto_delta", "--steps", "200", "--restarts", "2", "--draws", "500")

#: The columns that others read, in order.
SUMMARY = (
    "problem,guide,plugin,status,message,bound,elbo,elbo_mcse,elbo_restart_sd,log_evidence,khat,khat_threshold,ess,"
    "mean_error,sd_error,w1_error,correlation_error,coverage_50,coverage_80,coverage_90,coverage_95,"
    "calibration_error,crps,elpd,gradients,verdict,steps,restarts,compile_s,train_s,evaluate_s"
)

METRICS = "problem,guide,metric,variable,value,mcse"


@dataclass(frozen=True)
class Run:
    """What one run said and wrote."""

    done: CompletedProcess[str]
    folder: Path

    def table(self, name: str) -> list[dict[str, str]]:
        """Return the cells of a table as they are written."""
        with (self.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def header(self, name: str) -> str:
        """Return the first line of a table."""
        return (self.folder / name).read_text(encoding="utf-8").splitlines()[0]

    def row(self, guide: str) -> dict[str, str]:
        """Return the row of one guide."""
        (found,) = [row for row in self.table("summary.csv") if row["guide"] == guide]
        return found

    @cached_property
    def results(self) -> dict[str, object]:
        """What results.json holds, read as strictly as JSON goes."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        text = (self.folder / "results.json").read_text(encoding="utf-8")
        found: dict[str, object] = json.loads(text, parse_constant=refuse)
        return found


@pytest.fixture(scope="module")
def first(python: Python, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("first")
    done = python("-m", "guidebench", *RUN, cwd=folder, PYTHONHASHSEED="1")
    assert done.returncode == 0, done.stderr
    return Run(done, folder / "reports" / "linear-regression")


@pytest.fixture(scope="module")
def again(python: Python, first: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same run, quietly, elsewhere, under another hash seed, with compiled programs at hand."""
    folder = tmp_path_factory.mktemp("again")
    done = python("-m", "guidebench", *RUN, "--quiet", "--out", "some/where", cwd=folder, PYTHONHASHSEED="2")
    assert done.returncode == 0, done.stderr
    return Run(done, folder / "some" / "where" / "linear-regression")


@pytest.fixture
def copy(first: Run, tmp_path: Path) -> Run:
    return Run(first.done, Path(shutil.copytree(first.folder, tmp_path / "copy")))


#: The two files of a trained guide.
GUIDE = ("safetensors", "json")


def test_every_file_is_there_and_no_other(first: Run) -> None:
    found = {str(file.relative_to(first.folder)) for file in first.folder.rglob("*") if file.is_file()}
    figures = {name for name in found if re.fullmatch(r"figures/[a-z-]+\.(png|svg)", name)}
    kept = {name for name in found if re.fullmatch(r"\.fits/[0-9a-f]{64}\.json", name)}
    assert len(kept) == 3  # two fits and the problem
    assert found - figures - kept == {
        ".fits/problems",
        ".fits/report",
        "run.log",
        "report.html",
        "report.md",
        "summary.csv",
        "metrics.csv",
        "results.json",
        "inference_data/linear-regression/mean_field.nc",
        "inference_data/linear-regression/auto_delta.nc",
        "inference_data/linear-regression/reference.nc",
        "posterior/linear-regression.nc",
        *(f"guides/linear-regression/{name}.{end}" for name in ("mean_field", "auto_delta") for end in GUIDE),
    }
    assert {"figures/loss.png", "figures/marginals.png", "figures/prediction.png"} <= figures
    for name in figures:
        begins = b"\x89PNG\r\n\x1a\n" if name.endswith(".png") else b"<svg "
        assert (first.folder / name).read_bytes().startswith(begins)


def test_the_tables_have_the_columns_that_others_read(first: Run) -> None:
    assert first.header("summary.csv") == SUMMARY
    assert first.header("metrics.csv") == METRICS


def test_the_summary_has_a_row_per_guide(first: Run) -> None:
    rows = first.table("summary.csv")
    assert [(row["problem"], row["guide"], row["plugin"]) for row in rows] == [
        ("linear-regression", "mean_field", "guidebench"),
        ("linear-regression", "auto_delta", "guidebench"),
    ]
    for row in rows:
        assert row["status"] in ("converged", "max_steps")
        assert (row["steps"], row["restarts"]) == ("200", "2")
        for column in ("compile_s", "train_s", "evaluate_s"):
            assert float(row[column]) > 0


def test_a_density_fills_its_cells(first: Run) -> None:
    row = first.row("mean_field")
    columns = ["elbo", "elbo_mcse", "elbo_restart_sd", "log_evidence", "khat", "khat_threshold", "ess", "crps", "elpd"]
    columns += ["coverage_50", "coverage_80", "coverage_90", "coverage_95", "calibration_error"]
    assert [column for column in columns if not math.isfinite(float(row[column] or "nan"))] == []
    assert row["bound"] == "elbo"
    assert float(row["elbo"]) < -22.8816  # log p(y)


@pytest.mark.parametrize("column", ["elbo", "elbo_mcse", "elbo_restart_sd", "log_evidence", "khat", "ess"])
def test_a_point_leaves_its_cells_empty(first: Run, column: str) -> None:
    row = first.row("auto_delta")
    assert (row["bound"], row["verdict"], row[column]) == ("none", "point", "")
    assert (column, "auto_delta") not in {(one["metric"], one["guide"]) for one in first.table("metrics.csv")}


def test_the_metrics_are_tidy(first: Run) -> None:
    rows = first.table("metrics.csv")
    keys = [(row["guide"], row["metric"], row["variable"]) for row in rows]
    assert len(keys) == len(set(keys))
    assert {row["variable"] for row in rows if row["metric"] == "mean"} == {"w", "b", "s_eps"}
    (elbo,) = [row for row in rows if (row["guide"], row["metric"]) == ("mean_field", "elbo")]
    assert (elbo["value"], elbo["mcse"]) == (first.row("mean_field")["elbo"], first.row("mean_field")["elbo_mcse"])


def test_the_results_say_what_made_them(first: Run) -> None:
    assert first.results["schema"] == 1
    config = first.results["config"]
    assert isinstance(config, dict)
    assert {name: config[name] for name in ("problems", "guides", "steps", "restarts", "draws", "seed")} == {
        "problems": ["linear-regression"],
        "guides": ["mean_field", "auto_delta"],
        "steps": 200,
        "restarts": 2,
        "draws": 500,
        "seed": 0,
    }
    environment = first.results["environment"]
    assert isinstance(environment, dict)
    expected = {name: version(name) for name in ("guidebench", "jax", "numpyro", "optax", "arviz")}
    expected["python"] = platform.python_version()
    assert {name: environment[name] for name in expected} == expected
    assert environment["x64"] is False
    assert environment["platform"]
    assert environment["devices"]


def test_a_pipe_gets_a_table_and_nothing_else(first: Run) -> None:
    said = first.done.stdout + first.done.stderr
    assert "\x1b" not in said
    assert "\r" not in said
    assert "training" not in first.done.stderr
    assert "step " not in said
    assert re.search(r"^ mean_field +(trust|reweight|distrust) ", first.done.stdout, re.MULTILINE)
    assert re.search(r"^ auto_delta +point +– ", first.done.stdout, re.MULTILINE)
    assert first.done.stdout.splitlines()[-1] == "Report: reports/linear-regression/report.html"


def test_quiet_prints_nothing(again: Run) -> None:
    assert (again.done.stdout, again.done.stderr) == ("", "")


def test_the_same_run_gives_the_same_bits(first: Run, again: Run) -> None:
    def untimed(run: Run) -> list[dict[str, str]]:
        rows = run.table("summary.csv")
        return [{column: cell for column, cell in row.items() if not column.endswith("_s")} for row in rows]

    assert untimed(first) == untimed(again)
    assert first.table("metrics.csv") == again.table("metrics.csv")


# Reading it again

REPORT = """
import sys
sys.argv = ["guidebench", "report", {folder!r}]
try:
    from guidebench.cli import main
    main()
except SystemExit as ended:
    status = ended.code
print("modules:", status, *sorted({{name.partition(".")[0] for name in sys.modules}} & {{"jax", "numpyro", "optax"}}))
"""


def test_a_report_is_written_again_without_computing(python: Python, copy: Run) -> None:
    names = ("report.html", "report.md")
    before = {file: file.read_bytes() for file in copy.folder.rglob("*") if file.is_file()}
    for name in names:
        (copy.folder / name).unlink()
    (copy.folder / "figures" / "loss.png").write_bytes(b"")

    done = python("-c", REPORT.format(folder=str(copy.folder)), cwd=copy.folder.parent)

    named = f"guidebench: {copy.folder / 'figures' / 'loss.png'} is not as it was written: it was changed or damaged\n"
    assert (done.stdout, done.stderr) == (f"{copy.folder / 'report.html'}\nmodules: 0\n", named)
    after = {file: file.read_bytes() for file in copy.folder.rglob("*") if file.is_file()}
    assert after.keys() == before.keys()
    moved = {file: content.replace(b"reports/linear-regression", b"copy") for file, content in before.items()}
    # It says where it lies, and the results have digests of it.
    assert [file.name for file in moved if moved[file] != after[file]] == ["results.json"]


def test_broken_draws_are_named(command: Callable[..., tuple[int, str, str]], copy: Run) -> None:
    file = copy.folder / "inference_data" / "linear-regression" / "mean_field.nc"
    file.write_bytes(file.read_bytes()[:1000])
    status, out, err = command("report", str(copy.folder))
    assert (status, out) == (2, "")
    assert err.startswith(f"guidebench: {file} cannot be read: ")
    assert err.count("\n") == 1


def test_a_run_is_loaded_whole(first: Run) -> None:
    import guidebench

    comparison = guidebench.load(first.folder)
    assert [fit.guide for fit in comparison] == ["mean_field", "auto_delta"]
    assert comparison["mean_field"].inference_data.posterior.sizes["draw"] == 500
    assert repr(comparison["mean_field"].value("elbo")) == first.row("mean_field")["elbo"]
