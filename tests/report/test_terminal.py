"""What the command line prints of results, narrow enough for a hundred columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from guidebench.api import Comparison
from guidebench.cli import tables
from guidebench.cli.cells import cell
from guidebench.contracts import MetricValue
from guidebench.metrics.parts import SIMULATED
from guidebench.results import ProblemRecord
from tests.report import fake
from tests.report.many import many
from tests.report.pages import page_of


def printed(comparison: Comparison, capsys: pytest.CaptureFixture[str]) -> str:
    tables.print_comparison(comparison, Path("report.html"))
    return capsys.readouterr().out


def of(comparison: Comparison, **parts: object) -> Comparison:
    return replace(comparison, problems=(replace(comparison.problems[0], **parts),))  # type: ignore[arg-type]


def test_the_table_fits_into_a_hundred_columns(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(fake.simulated(fake.small(draws=50, steps=40, failures=False)), capsys)
    head = text.split("True 90 %:")[0]
    assert "auto_laplace_approximation" in head
    assert max(len(line.rstrip()) for line in head.splitlines()) <= 100
    assert "True 90 %: coverage of 90 % intervals over simulated data" in text


def test_columns_that_no_guide_fills_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    small = fake.small(draws=50, steps=40)
    assert "cover" in printed(small, capsys)
    assert "True 90 %" not in printed(small, capsys)
    bare = replace(small, fits=tuple(replace(fit, metrics=()) for fit in small.fits))
    assert "cover" not in printed(bare, capsys)


@pytest.mark.parametrize(
    ("values", "expected"),
    [((), "–"), ((0.9,), "90%"), ((0.801, 0.86), "80–86%"), ((0.901, 0.903), "90%"), ((float("nan"),), "–")],
)
def test_true_coverage_is_a_range_over_components(values: tuple[float, ...], expected: str) -> None:
    metrics = [
        MetricValue(metric="simulated_coverage_90", variable=str(at), value=value) for at, value in enumerate(values)
    ]
    (declared,) = [one for one in SIMULATED if one.name == "simulated_coverage_90"]
    assert cell(page_of({}, metrics=tuple(metrics)).fits[0], declared) == expected


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (ProblemRecord(name="p"), ""),
        (ProblemRecord(name="p", reference="exact posterior"), "Reference: exact posterior."),
        (
            ProblemRecord(name="p", reference="NUTS", reference_note="NUTS: 4 chains of 1,000 draws, in 4.9 s."),
            "Reference: NUTS (4 chains of 1,000 draws, in 4.9 s).",
        ),
        (
            ProblemRecord(name="p", reference_note="NUTS failed its checks and is used for nothing: R-hat."),
            "NUTS failed its checks and is used for nothing: R-hat.",
        ),
    ],
)
def test_the_reference_has_a_line(record: ProblemRecord, line: str) -> None:
    assert tables.reference_line(record) == line


def test_the_line_is_printed_and_markup_in_it_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    small = of(fake.small(draws=50, steps=40), reference="mine [bold].csv")
    assert "Reference: mine [bold].csv." in printed(small, capsys)


def test_several_problems_are_one_matrix_in_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(many(), capsys)
    matrix = text.split("Average ranks")[0].splitlines() + text.split("problem ")[1].split("Some guide")[0].splitlines()
    assert max(len(line.rstrip()) for line in matrix) <= 80
    assert len(text.splitlines()) < 55
    assert "6  auto_iaf_normal                19         4         –      1.4" in text
    assert "Average ranks over the 18 and 23 problems" in text
    assert "earnings-log…ght_model_03 reweight reweight point" in text
    assert "Some guide can be trusted as it is on 23 of 25 problems" in text
    assert "No reference on earnings-log_height_model_04" in text
    assert text.count("Cannot find valid initial parameters") == 1  # the same message for two problems


def test_what_all_names_begin_with_is_the_heading(capsys: pytest.CaptureFixture[str]) -> None:
    small = many(2, 6)
    problems = tuple(replace(one, name=f"[db]/{one.name}") for one in small.problems)
    fits = tuple(replace(fit, problem=f"[db]/{fit.problem}") for fit in small.fits)
    text = printed(replace(small, problems=problems, fits=fits), capsys)
    (heading, _, row, *_) = text[text.index("[db]/…") :].splitlines()
    assert heading.split() == ["[db]/…", *"123456"]
    assert row.split()[0] == "earnings-log…ght_model_00"


def test_many_guides_have_a_letter_each(capsys: pytest.CaptureFixture[str]) -> None:
    small = many(2, 6)
    fits = tuple(replace(fit, guide=f"{fit.guide}:{at}") for at in range(3) for fit in small.fits)
    text = printed(replace(small, fits=fits), capsys)
    assert "T trust" in text
    assert max(len(line.rstrip()) for line in text.split("problem ")[1].splitlines()[:4]) <= 80
    assert "Too few for a test." in text


def test_names_of_problems_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    small = many(2, 2)
    problems = tuple(replace(one, name=f"[bold]{one.name[-2:]}") for one in small.problems)
    fits = tuple(replace(fit, problem=f"[bold]{fit.problem[-2:]}") for fit in small.fits)
    assert "[bold]01" in printed(replace(small, problems=problems, fits=fits), capsys)
