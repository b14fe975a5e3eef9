"""Two numbers measured up to their common sign: an exact mixture of two Gaussians far apart.

A guide that finds one mode alone misses the log evidence by the log of that mode's weight: 0.36 nat at
0.7, 1.20 at 0.3.  Its own importance weights hardly see it, for they look only where it has draws.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guidebench.contracts import Problem

PRIOR_SD = 3.0

#: Probability that the reading has the sign of theta, and that it has the other one.
PROBS = (0.7, 0.3)

#: Covariance of the reading's noise.
NOISE = ((0.5, 0.375), (0.375, 0.5))

Y = (3.0, 2.0)


def model(y: Any = None) -> None:
    """y ~ 0.7 N(theta, NOISE) + 0.3 N(-theta, NOISE), with theta ~ N(0, 3) in both coordinates."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    theta = numpyro.sample("theta", dist.Normal(0, PRIOR_SD).expand([2]).to_event(1))
    sign = dist.Categorical(probs=jnp.asarray(PROBS))
    readings = dist.MultivariateNormal(jnp.stack([theta, -theta], axis=-2), covariance_matrix=jnp.asarray(NOISE))
    numpyro.sample("y", dist.MixtureSameFamily(sign, readings), obs=y)


def given_sign() -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of theta given that the reading has its sign.

    Given the other sign the mean is the opposite and the covariance the same.
    """
    noise = np.asarray(NOISE)
    gain = PRIOR_SD**2 * np.linalg.inv(PRIOR_SD**2 * np.eye(2) + noise)
    return gain @ np.asarray(Y), gain @ noise


def log_evidence() -> float:
    """Return log p(y) in nats: y ~ N(0, PRIOR_SD^2 I + NOISE), whichever the sign."""
    y, marginal = np.asarray(Y), PRIOR_SD**2 * np.eye(2) + np.asarray(NOISE)
    return float(-0.5 * (y @ np.linalg.solve(marginal, y) + np.linalg.slogdet(2 * np.pi * marginal)[1]))


def reference(seed: int, count: int) -> dict[str, np.ndarray]:
    """Draw from the exact posterior: the sign, then theta given the sign.

    The reading is as likely under one sign as under the other, so it leaves their probabilities alone.
    """
    mean, covariance = given_sign()
    rng = np.random.default_rng(seed)
    sign = np.where(rng.uniform(size=count) < PROBS[0], 1.0, -1.0)
    spread = rng.standard_normal((count, 2)) @ np.linalg.cholesky(covariance).T
    return {"theta": sign[:, None] * mean + spread}


def problem() -> Problem:
    """Return the problem ``two-modes``."""
    return Problem(
        name="two-modes",
        model=model,
        kwargs={"y": np.asarray(Y, np.float32)},
        reference=reference,
        log_evidence=log_evidence(),
        summary="Two Gaussian modes of weights 0.7 and 0.3, eight sds apart: a guide on one can look perfect",
        cite="Bishop (2006), Pattern Recognition and Machine Learning, section 10.1.2, ISBN 978-0-387-31073-2",
    )
