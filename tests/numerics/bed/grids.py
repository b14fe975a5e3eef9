"""Exact draws by quadrature: a density of up to three dimensions on a grid, in float64.

A node is drawn by its weight and then a point of the cell around it, which adds 0.04 % to an sd of ten steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from guidebench.problems.quadrature import draw

Cells = Callable[[np.random.Generator, int], tuple[np.ndarray, ...]]

#: A density has to have fallen to this share of its peak where the grid ends, unless it is closed there.
BORDER = 1e-6


def cells(log_density: Callable[..., np.ndarray], *axes: np.ndarray, closed: tuple[int, ...] = ()) -> Cells:
    """Return what draws from a density known up to a constant, one array a dimension.

    Parameters
    ----------
    log_density : callable
        Takes one array a dimension, all of the same shape.
    *axes : ndarray
        Evenly spaced nodes; middles of cells where the support ends.
    closed : tuple of int
        Axes at whose ends the support ends.
    """

    @cache
    def values() -> np.ndarray:
        found = log_density(*np.meshgrid(*axes, indexing="ij"))
        for axis in set(range(len(axes))) - set(closed):
            ends = np.take(found, [0, -1], axis=axis)
            if ends.max() > found.max() + np.log(BORDER):
                raise ValueError(f"axis {axis} is too short: {np.exp(ends.max() - found.max()):.1e} of the peak")
        return found

    return lambda rng, count: draw(values(), axes, rng, count)


def weights(log_density: np.ndarray) -> np.ndarray:
    """Return the weights of the nodes of one evenly spaced axis, which add up to one along the last axis."""
    found = np.exp(log_density - log_density.max(axis=-1, keepdims=True))
    return found / found.sum(axis=-1, keepdims=True)


def total(share: np.ndarray, means: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and sd of a mixture over the first axis, by the law of total variance."""
    mean = np.tensordot(share, means, axes=1)
    second = np.tensordot(share, variances + (means - mean) ** 2, axes=1)
    return mean, np.sqrt(second)
