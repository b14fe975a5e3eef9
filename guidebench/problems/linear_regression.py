"""Bayesian linear regression on ten points, with the posterior known by quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np

from guidebench.contracts import Problem

#: Written down rather than drawn: random streams of libraries change, these numbers do not.
X = (-2.8102133, -2.5248766, -0.08326931, 1.1389861, 1.4956162, 2.619388, 2.8142188, 4.413685, 6.642333, 6.9359946)
Y = (-2.512595, -2.7735069, -0.10528082, 0.73988307, -0.6569609, 0.2016108, 1.2039449, 1.9934832, 1.32374, 3.4774048)

TRUTH = {"w": 0.5, "b": -0.7, "s_eps": 1.0}

#: log p(y) in nats, by quadrature of the posterior in float64.
LOG_EVIDENCE = -22.88160

HELDOUT_SIZE = 200


def model(x: Any, y: Any = None) -> None:
    """y ~ N(x w + b, s_eps) with vague priors on the slope, the intercept and the noise."""
    import numpyro
    import numpyro.distributions as dist

    w = numpyro.sample("w", dist.Normal(0, 10))
    b = numpyro.sample("b", dist.Normal(0, 10))
    s_eps = numpyro.sample("s_eps", dist.HalfCauchy(10))
    with numpyro.plate("data", x.shape[0]):
        mu = numpyro.deterministic("mu", x * w + b)
        numpyro.sample("y", dist.Normal(mu, s_eps), obs=y)


def heldout() -> dict[str, np.ndarray]:
    """Return 200 further points from the true line, x spread evenly over the prediction grid.

    The noise comes from NumPy's legacy ``RandomState``, whose streams are frozen for good.
    """
    x = np.linspace(-12, 12, HELDOUT_SIZE)
    noise = np.random.RandomState(20_240).standard_normal(HELDOUT_SIZE)
    y = TRUTH["w"] * x + TRUTH["b"] + TRUTH["s_eps"] * noise
    return {"x": x.astype(np.float32), "y": y.astype(np.float32)}


def reference(seed: int, count: int) -> dict[str, np.ndarray]:
    """Draw from the exact posterior.

    Given the noise, slope and intercept are Gaussian and integrate out; the noise itself is drawn by
    inverting its distribution function on a fine grid of its logarithm.
    """
    from scipy.special import logsumexp

    design = np.stack([np.asarray(X), np.ones(len(X))], axis=1)
    target, prior = np.asarray(Y), 10.0
    # In the basis of singular vectors the residual splits into what the line can reach and the rest.
    left, singular, right = np.linalg.svd(design, full_matrices=False)
    reached, rest = left.T @ target, target @ target - np.sum((left.T @ target) ** 2)

    log_noise = np.linspace(-3.0, 5.0, 40_001)
    variance = np.exp(2 * log_noise)[:, None]
    explained = variance + (prior * singular) ** 2
    log_density = (
        -0.5 * np.sum(np.log(explained) + reached**2 / explained, axis=1)
        - (len(X) - 2) * log_noise
        - 0.5 * rest / variance[:, 0]
        - np.log1p(np.exp(2 * log_noise) / prior**2)
        + log_noise
    )
    cumulative = np.cumsum(np.exp(log_density - logsumexp(log_density)))
    rng = np.random.default_rng(seed)
    noise = np.exp(np.interp(rng.uniform(size=count), cumulative, log_noise))

    shrunk = (prior * singular) ** 2 / (noise[:, None] ** 2 + (prior * singular) ** 2)
    mean = shrunk * reached / singular
    sd = noise[:, None] * np.sqrt(shrunk) / singular
    w, b = ((mean + sd * rng.standard_normal((count, 2))) @ right).T
    return {"w": w, "b": b, "s_eps": noise}


def problem() -> Problem:
    """Return the problem ``linear-regression``."""
    return Problem(
        name="linear-regression",
        model=model,
        kwargs={"x": np.asarray(X, np.float32), "y": np.asarray(Y, np.float32)},
        predict={"x": np.linspace(-12, 12, 100, dtype=np.float32)},
        heldout=heldout(),
        truth=TRUTH,
        reference=reference,
        log_evidence=LOG_EVIDENCE,
        summary="Bayesian linear regression on ten points: slope, intercept and noise unknown",
        cite="Prior of the noise: Gelman (2006), Bayesian Analysis 1(3), doi:10.1214/06-BA117A",
    )
