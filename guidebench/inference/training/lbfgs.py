"""SciPy's L-BFGS-B on a smooth loss in float64, ended where it gains next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

#: ``function(point)`` returns the loss and its gradient.
Smooth = Callable[[Float64[np.ndarray, " K"]], tuple[float, Float64[np.ndarray, " K"]]]

#: Pairs of steps and gradients that are remembered.
MEMORY = 20

#: How far above the highest loss so far one that is not finite counts, relative to that.
CLIFF = 10.0


class Path(NamedTuple):
    """Where a minimisation ended.

    Attributes
    ----------
    point : ndarray
        The best point met, shape ``(K,)``.
    losses : tuple of float
        After every iteration.
    points : tuple of ndarray
        The same.
    level : bool
        Whether it ended because it gained next to nothing; otherwise iterations ran out.
    """

    point: Float64[np.ndarray, " K"]
    losses: tuple[float, ...]
    points: tuple[Float64[np.ndarray, " K"], ...]
    level: bool


def minimise(function: Smooth, start: Float64[np.ndarray, " K"], *, gain: float, window: int, most: int) -> Path:
    """Minimise a loss, in at most so many iterations.

    Parameters
    ----------
    function : callable
        Returns the loss, in nats, and its gradient.
    start : ndarray
        Shape ``(K,)``.
    gain : float
        Ends where the last few iterations together gained less than this many nats.
    window : int
        How many are a few.
    most : int
        Iterations.
    """
    from scipy.optimize import minimize

    losses: list[float] = []
    points: list[Float64[np.ndarray, " K"]] = []
    highest = -np.inf

    def finite(point: Float64[np.ndarray, " K"]) -> tuple[float, Float64[np.ndarray, " K"]]:
        nonlocal highest
        value, slope = function(point)
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            # Higher than all so far: the line search steps back.  It cannot reckon with infinity.
            return highest + CLIFF * (1 + abs(highest)) if np.isfinite(highest) else np.inf, np.zeros_like(point)
        highest = max(highest, value)
        return value, slope

    def after_each(intermediate_result: object) -> None:
        losses.append(float(intermediate_result.fun))  # type: ignore[attr-defined]
        points.append(np.array(intermediate_result.x))  # type: ignore[attr-defined]
        if len(losses) > window and losses[-window - 1] - losses[-1] < gain:
            raise StopIteration

    options = {"maxiter": most, "maxfun": 4 * most, "ftol": 1e-15, "gtol": 1e-10, "maxcor": MEMORY}
    found = minimize(finite, start, jac=True, method="L-BFGS-B", options=options, callback=after_each)
    if not losses:
        return Path(start, (), (), bool(np.max(np.abs(found.jac)) < 1e-6))
    best = int(np.argmin(losses))
    stopped = len(losses) > window and losses[-window - 1] - losses[-1] < gain
    return Path(points[best], tuple(losses), tuple(points), bool(stopped or len(losses) < most))
