"""Measures as tables, and the face that a comparison has for them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from guidebench.analysis.problems import ERROR, MAIN, costs, find_measure, of_metrics, table
from guidebench.analysis.problems.measures import elbo_gap, moment_error
from guidebench.config.errors import RequestError
from guidebench.contracts import Metric, MetricValue
from guidebench.results import Comparison
from tests.report.fake import several
from tests.report.many import many


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return many()


def with_elbos(*elbos: float, bounds: tuple[str, ...] = ()) -> Comparison:
    fits = []
    for at, (fit, elbo) in enumerate(zip(many(1, 3).fits, elbos, strict=True)):
        bound = bounds[at] if bounds else "elbo"
        fits.append(replace(fit, metrics=(MetricValue(metric="elbo", value=elbo, mcse=0.03),), bound=bound))
    return replace(many(1, 3), fits=tuple(fits))


def gaps(comparison: Comparison) -> list[float | None]:
    found = [elbo_gap(fit, comparison.fits) for fit in comparison.fits]
    return [None if one is None else one.value for one in found]


def test_the_gap_is_to_the_best_of_the_problem() -> None:
    assert gaps(with_elbos(-3.0, -1.0, -1.5)) == [2.0, 0.0, 0.5]
    found = elbo_gap(with_elbos(-3.0, -1.0, -1.5).fits[0], with_elbos(-3.0, -1.0, -1.5).fits)
    assert found is None  # a fit of another comparison is none of these
    made = with_elbos(-3.0, -1.0, -1.5)
    first = elbo_gap(made.fits[0], made.fits)
    assert first is not None
    assert first.mcse == pytest.approx(math.hypot(0.03, 0.03))


def test_what_is_no_elbo_is_not_compared_with_one() -> None:
    assert gaps(with_elbos(-3.0, -1.0, -1.5, bounds=("elbo", "augmented", "none"))) == [0.0, None, None]
    assert gaps(with_elbos(-3.0, math.nan, -math.inf)) == [0.0, None, math.inf]


def test_a_point_estimate_has_no_error_of_mean_and_sd(comparison: Comparison) -> None:
    fit = comparison[comparison.problems[0].name, "auto_delta"]
    assert fit.value("mean_error") is not None
    assert moment_error(fit) is None
    assert comparison.table("error")["auto_delta"].isna().all()


def test_a_table_has_a_row_per_problem_and_gaps_stay_gaps(comparison: Comparison) -> None:
    found = comparison.table("mean_error")
    assert found.shape == (25, 6)
    assert found.index.tolist() == [problem.name for problem in comparison.problems]
    assert found.iloc[4].isna().all()  # no reference there
    assert math.isnan(found.loc[comparison.problems[3].name, "auto_iaf_normal"])  # failed there
    assert found.loc[comparison.problems[0].name, "auto_normal"] == comparison[
        comparison.problems[0].name, "auto_normal"
    ].value("mean_error")


def test_ranks_are_a_table_with_the_tests_beside_it(comparison: Comparison) -> None:
    found = comparison.ranks()
    assert found.index[0] == "auto_iaf_normal"
    assert found["rank"].is_monotonic_increasing
    assert found["rank"].sum() == pytest.approx(5 * 6 / 2)
    assert found.attrs["problems"] == 18
    assert found.attrs["left_out"] == {"auto_delta": 0}
    assert found.attrs["p_value"] < 0.001
    assert len(found.attrs["pairs"]) == 10
    assert comparison.ranks("crps").attrs["problems"] == 23  # any declared metric
    assert comparison.ranks("mine", better="higher").empty


def test_a_metric_without_a_direction_is_refused(comparison: Comparison) -> None:
    with pytest.raises(RequestError, match="say which direction"):
        comparison.ranks("no_such_metric")
    with pytest.raises(RequestError, match="of which none is better"):
        comparison.ranks("log_evidence")
    assert comparison.table("no_such_metric").isna().all(axis=None)


def test_a_few_problems_are_no_sample() -> None:
    found = several().ranks("elbo_gap")
    assert "only 1 problem" in found.attrs["reason"] or "fewer" in found.attrs["reason"]
    assert math.isnan(found.attrs["p_value"])


def test_a_metric_of_variables_counts_by_its_worst(comparison: Comparison) -> None:
    def measure(better: str) -> Metric:
        return Metric(name="theirs", compute=lambda evidence: (), better=better)  # type: ignore[arg-type]

    values = tuple(MetricValue(metric="theirs", variable=name, value=value) for name, value in (("a", 1.0), ("b", 3.0)))
    fit = replace(comparison.fits[0], metrics=values)
    lower, higher, nothing = (of_metrics([measure(one)]) for one in ("lower", "higher", "none"))
    assert lower[0].of(fit, ()).value == 3.0  # type: ignore[union-attr]
    assert higher[0].of(fit, ()).value == 1.0  # type: ignore[union-attr]
    assert nothing == []
    assert find_measure("theirs", "lower").of(fit, ()).value == 3.0  # type: ignore[union-attr]


def test_those_with_a_heat_map_are_not_shown_twice() -> None:
    names = {"khat", "mean_error"}
    metrics = [Metric(name=name, compute=lambda evidence: (), better="lower") for name in (*names, "other")]
    assert [one.name for one in of_metrics(metrics)] == ["other"]
    assert names < {one.name for one in MAIN}


def test_costs_are_of_common_problems_and_say_who_is_beaten(comparison: Comparison) -> None:
    found = costs(comparison, ERROR)
    by_name = {one.guide: one for one in found.guides}
    assert len(found.over.table) == 18
    assert "auto_delta" not in by_name
    assert "auto_laplace_approximation" in by_name["auto_normal"].dominated_by
    assert by_name["auto_iaf_normal"].dominated_by == ()
    values = table(comparison, ERROR).loc[found.over.table.index, "auto_iaf_normal"]
    assert by_name["auto_iaf_normal"].error == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]))
