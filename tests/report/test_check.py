"""The check of the model: shares and p-values against numbers worked out by hand, and a model that is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from guidebench.report.content import Figure, Note, Number, Table
from guidebench.report.page import Block, Page
from guidebench.report.sections import check
from guidebench.results import Verdict
from tests.report.pages import draws, page_of


def test_shares_at_most_as_large() -> None:
    found = check.shares(np.array([[3.0, 1.0], [2.0, 2.0]]), np.array([0.0, 1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(found, [[0, 0.5, 0.5, 1], [0, 0, 1, 1]])


def test_p_values_count_ties_half() -> None:
    sets = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 4.0], [-1.0, 0.0]])  # means 1, 1, 3, -0.5
    found = check.p_values(np.array([0.0, 2.0]), sets)
    assert found == {"mean": 0.25 + 0.25, "sd": 0.0 + 0.25, "least": 0.5 + 0.125, "largest": 0.25 + 0.125}


@pytest.mark.parametrize(("size", "ones"), [(50, 17), (100, 37), (434, 150)])
def test_sums_in_another_order_are_ties(size: int, ones: int) -> None:
    rng = np.random.default_rng(size)
    y = (np.arange(size) < ones).astype(float)
    sets = np.stack([rng.permutation(y) for _ in range(200)])
    assert set(check.p_values(rng.permutation(y), sets).values()) == {0.5}
    # A point mass of which float32 holds another number, and numbers whose squares no float holds.
    y = np.maximum(rng.normal(size=size), 0.1)
    sets = np.maximum(rng.normal(size=(300, size)), 0.1).astype(np.float32)
    assert check.p_values(y, sets)["least"] == 0.5
    assert check.p_values(1e200 * y, 1e200 * sets.astype(float))["least"] == 0.5


def test_a_band_holds_nine_in_ten_curves_from_end_to_end() -> None:
    """Over data of a model that is right, the line of new data leaves it one time in ten."""
    rng = np.random.default_rng(0)
    at = np.linspace(-3, 3, 200)
    below, above = check.band(check.shares(rng.normal(size=(2_000, 100)), at))
    assert (below <= above).all()
    assert (0 <= below).all()
    assert (above <= 1).all()
    new = check.shares(rng.normal(size=(2_000, 100)), at)
    inside = np.mean(((new >= below - 1e-9) & (new <= above + 1e-9)).all(axis=1))
    assert inside == pytest.approx(0.9, abs=4 * np.sqrt(0.1 * 0.9 / 2_000) + 4 * np.sqrt(0.1 * 0.9 / 2_000))


def page_with(y: np.ndarray, rng: np.random.Generator, verdict: Verdict = Verdict.TRUST) -> Page:
    """A guide that predicts standard normal data."""
    groups = {
        "posterior": draws(a=rng.normal(size=500)),
        "posterior_predictive": xr.Dataset({"y": (("chain", "draw", "n"), rng.normal(size=(1, 500, y.size)))}),
        "observed_data": xr.Dataset({"y": ("n", y)}),
    }
    return page_of(groups, problem={"observed": ("y",)}, verdict=verdict)


def row(page: Page) -> list[Number]:
    built = check.build(page)
    assert isinstance(built, Block)
    items = list(built)
    assert any(isinstance(one, Figure) for one in items)
    (table,) = (one for one in items if isinstance(one, Table))
    ((_, *found),) = table.rows
    assert all(isinstance(one, Number) for one in found)
    return found  # type: ignore[return-value]


def test_a_model_with_too_little_noise_is_marked_and_a_right_one_is_not() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=200)
    assert [one.mark for one in row(page_with(y, rng))] == [""] * 4
    assert [bool(one.mark) for one in row(page_with(3 * (y - y.mean()), rng))] == [False, True, True, True]


def test_what_was_not_observed_is_left_out() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(size=200)
    whole = [one.value for one in row(page_with(y, np.random.default_rng(3)))]
    missing = [one.value for one in row(page_with(np.where(np.arange(200) < 20, np.nan, y), np.random.default_rng(3)))]
    assert missing == pytest.approx(whole, abs=0.35)
    assert missing != whole


@pytest.mark.parametrize("verdict", [Verdict.TRUST, Verdict.REFRESH, Verdict.DISTRUST])
def test_without_trust_a_misfit_is_not_laid_at_the_models_door(verdict: Verdict) -> None:
    rng = np.random.default_rng(4)
    built = check.build(page_with(rng.normal(size=200), rng, verdict))
    assert built is not None
    said = any(isinstance(one, Note) and "may be the guide's fault" in one.text for one in built)
    assert said == (verdict is not Verdict.TRUST)


def test_without_data_that_can_be_compared_there_is_no_section() -> None:
    rng = np.random.default_rng(0)
    assert check.build(page_with(np.array([1.0]), rng)) is None
    assert check.build(page_with(np.array([1.0, np.nan, np.inf]), rng)) is None
