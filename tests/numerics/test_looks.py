"""What should be known of a problem is said before anything is trained, as warnings and in its notes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints

import guidebench as gb
from guidebench.engine import tasks

QUICK: dict[str, Any] = {"guides": "auto_normal", "steps": 50, "restarts": 1, "draws": 100, "reference": "none"}
X = np.linspace(-1, 1, 12, dtype=np.float32)
Y = np.float32(0.5) * X


def line(x: Any, y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    with numpyro.plate("n", len(x)):
        numpyro.sample("y", dist.Normal(w * x, 0.3), obs=y)


def total(y: Any = None) -> None:
    a, b = (numpyro.sample(name, dist.ImproperUniform(constraints.real, (), ())) for name in "ab")
    with numpyro.plate("n", 12):
        numpyro.sample("y", dist.Normal(a + b, 1.0), obs=y)


def loose(x: Any, y: Any = None) -> None:
    s = numpyro.sample("s", dist.Normal(1.0, 0.01))
    with numpyro.plate("n", len(x)):
        numpyro.sample("y", dist.Normal(x, s), obs=y)


SAID: dict[str, tuple[Callable[..., None], dict[str, Any], str]] = {
    "improper": (total, {"y": Y}, "The posterior is improper: neither the data nor a proper prior hold a, b"),
    "left out": (line, {"x": X}, "y is not given, and y is fitted as latent. Pass y=..."),
    "scale": (loose, {"x": X, "y": Y}, "The prior of s (Normal) is on the whole real line, but s is the scale of y"),
    "missing": (line, {"x": X, "y": np.where(X > 0.9, np.nan, Y)}, "The argument y holds 1 NaN among 12 numbers"),
    "size": (line, {"x": X, "y": Y + np.float32(1e6)}, "The argument y lies far from zero"),
}


@pytest.mark.parametrize("case", SAID)
def test_it_is_said_before_anything_is_trained(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, values, words = SAID[case]
    began: list[int] = []
    fit = tasks.fit_guide
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        monkeypatch.setattr(tasks, "fit_guide", lambda one: (began.append(len(caught)), fit(one))[1])
        comparison = gb.compare(model, **QUICK, **values)
    (found,) = [one for one in caught if issubclass(one.category, UserWarning) and words in str(one.message)]
    assert caught.index(found) < began[0]
    assert str(found.message).startswith(f"{model.__name__}: ")
    assert Path(found.filename) == Path(__file__)  # where it was asked for, not in guidebench
    (record,) = comparison.problems
    assert words in "".join(record.warnings)
    assert set(record.warnings) <= set(record.notes)


def test_nothing_is_said_of_a_problem_that_is_in_order() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        comparison = gb.compare(line, X, y=Y, **QUICK)
    assert comparison.problems[0].warnings == ()


def test_the_report_begins_with_it_and_says_it_once(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="observes nothing"):
        comparison = gb.compare(line, X, **QUICK)
    comparison.report(tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert text.count("The model observes nothing") == 1
    assert text.index("The model observes nothing") < text.index("auto_normal") < text.index("## ")
    assert gb.load(tmp_path).problems[0].warnings == comparison.problems[0].warnings


@pytest.mark.usefixtures("short_nuts")
def test_the_record_says_how_long_nuts_took(tmp_path: Path) -> None:
    comparison = gb.compare(line, X, y=Y, **{**QUICK, "reference": "nuts"})
    (record,) = comparison.problems
    assert record.reference_s is not None
    assert record.reference_s > 0
    told = re.search(r"in ([\d.]+) s|took ([\d.]+) s", record.reference_note)
    assert told is not None
    assert record.reference_s == pytest.approx(float(told[1] or told[2]), abs=0.06)
    comparison.save(tmp_path)
    assert gb.load(tmp_path).problems[0].reference_s == record.reference_s
