"""Metric and section in the report of a real run, found through the installed entry point."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

import guidebench as gb
from guidebench_examples.quantiles import outside

NAME = "guidebench-examples"


@pytest.fixture(scope="module")
def comparison() -> gb.Comparison:
    return gb.compare(
        "linear-regression", guides=["mean_field", "auto_delta"], steps=400, restarts=1, draws=1000, progress=False
    )


def test_it_is_installed_as_a_plugin() -> None:
    (point,) = entry_points(group="guidebench", name="examples")
    assert point.dist is not None
    assert point.dist.name == NAME


def test_declaring_loads_nothing_heavy() -> None:
    code = "import sys, guidebench_examples as e; list(e.guidebench_metrics()), list(e.guidebench_sections()); "
    code += "print(sorted({'numpy', 'jax', 'matplotlib', 'xarray'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_metric_is_computed_where_there_is_a_spread(comparison: gb.Comparison) -> None:
    found = comparison["mean_field"].metric("mmd")
    assert found is not None
    assert found.mcse is not None
    assert found.value > 2 * found.mcse  # the tail of the noise is missed
    assert comparison["auto_delta"].metric("mmd") is None
    assert comparison.all_failures() == ()


def test_metric_and_section_are_in_the_report(comparison: gb.Comparison, tmp_path: Path) -> None:
    page = comparison.report(tmp_path)
    text = page.with_name("report.md").read_text(encoding="utf-8")
    assert "## Quantiles against the reference" in text
    assert "could not be made" not in text
    assert (tmp_path / "figures" / "quantiles.png").stat().st_size > 10_000
    assert "mmd" in text
    assert "mean_field,mmd,," in (tmp_path / "metrics.csv").read_text(encoding="utf-8")
    assert gb.load(tmp_path).failures == ()


def test_without_a_reference_there_is_no_section(tmp_path: Path) -> None:
    comparison = gb.compare(
        *("linear-regression",),
        guides="mean_field",
        steps=40,
        recipe="plain",
        draws=200,
        reference="none",
        progress=False,
    )
    text = comparison.report(tmp_path).with_name("report.md").read_text(encoding="utf-8")
    assert "Quantiles against the reference" not in text
    assert comparison["mean_field"].metric("mmd") is None


@pytest.mark.parametrize(("scale", "share"), [(1.0, 0.02), (0.5, 3.3e-6), (2.0, 0.2448)])
def test_the_tails_are_measured(scale: float, share: float) -> None:
    rng = np.random.default_rng(6)
    found = outside(scale * rng.standard_normal(100_000), rng.standard_normal(100_000))
    assert found == pytest.approx(share, abs=0.004)
