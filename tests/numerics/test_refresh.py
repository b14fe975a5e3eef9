"""Fits put to the test, by chains from their draws or by what the search found: what is repaired is right and kept."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import guidebench as gb
from guidebench.results import Verdict
from guidebench.results.inference_data import group

CORRELATION = 0.95


def ridge(y: float | None = None) -> None:
    covariance = jnp.array([[1.0, CORRELATION], [CORRELATION, 1.0]])
    x = numpyro.sample("x", dist.MultivariateNormal(jnp.zeros(2), covariance_matrix=covariance))
    numpyro.sample("y", dist.Normal(x.sum(), 50.0), obs=y)


#: The exact posterior of `ridge` at y = 10.
PRECISION = np.linalg.inv(np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])) + np.ones((2, 2)) / 2500
COVARIANCE = np.linalg.inv(PRECISION)
MEAN = COVARIANCE @ np.ones(2) * 10 / 2500


GUIDES = ["mean_field", "auto_multivariate_normal", "auto_delta"]


@pytest.fixture(scope="module")
def compared() -> gb.Comparison:
    """With draws of one's own as the reference, guides are put to the test by their chains, too."""
    exact = np.random.default_rng(3).multivariate_normal(MEAN, COVARIANCE, 20_000)
    return gb.compare(ridge, y=10.0, guides=GUIDES, reference={"x": exact}, steps=3000)


@pytest.fixture(scope="module")
def searched() -> gb.Comparison:
    """Without a reference, by what the search found."""
    return gb.compare(ridge, y=10.0, guides=GUIDES, reference="none", steps=3000)


@pytest.mark.parametrize("judged_by", ["compared", "searched"])
def test_a_guide_that_is_too_narrow_is_refreshed_and_one_that_is_right_is_trusted(
    judged_by: str, request: pytest.FixtureRequest
) -> None:
    found = request.getfixturevalue(judged_by)
    assert found["mean_field"].verdict is Verdict.REFRESH
    assert found["auto_multivariate_normal"].verdict is Verdict.TRUST
    assert found["auto_delta"].verdict is Verdict.POINT
    assert found["auto_delta"].chains is None


@pytest.mark.parametrize("judged_by", ["compared", "searched"])
def test_the_refreshed_moments_are_those_of_the_posterior(judged_by: str, request: pytest.FixtureRequest) -> None:
    fit = request.getfixturevalue(judged_by)["mean_field"]
    for index, sd in enumerate(np.sqrt(np.diag(COVARIANCE))):
        assert fit.value("sd", f"x[{index}]") < 0.5 * sd
        assert fit.value("sd_refreshed", f"x[{index}]") == pytest.approx(sd, rel=0.06)
        assert fit.value("mean_refreshed", f"x[{index}]") == pytest.approx(MEAN[index], abs=0.06 * sd)


def test_what_chains_cost_and_saw_is_said(compared: gb.Comparison) -> None:
    chains = compared["mean_field"].chains
    assert chains is not None
    assert chains.settled
    assert chains.note == ""
    assert 0 < chains.gradients <= 3000 * 10 * 4
    assert chains.remembered is not None
    assert chains.remembered < 0.15


def test_where_the_posterior_is_known_by_a_mixture_no_chains_are_run(searched: gb.Comparison) -> None:
    for name in ("mean_field", "auto_multivariate_normal"):
        fit = searched[name]
        assert fit.chains is not None
        assert (fit.chains.instead, fit.chains.chains, fit.chains.gradients) == ("mixture", 0, 0)
        assert "judging" not in fit.work
    assert searched["mean_field"].refreshed_by == "mixture"
    assert searched["mean_field"].own_verdict is Verdict.DISTRUST
    assert searched["auto_multivariate_normal"].refreshed_by == ""
    drawn = searched.posterior()
    assert drawn is not None
    assert drawn["posterior"].attrs["guide"] == "auto_multivariate_normal"


def test_refreshed_draws_are_kept_beside_the_guides_own(compared: gb.Comparison, tmp_path: Path) -> None:
    compared.save(tmp_path)
    fit = gb.load(tmp_path)["mean_field"]
    data = group(fit.inference_data, "refreshed")
    assert data is not None
    assert data.attrs["source"] == fit.refreshed_by == "chains"
    own = group(fit.inference_data, "posterior")
    assert own is not None
    assert (own.attrs["draws_judged"], own.attrs["draws_kept"]) == (fit.draws_judged, fit.draws_kept) == (40_000, 4_000)
    assert own.attrs["subset"] == "the first of those that were judged"
    draws = data["x"].to_numpy().reshape(-1, 2)
    assert np.corrcoef(draws.T)[0, 1] == pytest.approx(COVARIANCE[0, 1] / COVARIANCE[0, 0], abs=0.02)
    assert fit.chains == compared["mean_field"].chains
    assert fit.verdict is Verdict.REFRESH


def test_training_that_was_too_short_pays_for_no_chains() -> None:
    fit = gb.compare(ridge, y=10.0, guides=["mean_field"], reference="none", steps=50, restarts=1)["mean_field"]
    assert fit.chains is not None
    assert not fit.chains.settled
    assert "training took 500 gradients" in fit.chains.note
    assert group(fit.inference_data, "refreshed") is None


@pytest.mark.filterwarnings("ignore:model. The model observes nothing:UserWarning")
def test_no_gaussian_at_one_of_two_far_modes_is_trusted() -> None:
    def model() -> None:
        modes = dist.MixtureSameFamily(
            dist.Categorical(jnp.array([0.9, 0.1])),
            dist.Normal(jnp.array([[0.0], [12.0]]) * jnp.ones(5), 1.0).to_event(1),
        )
        numpyro.sample("x", modes)

    guides = ["mean_field", "auto_multivariate_normal", "auto_laplace_approximation"]
    found = gb.compare(model, guides=guides, reference="none")
    for fit in found:  # what is kept beside its draws is the mixture's, which knows both
        assert (fit.verdict, fit.own_verdict) == (Verdict.REFRESH, Verdict.DISTRUST), fit.reason
        data = group(fit.inference_data, "refreshed")
        assert data is not None
        assert data.attrs["source"] == fit.refreshed_by == "mixture"
        assert data["x"].shape == (1, 4_000, 5)
        assert float((data["x"] > 6).mean()) == pytest.approx(0.1, abs=0.02)
        assert "refreshed_mean_error" not in {one.metric for one in fit.metrics}
