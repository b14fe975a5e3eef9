r"""Have chains forgotten where they began, and have they arrived?  From their own spread alone.

Chains are independent, so that every Monte Carlo error comes from the spread over chains, with no model of their
autocorrelation: with :math:`\bar x_c` the mean of a quantity along chain c, the error of its mean is
:math:`\operatorname{sd}(\bar x_c) / \sqrt C`, and that of an sd :math:`\sigma` is the same of
:math:`((x - \mu)^2 - \sigma^2) / 2 \sigma`.

Forgotten: over chains, the rank correlation of first and last of every quantity, and of the directions in which the
chains are widest, is no more than noise.  Arrived: no mean and no sd of the second half differs from that of the first
by more than a limit.  Forgetting alone is fulfilled while sds are still growing.  The first half holds the way from the
guide, so that halves which agree bound what is still to come wherever chains slow down no more than a diffusion does.

Over n quantities the largest of pure noise grows as :math:`\sqrt{2 \log n}`, the expected maximum of n normals; what is
said of the worst of them counts only beyond so many of its errors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from guidebench.results.noise import allowance

#: Directions in which chains are widest that are watched beside the quantities.
WIDEST = 4


class Half(NamedTuple):
    """Per chain, the sums of quantities and of their squares over so many transitions."""

    sums: Float64[np.ndarray, "C K"]
    squares: Float64[np.ndarray, "C K"]
    length: int

    def minus(self, other: Half) -> Half:
        """Return the transitions of one that are not those of the other, its beginning."""
        return Half(self.sums - other.sums, self.squares - other.squares, self.length - other.length)

    def mean(self) -> Float64[np.ndarray, " K"]:
        """Return the mean of every quantity."""
        return np.asarray(self.sums.mean(axis=0) / self.length)

    def about(self, mean: Float64[np.ndarray, " K"]) -> tuple[Float64[np.ndarray, "C K"], Float64[np.ndarray, "C K"]]:
        """Return per chain the mean distance from `mean`, and the mean squared distance."""
        own = self.sums / self.length - mean
        return own, self.squares / self.length - 2 * mean * self.sums / self.length + mean**2

    def sd(self) -> Float64[np.ndarray, " K"]:
        """Return the sd of every quantity."""
        return np.asarray(np.sqrt(np.maximum(self.squares.mean(axis=0) / self.length - self.mean() ** 2, 0)))


class Change(NamedTuple):
    """How moments differ between two halves: means in sds, sds as a share, both with their errors."""

    mean: Float64[np.ndarray, " K"]
    mean_error: Float64[np.ndarray, " K"]
    sd: Float64[np.ndarray, " K"]
    sd_error: Float64[np.ndarray, " K"]


def change(first: Half, second: Half, least: Float64[np.ndarray, " K"]) -> Change:
    """Return how the moments of the second half differ from those of the first; errors are those of the difference.

    `least` is the smallest sd that counts as one, per quantity.
    """
    mean, sd = second.mean(), np.maximum(second.sd(), least)
    parts = [half.about(mean) for half in (first, second)]
    means = (parts[1][0] - parts[0][0]) / sd
    spreads = (parts[1][1] - parts[0][1]) / (2 * sd**2)
    root = math.sqrt(len(means))
    return Change(
        means.mean(axis=0),
        means.std(axis=0) / root,
        (second.sd() - first.sd()) / sd,
        spreads.std(axis=0) / root,
    )


def errors(half: Half, least: Float64[np.ndarray, " K"]) -> tuple[Float64[np.ndarray, " K"], Float64[np.ndarray, " K"]]:
    """Return the errors of the means, in sds, and of the sds, as a share, of a half; `least` as in :func:`change`."""
    mean, sd = half.mean(), np.maximum(half.sd(), least)
    means, spreads = half.about(mean)
    root = math.sqrt(len(means))
    return (means / sd).std(axis=0) / root, (spreads / (2 * sd**2)).std(axis=0) / root


def remembered(
    first: Float64[np.ndarray, "C K"], last: Float64[np.ndarray, "C K"], middle: Float64[np.ndarray, "C K"]
) -> float:
    """Return the largest rank correlation over chains of first and last, noise taken off.

    Of every quantity, of the directions in which chains are widest in the `middle` of the run, and of all quantities
    together: many small correlations add up to what none of them shows.
    """
    directions = _widest(middle)
    first, last = (np.concatenate([one, one @ directions], axis=1) for one in (first, last))
    found = correlations(first, last)
    found = found[np.isfinite(found)]
    if not len(found):
        return 0.0
    noise = 1 / math.sqrt(len(first))
    together = math.sqrt(max(float(np.mean(found**2)) - noise**2, 0.0))
    return max(float(found.max()) - allowance(len(found)) * noise, together, 0.0)


def correlations(first: Float64[np.ndarray, "C K"], last: Float64[np.ndarray, "C K"]) -> Float64[np.ndarray, " K"]:
    """Return the size of the rank correlation over chains of first and last; NaN of what does not vary."""
    from scipy.stats import rankdata

    found = np.full(first.shape[1], np.nan)
    varying = (np.ptp(first, axis=0) > 0) & (np.ptp(last, axis=0) > 0)
    if varying.any():
        ranks = [rankdata(one[:, varying], axis=0) for one in (first, last)]
        ranks = [(one - one.mean(axis=0)) / one.std(axis=0) for one in ranks]
        found[varying] = np.abs(np.mean(ranks[0] * ranks[1], axis=0))
    return found


def _widest(points: Float64[np.ndarray, "C K"]) -> Float64[np.ndarray, "K W"]:
    """Return the directions of largest variance of the standardised quantities, by the Gram matrix of the chains."""
    spread = points.std(axis=0)
    centred = np.where(spread > 0, (points - points.mean(axis=0)) / np.where(spread > 0, spread, 1.0), 0.0)
    _, vectors = np.linalg.eigh(centred @ centred.T)
    found = centred.T @ vectors[:, -WIDEST:]
    scaled = found / np.maximum(np.linalg.norm(found, axis=0), 1e-300)
    return np.asarray(scaled / np.where(spread > 0, spread, np.inf)[:, None])
