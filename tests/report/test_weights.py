"""Where weights are large: in the tails of a guide that is too narrow, and in nothing where it is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from guidebench.contracts import MetricValue
from guidebench.report.content import Figure, Table
from guidebench.report.drawing import style
from guidebench.report.page import Page
from guidebench.report.sections import weights
from guidebench.results import ModeRecord
from tests.report.pages import draws, page_of

METRICS = (MetricValue(metric="khat", value=0.6, mcse=0.1), MetricValue(metric="ess_share", value=0.2))


def page(sd: float, **problem: Any) -> Page:
    """Draws of N(0, 1) for a posterior that is N(0, sd) in one of two coordinates."""
    x = np.random.default_rng(0).normal(size=(1, 4000, 2))
    log_weight = norm.logpdf(x[..., 1], scale=sd) - norm.logpdf(x[..., 1])
    groups = {
        "posterior": xr.Dataset({"w": (("chain", "draw", "d"), x)}),
        "sample_stats": xr.Dataset({"log_weight": (("chain", "draw"), log_weight)}),
    }
    return page_of(groups, {"latents": ("w",), **problem}, metrics=METRICS)


def test_the_largest_weights_of_a_guide_that_is_too_narrow_lie_in_its_tails() -> None:
    one = page(1.5)
    own = weights._weighed(one, one.fits[0])
    assert own is not None
    assert own.at.name == "w[1]"
    # Of N(0, 1) beyond its 1 % quantiles the root mean square is 2.92; N(0, 1.5) has the mass that they carry.
    assert own.distance == pytest.approx(2.9, abs=0.15)
    assert own.heaviest == pytest.approx(2 * norm.sf(norm.isf(0.005), scale=1.5), rel=0.15)


def test_of_a_guide_that_is_right_all_weights_are_alike() -> None:
    one = page(1.0)
    own = weights._weighed(one, one.fits[0])
    assert own is not None
    assert own.heaviest == pytest.approx(0.01)
    assert own.distance < 1.5


def test_there_are_pictures_a_row_for_each_guide_and_the_modes() -> None:
    modes = tuple(ModeRecord(share=share, values={"w[0]": at}) for share, at in ((0.9, 0.0), (0.1, 12.0)))
    with style():
        block = weights.build(page(1.5, modes=modes, search="8 starts, 2 modes, probably all"))
    assert block is not None
    assert [item.name for item in block if isinstance(item, Figure)] == ["khat", "weights"]
    rows, found = (item for item in block if isinstance(item, Table))
    assert [rows.rows[0][at].value for at in (1, 2)] == pytest.approx([0.6, 20.0])
    assert rows.rows[0][4] == "w[1]"
    assert [cell.value for cell in found.rows[1][1:]] == pytest.approx([10.0, 12.0])
    assert "8 starts, 2 modes, probably all" in found.caption


def test_without_weights_and_with_one_mode_there_is_nothing() -> None:
    assert weights.build(page_of({"posterior": draws(a=np.arange(9.0))})) is None
