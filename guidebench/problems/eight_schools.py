"""Eight schools: what coaching did to test scores, in eight trials with known standard errors.

The effects are written as they are thought of, theta ~ N(mu, tau): as tau falls, all of them must
move together, and the posterior is a funnel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guidebench.contracts import Problem
from guidebench.problems import quadrature

#: Estimated effect of coaching in each school, and its standard error (Rubin 1981, table 1).
EFFECTS = (28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0)
ERRORS = (15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0)

#: What they are called in Gelman et al. (2013), Bayesian Data Analysis, table 5.2.
SCHOOLS = tuple("ABCDEFGH")

#: Prior scales of mu (the sd of a normal) and of tau (the scale of a half-Cauchy).
MU_SD = 5.0
TAU_SCALE = 5.0

#: log p(y) in nats: mu and theta integrate out by algebra, tau by quadrature.
LOG_EVIDENCE = -31.31135

SOURCE = "Rubin (1981), Estimation in Parallel Randomized Experiments, JEBS 6(4), doi:10.3102/10769986006004377"

#: Nodes for log(tau): beyond them lies less than 1e-7 of the posterior.
LOG_TAU = np.linspace(-16.0, 8.0, 4801)


def model(sigma: Any, y: Any = None) -> None:
    """y ~ N(theta, sigma), theta ~ N(mu, tau), with the standard errors sigma known."""
    import numpyro
    import numpyro.distributions as dist

    mu = numpyro.sample("mu", dist.Normal(0, MU_SD))
    tau = numpyro.sample("tau", dist.HalfCauchy(TAU_SCALE))
    with numpyro.plate("school", sigma.shape[0]):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def given_tau(log_tau: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log p(y, log tau), and mean and variance of mu given tau.

    With theta integrated out, y ~ N(mu, sqrt(sigma^2 + tau^2)), and mu is conjugate to that.
    """
    y, variance = np.asarray(EFFECTS), np.asarray(ERRORS) ** 2 + np.exp(2 * log_tau)[..., None]
    precision = np.sum(1 / variance, axis=-1) + MU_SD**-2
    mean = np.sum(y / variance, axis=-1) / precision
    # p(y) = p(y | mu) p(mu) / p(mu | y) at any mu, so at its posterior mean.
    log_joint = (
        quadrature.log_half_cauchy_log(log_tau, TAU_SCALE)
        + quadrature.log_normal(y - mean[..., None], variance).sum(axis=-1)
        + quadrature.log_normal(mean, np.asarray(MU_SD**2))
        - quadrature.log_normal(np.zeros_like(mean), 1 / precision)
    )
    return log_joint, mean, 1 / precision


def draw(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw mu, tau and z = (theta - mu) / tau from the exact posterior: tau, mu given tau, z given both."""
    rng = np.random.default_rng(seed)
    (log_tau,) = quadrature.draw(given_tau(LOG_TAU)[0], [LOG_TAU], rng, count)
    _, mean, variance = given_tau(log_tau)
    mu = mean + np.sqrt(variance) * rng.standard_normal(count)
    tau, noise = np.exp(log_tau)[:, None], np.asarray(ERRORS) ** 2
    total = noise + tau**2
    z = tau * (np.asarray(EFFECTS) - mu[:, None]) / total + np.sqrt(noise / total) * rng.standard_normal((count, 8))
    return mu, np.exp(log_tau), z


def reference(seed: int, count: int) -> dict[str, np.ndarray]:
    """Draw from the exact posterior."""
    mu, tau, z = draw(seed, count)
    return {"mu": mu, "tau": tau, "theta": mu[:, None] + tau[:, None] * z}


def problem() -> Problem:
    """Return the problem ``eight-schools``."""
    return Problem(
        name="eight-schools",
        model=model,
        kwargs={"sigma": np.asarray(ERRORS, np.float32), "y": np.asarray(EFFECTS, np.float32)},
        reference=reference,
        coords={"school": SCHOOLS},
        log_evidence=LOG_EVIDENCE,
        summary="Eight schools, centred: a funnel with data, its neck where the schools are all alike",
        cite=SOURCE,
    )
