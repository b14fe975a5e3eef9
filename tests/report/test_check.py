"""The check of the model: shares and p-values against numbers worked out by hand, and a model that is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from guidebench.report.content import Figure, Number, Table
from guidebench.report.page import Block, Page
from guidebench.report.sections import check
from tests.report.pages import draws, page_of


def test_shares_at_most_as_large() -> None:
    found = check.shares(np.array([[3.0, 1.0], [2.0, 2.0]]), np.array([0.0, 1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(found, [[0, 0.5, 0.5, 1], [0, 0, 1, 1]])


def test_p_values_count_ties_half() -> None:
    sets = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 4.0], [-1.0, 0.0]])  # means 1, 1, 3, -0.5
    found = check.p_values(np.array([0.0, 2.0]), sets)
    assert found == {"mean": 0.25 + 0.25, "sd": 0.0 + 0.25, "least": 0.5 + 0.125, "largest": 0.25 + 0.125}


def page_with(y: np.ndarray, rng: np.random.Generator) -> Page:
    """A guide that predicts standard normal data."""
    groups = {
        "posterior": draws(a=rng.normal(size=500)),
        "posterior_predictive": xr.Dataset({"y": (("chain", "draw", "n"), rng.normal(size=(1, 500, y.size)))}),
        "observed_data": xr.Dataset({"y": ("n", y)}),
    }
    return page_of(groups, problem={"observed": ("y",)})


@pytest.mark.parametrize(("scale", "seed"), [(1.0, 1), (3.0, 2)])
def test_a_model_with_too_little_noise_is_marked_and_a_right_one_is_not(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    built = check.build(page_with(scale * rng.normal(size=200), rng))
    assert isinstance(built, Block)
    items = list(built)
    assert any(isinstance(one, Figure) for one in items)
    (table,) = (one for one in items if isinstance(one, Table))
    ((_, mean, sd, _, largest),) = table.rows
    assert isinstance(mean, Number)
    assert isinstance(sd, Number)
    assert isinstance(largest, Number)
    assert bool(sd.mark) == (scale > 1)
    assert bool(largest.mark) == (scale > 1)
    assert not mean.mark or scale > 1


def test_without_data_that_can_be_compared_there_is_no_section() -> None:
    rng = np.random.default_rng(0)
    assert check.build(page_with(np.array([1.0]), rng)) is None
    assert check.build(page_with(np.array([1.0, np.nan, 0.0]), rng)) is None
