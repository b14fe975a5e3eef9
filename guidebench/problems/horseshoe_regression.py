"""Sparse regression with the regularised horseshoe: which of twelve frequencies are in a signal?

The predictors are cosines, sampled evenly over half a period: X'X = n I.  Given the two global scales the
coefficients are then independent, and two global dimensions plus one local one give the exact posterior.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guidebench.contracts import Problem
from guidebench.problems import quadrature

SIZE, HELDOUT_SIZE = 40, 200
FREQUENCIES = 12
NOISE = 0.5

#: The coefficients that are not zero, by frequency.
SIGNAL = {1: 0.8, 4: -0.5, 7: 0.25}

#: Scale of tau in units of the noise: p0 / (p - p0) / sqrt(n) for a guess of p0 = 3 (Piironen & Vehtari, eq. 3.12).
TAU_SCALE = 3 / (FREQUENCIES - 3) / SIZE**0.5

#: Width of the slab that keeps large coefficients finite.
SLAB = 2.0

#: log p(y) in nats, by quadrature of one local and two global scales.
LOG_EVIDENCE = -40.84661

#: Nodes for log(tau) and the noise, and for every log(lambda): beyond them lies less than 1e-5 of the posterior.
AXES = (np.linspace(-18.0, 4.0, 201), quadrature.midpoints(1.3, 60, begin=0.2))
LOG_LAMBDA = np.linspace(-18.0, 18.0, 301)


def model(t: Any, y: Any = None) -> None:
    """y ~ N(X beta, noise), beta_j = tau lambda~_j z_j with lambda~^2 = c^2 lambda^2 / (c^2 + tau^2 lambda^2)."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    noise = numpyro.sample("noise", dist.HalfNormal(1))
    tau = numpyro.sample("tau", dist.HalfCauchy(TAU_SCALE * noise))
    with numpyro.plate("frequency", FREQUENCIES):
        lam = numpyro.sample("lambda", dist.HalfCauchy(1))
        z = numpyro.sample("z", dist.Normal(0, 1))
        width = tau * lam
        beta = numpyro.deterministic("beta", z * width * SLAB / jnp.sqrt(SLAB**2 + width**2))
    design = jnp.sqrt(2.0) * jnp.cos(jnp.pi * t[:, None] * jnp.arange(1, FREQUENCIES + 1))
    with numpyro.plate("data", t.shape[0]):
        mu = numpyro.deterministic("mu", design @ beta)
        numpyro.sample("y", dist.Normal(mu, noise), obs=y)


def design(t: np.ndarray) -> np.ndarray:
    """Return the cosines at times t, shape ``(n, 12)``."""
    matrix: np.ndarray = np.sqrt(2) * np.cos(np.pi * t[:, None] * np.arange(1, FREQUENCIES + 1))
    return matrix


def coefficients() -> np.ndarray:
    """Return the true coefficients."""
    return np.asarray([SIGNAL.get(frequency, 0.0) for frequency in range(1, FREQUENCIES + 1)])


def simulate(seed: int, size: int) -> dict[str, np.ndarray]:
    """Return data at evenly spaced times, from NumPy's legacy generator, whose streams are frozen for good."""
    t = (np.arange(size) + 0.5) / size
    y = design(t) @ coefficients() + NOISE * np.random.RandomState(seed).standard_normal(size)
    return {"t": t.astype(np.float32), "y": y.astype(np.float32)}


def least_squares() -> tuple[np.ndarray, float]:
    """Return the least-squares coefficients, each with variance noise^2 / n, and the sum of squares left."""
    data = simulate(40, SIZE)
    y = data["y"].astype(float)
    estimate = design(data["t"].astype(float)).T @ y / SIZE
    return estimate, float(y @ y - SIZE * estimate @ estimate)


def prior_variance(log_tau: np.ndarray, log_lambda: np.ndarray) -> np.ndarray:
    """Return the variance of a coefficient given the scales."""
    variance: np.ndarray = 1 / (np.exp(-2 * (log_tau + log_lambda)) + SLAB**-2)
    return variance


def log_local(estimate: float, log_tau: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return log p(estimate, log lambda) of one coefficient given the global scales, the last axis that of lambda."""
    variance = prior_variance(log_tau[..., None], LOG_LAMBDA) + noise[..., None] ** 2 / SIZE
    likelihood = quadrature.log_normal(np.asarray(estimate), variance)
    density: np.ndarray = quadrature.log_half_cauchy_log(LOG_LAMBDA) + likelihood
    return density


def log_joint(log_tau: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return log p(y, log tau, noise)."""
    estimate, left = least_squares()
    # What is left of y, and the change from y to the estimates.
    density: np.ndarray = -(SIZE - FREQUENCIES) * np.log(noise) - 0.5 * left / noise**2
    density = density - 0.5 * (SIZE - FREQUENCIES) * np.log(2 * np.pi) - 0.5 * FREQUENCIES * np.log(SIZE)
    density += quadrature.log_half_normal(noise) + quadrature.log_half_cauchy_log(log_tau, TAU_SCALE * noise)
    step = LOG_LAMBDA[1] - LOG_LAMBDA[0]
    for one in estimate:
        local = log_local(one, log_tau, noise)
        peak = local.max(axis=-1)
        density += peak + np.log(step * np.exp(local - peak[..., None]).sum(axis=-1))
    return density


def reference(seed: int, count: int) -> dict[str, np.ndarray]:
    """Draw from the exact posterior: the global scales, the local ones given them, z given all."""
    rng = np.random.default_rng(seed)
    log_tau, noise = quadrature.draw(log_joint(*np.meshgrid(*AXES, indexing="ij")), AXES, rng, count)
    step = LOG_LAMBDA[1] - LOG_LAMBDA[0]
    local, standard = [], []
    for one in least_squares()[0]:
        cumulative = np.cumsum(np.exp(log_local(one, log_tau, noise)), axis=-1)
        place = np.sum(cumulative < (cumulative[:, -1] * rng.uniform(size=count))[:, None], axis=-1)
        log_lambda = LOG_LAMBDA[place] + step * rng.uniform(-0.5, 0.5, count)
        variance, error = prior_variance(log_tau, log_lambda), noise**2 / SIZE
        total = variance + error
        standard.append(np.sqrt(variance) * one / total + np.sqrt(error / total) * rng.standard_normal(count))
        local.append(np.exp(log_lambda))
    return {"noise": noise, "tau": np.exp(log_tau), "lambda": np.stack(local, axis=1), "z": np.stack(standard, axis=1)}


def problem() -> Problem:
    """Return the problem ``horseshoe-regression``."""
    return Problem(
        name="horseshoe-regression",
        model=model,
        kwargs=simulate(40, SIZE),
        predict={"t": np.linspace(0, 1, 101, dtype=np.float32)},
        heldout=simulate(41, HELDOUT_SIZE),
        truth={"noise": NOISE},
        reference=reference,
        log_evidence=LOG_EVIDENCE,
        summary="Sparse regression with a regularised horseshoe: three of twelve coefficients are not zero",
        cite="Carvalho, Polson & Scott (2010), The horseshoe estimator for sparse signals, Biometrika 97(2), "
        "doi:10.1093/biomet/asq017; Piironen & Vehtari (2017), Electronic Journal of Statistics 11(2), "
        "doi:10.1214/17-EJS1337SI",
    )
