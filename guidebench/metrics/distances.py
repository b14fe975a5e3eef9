"""Joint distances from a reference: how far a guide's distribution of all latents is from the true posterior.

Every component is standardised by the reference's mean and standard deviation, which count as known;
one that does not vary in the reference is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from guidebench.config.seeds import derive
from guidebench.contracts import MetricValue
from guidebench.metrics.errors import pairs, thinned
from guidebench.metrics.evidence import Evidence

#: Directions on which the latents are projected.
DIRECTIONS = 128

#: Draws that are projected, of either side, and the numbers that they may hold.
MOST_PROJECTED = 20_000
MOST_VALUES = 10_000_000

#: Draws whose distances from one another are taken, of either side, and differences of components that this may take.
MOST_PAIRED = 2_000
MOST_DIFFERENCES = 4_000_000_000

#: Components from which on distances come from a product of matrices.
BY_PRODUCTS = 30

#: Knots and draws of either side that the error of a sliced distance is computed from.
_KNOTS, _PROBES = 201, 1_000

#: Standardised draws that are farther out count as being there.
FARTHEST = 1e15

#: Directions at a time: their projections stay in the processor's cache.
_BLOCK = 8


class Extent(NamedTuple):
    """How many components, draws, reference draws, and independent reference draws there are."""

    components: int
    draws: int
    reference: int
    effective: float


def extent(evidence: Evidence) -> Extent:
    """Return the extent of what can be compared; the component that mixed worst counts."""
    sizes = [(len(pair.draws), len(pair.reference), pair.effective) for pair in pairs(evidence)]
    if not sizes:
        return Extent(components=0, draws=0, reference=0, effective=0.0)
    draws, reference, _ = sizes[0]
    return Extent(
        components=len(sizes), draws=draws, reference=reference, effective=min(effective for _, _, effective in sizes)
    )


def standardised(
    evidence: Evidence, count: int, reference: int
) -> tuple[Float64[np.ndarray, "d S"], Float64[np.ndarray, "d M"]]:
    """Return `count` draws of the guide and `reference` of the reference, each of shape ``(d, draws)``."""
    sides: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for pair in pairs(evidence):
        mean, sd = pair.reference.mean(), pair.reference.std()
        sides[0].append((thinned(pair.draws, count) - mean) / sd)
        sides[1].append((thinned(pair.reference, reference) - mean) / sd)
    return np.stack(sides[0]), np.stack(sides[1])


def directions(components: int) -> Float64[np.ndarray, "K {components}"]:
    """Return unit vectors, shape ``(128, components)``: random orthogonal frames, the same in every run.

    Orthogonal directions cover the sphere more evenly than independent ones, and each of them is
    uniform (Rowland et al. 2019, Orthogonal Estimation of Wasserstein Distances, arXiv:1903.03784).
    A line has only one direction.
    """
    if components == 1:
        return np.ones((1, 1))
    frames = -(-DIRECTIONS // components)
    normal = np.random.default_rng(derive(0, "sliced_w2")).normal(
        size=(frames, components, min(components, DIRECTIONS))
    )
    found, _ = np.linalg.qr(normal)
    return np.asarray(np.concatenate(list(found), axis=1).T[:DIRECTIONS])


def sliced_w2(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Sliced 2-Wasserstein distance of the joint distributions, and what chance alone makes of it.

    .. math:: \mathrm{SW}_2^2 = \mathrm{E}_\theta \int_0^1
              \big( F_{\theta^\top q}^{-1}(u) - F_{\theta^\top p}^{-1}(u) \big)^2 du

    over 128 directions :math:`\theta` and equally many draws of either side, at most 20,000.

    Two samples of one distribution are not at distance zero.  ``sliced_w2_floor`` is the distance
    between two disjoint halves of the reference, times :math:`\sqrt{m / n}` where the halves have fewer
    draws, m, than the n that are compared; with heavy tails that makes it a little low.  Where the
    distributions differ the squares add, roughly: a value of twice the floor is high by an eighth of
    itself.

    The error is that of the central limit theorem, with the directions as given: the variance over
    draws of the mean over directions of the optimal transport's potential
    :math:`2 \int (t - T_\theta(t)) dt`.  Near the floor it tends to be too large.

    References
    ----------
    Bonneel, Rabin, Peyré & Pfister (2015), J. Math. Imaging Vis. 51, doi:10.1007/s10851-014-0506-3.
    Rodríguez-Vítores, del Barrio & Loubes (2025), An improved central limit theorem for the empirical
    sliced Wasserstein distance, arXiv:2503.18831.
    """
    size = extent(evidence)
    if not size.components or min(size.draws, size.reference) < 2:
        return
    count = min(MOST_PROJECTED, MOST_VALUES // size.components, size.draws, size.reference // 2 * 2)
    half = min(count, size.reference // 2)
    guide, reference = map(_single, standardised(evidence, count, 2 * half))
    truth = thinned(reference, count)
    axes = directions(size.components).astype(np.float32)
    blocks = np.array_split(axes, -(-len(axes) // _BLOCK))
    found = [_transport(block @ guide, block @ truth) for block in blocks]
    squared, potentials, true_potentials = (np.mean(part, axis=0) for part in zip(*found, strict=True))
    variance = np.var(potentials) / count + np.var(true_potentials) / min(count, size.effective)
    value = float(np.sqrt(squared))
    yield MetricValue(value=value, mcse=float(np.sqrt(variance)) / (2 * value) if value > 0 else None)
    halves = [
        _squared(np.sort(block @ reference[:, :half], axis=1), np.sort(block @ reference[:, half:], axis=1))
        for block in blocks
    ]
    yield MetricValue(value=float(np.sqrt(np.mean(halves) * half / count)), metric="sliced_w2_floor")


def _single(side: Float64[np.ndarray, "d S"]) -> Float32[np.ndarray, "d S"]:
    """Return draws in float32: sorting takes nearly all of the time, and half as long; no distance of samples knows.

    What is farther out than float32 could square is as far as it could.
    """
    return np.asarray(np.clip(side, -FARTHEST, FARTHEST), np.float32)


def _transport(
    projected: Float32[np.ndarray, "K S"], true: Float32[np.ndarray, "K S"]
) -> tuple[float, Float64[np.ndarray, " P"], Float64[np.ndarray, " P"]]:
    """Return the squared distance, and the potential of some draws of either side, as means over projections."""
    first, second = np.sort(projected, axis=1), np.sort(true, axis=1)
    return _squared(first, second), _potential(first, second, projected), _potential(second, first, true)


def _squared(first: Float32[np.ndarray, "K S"], second: Float32[np.ndarray, "K S"]) -> float:
    """Return the mean squared distance of sorted projections."""
    return float(np.mean(np.square(first - second), dtype=np.float64))


def _potential(
    own: Float32[np.ndarray, "K S"], other: Float32[np.ndarray, "K S"], projected: Float32[np.ndarray, "K S"]
) -> Float64[np.ndarray, " P"]:
    """Return the mean over projections of the potential, by the trapezoidal rule between some quantiles."""
    knots = np.linspace(0, own.shape[1] - 1, min(_KNOTS, own.shape[1])).astype(int)
    points, slopes = own[:, knots].astype(np.float64), 2.0 * (own[:, knots] - other[:, knots])
    steps = np.diff(points, axis=1) * (slopes[:, 1:] + slopes[:, :-1]) / 2
    heights = np.cumsum(np.pad(steps, ((0, 0), (1, 0))), axis=1)
    probes = thinned(projected, _PROBES)
    return np.asarray(np.mean([np.interp(*each) for each in zip(probes, points, heights, strict=True)], axis=0))


def energy_distance(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Energy distance of the joint distributions, by its unbiased U-statistic.

    .. math:: \mathcal{E} = 2\, \mathrm{E}\|X - Y\| - \mathrm{E}\|X - X'\| - \mathrm{E}\|Y - Y'\|,
              \qquad X \sim q,\; Y \sim p

    from at most 2,000 draws of either side, fewer in more than 1,000 components, and no more of the reference than it
    is worth in independent ones: draws next to each other in a chain would make it high.  It is zero only for equal
    distributions; being unbiased, the estimate may be slightly negative there.

    The error is that of the first-order (Hoeffding) projection: of each draw, its mean distance from the
    other side minus that from its own.  Where the distributions are equal that term vanishes, and the
    error is too large, by up to :math:`\sqrt2`; within a few errors of zero the estimate is skewed.  A
    thinned chain still remembers a little, so with a dependent reference the error is low by up to a tenth
    or so.

    References
    ----------
    Székely & Rizzo (2013), J. Stat. Plan. Inference 143(8), doi:10.1016/j.jspi.2013.03.018.
    """
    size = extent(evidence)
    most = min(MOST_PAIRED, math.isqrt(MOST_DIFFERENCES // max(size.components, 1)))
    count, true_count = min(most, size.draws), min(most, size.reference, int(size.effective))
    if min(count, true_count) < 2:
        return
    x, y = (np.ascontiguousarray(side.T) for side in standardised(evidence, count, true_count))
    across = _apart(x, y)
    to_other, true_to_other = across.mean(axis=1), across.mean(axis=0)
    to_own, true_to_own = _apart(x, x).sum(axis=1) / (count - 1), _apart(y, y).sum(axis=1) / (true_count - 1)
    value = 2 * to_other.mean() - to_own.mean() - true_to_own.mean()
    variances = (
        np.var(2 * (to_other - to_own), ddof=1) / count,
        np.var(2 * (true_to_other - true_to_own), ddof=1) / true_count,
    )
    yield MetricValue(value=float(value), mcse=float(np.sqrt(sum(variances))))


def _apart(x: Float64[np.ndarray, "S K"], y: Float64[np.ndarray, "T K"]) -> Float64[np.ndarray, "S T"]:
    """Return the distance of every row of x to every row of y; in many components by one product of matrices.

    Squares that cancel there are those about the middle of all rows: what is left of an error is far below the typical
    distance.
    """
    if x.shape[1] < BY_PRODUCTS:
        from scipy.spatial.distance import cdist

        return np.asarray(cdist(x, y))
    middle = np.median(np.concatenate([x, y]), axis=0)
    left, right = x - middle, y - middle
    squares = np.sum(left**2, axis=1)[:, None] + np.sum(right**2, axis=1) - 2 * (left @ right.T)
    found: Float64[np.ndarray, "S T"] = np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)
    if x is y:
        np.fill_diagonal(found, 0.0)
    return found
