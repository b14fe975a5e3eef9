"""A few of many points: such as are likely to lead to different modes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Integer

#: A point is a peak among so many others that are nearest to it.
NEIGHBOURS = 10


def scattered(
    points: Float64[np.ndarray, "P D"], values: Float64[np.ndarray, " P"], count: int
) -> Integer[np.ndarray, " _"]:
    """Return the numbers of at most `count` points that are peaks among their neighbours and far from each other.

    The first is the highest of all; then comes again and again the peak that is the farthest from those that are
    chosen.  However unequal two modes are, where each has some points each has a peak.  Distances are in units of
    each coordinate's spread.  (Multi-level single linkage by Rinnooy Kan & Timmer 1987,
    doi:10.1007/BF02592071, starts at such points, too.)

    Parameters
    ----------
    points : ndarray
        Shape ``(P, D)``.
    values : ndarray
        The target there, in nats; points where it is not finite are left out.
    count : int
        How many to choose.
    """
    usable = np.flatnonzero(np.isfinite(values))
    if len(usable) <= count:
        return usable
    low, high = np.quantile(points[usable], [0.25, 0.75], axis=0)
    scaled = points[usable] / np.where(high > low, high - low, 1.0)
    peaks = np.flatnonzero(_peaks(scaled, values[usable]))
    chosen = [int(peaks[np.argmax(values[usable][peaks])])]
    distances = np.full(len(peaks), np.inf)
    for _ in range(min(count, len(peaks)) - 1):
        distances = np.minimum(distances, np.sum((scaled[peaks] - scaled[chosen[-1]]) ** 2, axis=1))
        chosen.append(int(peaks[np.argmax(distances)]))
    others = np.setdiff1d(np.argsort(-values[usable], kind="stable"), chosen, assume_unique=True)
    return usable[[*chosen, *others[: count - len(chosen)]]]


def _peaks(points: Float64[np.ndarray, "P D"], values: Float64[np.ndarray, " P"]) -> np.ndarray:
    """Return which points are at least as high as all of their nearest neighbours."""
    squares = np.sum(points**2, axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * points @ points.T
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, min(NEIGHBOURS, len(points) - 1) - 1, axis=1)[:, :NEIGHBOURS]
    return np.asarray(values >= values[nearest].max(axis=1))
