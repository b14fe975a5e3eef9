"""Posteriors of 50 to 5,000 latents that are not Gaussian: conjugate plates, and plates under a global on a grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy import stats
from scipy.special import log_ndtr, ndtri_exp

from tests.numerics.bed import grids
from tests.numerics.bed.hierarchy import Groups
from tests.numerics.bed.problem import BedProblem, Draws, Moments, made

KIND = "many latents, not Gaussian"


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    for size in (50, 300, 1_000, 5_000):
        yield _rates(f"rates-{size}", size)
    for size in (50, 300, 1_000):
        yield _effects(f"random-effects-{size}", size)
    for size in (50, 300):
        yield _rates_under_one(f"rates-under-one-{size}", size)
    yield _shares("shares-300", 300)
    yield _laplace("laplace-300", 300)


def _rates(name: str, size: int) -> BedProblem:
    y = np.random.default_rng(size + 3).poisson(3.0, size=size)

    def model(y: Any) -> None:
        with numpyro.plate("each", len(y)):
            rate = numpyro.sample("rate", dist.Gamma(1.5, 0.5))
            numpyro.sample("y", dist.Poisson(rate), obs=y)

    shape = 1.5 + y
    return made(
        KIND,
        name,
        model,
        {"y": y},
        sample=lambda rng, count: {"rate": rng.gamma(shape, 1 / 1.5, size=(count, size))},
        moments=lambda: {"rate": (shape / 1.5, np.sqrt(shape) / 1.5)},
    )


def _effects(name: str, size: int) -> BedProblem:
    rng = np.random.default_rng(size + 4)
    s = rng.uniform(0.3, 1.5, size=size).round(3)
    y = (1.0 + 0.8 * rng.standard_normal(size) + s * rng.standard_normal(size)).round(4)

    def model(s: Any, y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        with numpyro.plate("group", len(s)):
            theta = numpyro.sample("theta", dist.Normal(mu, tau))
            numpyro.sample("y", dist.Normal(theta, s), obs=y)

    known = Groups(y=y, s=s, m=5.0, log_prior=lambda tau: -(tau**2) / 2, low=-10.0, high=3.0, nodes=4_001)
    return made(KIND, name, model, {"s": s, "y": y}, sample=known.sample, moments=known.moments)


def _rates_under_one(name: str, size: int) -> BedProblem:
    """Rates that share the inverse scale of their prior."""
    rng = np.random.default_rng(size + 5)
    y = rng.poisson(rng.gamma(2.0, 2.0, size=size))

    def model(y: Any) -> None:
        beta = numpyro.sample("beta", dist.Gamma(1.0, 1.0))
        with numpyro.plate("each", len(y)):
            rate = numpyro.sample("rate", dist.Gamma(2.0, beta))
            numpyro.sample("y", dist.Poisson(rate), obs=y)

    def density(log_beta: np.ndarray) -> np.ndarray:
        beta = np.exp(log_beta)
        return 2.0 * size * log_beta - (2.0 * size + y.sum()) * np.log1p(beta) - beta + log_beta

    axis = np.linspace(-4, 3, 7_001)
    cells = grids.cells(density, axis)

    def sample(rng: np.random.Generator, count: int) -> Draws:
        beta = np.exp(cells(rng, count)[0])
        return {"beta": beta, "rate": rng.gamma(2.0 + y, 1 / (1 + beta)[:, None])}

    def moments() -> Moments:
        share, beta = grids.weights(density(axis)), np.exp(axis)
        scale = 1 / (1 + beta)[:, None]
        return {
            "beta": grids.total(share, beta, np.zeros_like(beta)),
            "rate": grids.total(share, (2.0 + y) * scale, (2.0 + y) * scale**2),
        }

    return made(KIND, name, model, {"y": y}, sample=sample, moments=moments)


def _shares(name: str, size: int) -> BedProblem:
    """Few trials each, many without a success."""
    y = np.random.default_rng(size + 6).binomial(6, 0.15, size=size)

    def model(y: Any) -> None:
        with numpyro.plate("each", len(y)):
            p = numpyro.sample("p", dist.Beta(1.0, 3.0))
            numpyro.sample("y", dist.Binomial(6, p), obs=y)

    known = stats.beta(1 + y, 9 - y)
    return made(
        KIND,
        name,
        model,
        {"y": y},
        sample=lambda rng, count: {"p": rng.beta(1 + y, 9 - y, size=(count, size))},
        moments=lambda: {"p": (known.mean(), known.std())},
    )


def _laplace(name: str, size: int) -> BedProblem:
    """Readings of numbers under a prior with an edge: two halves of normals, by their mass on either side."""
    rng = np.random.default_rng(size + 7)
    y = (rng.laplace(0.0, 0.7, size=size) + rng.standard_normal(size)).round(4)

    def model(y: Any) -> None:
        with numpyro.plate("each", len(y)):
            theta = numpyro.sample("theta", dist.Laplace(0.0, 0.7))
            numpyro.sample("y", dist.Normal(theta, 1.0), obs=y)

    pull = 1 / 0.7
    # To the right of zero N(y - pull, 1), to the left N(y + pull, 1), with these log masses.
    right, left = log_ndtr(y - pull) - y * pull, log_ndtr(-y - pull) + y * pull

    def sample(rng: np.random.Generator, count: int) -> Draws:
        on_right = rng.uniform(size=(count, size)) < 1 / (1 + np.exp(left - right))
        sign = np.where(on_right, 1.0, -1.0)
        centre = sign * y - pull  # of the distance from zero
        log_tail = log_ndtr(centre) + np.log(1 - rng.uniform(size=(count, size)))
        return {"theta": sign * (centre - ndtri_exp(log_tail))}

    def moments() -> Moments:
        axis = np.linspace(-9, 9, 18_001)
        density = -0.5 * (y[:, None] - axis) ** 2 - pull * np.abs(axis)
        share = grids.weights(density)
        mean = share @ axis
        return {"theta": (mean, np.sqrt(share @ axis**2 - mean**2))}

    return made(KIND, name, model, {"y": y}, sample=sample, moments=moments)
