"""Paths by slopes in single precision: half the price of double precision on a CPU, and far less on other devices.

What is sampled is decided by densities in double precision at the ends of the paths
(:mod:`guidebench.inference.chains.path`); single precision costs acceptance where its slopes are bad, and nothing else,
but for rounding z to some 1e-7 standard deviations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Key

from guidebench.inference.chains.path import BLOCK, Keys, Path, Plan, followed, planned
from guidebench.inference.chains.whitening import Whitening
from guidebench.inference.device.compiled import soon
from guidebench.inference.device.precision import double


class Going(NamedTuple):
    """How the paths of one transition go, and the key of its random numbers."""

    plan: Plan
    key: Key[Array, ""]


class InSingle:
    """The programs of paths of so many chains; to be made, and called, where JAX computes in single precision.

    Parameters
    ----------
    slopes : callable
        ``slopes(z, traced)`` returns whitened log densities and their gradients.
    values : mapping
        The traced arguments of the model.
    whitening : Whitening
        Any one.
    z : ndarray
        Points like those of the chains, shape ``(C, D)``.
    parted : bool
        Whether there are more chains, of which these are a part.
    level : int
        How far the programs are optimised.
    """

    def __init__(
        self,
        slopes: Callable[..., Any],
        values: Mapping[str, Any],
        whitening: Whitening,
        z: Float32[np.ndarray, "C D"],
        *,
        parted: bool,
        level: int,
    ) -> None:
        self._slopes, self._parted = slopes, parted
        self._data = jax.tree.map(jnp.asarray, dict(values))
        key, number = jax.eval_shape(jax.random.key, 0), np.int32(0)
        self._plan = soon(self._planned, np.float32(0.0), key, number, level=0)
        #: Shapes of a plan, and of a path.
        self.plan_like: Plan = jax.eval_shape(self._planned, np.float32(0.0), key, number).plan
        given = z, z, self.plan_like, key, number, self.traced(whitening)
        self.like: Path = jax.eval_shape(self._followed, *given)
        self._follow = soon(self._followed, *given, level=level)

    def traced(self, whitening: Whitening) -> dict[str, Any]:
        """Return the arguments of the programs."""
        given = {name: value.astype(np.float32) for name, value in whitening.traced().items()}
        return {"data": self._data, **jax.device_put(given)}

    def follow(
        self,
        z: Any,
        gradient: Any,
        log_step: Any,
        key: Key[Array, ""],
        transition: int,
        number: int,
        traced: Mapping[str, Any],
    ) -> tuple[Going, Path]:
        """Return how the paths of one transition of a block go, and where they end."""
        going: Going = self._plan(np.float32(log_step), key, np.int32(transition))
        return going, self._go(z, gradient, going.plan, going.key, number, traced)

    def apart(self, z: Any, gradient: Any, traced: Mapping[str, Any]) -> float:
        """Return the greatest length of the difference between these slopes and those in double precision."""
        still = Plan(np.float32(0.0), np.int32(1), np.bool_(False))  # type: ignore[arg-type]  # programs take them
        path = self._go(z, gradient, still, jax.random.key(0), 0, traced)
        apart = np.linalg.norm(np.asarray(path.gradient, np.float64) - np.asarray(gradient), axis=1).max()
        return float(apart) if np.isfinite(apart) else np.inf

    def _go(
        self, z: Any, gradient: Any, plan: Plan, key: Key[Array, ""], number: int, traced: Mapping[str, Any]
    ) -> Path:
        with double():  # for they are in double precision
            begin = [each.astype(np.float32) for each in (z, gradient)]
        path: Path = self._follow(*begin, plan, key, np.int32(number), dict(traced))
        return path

    def _planned(self, log_step: Float[Array, ""], key: Key[Array, ""], transition: Int[Array, ""]) -> Going:
        own = jax.random.split(key, BLOCK)[transition]
        return Going(planned(log_step, Keys.of(own, None)), own)

    def _followed(
        self,
        z: Float32[Array, "C D"],
        gradient: Float32[Array, "C D"],
        plan: Plan,
        key: Key[Array, ""],
        number: Int[Array, ""],
        traced: Mapping[str, Any],
    ) -> Path:
        keys = Keys.of(key, number if self._parted else None)
        return followed(lambda point: self._slopes(point, traced), z, gradient, plan, keys)
