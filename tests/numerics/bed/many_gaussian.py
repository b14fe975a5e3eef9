"""Gaussian posteriors of 50 to 5,000 latents, by linear algebra."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.contrib.control_flow import scan

from tests.numerics.bed.gaussians import Tridiagonal, gaussian, regression
from tests.numerics.bed.problem import BedProblem, made

KIND = "many latents, Gaussian"


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    for size in (50, 300, 1_000, 5_000):
        yield _independent(f"independent-{size}", size)
    for size in (50, 300, 1_000, 5_000):
        yield _walk(f"random-walk-{size}", size)
    yield _scanned(60)
    yield _regression("regression-50", 50, 0.5)
    yield _regression("regression-300", 300, 0.9)


def _independent(name: str, size: int) -> BedProblem:
    """One reading of each, with errors over two orders of magnitude."""
    rng = np.random.default_rng(size)
    s = np.exp(rng.uniform(np.log(0.05), np.log(5.0), size=size)).round(4)
    y = (rng.standard_normal(size) + s * rng.standard_normal(size)).round(4)

    def model(s: Any, y: Any) -> None:
        with numpyro.plate("each", len(s)):
            theta = numpyro.sample("theta", dist.Normal(0.0, 1.0))
            numpyro.sample("y", dist.Normal(theta, s), obs=y)

    sd = (1 + s**-2.0) ** -0.5
    mean = y / s**2 * sd**2
    return made(
        KIND,
        name,
        model,
        {"s": s, "y": y},
        sample=lambda rng, count: {"theta": mean + sd * rng.standard_normal((count, size))},
        moments=lambda: {"theta": (mean, sd)},
    )


def _walk(name: str, size: int) -> BedProblem:
    """A random walk that is read with noise."""
    rng = np.random.default_rng(size + 1)
    y = (np.cumsum(0.5 * rng.standard_normal(size)) + rng.standard_normal(size)).round(4)

    def model(y: Any) -> None:
        x = numpyro.sample("x", dist.GaussianRandomWalk(0.5, num_steps=len(y)))
        numpyro.sample("y", dist.Normal(x, 1.0), obs=y)

    known = Tridiagonal(np.append(np.full(size - 1, 9.0), 5.0), np.full(size - 1, -4.0), y)
    return made(
        KIND,
        name,
        model,
        {"y": y},
        sample=lambda rng, count: {"x": known.sample(rng, count)},
        moments=lambda: {"x": (known.mean, known.sd)},
    )


def _scanned(size: int) -> BedProblem:
    """An AR(1) path written with a scan, read at every third step."""
    rho, step, noise = 0.9, 0.4, 0.3
    rng = np.random.default_rng(15)
    path = np.zeros(size)
    for at in range(1, size):
        path[at] = rho * path[at - 1] + step * rng.standard_normal()
    y = (path[::3] + noise * rng.standard_normal(size // 3)).round(4)

    def model(y: Any) -> None:
        def move(before: Any, _: Any) -> tuple[Any, Any]:
            x = numpyro.sample("x", dist.Normal(rho * before, step))
            return x, x

        _, path = scan(move, jnp.zeros(()), None, length=size)
        numpyro.sample("y", dist.Normal(path[::3], noise), obs=y)

    diagonal = np.append(np.full(size - 1, (1 + rho**2) / step**2), 1 / step**2)
    diagonal[::3] += noise**-2
    pull = np.zeros(size)
    pull[::3] = y / noise**2
    known = Tridiagonal(diagonal, np.full(size - 1, -rho / step**2), pull)
    return made(
        KIND,
        f"scanned-path-{size}",
        model,
        {"y": y},
        sample=lambda rng, count: {"x": known.sample(rng, count)},
        moments=lambda: {"x": (known.mean, known.sd)},
    )


def _regression(name: str, size: int, alike: float) -> BedProblem:
    """Twice as many rows as columns, all of which share a part."""
    rng = np.random.default_rng(size + 2)
    rows = 2 * size
    own, shared = rng.standard_normal((rows, size)), rng.standard_normal((rows, 1))
    design = (np.sqrt(1 - alike) * own + np.sqrt(alike) * shared).round(4)
    y = (design @ rng.standard_normal(size) / np.sqrt(size) + rng.standard_normal(rows)).round(4)

    def model(x: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand([size]).to_event(1))
        numpyro.sample("y", dist.Normal(x @ beta, 1.0), obs=y)

    mean, covariance = regression(design, y, 1.0, 1.0)
    return made(
        KIND,
        name,
        model,
        {"x": design, "y": y},
        sample=lambda rng, count: {"beta": gaussian(rng, count, mean, covariance)},
        moments=lambda: {"beta": (mean, np.sqrt(np.diag(covariance)))},
    )
