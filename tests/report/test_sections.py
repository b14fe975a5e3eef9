"""The data behind tables, data, loss and parameters, against numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from guidebench.api import Comparison
from guidebench.contracts import MetricValue
from guidebench.report.page import Details, Key, Note, Number, Page, Pill, Table
from guidebench.report.sections import (
    data,
    differences,
    loss,
    numbers,
    parameters,
    provenance,
    summary,
)
from guidebench.results import Restart, Status
from tests.report.pages import draws, page_of

# Summary ----------------------------------------------------------------------------------------


def test_summary_rows(page: Page) -> None:
    rows = {row[0].text: row for row in summary.rows(page) if isinstance(row[0], Key)}
    assert rows["mean_field"][1] == Pill("distrust", "bad", "✕")
    assert rows["mean_field"][2] == Number(-23.204, 0.0087, detail="restart sd 0.012")
    assert rows["auto_normal"][2] == Number(-23.206, 0.0087, detail="restart sd 0.012", mark="not converged")
    kl = rows["mean_field"][3]
    assert isinstance(kl, Number)
    assert (round(kl.value or 0, 3), kl.mcse) == (0.314, 0.013)
    assert rows["mean_field"][5] == Number(2712.4, digits=3, detail="68 %")
    assert rows["auto_delta"][2:7] == [None] * 5
    assert rows["broken_guide"][2:7] == [None] * 5
    assert rows["auto_normal"][7] == "not converged"


def test_an_elbo_over_a_larger_space_says_so(page: Page) -> None:
    fit = replace(page.fits[0], bound="augmented", status=Status.MAX_STEPS)
    found = summary.elbo(fit)
    assert found is not None
    assert found.mark == "not converged, bound over a larger space"
    assert summary.elbo(replace(fit, bound="none")) is None


def test_a_difference_from_a_bound_over_a_larger_space_comes_with_a_word(page: Page) -> None:
    def last(comparison: Comparison) -> object:
        block = differences.build(Page(comparison=comparison, problem=page.problem))
        assert block is not None
        return block[-1]

    assert isinstance(last(page.comparison), Details)
    path = replace(page.comparison["mean_field"], bound="augmented")
    changed = tuple(path if fit.guide == "mean_field" else fit for fit in page.fits)
    assert str(last(replace(page.comparison, fits=changed))).startswith(
        "The bound of mean_field is over a larger space"
    )


def test_columns_that_would_be_empty_are_left_out(page: Page) -> None:
    assert list(summary.table(page).columns) == list(summary.COLUMNS)
    bare = page_of({}, metrics=(MetricValue(metric="elbo", value=-1.0),))
    left = [name for name in summary.COLUMNS if name not in summary.OPTIONAL]
    assert list(summary.table(bare).columns) == left
    assert len(summary.table(bare).rows[0]) == len(left)


def starts(*elbos: float | None) -> tuple[Restart, ...]:
    return tuple(
        Restart(index=i, status=Status.CONVERGED, loss=1.0, elbo=elbo, elbo_mcse=0.01) for i, elbo in enumerate(elbos)
    )


@pytest.mark.parametrize(
    ("elbos", "detail", "mark"),
    [
        ((-5.0, -5.2, -5.1), "restart sd 3.4e+20", ""),
        ((-5.0, -5.2, -3e20), "restart sd 0.14", "1 of 3 starts far below"),
        ((-5.0, -5.2, math.nan), "restart sd 0.14", "1 of 3 starts far below"),
        ((-5.0, -50.0, -math.inf), "", "2 of 3 starts far below"),
        ((math.nan, math.nan), "", "2 of 2 starts far below"),
        ((), "restart sd 3.4e+20", ""),
    ],
)
def test_a_broken_start_is_not_averaged_with_the_others(elbos: tuple[float, ...], detail: str, mark: str) -> None:
    metrics = (MetricValue(metric="elbo", value=-5.0), MetricValue(metric="elbo_restart_sd", value=3.4e20))
    page = page_of({}, metrics=metrics, restarts=starts(*elbos))
    assert summary.elbo(page.fits[0]) == Number(-5.0, detail=detail, mark=mark)
    told = any("nat below the best one" in note for note in summary.notes(page.fits, page.problem))
    assert told is bool(mark)


def shares(*pairs: tuple[float, float], dropped: float = 0.0) -> tuple[MetricValue, ...]:
    found = [MetricValue(metric="dropped_mass", value=dropped)]
    for number, pair in enumerate(pairs, start=1):
        for name, value in zip(("expected", "given"), pair, strict=True):
            found.append(MetricValue(metric=f"dropped_mass_{name}", variable=f"mode {number}", value=value))
    return tuple(found)


def test_modes_are_listed_with_who_has_draws_at_them() -> None:
    page = page_of({}, metrics=shares((0.7, 1.0), (0.3, 0.0), dropped=0.3))
    note, table = summary.modes(page)
    assert isinstance(note, Note)
    assert note.tone == "warning"
    assert note.text.startswith("A search before training found 2 modes of the posterior. Hardly any draws of g are")
    assert isinstance(table, Table)
    assert table.columns == ["share at", "mode 1", "mode 2"]
    assert table.rows[0] == ["posterior (estimate)", "70 %", "30 %"]
    assert table.rows[1][1:] == ["100 %", "0 %"]


def test_modes_without_a_gap_are_no_warning_and_one_mode_is_not_mentioned() -> None:
    note, _ = summary.modes(page_of({}, metrics=shares((0.7, 0.68), (0.3, 0.32))))
    assert isinstance(note, Note)
    assert note.tone == "info"
    assert summary.modes(page_of({}, metrics=(MetricValue(metric="dropped_mass", value=0.0),))) == []
    assert summary.modes(page_of({}, metrics=shares((0.7, 0.7))[:2])) == []


def test_remarks_are_sentences() -> None:
    fit = page_of({}, reason="It is far away", message="3 steps skipped").fits[0]
    assert summary.remark(fit) == "It is far away. 3 steps skipped."
    assert summary.remark(replace(fit, message="a point has no intervals")) == (
        "It is far away. A point has no intervals."
    )


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
    def refuse(*given: Any) -> str:
        raise RuntimeError("no idea")

    monkeypatch.setattr("guidebench.analysis.recommendation.recommend", refuse)
    (note,) = summary.conclusion(page)
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
    found = data.observations(page_of({**groups, "observed_data": observed}), "y")
    assert found["sd"].tolist() == [1.0, 0.0]
    assert found["source"].unique().tolist() == ["predictive sd of g"]
    assert found["x"].tolist() == [0, 1]
    assert data.observations(page_of(groups), "y").empty


# Loss -------------------------------------------------------------------------------------------


def test_block_means_skip_what_is_not_finite() -> None:
    means, errors = loss.block_means(np.array([[1.0, 3.0, np.nan, 5.0, np.nan, np.inf]]), np.array([0, 2, 4, 6]))
    np.testing.assert_allclose(means, [[2.0, 5.0, np.nan]])
    np.testing.assert_allclose(errors, [[1.0, 0.0, np.nan]])


def test_blocks_are_even_or_grow_with_the_step() -> None:
    assert loss.block_edges(3).tolist() == [0, 1, 2, 3]
    assert loss.block_edges(111, without_noise=11).tolist() == [*range(12), 36, 61, 86, 111]
    assert loss.block_edges(11, without_noise=11).tolist() == list(range(12))
    assert len(loss.block_edges(20_000, without_noise=500)) <= 2 * loss.BLOCKS + 1
    even, growing = loss.block_edges(4000), loss.block_edges(4000, log=True)
    assert set(np.diff(even)) == {20}
    assert growing[0] == 0
    assert growing[-1] == 4000
    assert np.diff(growing)[0] == 1
    assert np.diff(growing)[-1] > 400


def test_losses_and_their_gaps() -> None:
    steps = {"step": np.arange(1, 4)}
    training = xr.Dataset({"loss": (("restart", "step"), [[9.0, 6.0, 5.0], [8.0, 4.0, 2.0]])}, coords=steps)
    page = page_of({"training": training}, best=1)
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


@pytest.mark.usefixtures("look")
def test_several_rounds_are_told_and_no_block_goes_across_one() -> None:
    training = xr.Dataset({"loss": (("restart", "step"), np.ones((1, 12_000)))})
    page = page_of({"training": training}, steps=12_000, rounds=(4000, 8000))
    assert loss.round_starts(page.fits[0]) == [4000]
    told = loss.several_rounds(page.fits)
    assert told is not None
    assert "More than one round: g (12,000 steps)." in told
    assert loss.several_rounds(page_of({}, steps=12_000).fits) is None
    assert 4000 in loss.block_edges(12_000, cuts=[4000])
    assert 4000 in loss.block_edges(12_000, log=True, cuts=[4000])
    assert len(loss.build(page)[1].tabs) == 3


# Parameters -------------------------------------------------------------------------------------


def test_the_coordinates_of_the_parameters_are_told(page: Page) -> None:
    told = parameters.coordinates(page.fits)
    assert told is not None
    own, diagonal, affine = told.items
    assert own.startswith("auto_delta: the model as it is written")
    assert diagonal.startswith("mean_field, auto_normal and auto_iaf_normal: standardised coordinates z, each")
    assert affine.startswith("auto_multivariate_normal and auto_laplace_approximation: standardised")
    assert parameters.coordinates(page_of({}).fits) is None


def test_paths_by_kind_without_the_empty_triangle() -> None:
    tril = np.zeros((2, 2, 2))
    tril[:, 0, 0], tril[:, 1, 0], tril[:, 1, 1] = [1, 2], [0, 3], [1, 4]
    dataset = xr.Dataset(
        {"auto_loc": (("snapshot", "d"), [[0.0, 0.5], [1.0, 2.0]]), "auto_scale_tril": (("snapshot", "i", "j"), tril)},
        coords={"snapshot": [10, 20]},
    )
    page = page_of({"training_parameters": dataset})
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


def test_the_guides_are_listed_with_their_coordinates(page: Page) -> None:
    table = provenance.guides(page)
    cells = {row[0].text: row[table.columns.index("coordinates")] for row in table.rows if isinstance(row[0], Key)}
    assert cells["auto_delta"] == "own"
    assert cells["auto_multivariate_normal"] == "affine"
    assert cells["broken_guide"] is None
    told = provenance.standardising(page.fits)
    assert told is not None
    assert "u = m + F z" in told
    assert provenance.standardising(page_of({}, coordinates="own").fits) is None


def test_times_of_simulations_are_listed_where_there_are_some() -> None:
    (bare,) = numbers.times(page_of({}))
    assert bare.columns[-1] == "scoring (s)"
    (timed,) = numbers.times(page_of({}, simulate_s=3.0))
    assert timed.columns[-1] == "simulations (s)"
    assert timed.rows[0][-1] == Number(3.0, digits=2)


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
