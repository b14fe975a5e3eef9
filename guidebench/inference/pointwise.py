"""The target in float64 at any number of points, with the latent sites there: one program, and no derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Shaped

from guidebench.inference.device.compiled import compile_for, over_draws
from guidebench.inference.device.precision import double
from guidebench.inference.modes import in_double
from guidebench.inference.target import Target
from guidebench.results.work import Work

#: Points of one call of the program.
AT_A_TIME = 4_000


class Pointwise:
    """A compiled program, made on first use.

    Parameters
    ----------
    target : Target
        The posterior.
    values : mapping
        The traced arguments in the precision they were given in.
    """

    def __init__(self, target: Target, values: Mapping[str, Any]) -> None:
        self.dim = target.dim
        self._target = target
        self._values = values
        self._program: Any = None
        self._traced: Any = None

    def __call__(
        self, points: Float64[np.ndarray, "S D"]
    ) -> tuple[Float64[np.ndarray, " S"], dict[str, Shaped[np.ndarray, "S ..."]]]:
        """Return the target at each point in nats, and the latent sites."""
        filled = np.concatenate([points, np.repeat(points[-1:], -len(points) % AT_A_TIME, axis=0)])
        batches = [filled[first : first + AT_A_TIME] for first in range(0, len(filled), AT_A_TIME)]
        with double():
            if self._program is None:
                self._compile(batches[0])
            found = [jax.device_get(self._program(batch, self._traced)) for batch in batches]
        log_density = np.concatenate([one for one, _ in found])[: len(points)]
        latents = {
            name: np.concatenate([values[name] for _, values in found])[: len(points)] for name in self._target.shapes
        }
        return log_density, latents

    @staticmethod
    def work(count: int) -> Work:
        """Return what it costs to ask for so many points."""
        return Work(densities=-(-count // AT_A_TIME) * AT_A_TIME)

    def _compile(self, batch: Float64[np.ndarray, "S D"]) -> None:
        target = self._target
        self._traced = jax.tree.map(jnp.asarray, dict(in_double(target, self._values)))
        target.record(self._traced)

        def many(points: Float[Array, "S D"], traced: Mapping[str, Any]) -> Any:
            def one(point: Float[Array, " D"]) -> tuple[Float[Array, ""], dict[str, Array]]:
                return target.log_density(point, traced), target.constrain(point, traced)[0]

            return over_draws(one, points, target.evaluated + target.dim)

        self._program = compile_for(many, batch, self._traced, level=1)
