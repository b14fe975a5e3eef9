"""Label switching: mixtures whose components can be exchanged, exact by going through all assignments of few data."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy.special import betaln, gammaln, logsumexp

from tests.numerics.bed.problem import BedProblem, Draws, made

KIND = "label switching"

#: Prior sd of every mean.
WIDE = 5.0


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield _normal("two-labels-apart", 2, [[-3.1], [-2.2], [-2.6], [2.8], [3.3], [2.4]])
    yield _normal("two-labels-close", 2, [[-1.3], [0.2], [-0.8], [1.1], [2.0], [0.7], [1.6]])
    yield _normal("three-labels", 3, [[-6.2], [-5.1], [0.3], [-0.5], [5.6], [6.4], [6.1]])
    plane = [[-2.0, -1.0], [-2.6, -1.7], [-1.8, -2.2], [2.1, 1.4], [2.7, 2.3], [1.9, 1.6], [2.4, 0.8], [2.2, 1.9]]
    yield _normal("two-labels-in-the-plane", 2, plane)
    yield _weighted()
    yield _poisson()


def _order(values: np.ndarray) -> np.ndarray:
    """Which of the orders the components are in, as an integer."""
    return np.argsort(values, axis=1) @ 10 ** np.arange(values.shape[1])


def _assignments(components: int, count: int) -> np.ndarray:
    """Whether each datum belongs to each component, shape (assignments, components, data)."""
    labels = np.array(list(product(range(components), repeat=count)))
    return labels[:, None, :] == np.arange(components)[None, :, None]


def _choice(rng: np.random.Generator, log_share: np.ndarray, count: int) -> np.ndarray:
    return rng.choice(len(log_share), size=count, p=np.exp(log_share - logsumexp(log_share)))


def _given(belongs: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log p(y | assignment), and posterior means and variances of all component means."""
    precision = belongs.sum(axis=2) + WIDE**-2.0
    mean = belongs @ y / precision[:, :, None]
    fit = np.sum(precision[:, :, None] * mean**2, axis=(1, 2)) - y.shape[1] * np.log(precision).sum(axis=1)
    return 0.5 * fit, mean, 1 / precision


def _normal(name: str, components: int, data: Any) -> BedProblem:
    y = np.asarray(data)
    dim = y.shape[1]

    def line(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, WIDE).expand([components]).to_event(1))
        which = dist.Categorical(probs=jnp.ones(components) / components)
        numpyro.sample("y", dist.MixtureSameFamily(which, dist.Normal(mu, 1.0)), obs=y)

    def plane(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, WIDE).expand([components, dim]).to_event(2))
        which = dist.Categorical(probs=jnp.ones(components) / components)
        numpyro.sample("y", dist.MixtureSameFamily(which, dist.Normal(mu, 1.0).to_event(1)), obs=y)

    log_share, mean, variance = _given(_assignments(components, len(y)), y)

    def sample(rng: np.random.Generator, count: int) -> Draws:
        which = _choice(rng, log_share, count)
        noise = np.sqrt(variance[which])[:, :, None] * rng.standard_normal((count, components, dim))
        mu = mean[which] + noise
        return {"mu": mu[:, :, 0] if dim == 1 else mu}

    return made(
        KIND,
        name,
        line if dim == 1 else plane,
        {"y": y[:, 0] if dim == 1 else y},
        sample=sample,
        mode=lambda draws: _order(draws["mu"].reshape(len(draws["mu"]), components, -1).sum(axis=2)),
    )


def _weighted() -> BedProblem:
    """Two components of unknown weight."""
    y = np.array([-2.4, -1.9, -2.8, -2.2, -1.6, 1.8, 2.6, 2.1])

    def model(y: Any) -> None:
        weight = numpyro.sample("weight", dist.Beta(1.0, 1.0))
        mu = numpyro.sample("mu", dist.Normal(0.0, WIDE).expand([2]).to_event(1))
        which = dist.Categorical(probs=jnp.stack([weight, 1 - weight]))
        numpyro.sample("y", dist.MixtureSameFamily(which, dist.Normal(mu, 1.0)), obs=y)

    belongs = _assignments(2, len(y))
    fit, mean, variance = _given(belongs, y[:, None])
    counts = belongs.sum(axis=2)
    log_share = fit + betaln(1 + counts[:, 0], 1 + counts[:, 1])

    def sample(rng: np.random.Generator, count: int) -> Draws:
        which = _choice(rng, log_share, count)
        mu = mean[which, :, 0] + np.sqrt(variance[which]) * rng.standard_normal((count, 2))
        return {"weight": rng.beta(1 + counts[which, 0], 1 + counts[which, 1]), "mu": mu}

    return made(KIND, "two-labels-and-a-weight", model, {"y": y}, sample=sample, mode=lambda draws: _order(draws["mu"]))


def _poisson() -> BedProblem:
    y = np.array([1, 0, 2, 1, 9, 12, 8])

    def model(y: Any) -> None:
        rate = numpyro.sample("rate", dist.Gamma(2.0, 0.5).expand([2]).to_event(1))
        which = dist.Categorical(probs=jnp.array([0.5, 0.5]))
        numpyro.sample("y", dist.MixtureSameFamily(which, dist.Poisson(rate)), obs=y)

    belongs = _assignments(2, len(y))
    shape, inverse = 2.0 + belongs @ y, 0.5 + belongs.sum(axis=2)
    log_share = (gammaln(shape) - shape * np.log(inverse)).sum(axis=1)

    def sample(rng: np.random.Generator, count: int) -> Draws:
        which = _choice(rng, log_share, count)
        return {"rate": rng.gamma(shape[which], 1 / inverse[which])}

    return made(KIND, "two-rates", model, {"y": y}, sample=sample, mode=lambda draws: _order(draws["rate"]))
