"""Logistic regression on thirty yes-or-no answers: two coefficients, so that a grid gives the exact posterior."""

from __future__ import annotations

from typing import Any

import numpy as np

from guidebench.contracts import Problem
from guidebench.problems import quadrature

TRUTH = {"intercept": -1.0, "slope": 2.0}

PRIOR_SD = 5.0
SIZE = 30
HELDOUT_SIZE = 200

#: log p(y) in nats, by quadrature of both coefficients.
LOG_EVIDENCE = -11.70700

#: Nodes for intercept and slope: beyond them lies less than 1e-9 of the posterior.
AXES = (np.linspace(-10.0, 6.0, 641), np.linspace(-6.0, 18.0, 961))


def model(x: Any, y: Any = None) -> None:
    """y ~ Bernoulli(p) with logit p = intercept + slope x."""
    import numpyro
    import numpyro.distributions as dist
    from jax.nn import sigmoid

    intercept = numpyro.sample("intercept", dist.Normal(0, PRIOR_SD))
    slope = numpyro.sample("slope", dist.Normal(0, PRIOR_SD))
    with numpyro.plate("data", x.shape[0]):
        logits = intercept + slope * x
        numpyro.deterministic("p", sigmoid(logits))
        numpyro.sample("y", dist.Bernoulli(logits=logits), obs=y)


def simulate(seed: int, size: int) -> dict[str, np.ndarray]:
    """Return data from the true coefficients, by NumPy's legacy generator, whose streams are frozen for good."""
    random = np.random.RandomState(seed)
    x = random.uniform(-2, 2, size)
    p = 1 / (1 + np.exp(-TRUTH["intercept"] - TRUTH["slope"] * x))
    return {"x": x.astype(np.float32), "y": (random.uniform(size=size) < p).astype(np.int32)}


def log_joint(intercept: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Return log p(y, intercept, slope)."""
    data = simulate(1, SIZE)
    density: np.ndarray = quadrature.log_normal(intercept, np.asarray(PRIOR_SD**2))
    density = density + quadrature.log_normal(slope, np.asarray(PRIOR_SD**2))
    for x, y in zip(data["x"].astype(float), data["y"], strict=True):
        density -= np.logaddexp(0, (1 - 2 * y) * (intercept + slope * x))
    return density


def reference(seed: int, count: int) -> dict[str, np.ndarray]:
    """Draw from the posterior on a grid, fine enough to call it exact."""
    density = log_joint(*np.meshgrid(*AXES, indexing="ij"))
    intercept, slope = quadrature.draw(density, AXES, np.random.default_rng(seed), count)
    return {"intercept": intercept, "slope": slope}


def problem() -> Problem:
    """Return the problem ``logistic-regression``."""
    return Problem(
        name="logistic-regression",
        model=model,
        kwargs=simulate(1, SIZE),
        predict={"x": np.linspace(-3, 3, 100, dtype=np.float32)},
        heldout=simulate(2, HELDOUT_SIZE),
        truth=TRUTH,
        reference=reference,
        log_evidence=LOG_EVIDENCE,
        summary="Logistic regression on thirty points: a posterior that leans towards steeper slopes",
        cite="Gelman, Jakulin, Pittau & Su (2008), Annals of Applied Statistics 2(4), doi:10.1214/08-AOAS191",
    )
