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


def problem() -> Problem:
    """Return the problem ``linear-regression``."""
    return Problem(
        name="linear-regression",
        model=model,
        kwargs={"x": np.asarray(X, np.float32), "y": np.asarray(Y, np.float32)},
        predict={"x": np.linspace(-12, 12, 100, dtype=np.float32)},
        heldout=heldout(),
        truth=TRUTH,
        log_evidence=LOG_EVIDENCE,
        summary="Bayesian linear regression on ten points: slope, intercept and noise unknown",
    )
