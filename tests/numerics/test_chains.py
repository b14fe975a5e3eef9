"""Chains from a guide's draws, on posteriors whose moments are known: they stay where the guide is right, and leave it
where it is wrong; what they do not know they do not claim."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from guidebench.inference.arguments import Arguments
from guidebench.inference.chains.halves import Half, change, remembered
from guidebench.inference.chains.moves import CHAINS, Moves
from guidebench.inference.chains.run import Settled, run_chains
from guidebench.inference.chains.whitening import by_moments
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from guidebench.results.noise import allowance

BUDGET = 400_000


def moves(model: Callable[..., Any]) -> Moves:
    arguments = Arguments.split(model, {})
    return Moves(Target.of(model, arguments, inspect_model(model, arguments)), {})


@cache
def gaussian(dim: int) -> Moves:
    return moves(lambda: numpyro.sample("x", dist.Normal(0.0, 1.0).expand([dim]).to_event(1)))


def draws(dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((4_000, dim))


def moments(found: Settled, site: str = "x") -> tuple[np.ndarray, np.ndarray]:
    """Return means and sds of the draws of a site, over chains and time."""
    flat = found.latents[site].reshape(-1, *found.latents[site].shape[2:])
    return flat.mean(axis=0), flat.std(axis=0)


@pytest.mark.parametrize("scale", [1.0, 0.6, 1.5, pytest.param(0.9, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dim", [10, 300])
def test_chains_settle_on_the_posterior_however_wide_the_guide(dim: int, scale: float) -> None:
    found = run_chains(gaussian(dim), scale * draws(dim), 1, BUDGET)
    assert found.settled, found.note
    mean, sd = moments(found)
    assert np.abs(mean).max() < 0.09
    assert np.abs(sd - 1).max() < 0.09
    assert found.gradients <= BUDGET


def test_one_mean_of_many_that_is_off_comes_back() -> None:
    start = draws(300)
    start[:, 17] += 0.3
    found = run_chains(gaussian(300), start, 1, BUDGET)
    assert found.settled, found.note
    assert abs(moments(found)[0][17]) < 0.09


def test_independent_draws_of_a_narrow_ridge_are_repaired() -> None:
    covariance = np.array([[1.0, 0.999], [0.999, 1.0]])
    ridge = moves(
        lambda: numpyro.sample("x", dist.MultivariateNormal(jnp.zeros(2), covariance_matrix=jnp.asarray(covariance)))
    )
    narrow = draws(2) / np.sqrt(np.diag(np.linalg.inv(covariance)))  # the best mean-field guide: 4 % of the sds
    found = run_chains(ridge, narrow, 0, BUDGET)
    assert found.settled, found.note
    mean, sd = moments(found)
    assert np.abs(mean).max() < 0.07
    assert np.abs(sd - 1).max() < 0.07
    x = found.latents["x"].reshape(-1, 2)
    assert np.corrcoef(x.T)[0, 1] == pytest.approx(0.999, abs=5e-4)


def test_a_random_walk_gets_the_sds_of_linear_algebra() -> None:
    dim = 200
    precision = np.eye(dim) * 9 - 4 * np.eye(dim, k=1) - 4 * np.eye(dim, k=-1)
    precision[0, 0] = precision[-1, -1] = 5
    covariance = np.linalg.inv(precision)

    def walk() -> None:
        with numpyro.handlers.mask(mask=False):
            x = numpyro.sample("x", dist.Normal(0.0, 1.0).expand([dim]).to_event(1))
        numpyro.factor("walk", -2 * jnp.sum((x[1:] - x[:-1]) ** 2) - 0.5 * jnp.sum(x**2))

    best_independent = draws(dim) / np.sqrt(np.diag(precision))
    found = run_chains(moves(walk), best_independent, 0, BUDGET)
    assert found.settled, found.note
    assert np.abs(moments(found)[1] / np.sqrt(np.diag(covariance)) - 1).max() < 0.07


def test_bounded_sites_come_in_their_own_coordinates() -> None:
    both = moves(lambda: (numpyro.sample("s", dist.HalfNormal(2.0)), numpyro.sample("p", dist.Beta(2.0, 5.0))))
    start = np.column_stack([0.3 * draws(1) + 0.5, 0.5 * draws(1, 1) - 1])
    found = run_chains(both, start, 0, BUDGET)
    assert found.settled, found.note
    for site, true in (("s", dist.HalfNormal(2.0)), ("p", dist.Beta(2.0, 5.0))):
        mean, sd = moments(found, site)
        spread = float(true.variance) ** 0.5
        assert abs(mean - float(true.mean)) < 0.06 * spread
        assert sd == pytest.approx(spread, rel=0.06)


def test_tails_without_a_fourth_moment_are_not_claimed_to_be_known() -> None:
    heavy = moves(lambda: numpyro.sample("x", dist.StudentT(2.5, 0.0, 1.0).expand([3]).to_event(1)))
    found = run_chains(heavy, draws(3), 0, BUDGET)
    assert not found.settled
    assert "known no better" in found.note or "still move" in found.note
    assert found.latents == {}


def test_a_posterior_without_an_end_never_settles() -> None:
    def flat() -> None:
        numpyro.sample("x", dist.ImproperUniform(dist.constraints.real, (), (2,)))

    found = run_chains(moves(flat), draws(2), 0, 100_000)
    assert not found.settled


def test_the_budget_is_kept() -> None:
    found = run_chains(gaussian(300), draws(300), 0, 10_000)
    assert not found.settled
    assert found.gradients < 10_000 + 2 * 48 * CHAINS
    assert "their 10,000 gradients were spent" in found.note
    assert found.unknown == ("x",)


def test_of_a_slow_site_and_a_quick_one_the_slow_one_is_named() -> None:
    def two() -> None:
        numpyro.sample("quick", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
        numpyro.sample("slow", dist.StudentT(2.2, 0.0, 1.0).expand([3]).to_event(1))

    found = run_chains(moves(two), draws(6), 0, 60_000)
    assert not found.settled
    assert found.unknown == ("slow",)


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second = (run_chains(gaussian(10), draws(10), 3, BUDGET) for _ in range(2))
    np.testing.assert_array_equal(first.latents["x"], second.latents["x"])


# -- halves


def half(points: np.ndarray) -> Half:
    """Return what is seen of chains at points of shape ``(C, T, K)``."""
    return Half(points.sum(axis=1), (points**2).sum(axis=1), points.shape[1])


def test_errors_of_changes_are_those_of_noise() -> None:
    rng = np.random.default_rng(0)
    first, second = (half(rng.standard_normal((CHAINS, 8, 4_000))) for _ in range(2))
    found = change(first, second, np.zeros(4_000) + 1e-300)
    assert np.std(found.mean / found.mean_error) == pytest.approx(1, rel=0.05)
    assert np.std(found.sd / found.sd_error) == pytest.approx(1, rel=0.05)


def test_autocorrelation_within_chains_is_in_the_errors() -> None:
    rng = np.random.default_rng(0)
    slow = np.repeat(rng.standard_normal((CHAINS, 1, 500)), 8, axis=1)  # chains that do not move at all
    found = change(half(slow), half(np.repeat(rng.standard_normal((CHAINS, 1, 500)), 8, axis=1)), np.full(500, 1e-300))
    assert np.median(found.mean_error) == pytest.approx((2 / CHAINS) ** 0.5, rel=0.1)


def test_what_is_remembered_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    first, fresh = (rng.standard_normal((CHAINS, 3_000)) for _ in range(2))
    assert remembered(first, fresh, fresh) < 0.05
    one = fresh.copy()
    one[:, 5] = first[:, 5]
    assert remembered(first, one, fresh) > 0.5
    # A little of every quantity: no single one stands out, all of them together do.
    assert remembered(first, 0.25 * first + fresh, fresh) > 0.15


def test_a_direction_that_no_single_quantity_shows_is_remembered() -> None:
    rng = np.random.default_rng(0)
    slow = rng.standard_normal((CHAINS, 1)) @ np.ones((1, 40)) / 3
    first, last, middle = (slow + rng.standard_normal((CHAINS, 40)) for _ in range(3))
    assert remembered(first, last, middle) > 0.5


def test_the_allowance_is_that_of_the_largest_of_normals() -> None:
    rng = np.random.default_rng(0)
    for count in (10, 1_000, 10_000):
        largest = np.abs(rng.standard_normal((200, count))).max(axis=1)
        assert np.mean(largest) < allowance(count) * 1.1
    assert allowance(1) == 2.0


def test_whitening_by_few_draws_is_positive_definite() -> None:
    found = by_moments(draws(100)[:60], dense=True)
    assert np.isfinite(found.factor).all()
    assert (np.diag(found.factor) > 0).all()
