"""Mixtures: of two normals, and along a hidden Markov chain with two states."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from guidebench_posteriordb.models.hidden_markov import HiddenMarkov
from guidebench_posteriordb.models.priors import ordered, positive_ordered


def two_normals(size: int, y: Any = None) -> None:
    """y ~ theta N(mu_1, sigma_1) + (1 - theta) N(mu_2, sigma_2), mu in order."""
    mu = numpyro.sample("mu", ordered(jnp.zeros(2), 2.0))
    sigma = numpyro.sample("sigma", dist.HalfNormal(2).expand([2]).to_event(1))
    theta = numpyro.sample("theta", dist.Beta(5, 5))
    shares = dist.Categorical(probs=jnp.stack([theta, 1 - theta]))
    with numpyro.plate("row", size):
        numpyro.sample("y", dist.MixtureSameFamily(shares, dist.Normal(mu, sigma)), obs=y)


def normal_chain(size: int, y: Any = None) -> None:
    """y_t ~ N(mu_k, 1) in state k of a chain with flat transition probabilities."""
    mu = numpyro.sample("mu", positive_ordered([3.0, 10.0], 1.0))
    numpyro.sample("y", HiddenMarkov(_transitions(jnp.ones((2, 2))), dist.Normal(mu, 1), size), obs=y)


def drives(size: int, alpha: Any, y: Any = None) -> None:
    """u_t ~ Exponential(phi_k), v_t ~ Exponential(lambda_k) in state k; `y` has the columns u and v."""
    transition = _transitions(alpha)
    phi = numpyro.sample("phi", positive_ordered([0.0, 3.0], 1.0))
    rate = numpyro.sample("lambda", positive_ordered([0.0, 3.0], 1.0))
    emission = dist.Exponential(jnp.stack([phi, rate], axis=-1)).to_event(1)
    numpyro.sample("y", HiddenMarkov(transition, emission, size), obs=y)


def _transitions(alpha: Any) -> Any:
    """Return the matrix of which row k has a Dirichlet prior with the concentrations ``alpha[k]``."""
    rows = [numpyro.sample(f"theta{state + 1}", dist.Dirichlet(alpha[state])) for state in range(2)]
    return jnp.stack(rows)
