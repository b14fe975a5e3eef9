"""The posterior of the seed problem, computed without a single random number.

Given the noise s, slope and intercept are Gaussian and can be integrated out in closed form; what is
left is one dimension, done by quadrature.  The ELBO of a Gaussian family is closed-form up to
the prior of the noise, whose expectation is Gauss-Hermite quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import minimize
from scipy.stats import halfcauchy, multivariate_normal

from guidebench.problems.linear_regression import X, Y

PRIOR_SD = 10.0
DESIGN = np.stack([np.asarray(X), np.ones(len(X))], axis=1)
TARGET = np.asarray(Y)

#: Where the density is highest in the model's own coordinates: that of the joint of w, b and log s_eps is elsewhere.
MODE = {"w": 0.52686, "b": -0.79795, "s_eps": 0.72264}


@dataclass(frozen=True)
class Exact:
    """Evidence and moments of (w, b, s_eps)."""

    log_evidence: float
    mean: dict[str, float]
    sd: dict[str, float]
    correlation_wb: float


@cache
def posterior() -> Exact:
    u = np.linspace(-2.5, 4.0, 20_001)  # log s_eps
    s = np.exp(u)
    log_joint, means, covariances = [], [], []
    for one in s:
        marginal = PRIOR_SD**2 * DESIGN @ DESIGN.T + one**2 * np.eye(len(TARGET))
        log_joint.append(multivariate_normal(np.zeros(len(TARGET)), marginal).logpdf(TARGET))
        covariance = np.linalg.inv(DESIGN.T @ DESIGN / one**2 + np.eye(2) / PRIOR_SD**2)
        covariances.append(covariance)
        means.append(covariance @ DESIGN.T @ TARGET / one**2)
    log_density = np.asarray(log_joint) + halfcauchy(scale=10).logpdf(s) + u
    peak = log_density.max()
    weights = np.exp(log_density - peak)
    total = np.trapezoid(weights, u)
    weights /= total

    def expect(values: np.ndarray) -> np.ndarray:
        return np.trapezoid(values * weights.reshape(-1, *[1] * (values.ndim - 1)), u, axis=0)

    mean = expect(np.asarray(means))
    second = expect(np.asarray([c + np.outer(m, m) for c, m in zip(covariances, means, strict=True)]))
    covariance = second - np.outer(mean, mean)
    mean_s = float(expect(s))
    sd = np.sqrt(np.diag(covariance))
    return Exact(
        log_evidence=float(np.log(total) + peak),
        mean={"w": float(mean[0]), "b": float(mean[1]), "s_eps": mean_s},
        sd={"w": float(sd[0]), "b": float(sd[1]), "s_eps": float(np.sqrt(expect(s**2) - mean_s**2))},
        correlation_wb=float(covariance[0, 1] / sd.prod()),
    )


def elbo(mean: np.ndarray, covariance: np.ndarray, log_s: float, log_s_sd: float) -> float:
    """ELBO of q(w, b) = N(mean, covariance) times q(log s) = N(log_s, log_s_sd**2), in nats."""
    residual = TARGET - DESIGN @ mean
    squared = residual @ residual + np.trace(DESIGN @ covariance @ DESIGN.T)
    count = len(TARGET)
    likelihood = -count / 2 * np.log(2 * np.pi) - count * log_s - squared / 2 * np.exp(-2 * log_s + 2 * log_s_sd**2)
    prior = -np.log(2 * np.pi * PRIOR_SD**2) - (mean @ mean + np.trace(covariance)) / (2 * PRIOR_SD**2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    u = log_s + log_s_sd * nodes
    noise_prior = weights @ (halfcauchy(scale=10).logpdf(np.exp(u)) + u) / weights.sum()
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1] + 0.5 * np.log(2 * np.pi * np.e * log_s_sd**2)
    return float(likelihood + prior + noise_prior + entropy)


def best_elbo(*, full_rank: bool) -> float:
    """The largest ELBO of the mean-field or of the full-rank Gaussian family.

    By symmetry the noise is uncorrelated with slope and intercept at the optimum, so full rank
    differs from mean field in the correlation of those two alone.
    """

    def negative(parameters: np.ndarray) -> float:
        w, b, log_sd_w, log_sd_b, log_s, log_log_s_sd, raw = parameters
        sd = np.exp([log_sd_w, log_sd_b])
        off = np.tanh(raw) * sd.prod() if full_rank else 0.0
        covariance = np.array([[sd[0] ** 2, off], [off, sd[1] ** 2]])
        return -elbo(np.array([w, b]), covariance, log_s, float(np.exp(log_log_s_sd)))

    found = minimize(negative, [0.5, -0.8, -2.3, -1.2, 0.0, -1.2, -0.5], method="BFGS", options={"gtol": 1e-8})
    return -float(found.fun)
