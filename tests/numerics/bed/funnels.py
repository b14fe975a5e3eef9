"""Funnels: a scale and what it scales, with data and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from tests.numerics.bed import grids
from tests.numerics.bed.problem import BedProblem, Draws, made

KIND = "funnels"


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield _neal("neal-one", 3.0, 1)
    yield _neal("neal-mild-five", 1.0, 5)
    yield _neal("neal-wide-twenty", 1.5, 20)
    yield _with_data("funnel-three-readings", [0.3, -1.2, 2.0], 3.0, 1.0)
    yield _with_data("funnel-ten-small", np.linspace(-0.4, 0.4, 10), 3.0, 1.0)
    yield _with_data("funnel-half-seen", [0.5, -0.2, np.inf, np.inf, np.inf], 1.0, 0.3)
    yield _nested()


def _neal(name: str, sd: float, width: int) -> BedProblem:
    def model() -> None:
        v = numpyro.sample("v", dist.Normal(0.0, sd))
        with numpyro.plate("across", width):
            numpyro.sample("x", dist.Normal(0.0, jnp.exp(v / 2)))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        v = sd * rng.standard_normal(count)
        return {"v": v, "x": np.exp(v / 2)[:, None] * rng.standard_normal((count, width))}

    spread = np.full(width, np.exp(sd**2 / 4))
    return made(
        KIND,
        name,
        model,
        sample=sample,
        moments=lambda: {"v": (0.0, sd), "x": (np.zeros(width), spread)},
        unsteady=() if sd == 1 else ("x",),
    )


def _with_data(name: str, y: Any, sd: float, noise: float) -> BedProblem:
    """Return a funnel with a reading of every x, or of the first ones: one that is infinite was not made."""
    readings = np.asarray(y)
    seen = readings[np.isfinite(readings)]
    width = len(readings)

    def model(y: Any) -> None:
        v = numpyro.sample("v", dist.Normal(0.0, sd))
        with numpyro.plate("across", width):
            x = numpyro.sample("x", dist.Normal(0.0, jnp.exp(v / 2)))
        numpyro.sample("y", dist.Normal(x[: len(y)], noise), obs=y)

    def density(v: np.ndarray) -> np.ndarray:
        variance = np.exp(v) + noise**2
        return -(v**2) / (2 * sd**2) - 0.5 * (len(seen) * np.log(variance) + np.sum(seen**2) / variance)

    cells = grids.cells(density, np.linspace(-10 * sd, 8 * sd, 20_001))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        v = cells(rng, count)[0]
        gain = np.zeros((count, width))
        gain[:, : len(seen)] = (np.exp(v) / (np.exp(v) + noise**2))[:, None]
        mean = gain * np.append(seen, np.zeros(width - len(seen)))
        x = mean + np.sqrt((1 - gain) * np.exp(v)[:, None]) * rng.standard_normal((count, width))
        return {"v": v, "x": x}

    return made(KIND, name, model, {"y": seen}, sample=sample)


def _nested() -> BedProblem:
    def model() -> None:
        v = numpyro.sample("v", dist.Normal(0.0, 1.0))
        w = numpyro.sample("w", dist.Normal(0.0, jnp.exp(v / 2)))
        numpyro.sample("x", dist.Normal(0.0, jnp.exp(w / 2)))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        v = rng.standard_normal(count)
        w = np.exp(v / 2) * rng.standard_normal(count)
        return {"v": v, "w": w, "x": np.exp(w / 2) * rng.standard_normal(count)}

    known = {"v": (0.0, 1.0), "w": (0.0, np.exp(0.25)), "x": (0.0, 1.0)}
    # E[x^2] = E[exp(exp(v) / 2)] is infinite.
    return made(KIND, "funnel-in-a-funnel", model, sample=sample, moments=lambda: known, boundless=("x",))
