"""Conjugate problems: their posteriors are Gaussian, and everything about them is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy.stats import multivariate_normal

from guidebench.contracts import Problem


@dataclass(frozen=True)
class Conjugate:
    """A problem with the mean and covariance of its posterior and its log evidence."""

    problem: Problem
    mean: np.ndarray
    covariance: np.ndarray
    log_evidence: float

    @property
    def sd(self) -> np.ndarray:
        return np.sqrt(np.diag(self.covariance))

    @property
    def mean_field_sd(self) -> np.ndarray:
        """Sds of the best factorised Gaussian: those of each coordinate given the others."""
        return 1 / np.sqrt(np.diag(np.linalg.inv(self.covariance)))


def gaussian_mean() -> Conjugate:
    """The mean of five readings with known noise."""
    y = np.array([1.2, -0.4, 0.8, 2.1, 0.3])

    def model(y: Any) -> None:
        mu = numpyro.sample("beta", dist.Normal(0.0, 2.0).expand([1]).to_event(1))
        with numpyro.plate("n", y.shape[0]):
            numpyro.sample("y", dist.Normal(mu[0], 1.5), obs=y)

    return _linear("gaussian-mean", model, {"y": y}, np.ones((5, 1)), y, 1.5, np.array([2.0]))


def _regression(name: str, design: np.ndarray, y: np.ndarray, noise: float, prior: np.ndarray) -> Conjugate:
    def model(x: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, prior).to_event(1))
        with numpyro.plate("n", x.shape[0]):
            numpyro.sample("y", dist.Normal(x @ beta, noise), obs=y)

    return _linear(name, model, {"x": design, "y": y}, design, y, noise, prior)


def twenty_dimensions() -> Conjugate:
    """Regression on twenty unrelated predictors."""
    rng = np.random.default_rng(1)
    design = rng.standard_normal((60, 20))
    y = design @ rng.standard_normal(20) + rng.standard_normal(60)
    return _regression("twenty", design, y, 1.0, np.full(20, 3.0))


def nearly_collinear() -> Conjugate:
    """Regression whose coefficients have posterior correlations of -0.999."""
    rng = np.random.default_rng(2)
    base = rng.standard_normal(40)
    design = np.stack([base, base + 0.045 * rng.standard_normal(40), rng.standard_normal(40)], axis=1)
    y = design @ np.array([1.0, -0.5, 0.3]) + rng.standard_normal(40)
    return _regression("collinear", design, y, 1.0, np.full(3, 50.0))


def many_scales() -> Conjugate:
    """Regression on predictors in units from 1e-4 to 1e3, so that coefficients have sds from 1e-3 to 1e4."""
    rng = np.random.default_rng(3)
    units = np.logspace(-3, 4, 8)
    design = rng.standard_normal((50, 8)) / units * 0.15
    y = design @ (units * rng.standard_normal(8) * 3) + rng.standard_normal(50)
    return _regression("scales", design, y, 1.0, 100 * units)


def _linear(
    name: str,
    model: Callable[..., None],
    kwargs: dict[str, np.ndarray],
    design: np.ndarray,
    y: np.ndarray,
    noise: float,
    prior: np.ndarray,
) -> Conjugate:
    covariance = np.linalg.inv(np.diag(prior**-2.0) + design.T @ design / noise**2)
    evidence = multivariate_normal(np.zeros(len(y)), design @ np.diag(prior**2) @ design.T + noise**2 * np.eye(len(y)))
    return Conjugate(
        problem=Problem(name=name, model=model, kwargs=kwargs),
        mean=covariance @ design.T @ y / noise**2,
        covariance=covariance,
        log_evidence=float(evidence.logpdf(y)),
    )


ALL = (gaussian_mean, twenty_dimensions, nearly_collinear, many_scales)
