"""Exact draws from Gaussians, from mixtures of them, and from those whose precision is tridiagonal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import cholesky_banded, solve_banded, solveh_banded


def gaussian(rng: np.random.Generator, count: int, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Draw from a Gaussian, shape ``(count, D)``."""
    return mean + rng.standard_normal((count, len(mean))) @ np.linalg.cholesky(covariance).T


def mixture(share: Any, means: Any, sds: Any) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Return what draws from a mixture of Gaussians without correlations: shapes ``(K,)`` and twice ``(K, D)``."""
    share, means = np.asarray(share, float), np.asarray(means, float)
    sds = np.broadcast_to(sds, means.shape)

    def sample(rng: np.random.Generator, count: int) -> np.ndarray:
        which = rng.choice(len(share), size=count, p=share / share.sum())
        return means[which] + sds[which] * rng.standard_normal((count, means.shape[1]))

    return sample


def regression(
    design: np.ndarray, y: np.ndarray, noise: float, prior: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of the coefficients of y ~ N(design @ beta, noise), with beta ~ N(0, prior)."""
    scale = np.broadcast_to(prior, design.shape[1])
    inverse = np.diag(scale**-2.0) + design.T @ design / noise**2
    unit = np.sqrt(np.diag(inverse))  # columns of very different size
    covariance = np.linalg.inv(inverse / np.outer(unit, unit)) / np.outer(unit, unit)
    return covariance @ (design.T @ y) / noise**2, covariance


class Tridiagonal:
    """A Gaussian whose precision is tridiagonal, by banded Cholesky: everything is linear in its size.

    Parameters
    ----------
    diagonal, off : ndarray
        Of the precision, shapes ``(D,)`` and ``(D - 1,)``.
    pull : ndarray
        Precision times mean.
    """

    def __init__(self, diagonal: np.ndarray, off: np.ndarray, pull: np.ndarray) -> None:
        banded = np.stack([diagonal, np.append(off, 0.0)])
        self.factor = cholesky_banded(banded, lower=True)
        self.mean = solveh_banded(banded, pull, lower=True)

    @property
    def sd(self) -> np.ndarray:
        """Sds: the diagonal of the inverse by the recursion of Takahashi, from the last element to the first."""
        (diagonal, below), found = self.factor, 0.0
        variances = np.empty_like(diagonal)
        for at in range(len(diagonal) - 1, -1, -1):
            found = diagonal[at] ** -2.0 + (below[at] / diagonal[at]) ** 2 * found
            variances[at] = found
        return np.sqrt(variances)

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw, shape ``(count, D)``."""
        diagonal, below = self.factor
        upper = np.stack([np.insert(below[:-1], 0, 0.0), diagonal])
        return self.mean + solve_banded((0, 1), upper, rng.standard_normal((len(diagonal), count))).T
