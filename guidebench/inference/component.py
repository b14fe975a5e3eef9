"""What mixtures are made of: multivariate Student t densities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64
from scipy.special import gammaln

from guidebench.inference.peaks import log_volume

#: Points at a time: so few that all that is computed between them and their densities stays in the cache.
BLOCK = 2_048


@runtime_checkable
class Part(Protocol):
    """What a mixture is made of: something that can be drawn from, and whose density is known everywhere."""

    @property
    def share(self) -> float:
        """Its share of the mixture; all of them add up to one."""

    def draw(self, count: int, rng: np.random.Generator) -> Float64[np.ndarray, "S D"]:
        """Return independent draws."""

    def log_density(self, points: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, " S"]:
        """Return the log density of points, in nats."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A multivariate Student t with its share of the mixture.

    Attributes
    ----------
    location : ndarray
        Shape ``(D,)``.
    factor : ndarray
        Lower triangular, shape ``(D, D)``.
    freedom : float
        Degrees of freedom.
    share : float
        Those of a mixture add up to one.
    """

    location: Float64[np.ndarray, " D"]
    factor: Float64[np.ndarray, "D D"]
    freedom: float
    share: float

    def draw(self, count: int, rng: np.random.Generator) -> Float64[np.ndarray, "S D"]:
        """Return independent draws."""
        normal = rng.standard_normal((count, len(self.location)))
        spread = np.sqrt(self.freedom / rng.chisquare(self.freedom, count))
        return np.asarray(self.location + (normal * spread[:, None]) @ self.factor.T)

    @cached_property
    def _inverse(self) -> Float64[np.ndarray, "D D"]:
        return np.linalg.inv(self.factor).T

    def squares(self, points: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, " S"]:
        """Return the squared Mahalanobis distances of points from the location, by the scale."""
        return np.asarray(np.sum(((points - self.location) @ self._inverse) ** 2, axis=1))

    def log_density(self, points: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, " S"]:
        """Return the log density of points, in nats."""
        dim, freedom = len(self.location), self.freedom
        squares = self.squares(points)
        constant = gammaln((freedom + dim) / 2) - gammaln(freedom / 2) - dim / 2 * np.log(freedom * np.pi)
        return np.asarray(constant - log_volume(self.factor) - (freedom + dim) / 2 * np.log1p(squares / freedom))


def log_sum(components: Sequence[Part], points: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, " S"]:
    """Return the log of the sum of densities at points, in nats; minus infinity of none."""
    return _summed(components, [0.0] * len(components), points)


def log_mixture(components: Sequence[Part], points: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, " S"]:
    """Return the log of the sum of densities, each times its share, at points, in nats."""
    return _summed(components, [np.log(one.share) for one in components], points)


def _summed(
    components: Sequence[Part], log_shares: Sequence[float], points: Float64[np.ndarray, "S D"]
) -> Float64[np.ndarray, " S"]:
    found = np.full(len(points), -np.inf)
    for first in range(0, len(points), BLOCK):
        rows = slice(first, first + BLOCK)
        for one, log_share in zip(components, log_shares, strict=True):
            found[rows] = np.logaddexp(found[rows], log_share + one.log_density(points[rows]))
    return found
