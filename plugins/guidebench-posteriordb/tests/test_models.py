"""The parts of the models that are not NumPyro's, against sums and solvers that owe them nothing."""

from __future__ import annotations

from itertools import pairwise, product

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions.transforms import biject_to
from scipy.integrate import solve_ivp

from guidebench_posteriordb.models.hidden_markov import HiddenMarkov
from guidebench_posteriordb.models.priors import ordered, positive_ordered
from guidebench_posteriordb.models.series import solve

TRANSITION = np.asarray([[0.8, 0.2], [0.35, 0.65]])


@pytest.mark.parametrize("size", [1, 2, 3, 6, 9])
def test_the_forward_algorithm_sums_over_every_path(size: int) -> None:
    y = np.random.default_rng(size).normal(3, 2, size=size)
    means = np.asarray([1.0, 5.0])
    total = 0.0
    for path in product((0, 1), repeat=size):
        moves = np.prod([TRANSITION[before, after] for before, after in pairwise(path)])
        total += 0.5 * moves * np.prod(np.exp(-((y - means[list(path)]) ** 2) / 2) / np.sqrt(2 * np.pi))
    found = HiddenMarkov(jnp.asarray(TRANSITION), dist.Normal(means, 1), size).log_prob(jnp.asarray(y))
    assert found == pytest.approx(np.log(total), abs=2e-5)


def test_a_long_series_neither_underflows_nor_loses_its_gradient() -> None:
    y = jnp.asarray(np.random.default_rng(0).normal(3, 2, size=2_000))

    def density(means: jax.Array) -> jax.Array:
        return HiddenMarkov(jnp.asarray(TRANSITION), dist.Normal(means, 1), 2_000).log_prob(y)

    means = jnp.asarray([1.0, 5.0])
    value, gradient = jax.value_and_grad(density)(means)
    assert np.isfinite(value)
    step = 1e-2
    for index in range(2):
        shift = step * jnp.eye(2)[index]
        slope = (density(means + shift) - density(means - shift)) / (2 * step)
        assert gradient[index] == pytest.approx(float(slope), rel=0.02, abs=0.5)


def test_what_a_hidden_chain_draws_has_the_moments_of_its_stationary_law() -> None:
    chain = HiddenMarkov(jnp.asarray(TRANSITION), dist.Normal(jnp.asarray([0.0, 10.0]), 1), 60)
    draws = np.asarray(chain.sample(jax.random.key(0), (3_000,)))
    assert draws.shape == (3_000, 60)
    share = 0.2 / (0.2 + 0.35)  # of the second state
    last = draws[:, -1]
    assert last.mean() == pytest.approx(10 * share, abs=4 * last.std() / np.sqrt(3_000))
    after_second = last[draws[:, -2] > 5]
    assert (after_second > 5).mean() == pytest.approx(0.65, abs=4 * 0.5 / np.sqrt(len(after_second)))
    assert draws[:, 0].mean() == pytest.approx(5, abs=4 * 5 / np.sqrt(3_000))  # either may be the first


def test_a_chain_of_vectors_draws_vectors() -> None:
    rates = jnp.asarray([[1.0, 2.0], [3.0, 4.0]])
    chain = HiddenMarkov(jnp.asarray(TRANSITION), dist.Exponential(rates).to_event(1), 7)
    draws = chain.sample(jax.random.key(0), (5,))
    assert draws.shape == (5, 7, 2)
    assert np.isfinite(jax.vmap(chain.log_prob)(draws)).all()


@pytest.mark.parametrize("theta", [(0.55, 0.028, 0.80, 0.024), (0.9, 0.05, 1.2, 0.05)])
def test_the_populations_are_those_of_an_adaptive_solver(theta: tuple[float, ...]) -> None:
    a, b, c, d = theta
    start = np.asarray([33.0, 6.0])
    expected = solve_ivp(
        lambda _, z: [(a - b * z[1]) * z[0], (-c + d * z[0]) * z[1]],
        (0, 20),
        start,
        t_eval=np.arange(1, 21),
        rtol=1e-10,
        atol=1e-10,
    ).y.T
    found = np.exp(solve(jnp.asarray(theta), jnp.log(jnp.asarray(start)), 20))
    np.testing.assert_allclose(found, expected, rtol=2e-3)


@pytest.mark.parametrize(("made", "lowest"), [(ordered, -np.inf), (positive_ordered, 0.0)])
def test_an_ordered_prior_is_the_density_of_independent_normals_there(made: object, lowest: float) -> None:
    prior = made([0.0, 3.0], 1.0)  # type: ignore[operator]
    value = biject_to(prior.support)(jnp.asarray([-0.5, 0.2]))
    assert lowest < value[0] < value[1]
    expected = dist.Normal(jnp.asarray([0.0, 3.0]), 1.0).log_prob(value).sum()
    assert prior.log_prob(value) == pytest.approx(float(expected), rel=1e-6)
    assert prior.shape() == (2,)
