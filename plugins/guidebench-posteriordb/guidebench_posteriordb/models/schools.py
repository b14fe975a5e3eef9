"""Eight schools, in both of its coordinates."""

from __future__ import annotations

from typing import Any

import numpyro
import numpyro.distributions as dist


def centred(sigma: Any, y: Any = None) -> None:
    """theta ~ N(mu, tau) is sampled as it is: a funnel."""
    mu, tau = _population()
    with numpyro.plate("school", sigma.shape[0]):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def noncentred(sigma: Any, y: Any = None) -> None:
    """theta = mu + tau theta_trans, theta_trans ~ N(0, 1)."""
    mu, tau = _population()
    with numpyro.plate("school", sigma.shape[0]):
        theta_trans = numpyro.sample("theta_trans", dist.Normal(0, 1))
        theta = numpyro.deterministic("theta", mu + tau * theta_trans)
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def _population() -> tuple[Any, Any]:
    return numpyro.sample("mu", dist.Normal(0, 5)), numpyro.sample("tau", dist.HalfCauchy(5))
