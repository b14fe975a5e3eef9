"""Regression by a Gaussian process with a squared exponential kernel."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def gaussian_process(x: Any, y: Any = None) -> None:
    """y ~ MVN(0, alpha^2 exp(-(x - x')^2 / (2 rho^2)) + sigma I): sigma is a variance here."""
    rho = numpyro.sample("rho", dist.Gamma(25, 4))
    alpha = numpyro.sample("alpha", dist.HalfNormal(2))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1))
    distances = (x[:, None] - x[None, :]) / rho
    covariance = alpha**2 * jnp.exp(-(distances**2) / 2) + sigma * jnp.eye(x.shape[0])
    numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(x.shape[0]), covariance_matrix=covariance), obs=y)
