"""Normal groups with a common mean and scale: the scale on a grid, all else by conjugacy.

The model is y_j ~ N(theta_j, s_j), theta_j ~ N(mu, tau), mu ~ N(0, m), with any prior of tau.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import logsumexp

from tests.numerics.bed import grids
from tests.numerics.bed.problem import Draws, Moments


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The posterior of one such model.

    Attributes
    ----------
    y, s : ndarray
        What was measured in each group, and its error.
    m : float
        Prior sd of mu.
    log_prior : callable
        Log density of tau, up to a constant.
    low, high : float
        Where the grid of log tau begins and ends.
    """

    y: np.ndarray
    s: np.ndarray
    m: float
    log_prior: Callable[[np.ndarray], np.ndarray]
    low: float = -16.0
    high: float = 8.0
    nodes: int = 20_001

    def given(self, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return log p(y | tau), mean and variance of mu, for each value of tau."""
        precision = 1 / (self.s[None, :] ** 2 + tau[:, None] ** 2)
        total = precision.sum(axis=1) + self.m**-2.0
        mean = precision @ self.y / total
        fit = precision @ self.y**2 - total * mean**2
        return 0.5 * (np.log(precision).sum(axis=1) - np.log(total) - fit), mean, 1 / total

    def log_density(self, log_tau: np.ndarray) -> np.ndarray:
        """Return the log density of log tau, up to a constant."""
        tau = np.exp(log_tau)
        return self.given(tau)[0] + self.log_prior(tau) + log_tau

    def log_evidence(self) -> float:
        """Return log p(y), where `log_prior` is normalised."""
        axis = np.linspace(self.low, self.high, self.nodes)
        log_mass = logsumexp(self.log_density(axis)) + np.log(axis[1] - axis[0])
        return float(log_mass - len(self.y) / 2 * np.log(2 * np.pi) - np.log(self.m))

    @cached_property
    def cells(self) -> grids.Cells:
        return grids.cells(self.log_density, np.linspace(self.low, self.high, self.nodes))

    def sample(self, rng: np.random.Generator, count: int) -> Draws:
        """Draw tau, then mu given tau, then the groups given both."""
        tau = np.exp(self.cells(rng, count)[0])
        _, mean, variance = self.given(tau)
        mu = mean + np.sqrt(variance) * rng.standard_normal(count)
        precision = self.s[None, :] ** -2.0 + tau[:, None] ** -2.0
        theta = (self.y / self.s**2 + (mu / tau**2)[:, None]) / precision
        return {"mu": mu, "tau": tau, "theta": theta + rng.standard_normal(theta.shape) / np.sqrt(precision)}

    def moments(self) -> Moments:
        """Means and sds, by the law of total variance over the grid of tau."""
        log_tau = np.linspace(self.low, self.high, 2_001)
        share, tau = grids.weights(self.log_density(log_tau)), np.exp(log_tau)
        _, mean, variance = self.given(tau)
        shrink = self.s**2 / (self.s[None, :] ** 2 + tau[:, None] ** 2)  # the weight of mu in theta
        theta = (1 - shrink) * self.y + shrink * mean[:, None]
        spread = shrink * tau[:, None] ** 2 + shrink**2 * variance[:, None]
        nil = np.zeros_like(tau)
        return {
            "mu": grids.total(share, mean, variance),
            "tau": grids.total(share, tau, nil),
            "theta": grids.total(share, theta, spread),
        }
