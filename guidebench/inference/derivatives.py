"""The target and its derivatives in float64, compiled once for a whole search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from guidebench.inference.device.compiled import Soon, level_for, level_for_few, over_draws
from guidebench.inference.target import Target
from guidebench.results.work import Work

#: Intermediate numbers of a derivative per number of the data.
BATCH_SHARE = 4

#: Draws from each Gaussian whose ELBO is wanted.
DRAWS = 64


@runtime_checkable
class HasDensity(Protocol):
    """What a product with the Hessian needs of a target."""

    def log_density(self, flat: Float[Array, " D"], traced: Mapping[str, Any]) -> Float[Array, ""]:
        """Return the log density at one point, in nats."""


def hessian_product(
    target: HasDensity, flat: Float[Array, " D"], direction: Float[Array, " D"], traced: Mapping[str, Any]
) -> Float[Array, " D"]:
    """Return the Hessian of a log density at one point times a direction; it costs two gradients."""
    turned: Float[Array, " D"] = jax.jvp(lambda at: jax.grad(target.log_density)(at, traced), (flat,), (direction,))[1]
    return turned


class Functions:
    """The pieces of a search in float64, each compiled when it is asked for first; the target keeps them.

    Parameters
    ----------
    target : Target
        What is searched.
    batch : int
        Points whose second derivatives are computed at a time.
    traced : mapping
        The traced arguments.

    Attributes
    ----------
    in_blocks : bool
        Whether the data are so many that the target is summed up block by block.
    work : Work
        What all calls so far have computed.
    """

    def __init__(self, target: Target, batch: int, traced: Mapping[str, Any]) -> None:
        self.batch, self.dim, self.work = batch, target.dim, Work()
        self.in_blocks = bool(target.rows)
        # One transfer of the data; the programs are called hundreds of times.
        self.traced = jax.tree.map(jnp.asarray, dict(traced))
        target.record(self.traced)
        self._target = target
        numbers = target.evaluated + target.dim
        self._level = min(level_for(numbers), 1)
        #: Of what is called tens of times, not hundreds.
        self._level_of_few = min(level_for_few(numbers), self._level)

    @cached_property
    def _slope(self) -> Soon:
        return self._target.compiled("slope", self._slope_at, np.zeros(self.dim), self.traced, level=self._level)

    @cached_property
    def _second(self) -> Soon:
        size = BATCH_SHARE * self.dim * self._target.evaluated

        def all_second(points: Float[Array, "S D"], traced: Mapping[str, Any]) -> Any:
            return over_draws(lambda point: self._second_at(point, traced), points, size)

        points = np.zeros((self.batch, self.dim))
        return self._target.compiled("second", all_second, points, self.traced, level=self._level_of_few)

    @cached_property
    def _many(self) -> Soon:
        size = self._target.evaluated + self.dim

        def many(flat: Float[Array, "S D"], traced: Mapping[str, Any]) -> Float[Array, " S"]:
            densities: Float[Array, " S"] = over_draws(lambda one: self._target.log_density(one, traced), flat, size)
            return densities

        points = np.zeros((self.batch * DRAWS, self.dim))
        return self._target.compiled("many", many, points, self.traced, level=self._level_of_few)

    def ahead(self) -> None:
        """Have all of them compiled, of a target that will be searched: in threads, one beside the other."""
        _ = self._many, self._slope, self._second

    def _slope_at(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[Float[Array, ""], Float[Array, " D"]]:
        return jax.value_and_grad(self._target.log_density)(flat, traced)

    def _second_at(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[Float[Array, ""], Float[Array, " D"], Float[Array, "D D"]]:
        def column(direction: Float[Array, " D"]) -> Float[Array, " D"]:
            return hessian_product(self._target, flat, direction, traced)

        # Its columns one after another where all of them at once would take too much memory.
        hessian = over_draws(column, jnp.eye(self.dim), BATCH_SHARE * self._target.evaluated)
        return *self._slope_at(flat, traced), hessian

    def slope(self, flat: Float64[np.ndarray, " D"]) -> tuple[float, Float64[np.ndarray, " D"]]:
        """Return the target and its gradient at one point."""
        value, gradient = self._slope(flat, self.traced)
        self.work += Work(gradients=1)
        return float(value), np.asarray(gradient)

    def second(
        self, points: Float64[np.ndarray, "K D"]
    ) -> tuple[Float64[np.ndarray, " K"], Float64[np.ndarray, "K D"], Float64[np.ndarray, "K D D"]]:
        """Return target, gradient and Hessian at any number of points."""
        self.work += Work(gradients=_lanes(len(points), self.batch) * (1 + self.dim))
        value, gradient, hessian = _in_batches(lambda batch: self._second(batch, self.traced), points, self.batch)
        return value, gradient, hessian

    def density(self, points: Float64[np.ndarray, "K S D"]) -> Float64[np.ndarray, "K S"]:
        """Return the target at points of shape ``(K, DRAWS, D)``, as ``(K, DRAWS)``."""
        return self.many(points.reshape(-1, self.dim)).reshape(len(points), DRAWS)

    def many(self, points: Float[np.ndarray, "P D"]) -> Float64[np.ndarray, " P"]:
        """Return the target at any number of points."""
        flat = points.astype(np.float64)
        self.work += Work(densities=_lanes(len(points), self.batch * DRAWS))
        (values,) = _in_batches(lambda batch: (self._many(batch, self.traced),), flat, self.batch * DRAWS)
        return values


def _lanes(count: int, size: int) -> int:
    """Return how many points a program for `size` of them computes to have `count`."""
    return -(-count // size) * size


def _in_batches(
    function: Callable[[np.ndarray], Any], points: Float64[np.ndarray, "K D"], size: int
) -> tuple[Float64[np.ndarray, "K ..."], ...]:
    """Apply a program compiled for `size` points to any number of them, filling up the last batch."""
    missing = -len(points) % size
    filled = np.concatenate([points, np.repeat(points[-1:], missing, axis=0)])
    parts = [jax.device_get(function(filled[i : i + size])) for i in range(0, len(filled), size)]
    return tuple(np.concatenate(one)[: len(points)] for one in zip(*parts, strict=True))


def scaled_curvature(
    hessian: Float64[np.ndarray, "D D"],
) -> tuple[Float64[np.ndarray, "D D"], Float64[np.ndarray, " D"]]:
    """Return the negative Hessian in the coordinates' own scales, and these scales.

    An eigenvalue of it is small for flatness, not for a unit.
    """
    scale = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    return -(hessian * scale[:, None] * scale[None, :]), scale


def covariance_of(hessian: Float64[np.ndarray, "D D"]) -> Float64[np.ndarray, "D D"]:
    """Return the inverse of the negative Hessian, made positive definite where it is not.

    Directions of negative curvature count with its absolute value, flat ones with the smallest that
    float64 tells from zero.
    """
    scaled, scale = scaled_curvature(hessian)
    values, vectors = np.linalg.eigh((scaled + scaled.T) / 2)
    values = np.maximum(np.abs(values), 1e-12 * np.abs(values).max())
    rotated = scale[:, None] * vectors
    return np.asarray((rotated / values[None, :]) @ rotated.T)
