"""A trained guide held against data that are others: it speaks up where they have drifted, and is quiet elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import guidebench as gb
from guidebench.api import Trained
from guidebench.results import Verdict

ROWS, NOISE, PRIOR = 100, 0.5, 5.0


def line(x: Any, y: Any = None) -> None:
    a = numpyro.sample("a", dist.Normal(0, PRIOR))
    b = numpyro.sample("b", dist.Normal(0, PRIOR))
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(a + b * x, NOISE), obs=y)


def data(seed: int, slope: float = 2.0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=ROWS)
    return {"x": x, "y": 1 + slope * x + NOISE * random.normal(size=ROWS)}


def moments(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and sds of the exact posterior of intercept and slope."""
    design = np.column_stack([np.ones(len(x)), x])
    covariance = np.linalg.inv(design.T @ design / NOISE**2 + np.eye(2) / PRIOR**2)
    return covariance @ design.T @ y / NOISE**2, np.sqrt(np.diag(covariance))


@pytest.fixture(scope="module")
def trained() -> Trained:
    run = gb.compare(line, **data(0), guides="auto_multivariate_normal", reference="none", progress=False)
    return run["auto_multivariate_normal"].trained


def test_a_slope_that_drifts_ends_the_trust_before_a_mean_is_a_fifth_of_an_sd_off(trained: Trained) -> None:
    first = data(0)
    mean, sd = moments(**first)
    assert trained.recheck(first).verdict is Verdict.TRUST
    drifting = {"x": first["x"], "y": first["y"] + 0.2 * sd[1] * first["x"]}
    assert (np.abs(moments(**drifting)[0] - mean) / sd).max() == pytest.approx(0.2, abs=0.01)
    told = trained.recheck(drifting)
    assert told.verdict is not Verdict.TRUST
    assert told.drifted is False  # by chance alone other data of this kind would move it further


def test_a_slope_that_chance_does_not_explain_has_drifted(trained: Trained) -> None:
    told = trained.recheck(data(1, slope=2.5))
    assert told.drifted
    assert told.moved is not None
    mean, sd = (one[1] for one in moments(**data(1, slope=2.5)))
    before = moments(**data(0))[0][1]
    assert told.moved["b"] == pytest.approx((mean - before) / (np.sqrt(2) * sd), rel=0.05)


@pytest.mark.slow
def test_it_is_quiet_about_twenty_data_sets_of_the_same_kind(trained: Trained) -> None:
    told = [trained.recheck(data(seed)) for seed in range(100, 120)]
    assert not any(one.drifted for one in told)
    # As a p-value has to be: neither all small nor all large.
    values = np.array([one.p_value for one in told], float)
    assert 0.25 < values.mean() < 0.75
