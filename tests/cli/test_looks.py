"""On standard error, before anything is trained: what should be known of a problem."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guidebench.engine import tasks

MODEL = """
import numpyro
import numpyro.distributions as dist


def line(x, y=None):
    w = numpyro.sample("w", dist.ImproperUniform(dist.constraints.real, (), ()))
    b = numpyro.sample("b", dist.ImproperUniform(dist.constraints.real, (), ()))
    with numpyro.plate("n", len(x)):
        numpyro.sample("y", dist.Normal(w + b + 0 * x, 1.0), obs=y)


def forgetful(x, y=None):
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    with numpyro.plate("n", len(x)):
        numpyro.sample("y", dist.Normal(w * x, 1.0), obs=None)
"""

RUN = ("--data", "d.npz", "-g", "auto_normal", "--reference", "none", "--steps", "20", "--restarts", "1")


@pytest.fixture
def began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a model and data; a fit says on standard error that it begins, and no report is drawn."""
    (tmp_path / "own.py").write_text(MODEL)
    np.savez(tmp_path / "d.npz", x=np.linspace(0, 1, 8), y=np.linspace(0, 1, 8))
    fit = tasks.fit_guide

    def told(one: Any) -> Any:
        sys.stderr.write("a fit begins\n")
        return fit(one)

    monkeypatch.setattr(tasks, "fit_guide", told)
    monkeypatch.setattr("guidebench.report.write", lambda comparison, folder, **_: Path(folder) / "report.html")


@pytest.mark.usefixtures("began")
def test_it_is_one_line_before_the_first_fit(command: Callable[..., Any]) -> None:
    ended = command("run", "own.py:line", *RUN, "--draws", "100")
    said = ended.err.splitlines()
    assert said[0].startswith("guidebench: line: The posterior is improper: neither the data nor a proper prior hold")
    assert "w" in said[0]
    assert "b" in said[0]
    assert said[1:] == ["a fit begins", "1 of 1: auto_normal on line: max_steps"]


@pytest.mark.usefixtures("began")
def test_a_model_that_forgets_its_data_is_told_so(command: Callable[..., Any]) -> None:
    ended = command("run", "own.py:forgetful", *RUN, "--draws", "100")
    assert ended.err.splitlines()[0].startswith("guidebench: forgetful: The model observes nothing")


@pytest.mark.usefixtures("began")
def test_quiet_says_nothing(command: Callable[..., Any]) -> None:
    assert command("run", "own.py:line", *RUN, "--draws", "100", "--quiet").err == "a fit begins\n"
