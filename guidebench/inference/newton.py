r"""Many modes at once: a damped Newton search that is one compiled program for any number of data sets.

:mod:`guidebench.inference.modes` searches one posterior with care; here hundreds of small ones are
searched together, in float64, from several starts each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Integer

from guidebench.inference.device.compiled import compile_for, over_draws
from guidebench.inference.device.precision import as_double, double
from guidebench.inference.target import Target
from guidebench.results.work import Work

STEPS = 100

#: Dimensions up to which the search is made.
MOST_DIMENSIONS = 100


class Modes(NamedTuple):
    """Per data set: the location, shape ``(N, D)``, and the Cholesky factor of the covariance, ``(N, D, D)``.

    `work` is that of the search for all of them.
    """

    location: Float64[np.ndarray, "N D"]
    factor: Float64[np.ndarray, "N D D"]
    work: Work = Work()


class _State(NamedTuple):
    point: Float[Array, " D"]
    value: Float[Array, ""]
    damping: Float[Array, ""]


def _inverse_curvature(hessian: Float[Array, "D D"], damping: float | Float[Array, ""]) -> Float[Array, "D D"]:
    """Return the inverse of the negative Hessian, positive definite, damped in the coordinates' own scales."""
    scale = 1 / jnp.sqrt(jnp.maximum(jnp.abs(jnp.diagonal(hessian)), 1e-300))
    scaled = -(hessian * scale[:, None] * scale[None, :])
    values, vectors = jnp.linalg.eigh((scaled + scaled.T) / 2)
    values = jnp.maximum(jnp.abs(values), 1e-12 * jnp.max(jnp.abs(values)))
    rotated = scale[:, None] * vectors
    inverse: Float[Array, "D D"] = (rotated / (values + damping)[None, :]) @ rotated.T
    return inverse


def climb(
    target: Target, start: Float[Array, " D"], traced: Mapping[str, Any]
) -> tuple[Float[Array, " D"], Float[Array, "D D"], Float[Array, ""]]:
    """Return where a damped Newton ascent ends, the Cholesky factor there, and Laplace's log evidence."""

    def density(point: Float[Array, " D"]) -> Float[Array, ""]:
        return target.log_density(point, traced)

    def step(_: Any, state: _State) -> _State:
        gradient, hessian = jax.grad(density)(state.point), jax.hessian(density)(state.point)
        proposed = state.point + _inverse_curvature(hessian, state.damping) @ gradient
        value = density(proposed)
        better = value > state.value  # false where it is not a number
        damping = jnp.clip(jnp.where(better, state.damping / 5, state.damping * 4), 1e-10, 1e10)
        return _State(jnp.where(better, proposed, state.point), jnp.where(better, value, state.value), damping)

    first = _State(start, density(start), jnp.asarray(1e-3, start.dtype))
    last = jax.lax.fori_loop(0, STEPS, step, first)
    factor = jnp.linalg.cholesky(_inverse_curvature(jax.hessian(density)(last.point), 0.0))
    log_mass = last.value + jnp.sum(jnp.log(jnp.diagonal(factor)))
    return last.point, factor, log_mass


def modes(target: Target, starts: Float[np.ndarray, "N K D"], traced: Mapping[str, Any], axes: Any) -> Modes | None:
    """Return the heaviest mode of every data set, or ``None`` where second derivatives would be too many.

    Parameters
    ----------
    target : Target
        The posterior of one data set.
    starts : ndarray
        Unconstrained points, shape ``(N, K, D)``.
    traced : mapping
        The data sets: arguments of the target, with a leading axis N where `axes` has 0.
    axes : pytree
        As for :func:`jax.vmap`.
    """
    if target.dim > MOST_DIMENSIONS:
        return None
    count = len(starts)
    with double(), np.errstate(all="ignore"):
        values = jax.tree.map(jnp.asarray, as_double(dict(traced)))
        example = _first(values, axes)
        target.record(example)

        def program(starts: Float[Array, "N K D"], values: Mapping[str, Any]) -> tuple[Float[Array, "N ..."], ...]:
            def one(index: Integer[Array, ""]) -> tuple[Float[Array, "..."], ...]:
                own = _at(values, axes, index)
                points, factors, masses = jax.vmap(lambda start: climb(target, start, own))(starts[index])
                best = jnp.argmax(jnp.where(jnp.isfinite(masses), masses, -jnp.inf))
                return points[best], factors[best], masses[best]

            found: tuple[Float[Array, "N ..."], ...] = over_draws(
                one, jnp.arange(count), starts.shape[1] * (target.arguments.size() + target.dim**2)
            )
            return found

        compiled = compile_for(program, jnp.asarray(starts, float), values, level=1)
        location, factor, log_mass = jax.device_get(compiled(jnp.asarray(starts, float), values))
    usable = np.isfinite(location).all(axis=1) & np.isfinite(factor).all(axis=(1, 2)) & np.isfinite(log_mass)
    location = np.where(usable[:, None], location, starts[:, 0])
    factor = np.where(usable[:, None, None], factor, np.eye(target.dim))
    climbs, dim = starts.shape[0] * starts.shape[1], target.dim
    work = Work(gradients=climbs * (STEPS * (1 + dim) + dim), densities=climbs * (1 + STEPS))
    return Modes(location, factor, work)


def _at(values: Any, axes: Any, index: Any) -> Any:
    """Return the data set at `index`."""
    if isinstance(axes, Mapping):
        return {name: _at(values[name], axes[name], index) for name in values}
    return values if axes is None else jax.tree.map(lambda value: value[index], values)


def _first(values: Any, axes: Any) -> Any:
    return _at(values, axes, 0)
