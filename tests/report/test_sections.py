"""The data behind tables, data, loss and parameters, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from guidebench.contracts import MetricValue
from guidebench.report.page import Key, Number, Page, Pill
from guidebench.report.sections import (
    data,
    loss,
    numbers,
    parameters,
    provenance,
    summary,
)
from guidebench.results import Status
from tests.report.made import draws, made

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
