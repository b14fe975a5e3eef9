"""Hundreds of posteriors searched in one program: against closed forms, one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from guidebench.inference import newton
from guidebench.inference.arguments import Arguments
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target

COUNT, READINGS, SEARCHES = 60, 12, 3
PRIOR = np.array([2.0, 5e3, 1.0])
NOISE = 0.7


def regression(x: Any, y: Any = None) -> None:
    a = numpyro.sample("a", dist.Normal(0.0, jnp.asarray(PRIOR[:2])).to_event(1))
    z = numpyro.sample("z", dist.Normal(0.0, PRIOR[2]))
    numpyro.sample("y", dist.Normal(x @ jnp.concatenate([a, z[None]]), NOISE).to_event(1), obs=y)


def target_of(model: Callable[..., Any], arrays: Mapping[str, np.ndarray]) -> Target:
    arguments = Arguments(arrays={name: jnp.asarray(value, jnp.float32) for name, value in arrays.items()})
    return Target.of(model, arguments, inspect_model(model, arguments))


def test_every_regression_of_many_is_its_closed_form() -> None:
    """Designs in units apart by a thousand, some nearly collinear; each data set has its own."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((COUNT, READINGS, 3))
    x[:, :, 2] = x[:, :, 0] + 0.03 * x[:, :, 2]
    x[:, :, 1] /= 1e3
    x = x.astype(np.float32).astype(float)
    y = (rng.standard_normal((COUNT, READINGS)) * 5).astype(np.float32).astype(float)
    target = target_of(regression, {"x": x[0], "y": y[0]})
    starts = rng.uniform(-2, 2, (COUNT, SEARCHES, 3))
    found = newton.modes(target, starts, {"x": x, "y": y}, {"x": 0, "y": 0})
    assert found is not None
    assert found.location.dtype == np.float64
    for index in range(COUNT):
        covariance = np.linalg.inv(x[index].T @ x[index] / NOISE**2 + np.diag(PRIOR**-2.0))
        mean, sd = covariance @ x[index].T @ y[index] / NOISE**2, np.sqrt(np.diag(covariance))
        np.testing.assert_allclose((found.location[index] - mean) / sd, 0, atol=1e-6)
        factor = found.factor[index]
        np.testing.assert_allclose((factor @ factor.T - covariance) / np.outer(sd, sd), 0, atol=1e-6)
        np.testing.assert_array_equal(factor, np.tril(factor))


def two_bumps(y: Any = None) -> None:
    """Modes at 3 and -3 times a reading, of weights 0.9 and 0.1."""
    with numpyro.handlers.mask(mask=False):
        u = numpyro.sample("u", dist.Normal(0.0, 1.0))
    bumps = [np.log(w) + dist.Normal(3 * s * y, 0.5).log_prob(u) for w, s in ((0.9, 1), (0.1, -1))]
    numpyro.factor("density", jnp.logaddexp(*bumps))


def test_the_heaviest_mode_is_taken_wherever_the_first_search_ends() -> None:
    y = np.array([1.0, -1.0, 1.0, 2.0])
    starts = np.stack([-3.1 * y, 2.8 * y, -2.9 * y], axis=1)[:, :, None]
    found = newton.modes(target_of(two_bumps, {"y": y[0]}), starts, {"y": y}, {"y": 0})
    assert found is not None
    np.testing.assert_allclose(found.location[:, 0], 3 * y, atol=1e-6)
    np.testing.assert_allclose(found.factor[:, 0, 0], 0.5, rtol=1e-6)


def shared(x: Any, y: Any = None) -> None:
    u = numpyro.sample("u", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(u + x, 1.0), obs=y)


def test_arguments_without_an_axis_are_shared() -> None:
    y = np.linspace(-2, 2, 5)
    found = newton.modes(
        target_of(shared, {"x": np.array(0.5), "y": y[0]}),
        np.zeros((5, 1, 1)),
        {"x": np.array(0.5), "y": y},
        {"x": None, "y": 0},
    )
    assert found is not None
    np.testing.assert_allclose(found.location[:, 0], (y - 0.5) / 2, atol=1e-9)


def test_where_nothing_is_finite_the_start_is_kept() -> None:
    y = np.array([1.0, np.nan])
    found = newton.modes(
        target_of(shared, {"x": np.array(0.0), "y": y[0]}),
        np.full((2, 1, 1), 0.3),
        {"x": np.array(0.0), "y": y},
        {"x": None, "y": 0},
    )
    assert found is not None
    np.testing.assert_allclose(found.location[:, 0], [0.5, 0.3], atol=1e-9)
    assert found.factor[1, 0, 0] == 1


def test_too_many_dimensions_are_not_searched() -> None:
    def wide(y: Any = None) -> None:
        u = numpyro.sample("u", dist.Normal(0.0, 1.0).expand([newton.MOST_DIMENSIONS + 1]).to_event(1))
        numpyro.sample("y", dist.Normal(jnp.sum(u), 1.0), obs=y)

    target = target_of(wide, {"y": np.array(0.0)})
    assert newton.modes(target, np.zeros((2, 1, target.dim)), {"y": np.zeros(2)}, {"y": 0}) is None
