"""Heavy tails and small data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy import stats

from tests.numerics.bed import grids
from tests.numerics.bed.problem import BedProblem, Draws, made

KIND = "heavy tails, small data"

norm = stats.norm.logpdf


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield from _one_location()
    yield from _with_a_scale()
    yield from _without_data()


def _located(name: str, y: Any, likelihood: Any, prior: Any, log_density: Any, **parts: Any) -> BedProblem:
    """Return a problem of one location, `log_density` being that of the data and the prior."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", prior)
        numpyro.sample("y", likelihood(mu), obs=y)

    values = np.asarray(y)
    mu = grids.cells(lambda at: log_density(values[:, None], at[None, :]), np.linspace(-80, 80, 160_001))
    return made(KIND, name, model, {"y": y}, sample=lambda rng, count: {"mu": mu(rng, count)[0]}, **parts)


def _one_location() -> Iterator[BedProblem]:
    yield _located(
        "t-three-points",
        [-0.4, 0.3, 9.0],
        lambda mu: dist.StudentT(3.0, mu, 1.0),
        dist.Normal(0.0, 10.0),
        lambda y, mu: stats.t.logpdf(y - mu, 3).sum(axis=0) + norm(mu[0], 0, 10),
    )
    yield _located(
        "cauchy-prior",
        [4.2, 5.1],
        lambda mu: dist.Normal(mu, 1.0),
        dist.Cauchy(0.0, 1.0),
        lambda y, mu: norm(y, mu, 1).sum(axis=0) + stats.cauchy.logpdf(mu[0]),
    )
    yield _located(
        "cauchy-four-points",
        [-3.0, -2.6, 4.0, 4.9],
        lambda mu: dist.Cauchy(mu, 0.5),
        dist.Normal(0.0, 5.0),
        lambda y, mu: stats.cauchy.logpdf(y, mu, 0.5).sum(axis=0) + norm(mu[0], 0, 5),
        mode=lambda draws: (draws["mu"] > 0.8).astype(int),
    )

    def waits(y: Any) -> None:
        rate = numpyro.sample("rate", dist.Gamma(0.5, 0.5))
        numpyro.sample("y", dist.Exponential(rate), obs=y)

    yield made(
        KIND,
        "two-waits",
        waits,
        {"y": [0.7, 2.9]},
        sample=lambda rng, count: {"rate": rng.gamma(2.5, 1 / 4.1, size=count)},
        moments=lambda: {"rate": (2.5 / 4.1, np.sqrt(2.5) / 4.1)},
    )


def _with_a_scale() -> Iterator[BedProblem]:
    five = np.array([1.1, 1.4, 0.2, 7.5, 0.9])

    def robust(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        numpyro.sample("y", dist.StudentT(4.0, mu, sigma), obs=y)

    def density(mu: np.ndarray, log_sigma: np.ndarray) -> np.ndarray:
        sigma = np.exp(log_sigma)
        fit = sum(stats.t.logpdf(one, 4, mu, sigma) for one in five)
        return fit + norm(mu, 0, 5) - sigma**2 / 8 + log_sigma

    both = grids.cells(density, np.linspace(-14, 18, 1_601), np.linspace(-4.5, 2.6, 711))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        mu, log_sigma = both(rng, count)
        return {"mu": mu, "sigma": np.exp(log_sigma)}

    yield made(KIND, "t-location-and-scale", robust, {"y": five}, sample=sample)
    yield _normal("normal-two-points", [0.8, 2.1], dist.HalfNormal(5.0), lambda s: -(s**2) / 50)
    three = _normal("normal-three-points", [0.8, 2.1, 1.7], dist.HalfCauchy(1.0), lambda s: -np.log1p(s**2), ("sigma",))
    yield three

    x, y = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), np.array([-2.1, -0.9, 3.0, 1.2, 1.8])

    def line(x: Any, y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 5.0))
        b = numpyro.sample("b", dist.Normal(0.0, 5.0))
        numpyro.sample("y", dist.StudentT(2.0, a + b * x, 0.5), obs=y)

    def of_line(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        fit = sum(stats.t.logpdf(yi, 2, a + b * xi, 0.5) for xi, yi in zip(x, y, strict=True))
        return fit + norm(a, 0, 5) + norm(b, 0, 5)

    lines = grids.cells(of_line, np.linspace(-12, 14, 1_301), np.linspace(-9, 11, 1_001))
    yield made(
        KIND,
        "robust-line",
        line,
        {"x": x, "y": y},
        sample=lambda rng, count: dict(zip("ab", lines(rng, count), strict=True)),
    )


def _normal(name: str, y: Any, prior: Any, log_prior: Any, unsteady: tuple[str, ...] = ()) -> BedProblem:
    """A few normal points of unknown mean, integrated out, and scale, on a grid."""
    values = np.asarray(y)

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 10.0))
        sigma = numpyro.sample("sigma", prior)
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    def given(sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        precision = len(values) / sigma**2 + 0.01
        return values.sum() / sigma**2 / precision, precision

    def density(log_sigma: np.ndarray) -> np.ndarray:
        sigma = np.exp(log_sigma)
        mean, precision = given(sigma)
        fit = -len(values) * log_sigma - 0.5 * np.log(precision)
        fit -= 0.5 * (np.sum(values**2) / sigma**2 - precision * mean**2)
        return fit + log_prior(sigma) + log_sigma

    scale = grids.cells(density, np.linspace(-6, 10, 16_001))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        sigma = np.exp(scale(rng, count)[0])
        mean, precision = given(sigma)
        return {"mu": mean + rng.standard_normal(count) / np.sqrt(precision), "sigma": sigma}

    return made(KIND, name, model, {"y": values}, sample=sample, unsteady=unsteady)


def _without_data() -> Iterator[BedProblem]:
    def five() -> None:
        numpyro.sample("x", dist.StudentT(5.0).expand([5]).to_event(1))

    yield made(
        KIND,
        "t-in-five-dimensions",
        five,
        sample=lambda rng, count: {"x": rng.standard_t(5, size=(count, 5))},
        moments=lambda: {"x": (np.zeros(5), np.full(5, np.sqrt(5 / 3)))},
    )

    factor = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [-0.5, 0.5, 2.0]])

    def joint() -> None:
        numpyro.sample("x", dist.MultivariateStudentT(6.0, jnp.array([1.0, 0.0, -2.0]), jnp.asarray(factor)))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        wide = np.sqrt(6 / rng.chisquare(6, size=count))[:, None]
        return {"x": np.array([1.0, 0.0, -2.0]) + wide * (rng.standard_normal((count, 3)) @ factor.T)}

    spread = np.sqrt(np.diag(factor @ factor.T) * 6 / 4)
    yield made(
        KIND, "multivariate-t", joint, sample=sample, moments=lambda: {"x": (np.array([1.0, 0.0, -2.0]), spread)}
    )
