"""Offsets of a million, in the log density and in the data.

Data are multiples of 1/16, so that float32 holds them; what it makes of latents near a million is part of the problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from tests.numerics.bed.gaussians import gaussian, regression
from tests.numerics.bed.problem import BedProblem, made

KIND = "offsets of 1e6"

OFFSET = 1e6


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield _constant_on_a_regression()
    yield _constant_on_a_gamma()
    yield _far_location()
    yield _years()
    yield _many_readings()


def _constant_on_a_regression() -> BedProblem:
    x = np.linspace(-1, 1, 12)
    design = np.stack([np.ones(12), x, x**2], axis=1)
    y = (design @ np.array([0.5, 1.0, -1.0]) + np.random.default_rng(7).standard_normal(12)).round(3)

    def model(x: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, 3.0).expand([3]).to_event(1))
        numpyro.sample("y", dist.Normal(x @ beta, 1.0), obs=y)
        numpyro.factor("offset", -OFFSET)

    mean, covariance = regression(design, y, 1.0, 3.0)
    return made(
        KIND,
        "regression-at-minus-1e6",
        model,
        {"x": design, "y": y},
        sample=lambda rng, count: {"beta": gaussian(rng, count, mean, covariance)},
        moments=lambda: {"beta": (mean, np.sqrt(np.diag(covariance)))},
    )


def _constant_on_a_gamma() -> BedProblem:
    def model(y: Any) -> None:
        rate = numpyro.sample("rate", dist.Gamma(1.0, 0.5))
        numpyro.sample("y", dist.Poisson(rate), obs=y)
        numpyro.factor("offset", OFFSET)

    return made(
        KIND,
        "rate-at-plus-1e6",
        model,
        {"y": [0, 1, 1]},
        sample=lambda rng, count: {"rate": rng.gamma(3.0, 1 / 3.5, size=count)},
        moments=lambda: {"rate": (3 / 3.5, np.sqrt(3) / 3.5)},
    )


def _far_location() -> BedProblem:
    y = OFFSET + np.array([0.5, -1.25, 2.0625, 0.875, 3.25])

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(OFFSET, 10.0))
        numpyro.sample("y", dist.Normal(mu, 4.0), obs=y)

    mean, covariance = regression(np.ones((5, 1)), y - OFFSET, 4.0, 10.0)
    sd = np.sqrt(covariance[0, 0])
    return made(
        KIND,
        "location-near-1e6",
        model,
        {"y": y},
        sample=lambda rng, count: {"mu": OFFSET + mean[0] + sd * rng.standard_normal(count)},
        moments=lambda: {"mu": (OFFSET + mean[0], sd)},
    )


def _years() -> BedProblem:
    """Years that nobody centred: intercept and slope are all but one number."""
    year = np.arange(2001.0, 2021.0)
    design = np.stack([np.ones(20), year], axis=1)
    y = (0.25 * (year - 2010) + np.random.default_rng(8).standard_normal(20)).round(3)

    def model(year: Any, y: Any) -> None:
        intercept = numpyro.sample("intercept", dist.Normal(0.0, 1000.0))
        slope = numpyro.sample("slope", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(intercept + slope * year, 1.0), obs=y)

    mean, covariance = regression(design, y, 1.0, np.array([1000.0, 1.0]))
    sd = np.sqrt(np.diag(covariance))
    names = ("intercept", "slope")
    return made(
        KIND,
        "years-uncentred",
        model,
        {"year": year, "y": y},
        sample=lambda rng, count: dict(zip(names, gaussian(rng, count, mean, covariance).T, strict=True)),
        moments=lambda: {name: (mean[at], sd[at]) for at, name in enumerate(names)},
    )


def _many_readings() -> BedProblem:
    """So many readings that their log density alone is a million: two group means."""
    rng = np.random.default_rng(9)
    group = np.arange(300_000) % 2
    y = np.round(16 * (np.where(group, 2.0, 1.0) + 10 * rng.standard_normal(len(group)))) / 16

    def model(group: Any, y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 10.0).expand([2]).to_event(1))
        numpyro.sample("y", dist.Normal(jnp.where(group == 1, mu[1], mu[0]), 10.0), obs=y)

    sums = np.bincount(group, weights=y)
    precision = np.bincount(group) / 100 + 0.01
    mean, sd = sums / 100 / precision, precision**-0.5
    return made(
        KIND,
        "log-density-of-a-million",
        model,
        {"group": group, "y": y},
        sample=lambda rng, count: {"mu": mean + sd * rng.standard_normal((count, 2))},
        moments=lambda: {"mu": (mean, sd)},
    )
