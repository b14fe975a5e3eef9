"""How a guide's draws are spread over the modes of the posterior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float64, Shaped
from numpyro.handlers import block, seed
from numpyro.infer.util import unconstrain_fn
from scipy.special import softmax

from guidebench.inference.device.compiled import compile_for, over_draws
from guidebench.inference.peaks import Mode, nearest
from guidebench.inference.target import Target

#: Draws that are assigned to modes.
MOST_ASSIGNED = 4_000


def mode_shares(
    target: Target, modes: Sequence[Mode], latents: Mapping[str, Shaped[np.ndarray, "S ..."]]
) -> list[tuple[float, float]]:
    r"""Return per mode its share of the posterior by Laplace's estimate, and the share of draws that are its.

    Which draw belongs to which mode is said by :func:`guidebench.inference.peaks.nearest`.
    """
    points = _unconstrained(target, {name: values[:MOST_ASSIGNED] for name, values in latents.items()})
    points = points[np.isfinite(points).all(axis=1)]  # a draw may round to the edge of its support
    expected = softmax([mode.log_mass for mode in modes])
    counts = np.bincount(nearest(modes, points), minlength=len(modes))
    return [(float(share), float(count / max(len(points), 1))) for share, count in zip(expected, counts, strict=True)]


def _unconstrained(target: Target, latents: Mapping[str, Shaped[np.ndarray, "S ..."]]) -> Float64[np.ndarray, "S D"]:
    def program(latents: Mapping[str, Any], traced: Mapping[str, Any]) -> Any:
        def one(values: Mapping[str, Any]) -> Any:
            args, kwargs = target.arguments.call(target.model, traced)
            with block():
                found = unconstrain_fn(seed(target.model, jax.random.key(0)), args, kwargs, dict(values))
            return {name: found[name] for name in target.shapes}

        return over_draws(one, dict(latents), target.arguments.size())

    given = dict(latents), dict(target.arguments.arrays)
    found = jax.device_get(compile_for(program, *given, level=0)(*given))
    return target.flatten(found).astype(np.float64)
