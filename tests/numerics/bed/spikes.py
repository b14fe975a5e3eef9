"""Sharp spikes: narrow inside wide."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy import stats
from scipy.special import logsumexp

from tests.numerics.bed import grids
from tests.numerics.bed.gaussians import mixture, regression
from tests.numerics.bed.problem import BedProblem, Draws, made

KIND = "sharp spikes"


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield _needle("needle-in-a-slab", 0.5, 1, 0.0, 0.02)
    yield _needle("needle-in-a-slab-three", 0.5, 3, 0.0, 0.05)
    yield _needle("needle-aside", 0.3, 2, 1.0, 0.02)
    yield _spike_and_slab("spike-and-slab-means", np.eye(3), np.array([0.4, 1.6, 3.0]))
    rng = np.random.default_rng(4)
    base = rng.standard_normal(25)
    design = np.stack([base + 0.4 * rng.standard_normal(25) for _ in range(4)], axis=1)
    y = design @ np.array([1.0, 0.0, 0.0, 0.4]) + rng.standard_normal(25)
    yield _spike_and_slab("spike-and-slab-regression", design, y.round(3))
    yield _laplace()


def _needle(name: str, share: float, dim: int, at: float, width: float) -> BedProblem:
    shares, places, widths = np.array([share, 1 - share]), np.array([[at], [0.0]]), np.array([[width], [1.0]])

    def model() -> None:
        parts = dist.Normal(
            jnp.broadcast_to(jnp.asarray(places), (2, dim)), jnp.broadcast_to(jnp.asarray(widths), (2, dim))
        )
        numpyro.sample("x", dist.MixtureSameFamily(dist.Categorical(probs=jnp.asarray(shares)), parts.to_event(1)))

    draw = mixture(shares, np.broadcast_to(places, (2, dim)), widths)
    mean = share * at
    sd = np.sqrt(share * (width**2 + at**2) + (1 - share) - mean**2)
    return made(
        KIND,
        name,
        model,
        sample=lambda rng, count: {"x": draw(rng, count)},
        moments=lambda: {"x": (np.full(dim, mean), np.full(dim, sd))},
        mode=lambda draws: (np.abs(draws["x"] - at).max(axis=1) > 4 * width).astype(int),
    )


def _spike_and_slab(name: str, design: np.ndarray, y: np.ndarray) -> BedProblem:
    """Coefficients that are nearly nil or not: exact by going through all that may be so."""
    spike, slab = 0.05, 3.0
    width = design.shape[1]

    def model(x: Any, y: Any) -> None:
        scales = jnp.array([spike, slab])
        prior = dist.MixtureSameFamily(dist.Categorical(probs=jnp.array([0.5, 0.5])), dist.Normal(jnp.zeros(2), scales))
        beta = numpyro.sample("beta", prior.expand([width]).to_event(1))
        numpyro.sample("y", dist.Normal(x @ beta, 1.0), obs=y)

    cases = [np.asarray(one) for one in product([spike, slab], repeat=width)]
    evidence = [
        stats.multivariate_normal(cov=design @ np.diag(one**2) @ design.T + np.eye(len(y))).logpdf(y) for one in cases
    ]
    share = np.exp(np.asarray(evidence) - logsumexp(evidence))
    known = [regression(design, y, 1.0, one) for one in cases]
    means = np.stack([mean for mean, _ in known])
    factors = np.stack([np.linalg.cholesky(covariance) for _, covariance in known])
    variances = np.stack([np.diag(covariance) for _, covariance in known])

    def sample(rng: np.random.Generator, count: int) -> Draws:
        which = rng.choice(len(cases), size=count, p=share)
        spread = np.einsum("sij,sj->si", factors[which], rng.standard_normal((count, width)))
        return {"beta": means[which] + spread}

    return made(
        KIND,
        name,
        model,
        {"x": design, "y": y},
        sample=sample,
        moments=lambda: {"beta": grids.total(share, means, variances)},
    )


def _laplace() -> BedProblem:
    """A prior with an edge, at which the data pull a little."""

    def model(y: Any) -> None:
        theta = numpyro.sample("theta", dist.Laplace(0.0, 0.05))
        numpyro.sample("y", dist.Normal(theta, 0.2), obs=y)

    cells = grids.cells(lambda at: -np.abs(at) / 0.05 - (0.3 - at) ** 2 / 0.08, np.linspace(-2, 2, 40_001))
    return made(KIND, "edge-at-zero", model, {"y": 0.3}, sample=lambda rng, count: {"theta": cells(rng, count)[0]})
