"""Large counts: posteriors that are narrow beside what they lie in."""

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

KIND = "large counts"


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield _binomial()
    yield _poisson()
    yield _log_rate()
    yield _multinomial()
    yield _plate()
    yield _two_arms()


def _binomial() -> BedProblem:
    def model(y: Any) -> None:
        p = numpyro.sample("p", dist.Beta(1.0, 1.0))
        numpyro.sample("y", dist.Binomial(1_000_000, p), obs=y)

    known = stats.beta(1 + 3_141, 1 + 1_000_000 - 3_141)
    return made(
        KIND,
        "binomial-of-a-million",
        model,
        {"y": 3_141},
        sample=lambda rng, count: {"p": rng.beta(1 + 3_141, 1 + 1_000_000 - 3_141, size=count)},
        moments=lambda: {"p": (known.mean(), known.std())},
    )


def _poisson() -> BedProblem:
    def model(y: Any) -> None:
        rate = numpyro.sample("rate", dist.Gamma(1.0, 1e-6))
        numpyro.sample("y", dist.Poisson(rate), obs=y)

    shape, inverse = 1 + 1_234_567, 1 + 1e-6
    return made(
        KIND,
        "poisson-of-a-million",
        model,
        {"y": 1_234_567},
        sample=lambda rng, count: {"rate": rng.gamma(shape, 1 / inverse, size=count)},
        moments=lambda: {"rate": (shape / inverse, np.sqrt(shape) / inverse)},
    )


def _log_rate() -> BedProblem:
    y = np.array([1_000_000, 1_001_200])

    def model(y: Any) -> None:
        log_rate = numpyro.sample("log_rate", dist.Normal(0.0, 10.0))
        numpyro.sample("y", dist.Poisson(jnp.exp(log_rate)), obs=y)

    peak = np.log(y.mean())

    def density(step: np.ndarray) -> np.ndarray:
        return y.sum() * step - 2 * y.mean() * np.expm1(step) - (peak + step) ** 2 / 200

    cells = grids.cells(density, np.linspace(-0.01, 0.01, 20_001))
    return made(
        KIND,
        "log-rate-of-a-million",
        model,
        {"y": y},
        sample=lambda rng, count: {"log_rate": peak + cells(rng, count)[0]},
    )


def _multinomial() -> BedProblem:
    y = np.array([700_000, 299_000, 990, 10])

    def model(y: Any) -> None:
        p = numpyro.sample("p", dist.Dirichlet(jnp.ones(4)))
        numpyro.sample("y", dist.Multinomial(1_000_000, p), obs=y)

    known = stats.dirichlet(y + 1.0)
    return made(
        KIND,
        "multinomial-of-a-million",
        model,
        {"y": y},
        sample=lambda rng, count: {"p": rng.dirichlet(y + 1.0, size=count)},
        moments=lambda: {"p": (known.mean(), np.sqrt(known.var()))},
    )


def _plate() -> BedProblem:
    """Twenty rates over five orders of magnitude."""
    y = np.round(np.logspace(1, 6, 20))

    def model(y: Any) -> None:
        with numpyro.plate("row", len(y)):
            rate = numpyro.sample("rate", dist.Gamma(0.5, 1e-4))
            numpyro.sample("y", dist.Poisson(rate), obs=y)

    shape, inverse = 0.5 + y, 1 + 1e-4
    return made(
        KIND,
        "rates-of-all-sizes",
        model,
        {"y": y},
        sample=lambda rng, count: {"rate": rng.gamma(shape, 1 / inverse, size=(count, 20))},
        moments=lambda: {"rate": (shape / inverse, np.sqrt(shape) / inverse)},
    )


def _two_arms() -> BedProblem:
    """A trial of two arms of half a million each: a baseline and the difference."""
    n, y = 500_000, np.array([1_000, 1_100])

    def model(y: Any) -> None:
        base = numpyro.sample("base", dist.Normal(0.0, 5.0))
        effect = numpyro.sample("effect", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Binomial(n, logits=jnp.stack([base, base + effect])), obs=y)

    def density(base: np.ndarray, effect: np.ndarray) -> np.ndarray:
        fit = sum(k * at - n * np.logaddexp(0, at) for k, at in zip(y, (base, base + effect), strict=True))
        return fit - base**2 / 50 - effect**2 / 2

    both = grids.cells(density, np.linspace(-6.5, -5.9, 801), np.linspace(-0.25, 0.45, 801))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        return dict(zip(("base", "effect"), both(rng, count), strict=True))

    return made(KIND, "two-arms-of-half-a-million", model, {"y": y}, sample=sample)
