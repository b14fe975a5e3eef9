"""Quadrature on a regular grid: the integral of a density of a few dimensions, and draws from it.

What can be integrated by algebra is left out of the grid; what remains are one to three dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def log_integral(log_density: np.ndarray, axes: Sequence[np.ndarray]) -> float:
    """Return the log of the integral of a density known on a grid.

    This is the trapezoid rule: where a density is smooth and nil at the borders its error falls
    exponentially with the step.

    Parameters
    ----------
    log_density : ndarray
        Values at the nodes, one axis per dimension.
    axes : sequence of ndarray
        Evenly spaced nodes of each dimension.

    References
    ----------
    Trefethen & Weideman (2014), The Exponentially Convergent Trapezoidal Rule, SIAM Review 56(3),
    doi:10.1137/130932132
    """
    peak = log_density.max()
    return float(peak + np.log(np.exp(log_density - peak).sum()) + np.log(steps(axes)).sum())


def draw(
    log_density: np.ndarray, axes: Sequence[np.ndarray], rng: np.random.Generator, count: int
) -> tuple[np.ndarray, ...]:
    """Return independent draws from a density known on a grid, one array of shape ``(count,)`` per dimension.

    A node is drawn with its weight, then a point of the cell around it.  Steps of a tenth of an sd
    add 0.04 % to that sd.
    """
    cumulative = np.cumsum(np.exp(log_density - log_density.max()))
    place = np.searchsorted(cumulative, cumulative[-1] * rng.uniform(size=count), side="right")
    nodes = np.unravel_index(np.minimum(place, log_density.size - 1), log_density.shape)
    within = rng.uniform(-0.5, 0.5, size=(len(axes), count))
    return tuple(
        axis[node] + step * part for axis, node, step, part in zip(axes, nodes, steps(axes), within, strict=True)
    )


def steps(axes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the distance between the nodes of each axis."""
    return np.asarray([axis[1] - axis[0] for axis in axes])


def log_normal(value: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the log density of N(0, sqrt(variance)) at `value`."""
    density: np.ndarray = -0.5 * (np.log(2 * np.pi * variance) + value**2 / variance)
    return density


def log_half_normal(scale: np.ndarray, sd: float = 1.0) -> np.ndarray:
    """Return the log density of a half-normal scale."""
    density: np.ndarray = np.log(2) + log_normal(scale, np.asarray(sd**2))
    return density


def log_half_cauchy_log(log_scale: np.ndarray, scale: np.ndarray | float = 1.0) -> np.ndarray:
    """Return the log density of the logarithm of a half-Cauchy scale."""
    density: np.ndarray = np.log(2 / np.pi) - np.log(scale) - np.log1p((np.exp(log_scale) / scale) ** 2) + log_scale
    return density


def midpoints(end: float, size: int, begin: float = 0.0) -> np.ndarray:
    """Return the middles of `size` equal parts of an interval.

    From zero on they suit a scale that its density knows by its square alone, as in a half-normal times a Gaussian
    likelihood: mirrored at zero it stays smooth, so the trapezoid rule keeps its speed, and no draw falls below zero.
    """
    step = (end - begin) / size
    return begin + step * (np.arange(size) + 0.5)
