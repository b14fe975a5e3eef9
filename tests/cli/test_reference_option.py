"""``--reference``: what is wrong is said in one line before anything is trained; what is right ends in the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Command = Callable[..., Any]

#: Arguments of ``guidebench run``, and the line on stderr.
WRONG = {
    "misspelled": (
        "--reference nutts",
        (
            "--reference nutts: should be one of auto, exact, mixture, chains, nuts, none, "
            "or a file that ends in .nc, .npz, .csv"
        ),
    ),
    "unknown kind of file": (
        "--reference draws.pkl",
        "--reference draws.pkl: should be one of auto, exact, mixture, chains, nuts, ",
    ),
    "nothing": ("--reference=", "--reference : should be one of auto, exact, mixture, chains, nuts, "),
    "misspelled in a file": (
        "--config misspelled.toml",
        (
            "--config misspelled.toml: reference = 'NUTS': should be one of auto, exact, mixture, chains, nuts, none, "
            "or a file"
        ),
    ),
    "no text in a file": (
        "--config number.toml",
        "--config number.toml: reference = 3: input should be a valid string",
    ),
    "missing file": ("--reference no.nc", "--reference no.nc: there is no such file"),
    "folder": ("--reference folder.nc", "--reference folder.nc: there is no such file"),
    "unreadable file": ("--reference words.npz", "--reference words.npz cannot be read: "),
    "missing site": (
        "--reference lacking.npz",
        "--reference lacking.npz: it lacks every site; expected are draws of w, b, s_eps, mu, given is v",
    ),
    "missing column": (
        "--reference lacking.csv",
        "--reference lacking.csv: it lacks the column 'mu[1]' of site mu",
    ),
    "wrong shape": (
        "--reference wide.npz",
        "--reference wide.npz: site w has shape (5, 2, 1); expected is (draws,) or (chains, draws)",
    ),
    "NaN": ("--reference nan.npz", "--reference nan.npz: site b has 1 values that are no finite numbers"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_reference_is_refused_before_training(
    command: Command, tmp_path: Path, arguments: str, message: str
) -> None:
    (tmp_path / "folder.nc").mkdir()
    (tmp_path / "words.npz").write_text("words")
    (tmp_path / "misspelled.toml").write_text('reference = "NUTS"')
    (tmp_path / "number.toml").write_text("reference = 3")
    (tmp_path / "lacking.csv").write_text("w,mu[0]\n1,2\n")
    draws = np.zeros(5)
    np.savez(tmp_path / "lacking.npz", v=draws)
    np.savez(tmp_path / "wide.npz", w=np.zeros((5, 2, 1)), b=draws, s_eps=draws)
    np.savez(tmp_path / "nan.npz", w=draws, b=[0, 0, np.nan, 0, 0], s_eps=draws)

    ended = command("run", *arguments.split())

    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"guidebench: {message}")
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "reports").exists()


RUN = ("run", "-g", "auto_delta", "--steps", "100", "--restarts", "1", "--draws", "100")


@pytest.fixture(scope="module")
def exact() -> dict[str, np.ndarray]:
    from guidebench.problems import linear_regression

    return linear_regression.reference(5, 4000)


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_a_file_of_draws_is_the_reference(command: Command, tmp_path: Path, exact: dict[str, np.ndarray]) -> None:
    rows = np.column_stack([exact[name] for name in ("s_eps", "w", "b")])
    np.savetxt(tmp_path / "mine.csv", rows, delimiter=",", header="s_eps,w,b", comments="")

    ended = command(*RUN, "--reference", "mine.csv")

    assert ended.status == 0, ended.err
    folder = tmp_path / "reports" / "linear-regression"
    (problem,) = results(folder)["problems"]
    assert problem["reference"] == "mine.csv"
    assert problem["reference_note"] == "Given by mine.csv; its convergence was not checked."
    assert results(folder)["config"]["reference"] == "mine.csv"
    assert (folder / "inference_data" / "linear-regression" / "reference.nc").exists()
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "Measured against draws of the reference (mine.csv)" in report
    assert "its convergence was not checked" in report
    assert "mean_error" in (folder / "metrics.csv").read_text(encoding="utf-8")


def test_a_file_that_fails_is_shown_and_used_for_nothing(
    command: Command, tmp_path: Path, exact: dict[str, np.ndarray]
) -> None:
    chains = {name: values.reshape(4, 1000) for name, values in exact.items()}
    chains["b"] = chains["b"] + np.array([[1.0], [0], [0], [0]])
    np.savez(tmp_path / "mine.npz", **chains)  # type: ignore[arg-type]

    ended = command(*RUN, "--reference", "mine.npz")

    assert ended.status == 0, ended.err
    folder = tmp_path / "reports" / "linear-regression"
    assert not (folder / "inference_data" / "linear-regression" / "reference.nc").exists()
    assert "mean_error" not in (folder / "metrics.csv").read_text(encoding="utf-8")
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "mine.npz failed its checks and is used for nothing: R-hat of b is " in report
    assert "Measured against" not in report


def test_no_reference_no_section(command: Command, tmp_path: Path) -> None:
    ended = command(*RUN, "--reference", "none")
    assert ended.status == 0, ended.err
    folder = tmp_path / "reports" / "linear-regression"
    assert "Against the reference" not in (folder / "report.md").read_text(encoding="utf-8")
    assert "mean_error" not in (folder / "metrics.csv").read_text(encoding="utf-8")
