"""The section on the reference: what it is, what was checked, and a warning where it failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from guidebench.contracts import MetricValue
from guidebench.report.page import Block, Note, Number, Page, Table
from guidebench.report.sections import errors
from tests.report import fake

CHECKS = {"chains": 4.0, "draws": 4000.0, "rhat": 1.0028, "ess_bulk": 2083.4, "ess_tail": 2000.2, "divergences": 0.0}

FOUND = (
    MetricValue(metric="mean_error", value=0.125, mcse=0.022),
    MetricValue(metric="sd_ratio", variable="w", value=0.714),
    MetricValue(metric="sd_ratio", variable="b", value=1.02),
    MetricValue(metric="w1_error", value=0.2),
    MetricValue(metric="correlation_error", value=0.56, mcse=0.016),
    MetricValue(metric="sliced_w2", value=0.35, mcse=0.025),
    MetricValue(metric="sliced_w2_floor", value=0.057),
)


def page(*metrics: MetricValue, **parts: Any) -> Page:
    comparison = fake.small(draws=200, steps=50)
    fits = tuple(replace(fit, metrics=(*fit.metrics, *metrics)) for fit in comparison.fits)
    problem = replace(comparison.problems[0], **parts)
    return Page(comparison=replace(comparison, fits=fits, problems=(problem,)), problem=problem)


def tables(block: Block | None) -> list[Table]:
    return [item for item in block or () if isinstance(item, Table)]


def notes(block: Block | None) -> list[tuple[str, str]]:
    return [(item.text, item.tone) for item in block or () if isinstance(item, Note)]


def test_nothing_is_said_where_there_is_nothing() -> None:
    assert errors.build(page(*FOUND)) is None


def test_a_reference_that_passed() -> None:
    block = errors.build(page(*FOUND, reference="NUTS", reference_checks=CHECKS, reference_note="NUTS: in 4.9 s."))
    assert block is not None
    assert "the reference (NUTS)" in str(block[0])
    assert notes(block)[0] == ("NUTS: in 4.9 s.", "info")
    checks, marginal, joint = tables(block)
    assert checks.columns[1:] == [
        *("chains", "draws", "largest R-hat", "smallest bulk ESS", "smallest tail ESS", "divergences"),
    ]
    assert checks.rows[0] == ["found", "4", "4,000", "1.003", "2,083", "2,000", "0"]
    assert checks.rows[1] == ["needed", "", "", "below 1.01", "above 400", "above 400", "0"]
    assert marginal.columns == ["guide", "mean (sd)", "sd ratio, from–to", "marginal W1 (sd)"]
    assert marginal.rows[0][1:] == [Number(0.125, 0.022, digits=2), "0.71–1.02", Number(0.2, None, digits=2)]
    assert joint.columns == ["guide", "correlation", "sliced W2 (sd)", "sliced W2 by chance"]


@pytest.mark.parametrize(("effective", "floor"), [(None, "0.02"), (2083.4, "0.05"), (500.0, "0.09"), (1e6, "0.02")])
def test_what_chance_makes_of_w1_depends_on_the_reference(effective: float | None, floor: str) -> None:
    checks = {} if effective is None else {"ess_bulk": effective}
    block = errors.build(page(*FOUND, reference="NUTS", reference_checks=checks))
    assert f"read nothing below {floor}." in tables(block)[-2].caption


def test_a_reference_that_failed_is_a_warning_with_its_checks() -> None:
    reason = "NUTS failed its checks and is used for nothing: R-hat of w is 1.4 (below 1.01 is needed)."
    block = errors.build(page(reference_checks={**CHECKS, "rhat": float("nan")}, reference_note=reason))
    assert notes(block) == [(reason, "warning")]
    (checks,) = tables(block)
    assert checks.rows[0][3] == "nan"


def test_a_reference_that_could_not_be_had_is_a_warning() -> None:
    block = errors.build(page(reference_note="There is no reference."))
    assert notes(block) == [("There is no reference.", "warning")]
    assert tables(block) == []


def test_an_unchecked_reference_carries_a_warning() -> None:
    checks = {name: value for name, value in CHECKS.items() if name in ("chains", "draws", "ess_bulk", "ess_tail")}
    note = "Given by mine.csv; its convergence was not checked."
    block = errors.build(page(*FOUND, reference="mine.csv", reference_checks=checks, reference_note=note))
    assert notes(block)[0] == (note, "warning")
    assert [row[0] for row in tables(block)[0].rows] == ["found"]


def test_an_exact_posterior_needs_no_checks() -> None:
    block = errors.build(page(*FOUND, reference="exact posterior", reference_checks={"draws": 40_000.0}))
    assert len(tables(block)) == 2
    assert len(notes(block)) == 2  # of the verdict, and of guides without draws


def test_what_reweighting_leaves_has_its_own_table() -> None:
    repaired = (
        MetricValue(metric="reweighted_mean_error", value=0.02, mcse=0.005),
        MetricValue(metric="reweighted_sd_error", value=0.58, mcse=0.007),
    )
    block = errors.build(page(*FOUND, *repaired, reference="exact posterior"))
    table = tables(block)[-1]
    assert table.columns == ["guide", "mean (sd)", "sd (relative)"]
    assert table.rows[0][1:] == [Number(0.02, 0.005, digits=2), Number(0.58, 0.007, digits=2)]
    assert any("off by more than 0.1 sd or an sd off by more than 15%" in text for text, _ in notes(block))


def test_guides_without_these_metrics_have_no_tables() -> None:
    assert tables(errors.build(page(reference="exact posterior"))) == []
