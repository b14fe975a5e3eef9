"""log p(y, theta) of draws in float64, where all data at once would not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Shaped

from guidebench.inference.device.compiled import BATCH_VALUES, compile_for
from guidebench.inference.device.precision import as_double, double
from guidebench.inference.modes import in_double
from guidebench.inference.target import Target

#: What the values of many sites in one vector are called.
PACKED = "all sites"

#: Draws that are evaluated at a time, at most.
MOST_AT_A_TIME = 64


class LogJoint:
    """A compiled program for log p(y, theta) in float64."""

    def __init__(self, target: Target, values: Mapping[str, Any]) -> None:
        self._target = target
        self._values = values
        self._program: Callable[..., Any] | None = None

    @cached_property
    def _count(self) -> int:
        # The data themselves are shared by all draws; each needs a few numbers of its own per row.
        per_draw = 10 * self._target.rows or 2 * self._target.evaluated
        return int(np.clip(BATCH_VALUES // max(per_draw, 1), 1, MOST_AT_A_TIME))

    def __call__(self, latents: Mapping[str, Shaped[np.ndarray, "S ..."]]) -> Float64[np.ndarray, " S"]:
        """Return log p(y, theta) of draws of shape ``(S, ...)`` by latent site, shape ``(S,)``."""
        total = len(next(iter(latents.values())))
        if self._target.many:
            latents = {PACKED: self._target.pack(latents)}
        filled = {
            name: as_double(np.concatenate([value, np.repeat(value[-1:], -total % self._count, axis=0)]))
            for name, value in latents.items()
        }
        with double():
            traced = jax.tree.map(jnp.asarray, dict(in_double(self._target, self._values)))
            parts = []
            for first in range(0, total, self._count):
                batch = {name: value[first : first + self._count] for name, value in filled.items()}
                if self._program is None:
                    self._program = compile_for(self._many, batch, traced, level=1)
                parts.append(np.asarray(self._program(batch, traced)))
        return np.concatenate(parts)[:total]

    def lanes(self, total: int) -> int:
        """Return how many densities are computed for so many draws."""
        return -(-total // self._count) * self._count

    def _many(self, latents: Mapping[str, Any], traced: Mapping[str, Any]) -> Float[Array, " S"]:
        if self._target.many:
            return jax.vmap(lambda one: self._target.joint_packed(one, traced))(latents[PACKED])
        return jax.vmap(lambda one: self._target.joint(one, traced))(dict(latents))
