"""Pathfinder as a guide: the Gaussian that BlackJAX draws from, and exact posteriors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import blackjax.vi.pathfinder as blackjax_pathfinder
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.stats import multivariate_normal

import guidebench as gb
from guidebench_pathfinder.pathfinder import GUIDE, fit, gaussian, taken

COVARIANCE = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, -0.2], [0.1, -0.2, 2.0]])
CENTER = np.array([3.0, -2.0, 1.0])


def log_density(sites: Any) -> Any:
    """A Gaussian over sites whose order by name is z[0], z[1], z[2] of the vector."""
    off = jnp.concatenate([jnp.atleast_1d(sites["a"]), sites["b"]]) - CENTER
    return -0.5 * off @ np.linalg.inv(COVARIANCE) @ off


def task(point: float = 0.0, seed: int = 0) -> gb.Task:
    start = {"b": jnp.full(2, point), "a": jnp.asarray(point)}
    return gb.Task(
        log_density=log_density,
        log_weight=lambda params, key: 0.0,
        start=start,
        params={"auto_loc": jnp.zeros(3), "auto_scale_tril": jnp.eye(3)},
        key=jax.random.key(seed),
    )


def test_the_gaussian_is_the_one_that_blackjax_draws_from() -> None:
    one = task()
    _, info = blackjax_pathfinder.approximate(one.key, log_density, dict(one.start), maxiter=20)
    compared = 0
    for index in range(8):
        state = jax.tree.map(lambda value, at=index: value[at], info.path)
        if not np.isfinite(state.elbo):
            continue
        drawn, log_q = blackjax_pathfinder.sample(jax.random.key(1), state, 20_000)
        draws = np.column_stack([drawn["a"], drawn["b"]])
        position, gradient = (
            np.concatenate([np.atleast_1d(part["a"]), part["b"]]) for part in (state.position, state.grad_position)
        )
        mean, factor = gaussian(position, gradient, state.alpha, state.beta, state.gamma)
        exact = multivariate_normal(mean, factor @ factor.T)
        # The densities of all draws agree, so both moments do.
        assert exact.logpdf(draws) == pytest.approx(np.asarray(log_q), abs=2e-2)
        compared += 1
    assert compared >= 3


def test_a_gaussian_is_found_from_anywhere() -> None:
    for point in (-3.0, 10.0):
        found = fit(task(point), num_samples=500)
        factor = np.asarray(found.params["auto_scale_tril"])
        assert found.converged
        # L-BFGS stops where the density hardly changes, which is not quite at the mode.
        assert np.asarray(found.params["auto_loc"]) == pytest.approx(CENTER, abs=0.05)
        assert factor @ factor.T == pytest.approx(COVARIANCE, abs=0.1)
        assert np.allclose(factor, np.tril(factor))
        # The ELBO of a Gaussian that is the posterior is its log normaliser.
        normaliser = 0.5 * np.log(np.linalg.det(2 * np.pi * COVARIANCE))
        assert -np.nanmin(found.losses) == pytest.approx(normaliser, abs=0.1)
        assert found.steps == len(found.losses) < 100


def test_a_path_that_is_cut_short_is_not_called_converged() -> None:
    found = fit(task(10.0), maxiter=2)
    assert (found.converged, found.steps) == (False, 2)


def test_the_end_of_a_path_is_where_it_stays() -> None:
    assert taken(np.array([[0.0], [1.0], [3.0], [3.0], [3.0]])) == 2
    assert taken(np.zeros((4, 2))) == 0


def test_a_covariance_that_is_none_is_not_a_number() -> None:
    zero = np.zeros((2, 2))
    _, factor = gaussian(np.zeros(2), np.zeros(2), np.array([1.0, -1.0]), zero, zero)
    assert np.isnan(factor).all()


@pytest.mark.parametrize("option", ["maxiter", "maxcor", "num_samples"])
def test_an_option_out_of_range_is_named(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be at least 1, not 0"):
        fit(task(), **{option: 0})


def test_large_posteriors_are_refused() -> None:
    assert GUIDE.supports is not None
    assert GUIDE.supports(SimpleNamespace(latent_dim=1_000)) is None
    assert "1,001 latent dimensions" in str(GUIDE.supports(SimpleNamespace(latent_dim=1_001)))


def test_declaring_it_loads_nothing_heavy() -> None:
    code = "import sys, guidebench_pathfinder; print([n for n in ('jax', 'blackjax', 'numpyro') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def regression(x: Any, y: Any) -> None:
    """A conjugate regression whose sites are not in the order of their names."""
    slopes = numpyro.sample("slopes", dist.Normal(0.0, 5.0).expand([2]).to_event(1))
    level = numpyro.sample("level", dist.Normal(0.0, 100.0))
    with numpyro.plate("n", x.shape[0]):
        numpyro.sample("y", dist.Normal(x @ slopes + 50 * level, 1.0), obs=y)


def test_it_takes_part_in_a_comparison(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((30, 2)) @ np.array([[1.0, 0.9], [0.0, 0.4]])
    y = x @ np.array([1.0, -2.0]) + 150.0 + rng.standard_normal(30)
    design = np.column_stack([x, np.full(30, 50.0)])
    prior = np.array([5.0, 5.0, 100.0])
    evidence = multivariate_normal(np.zeros(30), design @ np.diag(prior**2) @ design.T + np.eye(30)).logpdf(y)
    sds = np.sqrt(np.diag(np.linalg.inv(np.diag(prior**-2.0) + design.T @ design)))

    comparison = gb.compare(
        regression, x, y, guides="pathfinder:num_samples=400", restarts=2, reference="none", progress=False
    )
    fitted = comparison["pathfinder:num_samples=400"]
    assert (fitted.plugin, fitted.status, fitted.verdict) == ("guidebench-pathfinder", "converged", "trust")
    assert fitted.value("elbo") == pytest.approx(evidence, abs=0.02)
    found = [fitted.value("sd", name) for name in ("slopes[0]", "slopes[1]", "level")]
    assert np.array(found, float) == pytest.approx(sds, rel=0.1)
    assert fitted.method.startswith("L-BFGS climbs the posterior")
    assert "steps of L-BFGS, the best ELBO is that after step" in fitted.message

    trained = fitted.trained
    again = gb.load_guide(trained.save(tmp_path / "pathfinder"), regression, x, y)
    draws = trained.sample(seed=3, n=4000)
    for name, value in again.sample(seed=3, n=4000).items():
        np.testing.assert_array_equal(value, draws[name])
    weights = np.exp(again.log_weight(draws) - evidence)
    assert weights.mean() == pytest.approx(1, abs=4 * weights.std() / np.sqrt(len(weights)) + 1e-3)
