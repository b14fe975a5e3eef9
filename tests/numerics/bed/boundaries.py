"""Boundaries and simplices: mass that leans against where the support ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints
from scipy import stats

from tests.numerics.bed import grids
from tests.numerics.bed.problem import BedProblem, Draws, Moments, made

KIND = "boundaries and simplices"

#: The largest number below one: what is drawn beyond it has no logit.
BELOW_ONE = 1 - 2.0**-53


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield from _shares()
    yield _cut("bounded-above", dist.Uniform(0.0, 1.0), 1.3, 0.2, 0.0, 1.0, np.inf)
    yield _cut("half-normal-at-zero", dist.HalfNormal(1.0), -2.0, 0.5, 0.0, np.inf, 1.0)
    yield _corner()
    yield _correlation()
    yield _ordered()


def _shares() -> Iterator[BedProblem]:
    def bathtub() -> None:
        numpyro.sample("p", dist.Beta(0.3, 0.3))

    yield made(
        KIND,
        "bathtub",
        bathtub,
        sample=lambda rng, count: {"p": np.clip(rng.beta(0.3, 0.3, size=count), 1e-300, BELOW_ONE)},
        moments=lambda: {"p": (0.5, 0.5 / np.sqrt(1.6))},
    )

    def none_of_twenty(y: Any) -> None:
        p = numpyro.sample("p", dist.Beta(1.0, 1.0))
        numpyro.sample("y", dist.Binomial(20, p), obs=y)

    yield made(
        KIND,
        "none-of-twenty",
        none_of_twenty,
        {"y": 0},
        sample=lambda rng, count: {"p": rng.beta(1, 21, size=count)},
        moments=lambda: {"p": (stats.beta.mean(1, 21), stats.beta.std(1, 21))},
    )

    def corners() -> None:
        numpyro.sample("p", dist.Dirichlet(jnp.array([0.6, 0.6, 0.6])))

    yield _dirichlet("simplex-with-corners", corners, [0.6, 0.6, 0.6])

    def counted(y: Any) -> None:
        p = numpyro.sample("p", dist.Dirichlet(jnp.full(4, 0.5)))
        numpyro.sample("y", dist.Multinomial(15, p), obs=y)

    yield _dirichlet("counts-with-zeros", counted, [12.5, 3.5, 0.5, 0.5], {"y": [12, 3, 0, 0]})


def _dirichlet(name: str, model: Any, shape: Any, data: Any = None) -> BedProblem:
    known = stats.dirichlet(shape)

    def sample(rng: np.random.Generator, count: int) -> Draws:
        # By its gammas: the smallest parts keep their digits.
        parts = rng.gamma(np.asarray(shape), size=(count, len(shape)))
        return {"p": parts / parts.sum(axis=1, keepdims=True)}

    def moments() -> Moments:
        return {"p": (known.mean(), np.sqrt(known.var()))}

    return made(KIND, name, model, data, sample=sample, moments=moments)


def _cut(name: str, prior: Any, y: float, noise: float, low: float, high: float, sd: float) -> BedProblem:
    """A normal reading of a number beyond whose bounds it lies: a truncated normal."""

    def model(y: Any) -> None:
        theta = numpyro.sample("theta", prior)
        numpyro.sample("y", dist.Normal(theta, noise), obs=y)

    precision = noise**-2 + sd**-2.0
    mean, spread = y / noise**2 / precision, precision**-0.5
    known = stats.truncnorm((low - mean) / spread, (high - mean) / spread, mean, spread)
    return made(
        KIND,
        name,
        model,
        {"y": y},
        sample=lambda rng, count: {"theta": known.rvs(count, random_state=rng)},
        moments=lambda: {"theta": (known.mean(), known.std())},
    )


def _corner() -> BedProblem:
    """The sum of two numbers is almost as large as it can be."""

    def model(y: Any) -> None:
        u = numpyro.sample("u", dist.Uniform(0.0, 1.0).expand([2]).to_event(1))
        numpyro.sample("y", dist.Normal(u.sum(), 0.1), obs=y)

    axis = (np.arange(2_000) + 0.5) / 2_000
    both = grids.cells(lambda a, b: -((1.95 - a - b) ** 2) / 0.02, axis, axis, closed=(0, 1))
    return made(KIND, "corner", model, {"y": 1.95}, sample=lambda rng, count: {"u": np.stack(both(rng, count), axis=1)})


def _correlation() -> BedProblem:
    y = np.array([[0.5, 0.55], [-1.2, -1.1], [2.0, 1.8], [0.1, 0.2], [-0.4, -0.5]])

    def model(y: Any) -> None:
        rho = numpyro.sample("rho", dist.Uniform(-1.0, 1.0))
        off = rho * jnp.array([[0.0, 1.0], [1.0, 0.0]])
        numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(2), covariance_matrix=jnp.eye(2) + off), obs=y)

    squares, cross = np.sum(y**2), np.sum(y[:, 0] * y[:, 1])

    def density(rho: np.ndarray) -> np.ndarray:
        free = 1 - rho**2
        return -len(y) / 2 * np.log(free) - (squares - 2 * rho * cross) / (2 * free)

    cells = grids.cells(density, -1 + (np.arange(40_000) + 0.5) / 20_000, closed=(0,))
    return made(KIND, "correlation-near-one", model, {"y": y}, sample=lambda rng, count: {"rho": cells(rng, count)[0]})


def _ordered() -> BedProblem:
    """Cut points: a normal density each, in order; so they are sorted normals."""

    def model() -> None:
        cut = numpyro.sample("cut", dist.ImproperUniform(constraints.ordered_vector, (), (4,)))
        numpyro.factor("prior", dist.Normal(0.0, 1.5).log_prob(cut).sum())

    return made(
        KIND,
        "ordered-cut-points",
        model,
        sample=lambda rng, count: {"cut": np.sort(1.5 * rng.standard_normal((count, 4)), axis=1)},
    )
