"""The data behind marginals, joints, correlations, predictions and coverage, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from guidebench.contracts import MetricValue
from guidebench.report.drawing import style
from guidebench.report.draws import Component
from guidebench.report.page import Page
from guidebench.report.sections import (
    correlations,
    coverage,
    joints,
    marginals,
    prediction,
)
from guidebench.results import Verdict
from tests.report import fake
from tests.report.pages import draws, page_of

# Marginals, joints, correlations ----------------------------------------------------------------


def test_moments_raw_and_reweighted() -> None:
    stats = xr.Dataset({"log_weight": (("chain", "draw"), np.log([[0.25, 0.75]]))})
    groups = {"posterior": draws(a=[0.0, 4.0]), "sample_stats": stats}
    page = page_of(groups, problem={"truth": {"a": 2.5}}, verdict=Verdict.REWEIGHT)
    raw, again, truth = marginals.rows(page, [Component("a")])
    assert raw[1] == "2.00 (2.83)"
    assert again == ["g, reweighted", "3.00 (1.73)"]
    assert truth == ["true value", "2.5"]
    assert len(marginals.rows(page_of(groups), [Component("a")])) == 1
    scored = [
        MetricValue(metric=f"{name}_reweighted", value=v, variable="a") for name, v in [("mean", 3.5), ("sd", 1.25)]
    ]
    page = page_of(groups, verdict=Verdict.REWEIGHT, metrics=tuple(scored))
    assert marginals.rows(page, [Component("a")])[1] == ["g, reweighted", "3.50 (1.25)"]


def test_refreshed_draws_have_a_row_and_a_curve() -> None:
    random = np.random.default_rng(3)
    kept, again = random.normal(0.0, 0.5, 400), random.normal(0.0, 1.0, 400)
    groups = {"posterior": draws(a=kept), "refreshed": draws(a=again)}
    page = page_of(groups, verdict=Verdict.REFRESH)
    (name, cell) = marginals.rows(page, [Component("a")])[1]
    assert name == "g, refreshed"
    assert cell == f"{again.mean():.3f} ({again.std(ddof=1):.3f})"
    grid, curve = marginals.curves(page, Component("a"))["g, refreshed"]
    assert (curve * np.gradient(grid)).sum() == pytest.approx(1.0, abs=0.05)
    with style():
        assert "refreshed draws dotted" in marginals.figure(page, [Component("a")]).caption
    scored = [
        MetricValue(metric=f"{name}_refreshed", value=v, variable="a") for name, v in [("mean", 3.5), ("sd", 1.25)]
    ]
    scored_page = page_of(groups, verdict=Verdict.REFRESH, metrics=tuple(scored))
    assert marginals.rows(scored_page, [Component("a")])[1] == ["g, refreshed", "3.50 (1.25)"]
    # Of draws that are right, or that nothing repaired, they are not shown.
    assert set(marginals.curves(page_of(groups, verdict=Verdict.TRUST), Component("a"))) == {"g"}


def test_the_window_is_not_squeezed_by_one_wide_guide() -> None:
    narrow = np.linspace(-1, 1, 1001)
    low, high = marginals.window([narrow, narrow, 1000 * narrow], [])
    assert -12 < low < -9
    assert 9 < high < 12
    assert marginals.window([narrow], [1.5, 1e6])[1] == pytest.approx(1.5 + 0.04 * 2.49, abs=0.01)
    low, high = marginals.window([], [3.0])
    assert low < 3.0 < high


def test_a_point_estimate_is_a_line(page: Page) -> None:
    found = marginals.curves(page, Component("w"))
    grid, curve = found["auto_delta"]
    assert grid.tolist() == [0.5269]
    assert np.isinf(curve).all()
    assert set(found) == {fit.guide for fit in page.drawn}


def test_pairs_in_reading_order() -> None:
    w, b, s = (Component(name) for name in ("w", "b", "s_eps"))
    assert joints.all_pairs([w, b, s]) == [(w, b), (s, b), (s, w)]
    assert joints.all_pairs([w, b]) == [(w, b)]


def test_the_strongest_pairs_come_first() -> None:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 400))
    page = page_of({"posterior": draws(a=x, b=noise, c=-x)}, problem={"latents": ("a", "b", "c")})
    components, _ = page.components(10)
    first = joints.strongest_pairs(page, components, count=1)
    assert [component.name for component in first[0]] == ["a", "c"]


def test_the_outline_is_that_of_a_trusted_guide(page: Page) -> None:
    outline = joints.outline_of(page.spread)
    assert outline is not None
    assert outline.guide == "auto_iaf_normal"
    assert joints.outline_of([fit for fit in page.spread if fit.verdict is not Verdict.TRUST]) is None


def test_a_point_estimate_has_no_surface_and_no_correlations(page: Page) -> None:
    point = page.comparison["auto_delta"]
    components, _ = page.components(3)
    assert joints.surface(page.values(point, components[0]), page.values(point, components[1]), (0, 1, -2, 0)) is None
    assert correlations.matrix(page, point, components) is None


def test_correlation_matrix() -> None:
    page = page_of({"posterior": draws(a=[1, 2, 3, 4], c=[4, 3, 2, 1])})
    components, _ = page.components(10)
    np.testing.assert_allclose(correlations.matrix(page, page.fits[0], components), [[1, -1], [-1, 1]])


def test_large_matrices_show_the_strongest_components(large_page: Page) -> None:
    components, total = large_page.components(200)
    assert total == 40
    shown = correlations.chosen(large_page, components)
    assert len(shown) == correlations.MAX_SHOWN
    assert [component for component in components if component in shown] == shown


# Prediction and coverage ------------------------------------------------------------------------


@pytest.mark.parametrize("panels", [1, 2, 3, 7])
@pytest.mark.parametrize("shown", [2, 5, 8])
@pytest.mark.parametrize("longest", [1, 14, 18, 60])
def test_maps_of_correlations_can_be_read_whatever_their_labels(panels: int, shown: int, longest: int) -> None:
    columns, side, left, gap = correlations.layout(panels, shown, longest)
    assert 1 <= columns <= panels
    assert side >= correlations.SMALLEST
    assert left >= 0.075 * longest < gap


def test_labels_have_the_names_of_levels_before_they_are_shortened() -> None:
    levels = {"county_intercept": (("Lac qui Parle", "St Louis"),), "theta": (("1", "0"),)}
    assert correlations._label("county_intercept[0]", levels) == "county_i…ui Parle]"
    assert correlations._label("theta[1]", levels) == "theta[1]"  # it is named 0 in the end, and would be 1 once more
    assert correlations._label("tau", levels) == "tau"


def test_quantiles_of_a_band_sorted_by_the_predictor() -> None:
    values = np.linspace(0, 100, 101)
    predictions = xr.Dataset({"mu": (("chain", "draw", "n"), np.stack([values, values + 10], axis=1)[None])})
    grid = xr.Dataset({"x": ("k", [5.0, 1.0])})
    groups = {"posterior": draws(a=[0, 1]), "predictions": predictions, "predictions_constant_data": grid}
    page = page_of(groups, problem={"predictor": "x"})
    target = prediction.find_target(page)
    assert target == prediction.Target(group="predictions", site="mu", size=2, deterministic=True)
    along = prediction.places(page, target)
    assert (along.x.tolist(), along.called) == ([5.0, 1.0], "x")
    found = prediction.quantiles(page, page.fits[0], target, along.x)
    assert found is not None
    assert found["x"].tolist() == [1.0, 5.0]
    assert found["low"].tolist() == [11.0, 1.0]
    assert found["middle"].tolist() == [60.0, 50.0]
    assert found["high"].tolist() == [109.0, 99.0]


def in_order(y: np.ndarray, predicted: np.ndarray, *, site: str = "y") -> prediction.Along:
    """Return the places of rows with those means, of which nobody says what they lie along."""
    spread = np.array([-1.0, 0.0, 1.0])[:, None] + predicted
    groups = {
        "posterior": draws(a=[0, 1, 2]),
        "posterior_predictive": xr.Dataset({site: (("chain", "draw", "n"), spread[None])}),
        "observed_data": xr.Dataset({"y": ("n", y)}),
    }
    page = page_of(groups, problem={"observed": ("y",)})
    target = prediction.find_target(page)
    assert target is not None
    return prediction.places(page, target)


def test_rows_without_a_predictor_are_in_the_order_of_what_is_predicted() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=200)
    y = predicted + rng.normal(size=200)
    found = in_order(y, predicted)
    assert (found.called, found.by) == ("rows, by what is predicted", "g")
    np.testing.assert_array_equal(found.x, np.argsort(np.argsort(predicted)))
    assert in_order(y[:30], predicted[:30]).called == "index"  # few rows are called by their numbers


def test_a_series_keeps_its_order() -> None:
    rng = np.random.default_rng(0)
    walk, predicted = np.cumsum(rng.normal(size=200)), rng.normal(size=200)
    far, holed = walk.copy(), walk.copy()
    far[77], holed[3] = 1e6, np.nan
    quarters = np.tile([0.0, 3.0, 1.0, -4.0], 50) + rng.normal(size=200)
    for y in (walk, far, holed, quarters):
        np.testing.assert_array_equal(in_order(y, predicted).x, np.arange(200))
        np.testing.assert_array_equal(in_order(y, predicted, site="mu").x, np.arange(200))


def test_the_target_lies_along_the_predictor() -> None:
    predictions = xr.Dataset(
        {
            "shift": (("chain", "draw", "k"), np.zeros((1, 4, 3))),
            "y": (("chain", "draw", "n"), np.zeros((1, 4, 2))),
            "label": (("chain", "draw", "n"), np.full((1, 4, 2), "a")),
        }
    )
    grid = xr.Dataset({"x": ("n", [5.0, 1.0])})
    groups = {"posterior": draws(a=[0, 1]), "predictions": predictions, "predictions_constant_data": grid}
    target = prediction.find_target(page_of(groups, problem={"predictor": "x"}))
    assert target == prediction.Target(group="predictions", site="y", size=2, deterministic=False)


def test_without_a_grid_the_observations_are_predicted(large_page: Page) -> None:
    target = prediction.find_target(large_page)
    assert target == prediction.Target(group="posterior_predictive", site="y", size=30, deterministic=False)


def test_nothing_to_predict_is_said() -> None:
    page = page_of({"posterior": draws(a=[0, 1])})
    assert prediction.find_target(page) is None
    assert list(prediction.build(page)) == ["The results hold no one-dimensional prediction to draw."]


def test_coverage_curve_and_band() -> None:
    metrics = [
        MetricValue(metric=name, value=value, variable=variable)
        for name, value, variable in [("coverage_90", 0.8, ""), ("coverage_05", 0.1, ""), ("coverage_90", 0.0, "y")]
    ]
    page = page_of({}, metrics=tuple(metrics))
    found = coverage.curve(page.fits[0])
    assert found["nominal"].tolist() == [0.05, 0.9]
    assert found["observed"].tolist() == [0.1, 0.8]
    np.testing.assert_allclose(coverage.band(100, np.array([0.5, 0.9])), [0.1, 0.06])


# The reference ----------------------------------------------------------------------------------


def test_the_outline_is_the_reference_where_there_is_one(page: Page) -> None:
    rng = np.random.default_rng(0)
    exact = fake.from_groups({"posterior": draws(w=1.2 + 0.1 * rng.normal(size=400), b=rng.normal(size=400))})
    comparison = replace(page.comparison, references={page.problem.name: exact})
    known = Page(comparison=comparison, problem=replace(page.problem, reference="exact posterior"))
    pair = (Component("w"), Component("b"))
    assert joints.limits(known, pair[0])[1] > 1.3 > joints.limits(page, pair[0])[1]
    box = (*joints.limits(known, pair[0]), *joints.limits(known, pair[1]))
    edge = joints.edge_of(known, None, pair, box)
    assert edge is not None
    columns, _, heights, _ = edge
    assert abs(columns[heights.sum(axis=0).argmax()] - 1.2) < 0.2
    assert joints.edge_of(page, None, pair, box) is None
    assert joints.edge_of(page, joints.outline_of(page.spread), pair, box) is not None


def test_the_reference_is_named_as_such_beside_the_guides(page: Page) -> None:
    exact = fake.from_groups({"posterior": draws(w=[0.4, 0.6], b=[-1.0, 0.0], s_eps=[1.0, 2.0])})
    comparison = replace(page.comparison, references={page.problem.name: exact})
    known = Page(comparison=comparison, problem=replace(page.problem, reference="NUTS"))
    components, _ = known.components(3)
    assert [row[0] for row in marginals.rows(known, components)][-2:] == ["reference (NUTS)", "true value"]
    with style():
        drawn = marginals.figure(known, components)
    assert "the reference (NUTS) a grey area" in drawn.caption
