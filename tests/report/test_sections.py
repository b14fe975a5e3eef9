"""The data behind every figure and table, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from guidebench.contracts import MetricValue
from guidebench.report.draws import Component
from guidebench.report.page import Key, Number, Page, Pill
from guidebench.report.sections import (
    correlations,
    coverage,
    data,
    joints,
    loss,
    marginals,
    numbers,
    parameters,
    prediction,
    provenance,
    summary,
)
from guidebench.results import Comparison, Fit, ProblemRecord, Status, Verdict
from tests.report.fake import from_groups


def made(groups: dict[str, xr.Dataset], problem: dict[str, Any] | None = None, **changes: Any) -> Page:
    """Return the page of one fit with these groups."""
    record = ProblemRecord(**{"name": "p", "latents": ("a", "c"), "observed": ("y",), **(problem or {})})
    fit = Fit(
        **{
            "problem": "p",
            "guide": "g",
            "plugin": "d",
            "status": Status.CONVERGED,
            "bound": "elbo",
            "verdict": Verdict.TRUST,
            "inference_data": from_groups(groups),
            **changes,
        }
    )
    return Page(comparison=Comparison(name="c", problems=(record,), fits=(fit,)), problem=record)


def draws(**sites: Any) -> xr.Dataset:
    return xr.Dataset({name: (("chain", "draw"), np.asarray([values], dtype=float)) for name, values in sites.items()})


# Summary ----------------------------------------------------------------------------------------


def test_summary_rows(page: Page) -> None:
    rows = {row[0].text: row for row in summary.rows(page) if isinstance(row[0], Key)}
    assert rows["mean_field"][1] == Pill("distrust", "bad", "✕")
    assert rows["mean_field"][2] == Number(-23.204, 0.0087)
    assert rows["auto_normal"][2] == Number(-23.206, 0.0087, mark="not converged")
    assert rows["auto_delta"][2:7] == [None] * 5
    assert rows["broken_guide"][2:7] == [None] * 5
    assert rows["auto_normal"][7] == "not converged"


def test_an_elbo_over_a_larger_space_says_so(page: Page) -> None:
    fit = replace(page.fits[0], bound="augmented", status=Status.MAX_STEPS)
    found = summary.elbo(fit)
    assert found is not None
    assert found.mark == "not converged, bound over a larger space"
    assert summary.elbo(replace(fit, bound="none")) is None


@pytest.mark.parametrize(("value", "mark"), [(0.4, ""), (0.6, "near 0.70"), (0.8, "near 0.70"), (1.2, "above 0.70")])
def test_khat_is_compared_within_its_error(page: Page, value: float, mark: str) -> None:
    metrics = (
        MetricValue(metric="khat", value=value, mcse=0.08),
        MetricValue(metric="khat_threshold", value=0.7),
    )
    found = summary.khat(replace(page.fits[0], metrics=metrics))
    assert found is not None
    assert found.mark == mark


def test_the_binomial_error_is_never_zero() -> None:
    np.testing.assert_allclose(summary.binomial_error(0.5, 99), np.sqrt(0.25 / 99))
    np.testing.assert_allclose(summary.binomial_error(1.0, 9), np.sqrt(0.95 * 0.05 / 9))
    assert summary.binomial_error(0.5, 0) is None


def test_a_failing_recommendation_leaves_the_table(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fits: Any) -> str:
        raise RuntimeError("no idea")

    monkeypatch.setattr("guidebench.verdict.recommend", refuse)
    (note,) = summary.conclusion(page.fits)
    assert note.text == "No recommendation could be made: RuntimeError: no idea"


# Data -------------------------------------------------------------------------------------------


def test_error_bars_come_from_the_truth_or_else_from_a_guide(page: Page) -> None:
    known = data.observations(page, "y")
    assert known["x"].tolist()[:2] == [-2.81, -2.52]
    assert known["sd"].tolist() == [1.0] * 10
    assert known["over"].unique().tolist() == ["x"]

    predictive = xr.Dataset({"y": (("chain", "draw", "n"), np.array([[[0.0, 1.0], [2.0, 1.0]]]))})
    groups = {"posterior": draws(a=[0, 1]), "posterior_predictive": predictive}
    observed = xr.Dataset({"y": ("n", np.array([3.0, 4.0]))})
    found = data.observations(made({**groups, "observed_data": observed}), "y")
    assert found["sd"].tolist() == [1.0, 0.0]
    assert found["source"].unique().tolist() == ["predictive sd of g"]
    assert found["x"].tolist() == [0, 1]
    assert data.observations(made(groups), "y").empty


# Loss -------------------------------------------------------------------------------------------


def test_block_means_skip_what_is_not_finite() -> None:
    means, errors = loss.block_means(np.array([[1.0, 3.0, np.nan, 5.0, np.nan, np.inf]]), np.array([0, 2, 4, 6]))
    np.testing.assert_allclose(means, [[2.0, 5.0, np.nan]])
    np.testing.assert_allclose(errors, [[1.0, 0.0, np.nan]])


def test_blocks_are_even_or_grow_with_the_step() -> None:
    assert loss.block_edges(3).tolist() == [0, 1, 2, 3]
    even, growing = loss.block_edges(4000), loss.block_edges(4000, log=True)
    assert set(np.diff(even)) == {20}
    assert growing[0] == 0
    assert growing[-1] == 4000
    assert np.diff(growing)[0] == 1
    assert np.diff(growing)[-1] > 400


def test_losses_and_their_gaps() -> None:
    steps = {"step": np.arange(1, 4)}
    training = xr.Dataset({"loss": (("restart", "step"), [[9.0, 6.0, 5.0], [8.0, 4.0, 2.0]])}, coords=steps)
    page = made({"training": training}, best=1)
    found = loss.losses(page, page.fits[0])
    assert found is not None
    assert found["loss"].tolist() == [9, 6, 5, 8, 4, 2]
    assert found["best"].tolist() == [False] * 3 + [True] * 3
    assert found["step"].tolist() == [1, 2, 3] * 2
    assert loss.gaps(found)["gap"].tolist() == [7, 4, 3, 6, 2, 1e-3]


def test_the_floor_of_the_gaps_is_one_error_below_the_lowest_mean() -> None:
    frame = pd.DataFrame({"loss": [3.0, 2.0, 1.0], "error": [0.5, 0.25, 0.5], "best": [True, True, False]})
    assert loss.gaps(frame)["gap"].tolist() == [1.25, 0.25, 1e-3]


def test_an_enormous_first_loss_does_not_flatten_the_rest(page: Page) -> None:
    curves = {fit.guide: found for fit in page.fits if (found := loss.losses(page, fit)) is not None}
    low, high = loss.window(curves)
    assert 0 < low < 7.1
    assert 23 < high < 200


# Parameters -------------------------------------------------------------------------------------


def test_paths_by_kind_without_the_empty_triangle() -> None:
    tril = np.zeros((2, 2, 2))
    tril[:, 0, 0], tril[:, 1, 0], tril[:, 1, 1] = [1, 2], [0, 3], [1, 4]
    dataset = xr.Dataset(
        {"auto_loc": (("snapshot", "d"), [[0.0, 0.5], [1.0, 2.0]]), "auto_scale_tril": (("snapshot", "i", "j"), tril)},
        coords={"snapshot": [10, 20]},
    )
    page = made({"training_parameters": dataset})
    locations, count = parameters.paths(page, page.fits[0], "loc")
    assert count == 2
    assert locations.query("parameter == 'auto_loc[1]'")["value"].tolist() == [0.5, 2.0]
    assert locations["step"].tolist() == [10, 20, 10, 20]
    scales, count = parameters.paths(page, page.fits[0], "scale")
    assert scales["parameter"].unique().tolist() == [
        "auto_scale_tril[0,0]",
        "auto_scale_tril[1,0]",
        "auto_scale_tril[1,1]",
    ]
    assert count == 3


def test_long_lists_of_parameters_are_cut_and_counted(large_page: Page) -> None:
    table, total = parameters.paths(large_page, large_page.fits[0], "scale")
    assert table["parameter"].nunique() == parameters.MAX_LINES
    assert total == 40 * 41 // 2
    assert parameters.kind_of("local_scale") == "scale"
    assert parameters.kind_of("auto_arn__0$params") is None


# Marginals, joints, correlations ----------------------------------------------------------------


def test_moments_raw_and_reweighted() -> None:
    stats = xr.Dataset({"log_weight": (("chain", "draw"), np.log([[0.25, 0.75]]))})
    groups = {"posterior": draws(a=[0.0, 4.0]), "sample_stats": stats}
    page = made(groups, problem={"truth": {"a": 2.5}}, verdict=Verdict.REWEIGHT)
    raw, again, truth = marginals.rows(page, [Component("a")])
    assert raw[1] == "2.00 (2.83)"
    assert again == ["g, reweighted", "3.00 (1.73)"]
    assert truth == ["true value", "2.5"]
    assert len(marginals.rows(made(groups), [Component("a")])) == 1


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
    page = made({"posterior": draws(a=x, b=noise, c=-x)}, problem={"latents": ("a", "b", "c")})
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
    page = made({"posterior": draws(a=[1, 2, 3, 4], c=[4, 3, 2, 1])})
    components, _ = page.components(10)
    np.testing.assert_allclose(correlations.matrix(page, page.fits[0], components), [[1, -1], [-1, 1]])


def test_large_matrices_show_the_strongest_components(large_page: Page) -> None:
    components, total = large_page.components(200)
    assert total == 40
    shown = correlations.chosen(large_page, components)
    assert len(shown) == correlations.MAX_SHOWN
    assert [component for component in components if component in shown] == shown


# Prediction and coverage ------------------------------------------------------------------------


def test_quantiles_of_a_band_sorted_by_the_predictor() -> None:
    values = np.linspace(0, 100, 101)
    predictions = xr.Dataset({"mu": (("chain", "draw", "n"), np.stack([values, values + 10], axis=1)[None])})
    grid = xr.Dataset({"x": ("k", [5.0, 1.0])})
    groups = {"posterior": draws(a=[0, 1]), "predictions": predictions, "predictions_constant_data": grid}
    page = made(groups, problem={"predictor": "x"})
    target = prediction.find_target(page)
    assert target == prediction.Target(group="predictions", site="mu", size=2, deterministic=True)
    found = prediction.quantiles(page, page.fits[0], target)
    assert found is not None
    assert found["x"].tolist() == [1.0, 5.0]
    assert found["low"].tolist() == [11.0, 1.0]
    assert found["middle"].tolist() == [60.0, 50.0]
    assert found["high"].tolist() == [109.0, 99.0]


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
    target = prediction.find_target(made(groups, problem={"predictor": "x"}))
    assert target == prediction.Target(group="predictions", site="y", size=2, deterministic=False)


def test_without_a_grid_the_observations_are_predicted(large_page: Page) -> None:
    target = prediction.find_target(large_page)
    assert target == prediction.Target(group="posterior_predictive", site="y", size=30, deterministic=False)


def test_nothing_to_predict_is_said() -> None:
    page = made({"posterior": draws(a=[0, 1])})
    assert prediction.find_target(page) is None
    assert list(prediction.build(page)) == ["The results hold no one-dimensional prediction to draw."]


def test_coverage_curve_and_band() -> None:
    metrics = [
        MetricValue(metric=name, value=value, variable=variable)
        for name, value, variable in [("coverage_90", 0.8, ""), ("coverage_05", 0.1, ""), ("coverage_90", 0.0, "y")]
    ]
    page = made({}, metrics=tuple(metrics))
    found = coverage.curve(page.fits[0])
    assert found["nominal"].tolist() == [0.05, 0.9]
    assert found["observed"].tolist() == [0.1, 0.8]
    np.testing.assert_allclose(coverage.band(100, np.array([0.5, 0.9])), [0.1, 0.06])


# Numbers and provenance -------------------------------------------------------------------------


def test_metric_rows_keep_a_gap_where_a_guide_lacks_one(page: Page) -> None:
    rows = dict(numbers.metric_rows(page.fits[:3], pooled=True))
    assert rows["elbo"][1:] == [Number(-23.204, 0.0087), Number(-23.206, 0.0087), None]
    single = [cells[0] for _, cells in numbers.metric_rows(page.fits[:3], pooled=False)]
    assert single == ["mean w", "mean b", "mean s_eps", "correlation w,b"]


def test_long_metrics_are_cut_and_named() -> None:
    rows: list[tuple[str, list[Any]]] = [("mean", [i]) for i in range(50)] + [("sd", [0])]
    kept, cut = numbers.limited(rows)
    assert len(kept) == numbers.MAX_VARIABLES + 1
    assert cut == ["mean"]


def test_settings_are_flattened() -> None:
    nested = {"a": {"b": 1, "c": {}}, "d": None, "e": [1, 2], "f": ()}
    assert list(provenance.flattened(nested)) == [
        ("a.b", "1"),
        ("a.c", "(none)"),
        ("d", "not set"),
        ("e", "1, 2"),
        ("f", "(none)"),
    ]


def test_tracebacks_do_not_tell_where_somebody_keeps_files(page: Page) -> None:
    folded = provenance.failure(page.comparison["broken_guide"])
    code = folded.content[1]
    assert 'File "pack/guide.py", line 3' in code.text
    assert "someone" not in code.text
