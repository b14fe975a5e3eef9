"""SciPy's L-BFGS-B on a smooth loss in float64, ended where it gains next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

#: A point, the loss there and its slope.
Known = tuple[Float64[np.ndarray, " K"], float, Float64[np.ndarray, " K"]]

#: ``function(point)`` returns the loss and its gradient.
Smooth = Callable[[Float64[np.ndarray, " K"]], tuple[float, Float64[np.ndarray, " K"]]]

#: Pairs of steps and gradients that are remembered.
MEMORY = 20

#: How far above the highest loss so far one that is not finite counts, relative to that.
CLIFF = 10.0

#: A step is long where some coordinate moves by more, and by more than this many times what the last step moved any.
#: It is a leap where it gains more than so many times what the slope promised.
LONG, GROWS = 10.0, 3.0
TIMES = 10.0

#: Numbers of all points together that are remembered of a path.
REMEMBERED = 4_000_000


class Point(NamedTuple):
    """Where a minimisation was after so many iterations, shape ``(K,)``."""

    iteration: int
    point: Float64[np.ndarray, " K"]


class Path(NamedTuple):
    """Where a minimisation ended.

    Attributes
    ----------
    point : ndarray
        The best point met, shape ``(K,)``.
    losses : tuple of float
        After every iteration.
    points : tuple of Point
        After every iteration, or every second, fourth, ... and the last where there are many numbers.
    level : bool
        Whether it ended because it gained next to nothing; otherwise iterations ran out.
    """

    point: Float64[np.ndarray, " K"]
    losses: tuple[float, ...]
    points: tuple[Point, ...]
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
    trail = Trail(start)
    highest = -np.inf

    def finite(point: Float64[np.ndarray, " K"]) -> tuple[float, Float64[np.ndarray, " K"]]:
        nonlocal highest
        value, slope = function(point)
        if not (np.isfinite(value) and np.isfinite(slope).all()) or trail.leaps(point, value):
            # Higher than all so far: the line search steps back.  It cannot reckon with infinity.
            return highest + CLIFF * (1 + abs(highest)) if np.isfinite(highest) else np.inf, np.zeros_like(point)
        highest = max(highest, value)
        trail.tries(point, value, slope)
        return value, slope

    def after_each(intermediate_result: object) -> None:
        losses.append(float(intermediate_result.fun))  # type: ignore[attr-defined]
        trail.add(np.array(intermediate_result.x), losses[-1])  # type: ignore[attr-defined]
        if len(losses) > window and losses[-window - 1] - losses[-1] < gain:
            raise StopIteration

    options = {"maxiter": most, "maxfun": 4 * most, "ftol": 1e-15, "gtol": 1e-10, "maxcor": MEMORY}
    found = minimize(finite, start, jac=True, method="L-BFGS-B", options=options, callback=after_each)
    if not losses:
        return Path(start, (), (), bool(np.max(np.abs(found.jac)) < 1e-6))
    stopped = len(losses) > window and losses[-window - 1] - losses[-1] < gain
    return Path(trail.best, tuple(losses), tuple(trail.points), bool(stopped or len(losses) < most))


class Trail:
    """Where a minimisation has been: its best point, some of the others, and what the last one says of the next.

    Parameters
    ----------
    start : ndarray
        Shape ``(K,)``.
    """

    def __init__(self, start: Float64[np.ndarray, " K"]) -> None:
        self._last, self._moved, self._iteration, self._every = start, 0.0, 0, 1
        self._lowest = np.inf
        self._tried: Known | None = None
        self._known: Known | None = None
        #: The point of the lowest loss.
        self.best = start
        #: What is remembered.
        self.points: list[Point] = []

    def tries(self, point: Float64[np.ndarray, " K"], loss: float, slope: Float64[np.ndarray, " K"]) -> None:
        """Remember a point at which all was finite: the first is the start, and an iteration ends at the last."""
        self._tried = point.copy(), loss, slope
        if not self._iteration and self._known is None:
            self._known = self._tried

    def leaps(self, point: Float64[np.ndarray, " K"], loss: float) -> bool:
        """Return whether a point is far from the last one and its loss far lower than the slope there promises.

        A convex loss lies nowhere below its tangents, and one that falls as the logarithm of a distance by a few times
        as much.  Where scales are below what float64 can tell from nothing, a density may seem to have no bound: only a
        step that is a guess is long enough to get there, and it gains some ten to a hundred times what was promised.
        """
        if self._known is None:
            return False
        last, before, slope = self._known
        step = point - last
        return bool(np.max(np.abs(step)) > max(LONG, GROWS * self._moved) and loss < before - TIMES * abs(slope @ step))

    def add(self, point: Float64[np.ndarray, " K"], loss: float) -> None:
        """Remember where an iteration ended."""
        self._iteration += 1
        self._moved, self._last = float(np.max(np.abs(point - self._last))), point
        self._known = self._tried if self._tried is not None and np.array_equal(self._tried[0], point) else None
        if loss < self._lowest:
            self.best, self._lowest = point, loss
        # The last one is always there.
        self.points = [one for one in self.points if one.iteration % self._every == 0]
        self.points.append(Point(self._iteration, point))
        if len(self.points) > 2 and len(self.points) * len(point) > REMEMBERED:
            self._every *= 2
