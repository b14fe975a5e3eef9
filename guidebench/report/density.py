"""Kernel densities on grids, by binning and convolution: thousands of draws cost one histogram."""

from __future__ import annotations

import numpy as np

from guidebench.report.draws import Array


def bandwidth(sample: Array) -> float:
    """Return the normal reference rule (Scott, 1992), robust to heavy tails."""
    spread = float(np.std(sample))
    quartile = float(np.subtract(*np.quantile(sample, [0.75, 0.25]))) / 1.349
    scale = min(spread, quartile) if quartile > 0 else spread
    return float(1.06 * scale * sample.size**-0.2)


def density(sample: Array, low: float, high: float, size: int = 400) -> tuple[Array, Array]:
    """Return a grid over [low, high] and the density of the sample there.

    The mass outside the window counts, so the curve may integrate to less than one.  A sample
    without a negative value is reflected at zero, where its density may be highest: a scale is not
    given a tail of negative values, nor a dip at zero.
    """
    width = bandwidth(sample)
    grid = np.linspace(low, high, size)
    if not width > 0 or not high > low:
        return grid, np.zeros(size)
    step = grid[1] - grid[0]
    # The window is widened by four bandwidths so that draws just outside still contribute inside.
    pad = int(min(np.ceil(4 * width / step), 10 * size))
    edges = low + step * (np.arange(-pad, size + pad + 1) - 0.5)
    positive = bool(sample.min() >= 0)
    counts, _ = np.histogram(np.concatenate([sample, -sample]) if positive else sample, bins=edges)
    kernel = _kernel(width / step, min(pad, counts.size // 2))
    curve = np.convolve(counts, kernel, mode="same")[pad : pad + size] / (sample.size * step)
    if positive:
        curve[grid < 0] = 0.0
    return grid, curve


def density2d(
    x: Array, y: Array, window: tuple[float, float, float, float], size: int = 72
) -> tuple[Array, Array, Array]:
    """Return the grid centres and the joint density (y by row) in ``window = (x0, x1, y0, y1)``."""
    x0, x1, y0, y1 = window
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=size, range=[[x0, x1], [y0, y1]])
    # Scott's factor for two dimensions; binning already smooths a little.
    factor = x.size ** (-1 / 6)
    for axis, sample, edges in ((0, x, x_edges), (1, y, y_edges)):
        sd = min(float(np.std(sample)), float(np.subtract(*np.quantile(sample, [0.84, 0.16]))) / 2)
        sigma = max(factor * sd / (edges[1] - edges[0]), 0.4)
        kernel = _kernel(sigma, min(int(np.ceil(4 * sigma)), size // 2 - 1))
        counts = np.apply_along_axis(np.convolve, axis, counts, kernel, mode="same")
    area = (x_edges[1] - x_edges[0]) * (y_edges[1] - y_edges[0])
    centres = (x_edges[1:] + x_edges[:-1]) / 2, (y_edges[1:] + y_edges[:-1]) / 2
    return centres[0], centres[1], counts.T / (x.size * area)


def mass_levels(surface: Array, masses: tuple[float, ...]) -> list[float]:
    """Return the density level above which each share of the mass lies, increasing."""
    ordered = np.sort(surface.ravel())[::-1]
    total = np.cumsum(ordered)
    if not total[-1] > 0:
        return []
    positions = np.searchsorted(total, np.asarray(masses) * total[-1]).clip(0, ordered.size - 1)
    return sorted({float(ordered[position]) for position in positions} - {0.0})


def _kernel(sigma: float, reach: int) -> Array:
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return np.asarray(weights / weights.sum())
