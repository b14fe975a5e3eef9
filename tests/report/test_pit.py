"""Coverage with its interval, and the histogram of the probability integral transform."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from guidebench.contracts import MetricValue
from guidebench.report.page import Figure, Number, Page, Table
from guidebench.report.sections import coverage
from tests.report.pages import page_of

pytestmark = pytest.mark.usefixtures("look")


def pit(*shares: float) -> tuple[MetricValue, ...]:
    return tuple(MetricValue(metric=f"pit_{at:02d}", value=share) for at, share in enumerate(shares, start=1))


def test_coverage_comes_with_its_interval(page: Page) -> None:
    block = coverage.build(page)
    table = block[0]
    assert isinstance(table, Table)
    assert list(table.columns) == ["guide", "50 %", "80 %", "90 %", "95 %", "PIT distance"]
    cell = table.rows[0][3]
    assert isinstance(cell, Number)
    assert (cell.detail, cell.mcse) == ("0.82 to 0.92", None)
    assert table.rows[0][5] == Number(0.051, digits=2)
    assert "about 0.06" in table.caption
    assert [item.name for item in block.figures()] == ["coverage", "pit"]


def test_without_an_interval_the_standard_error_remains() -> None:
    page = page_of({}, problem={"heldout_size": 100}, metrics=(MetricValue(metric="coverage_90", value=0.9),))
    table = coverage.build(page)[0]
    assert isinstance(table, Table)
    assert "PIT distance" not in table.columns
    cell = table.rows[0][3]
    assert isinstance(cell, Number)
    assert cell.mcse is not None
    assert table.rows[0][1] is None


def test_bins_are_in_order_and_those_of_a_variable_are_not_ours() -> None:
    metrics = (*pit(0.2, 0.3, 0.5)[::-1], MetricValue(metric="pit_04", variable="y", value=1.0))
    assert coverage.histogram(page_of({}, metrics=metrics).fits[0]).tolist() == [0.2, 0.3, 0.5]
    assert coverage.histogram(page_of({}).fits[0]).size == 0


def test_the_band_of_uniform_bins_is_binomial() -> None:
    low, high = coverage.uniform_band(200, 10)
    assert (low, high) == (0.06, 0.145)
    counts = np.random.default_rng(0).binomial(200, 0.1, size=20_000) / 200
    assert np.mean((counts >= low) & (counts <= high)) > 0.95


def test_a_histogram_without_coverage_is_drawn_for_counts() -> None:
    metrics = (*pit(*[0.1] * 9, float("nan")), MetricValue(metric="pit_distance", value=0.04))
    block = coverage.build(page_of({}, problem={"heldout_size": 50}, metrics=metrics))
    assert "Coverage is not known: no guide has one." in list(block)
    assert [item.name for item in block if isinstance(item, Figure)] == ["pit"]


def test_without_a_known_size_there_is_no_band(page: Page) -> None:
    block = coverage.build(replace(page, problem=replace(page.problem, heldout_size=0)))
    (figure,) = [item for item in block if isinstance(item, Figure) and item.name == "pit"]
    assert "Grey" not in figure.caption


def test_nothing_held_out_is_said() -> None:
    assert list(coverage.build(page_of({}))) == ["Coverage is not known: there are no held-out data."]
