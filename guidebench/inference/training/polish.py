r"""A few stochastic steps from where a fixed sample has led, to take its bias away.

Adam (Kingma & Ba 2015, arXiv:1412.6980) with fresh antithetic noise in every step, its rate falling to nothing
along a cosine, and the parameters averaged over the last steps (Polyak & Juditsky 1992, doi:10.1137/0330046).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

#: ``noisy()`` maps a point to the loss and gradient under fresh noise.
Noisy = Callable[[Float64[np.ndarray, " K"]], tuple[float, Float64[np.ndarray, " K"]]]

#: Decay of the moments, and what keeps a step finite.
FIRST, SECOND, TINY = 0.9, 0.99, 1e-8

#: Share of the last steps over which parameters are averaged.
TAIL = 0.5


class Polished(NamedTuple):
    """The averaged point, shape ``(K,)``, the loss of every step, and how many steps were not taken."""

    point: Float64[np.ndarray, " K"]
    losses: tuple[float, ...]
    skipped: int


def polish(noisy: Noisy, start: Float64[np.ndarray, " K"], *, steps: int, rate: float) -> Polished:
    """Take so many steps; one whose loss or gradient is not finite is not taken.

    Parameters
    ----------
    noisy : callable
        Returns the loss and its gradient under noise that is new each time.
    start : ndarray
        Shape ``(K,)``.
    steps : int
        How many.
    rate : float
        The peak of the rate.
    """
    point, mean, square = start.copy(), np.zeros_like(start), np.zeros_like(start)
    total, losses, taken = np.zeros_like(start), [], 0
    first = round((1 - TAIL) * steps)
    for step in range(steps):
        value, slope = noisy(point)
        losses.append(value)
        if np.isfinite(value) and np.isfinite(slope).all():
            taken += 1
            mean = FIRST * mean + (1 - FIRST) * slope
            square = SECOND * square + (1 - SECOND) * slope**2
            size = rate * (1 + np.cos(np.pi * step / steps)) / 2
            unbiased = np.sqrt(square / (1 - SECOND**taken)) + TINY
            point = point - size * mean / (1 - FIRST**taken) / unbiased
        if step >= first:
            total += point
    return Polished(total / (steps - first), tuple(losses), steps - taken)
