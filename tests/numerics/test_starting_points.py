"""Where restarts begin: uniform in unconstrained coordinates, drawn anew where the density is not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy import stats

from guidebench.inference.arguments import Arguments
from guidebench.inference.start import RADIUS, TRIES, FiniteAt, uniform_points
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target


def finite_at(model: Callable[..., Any], count: int) -> FiniteAt:
    arguments = Arguments.split(model, {})
    return FiniteAt(Target.of(model, arguments, inspect_model(model, arguments)), count)


def half() -> None:
    """A posterior on the right half only, in unconstrained coordinates."""
    s = numpyro.sample("s", dist.HalfNormal(1.0))
    numpyro.factor("right", jnp.where(s > 1, 0.0, -jnp.inf))


def nowhere() -> None:
    x = numpyro.sample("x", dist.Normal(0.0, 1.0))
    numpyro.factor("never", jnp.where(x > 100, 0.0, -jnp.inf))


def test_any_number_of_points_is_looked_at_in_batches() -> None:
    points = np.linspace(-2, 2, 11)[:, None]
    values, finite = finite_at(half, 4)(points)
    np.testing.assert_array_equal(finite, points[:, 0] > 0)
    np.testing.assert_allclose(values["s"], np.exp(points[:, 0]), rtol=1e-6)


def test_they_are_uniform_where_all_is_finite() -> None:
    found = uniform_points(range(400), finite_at(lambda: numpyro.sample("x", dist.Normal(0.0, 1.0)), 400))
    assert found.valid.all()
    assert found.gradients == 400
    assert stats.kstest(found.values["x"], stats.uniform(-RADIUS, 2 * RADIUS).cdf).pvalue > 1e-3


def test_those_that_are_not_valid_are_drawn_anew_and_others_stay() -> None:
    places = finite_at(half, 100)
    found = uniform_points(range(100), places)
    assert found.valid.all()
    assert found.gradients >= 400  # a half fails each time: of a hundred some fail three times
    u = found.unconstrained["s"]
    assert stats.kstest(u, stats.uniform(0, RADIUS).cdf).pvalue > 1e-3
    alone = uniform_points([7], places)
    assert alone.unconstrained["s"][0] == u[7]  # whatever the others did


def test_one_that_is_never_valid_is_given_up() -> None:
    found = uniform_points([0, 1], finite_at(nowhere, 2))
    assert not found.valid.any()
    assert found.gradients == 2 * TRIES
