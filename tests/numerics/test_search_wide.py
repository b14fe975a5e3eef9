"""The search of many coordinates: means and scales that algebra knows, several modes, and bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jaxtyping import Array

from guidebench.contracts import Problem
from guidebench.inference.arguments import Arguments
from guidebench.inference.large import explore_large
from guidebench.inference.modes import MOST_DIMENSIONS, Landscape
from guidebench.inference.nuts import chain_starts
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from tests.numerics.referenced import workbench

DIM = 600


def search(model: Callable[[], None], starts: int = 8, seed: int = 0) -> Landscape:
    arguments = Arguments()
    target = Target.of(model, arguments, inspect_model(model, arguments))
    assert target.dim > MOST_DIMENSIONS
    points = np.random.default_rng(seed).uniform(-2, 2, (starts, target.dim))
    return explore_large(target, points, {}, seed)


SCALES = np.logspace(-3, 3, DIM)
MEAN = 3 * SCALES * np.where(np.arange(DIM) % 2, 1, -1)


def independent() -> None:
    numpyro.sample("x", dist.Normal(jnp.asarray(MEAN), jnp.asarray(SCALES)).to_event(1))


def test_independent_coordinates_are_found_exactly() -> None:
    found = search(independent)
    assert found.best is not None
    assert found.best.factor.shape == (DIM,)
    np.testing.assert_allclose((found.best.mean - MEAN) / SCALES, 0, atol=0.01)
    np.testing.assert_allclose(found.best.factor, SCALES, rtol=1e-6)
    assert found.best.elbo == pytest.approx(0, abs=0.1)
    (mode,) = found.modes
    assert mode.log_mass == pytest.approx(0, abs=0.1)
    assert found.described() == "8 starts, 1 mode, probably all"


def chain() -> None:
    """A random walk that is seen with noise: neighbours are correlated by 0.87."""
    x = numpyro.sample("x", dist.GaussianRandomWalk(0.3, num_steps=DIM))
    numpyro.sample("y", dist.Normal(x, 1.0).to_event(1), obs=jnp.sin(jnp.arange(DIM) / 20.0))


def test_scales_are_those_given_all_other_coordinates() -> None:
    found = search(chain)
    steps = np.eye(DIM) - np.eye(DIM, k=-1)
    precision = steps.T @ steps / 0.09 + np.eye(DIM)
    mean = np.linalg.solve(precision, np.sin(np.arange(DIM) / 20.0))
    assert found.best is not None
    # Signs meet in two neighbours: the estimate of 2 / 0.09 + 1 has an sd of sqrt(2 / 16) / 0.09.
    np.testing.assert_allclose(found.best.factor, np.diag(precision) ** -0.5, rtol=0.5)
    assert np.median(found.best.factor) == pytest.approx(np.median(np.diag(precision) ** -0.5), rel=0.05)
    np.testing.assert_allclose(found.best.mean, mean, atol=0.02)
    assert len(found.modes) == 1
    y = np.sin(np.arange(DIM) / 20.0)
    covariance = 0.09 * np.linalg.inv(steps.T @ steps) + np.eye(DIM)
    evidence = -(DIM * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + y @ np.linalg.solve(covariance, y)) / 2
    short = (
        np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]
    ) / 2  # of the best independent Gaussians
    # Scales that were found with 32 draws fit these a little.
    assert evidence - short - 4 < found.best.elbo < evidence - short + 0.5


def two() -> None:
    """All coordinates are near 0, but the first, which is near 4 or near -4."""
    x = numpyro.sample("x", dist.Normal(0.0, 1.0).expand([DIM]).to_event(1))
    numpyro.factor("sides", jnp.logaddexp(-4 * (x[0] - 4) ** 2, -4 * (x[0] + 4) ** 2))


def test_two_modes_that_differ_in_one_coordinate_are_two() -> None:
    found = search(two)
    assert sorted(float(mode.location[0]) for mode in found.modes) == pytest.approx([-32 / 9, 32 / 9], abs=0.01)
    assert found.modes[0].log_mass == pytest.approx(found.modes[1].log_mass, abs=0.1)
    starts = chain_starts(found, np.zeros((4, DIM)), 4, 0)
    assert len(set(np.sign(starts.centres[:, 0]))) == 2
    assert np.abs(starts.noise).max() < 1.5


def two_walks() -> None:
    """Two modes of the same mass, apart in one coordinate, of a walk whose neighbours are correlated."""
    x = numpyro.sample("x", dist.GaussianRandomWalk(0.3, num_steps=DIM))
    numpyro.sample("y", dist.Normal(x, 1.0).to_event(1), obs=jnp.zeros(DIM))
    side = numpyro.sample("side", dist.Normal(0.0, 10.0))
    numpyro.factor("sides", jnp.logaddexp(-4 * (side - 4) ** 2, -4 * (side + 4) ** 2))


def test_modes_of_the_same_mass_have_the_same_share_however_many_other_coordinates_there_are() -> None:
    found = search(two_walks)
    assert len(found.modes) == 2
    assert found.modes[0].log_mass == pytest.approx(found.modes[1].log_mass, abs=2.0)


def hidden() -> None:
    """An autoregressive path in shocks of its own: where these have no effect at all, there is another mode."""
    rng = np.random.default_rng(4)
    state, seen = 0.0, []
    for _ in range(DIM):
        state = 0.8 * state + 0.5 * rng.standard_normal()
        seen.append(state + 0.5 * rng.standard_normal())
    rho = numpyro.sample("rho", dist.Uniform(-1.0, 1.0))
    step, noise = (numpyro.sample(name, dist.HalfNormal(1.0)) for name in ("step", "noise"))
    shock = numpyro.sample("shock", dist.Normal(0.0, 1.0).expand([DIM]).to_event(1))

    def move(before: Array, own: Array) -> tuple[Array, Array]:
        here = rho * before + step * own
        return here, here

    _, states = jax.lax.scan(move, jnp.zeros(()), shock)
    numpyro.sample("y", dist.Normal(states, noise).to_event(1), obs=jnp.asarray(seen))


@pytest.mark.parametrize("seed", [0, 2])
def test_wherever_the_climbs_end_the_best_gaussian_is_where_the_mass_is(seed: int) -> None:
    """At the mode of this posterior the best independent Gaussians are some 60 nats below those of other places."""
    found = search(hidden, seed=seed)
    assert found.best is not None
    assert found.best.elbo > -830
    # What has a share of exp(-60) is none of several modes that matter, however high it is.
    assert len(found.modes) == 1 or all(mode.log_mass > found.best.elbo - 10 for mode in found.modes)


def test_a_density_that_rises_for_ever_has_nothing_to_find() -> None:
    def slope() -> None:
        x = numpyro.sample("x", dist.ImproperUniform(dist.constraints.real, (DIM,), ()))
        numpyro.factor("up", jnp.sum(x))

    found = search(slope, starts=2)
    assert found.modes == ()
    assert found.best is None or np.isfinite(found.best.elbo)


def test_ten_thousand_coordinates_take_bounded_memory() -> None:
    many = 10_000

    def model() -> None:
        numpyro.sample("x", dist.Normal(2.0, 0.1).expand([many]).to_event(1))

    tracemalloc.start()
    found = search(model)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.best is not None
    np.testing.assert_allclose(found.best.factor, 0.1, rtol=1e-6)
    assert peak < 200e6  # a matrix of second derivatives would take 800 MB


def test_a_problem_of_many_coordinates_is_prepared_from_both_kinds_of_starts() -> None:
    prepared = workbench(Problem(name="wide", model=chain), reference="none").prepared
    assert prepared.landscape is not None
    assert prepared.record.search == "8 starts, 1 mode, probably all"
    assert prepared.points is not None
    assert prepared.points.shape == (4, DIM)


def effects() -> None:
    """A hierarchy without a mode: as tau falls, all effects move together and the density rises for ever."""
    tau = numpyro.sample("tau", dist.HalfNormal(1.0))
    with numpyro.plate("group", DIM):
        theta = numpyro.sample("theta", dist.Normal(0.0, tau))
        numpyro.sample("y", dist.Normal(theta, 1.0), obs=1.5 * jnp.sin(1.7 * jnp.arange(DIM)))


def test_in_a_hierarchy_the_best_gaussian_is_far_from_where_the_density_is_unbounded() -> None:
    """Given tau the effects are N(y tau^2 / (1 + tau^2), tau^2 / (1 + tau^2)); tau is near sqrt(var(y) - 1)."""
    found = search(effects)
    assert found.best is not None
    y = 1.5 * np.sin(1.7 * np.arange(DIM))
    grid = np.linspace(-6, 1.5, 4_001)
    spread = 1 + np.exp(2 * grid)
    log_joint = np.log(2 / np.sqrt(2 * np.pi)) - np.exp(2 * grid) / 2 + grid
    log_joint += -DIM / 2 * np.log(2 * np.pi * spread) - np.sum(y**2) / 2 / spread
    weights = np.exp(log_joint - log_joint.max())
    log_tau = np.sum(weights * grid) / weights.sum()
    sd = np.sqrt(np.sum(weights * (grid - log_tau) ** 2) / weights.sum())
    assert log_tau - 4 * sd < found.best.mean[0] < log_tau + 4 * sd
    shrunk = np.exp(2 * found.best.mean[0]) / (1 + np.exp(2 * found.best.mean[0]))
    np.testing.assert_allclose(found.best.mean[1:], y * shrunk, atol=0.1)
    ratios = found.best.factor[1:] / np.sqrt(shrunk)
    # Random signs meet in the cross derivative of each effect with log(tau): these are estimates.
    assert np.median(ratios) == pytest.approx(1, abs=0.03)
    assert np.quantile(np.abs(ratios - 1), 0.9) < 0.15
    evidence = log_joint.max() + np.log(weights.sum() * (grid[1] - grid[0]))
    assert evidence - 8 < found.best.elbo < evidence
