"""Draws of latent sites in unconstrained coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float64, Shaped
from numpyro.handlers import block, seed
from numpyro.infer.util import unconstrain_fn

from guidebench.inference.device.compiled import compile_for, over_draws
from guidebench.inference.device.precision import chosen
from guidebench.inference.target import Target

#: Draws that are looked at, at most, and numbers that they may hold.
MOST = 4_000
MOST_NUMBERS = 20_000_000


class Unconstrain:
    """The map from latent sites of a target to its flat coordinates, compiled once for each number of draws."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._programs: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def __call__(self, latents: Mapping[str, Shaped[np.ndarray, "S ..."]]) -> Float64[np.ndarray, "M D"]:
        """Return the first so many draws as rows; one that rounds to the edge of its support is not finite."""
        target = self._target
        most = min(MOST, max(MOST_NUMBERS // max(target.dim, 1), 1))
        some: Any = {name: np.asarray(latents[name])[:most] for name in target.shapes}
        if target.many:
            return self._of_many(target.pack(some))
        key = tuple((value.shape, value.dtype.name) for value in some.values())
        given = some, dict(target.arguments.arrays)
        with chosen(any(value.dtype == np.float64 for value in some.values())):
            if key not in self._programs:
                self._programs[key] = compile_for(self._program, *given, level=0)
            found = jax.device_get(self._programs[key](*given))
        return target.flatten(found).astype(np.float64)

    def _of_many(self, rows: Shaped[np.ndarray, "M N"]) -> Float64[np.ndarray, "M D"]:
        """Return the points at values of many sites."""
        given = rows, dict(self._target.arguments.arrays)
        key = rows.shape, rows.dtype.name
        if key not in self._programs:
            mapped = jax.vmap(self._target.unconstrained, in_axes=(0, None))
            self._programs[key] = compile_for(mapped, *given, level=0)
        return np.asarray(self._programs[key](*given), np.float64)

    def _program(self, latents: Mapping[str, Any], traced: Mapping[str, Any]) -> Any:
        target = self._target

        def one(values: Mapping[str, Any]) -> Any:
            args, kwargs = target.arguments.call(target.model, traced)
            with block():
                found = unconstrain_fn(seed(target.model, jax.random.key(0)), args, kwargs, dict(values))
            return {name: found[name] for name in target.shapes}

        return over_draws(one, dict(latents), target.arguments.size())
