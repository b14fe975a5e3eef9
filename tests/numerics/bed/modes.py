"""Modes of unequal mass, far apart, in one to ten dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from tests.numerics.bed import grids
from tests.numerics.bed.gaussians import mixture
from tests.numerics.bed.problem import BedProblem, Draws, made

KIND = "far modes"


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    for dim in (1, 2, 5, 10):
        yield _mixture(f"two-at-90-10-in-{dim}", [0.9, 0.1], [np.zeros(dim), np.full(dim, 12.0)])
    for dim in (1, 3, 8):
        yield _mixture(f"two-at-96-4-in-{dim}", [0.96, 0.04], [np.zeros(dim), np.full(dim, 12.0)])
    yield _mixture("three-in-2", [0.6, 0.3, 0.1], [[0.0, 0.0], [9.0, 0.0], [0.0, -9.0]])
    yield _mixture("three-in-5", [0.5, 0.3, 0.2], [np.zeros(5), [8.0] * 5, [-8.0, 8.0, -8.0, 8.0, -8.0]])
    yield _mixture("wide-and-narrow-in-4", [0.5, 0.5], [np.zeros(4), np.full(4, 6.0)], [1.0, 0.1])
    yield _many()
    yield _square()
    yield _phase()


def _mixture(name: str, shares: Any, places: Any, widths: Any = None) -> BedProblem:
    share, at = np.asarray(shares), np.asarray(places, float)
    width = np.ones(len(share)) if widths is None else np.asarray(widths)
    sds = np.broadcast_to(width[:, None], at.shape)

    def model() -> None:
        parts = dist.Normal(jnp.asarray(at), jnp.asarray(sds)).to_event(1)
        numpyro.sample("x", dist.MixtureSameFamily(dist.Categorical(probs=jnp.asarray(share)), parts))

    draw = mixture(share, at, sds)

    def nearest(draws: Draws) -> np.ndarray:
        distance = ((draws["x"][:, None, :] - at) / sds).__pow__(2).sum(axis=2)
        return distance.argmin(axis=1)

    return made(
        KIND,
        name,
        model,
        sample=lambda rng, count: {"x": draw(rng, count)},
        moments=lambda: {"x": grids.total(share, at, sds**2)},
        mode=nearest,
    )


def _many() -> BedProblem:
    """Sixteen modes: four coordinates of two each."""

    def model() -> None:
        pair = dist.MixtureSameFamily(
            dist.Categorical(probs=jnp.array([0.8, 0.2])), dist.Normal(jnp.array([0.0, 8.0]), 1.0)
        )
        numpyro.sample("x", pair.expand([4]).to_event(1))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        return {"x": 8.0 * (rng.uniform(size=(count, 4)) < 0.2) + rng.standard_normal((count, 4))}

    return made(
        KIND,
        "sixteen-in-4",
        model,
        sample=sample,
        moments=lambda: {"x": (np.full(4, 1.6), np.full(4, np.sqrt(1 + 64 * 0.16)))},
        mode=lambda draws: (draws["x"] > 4).astype(int) @ 2 ** np.arange(4),
    )


def _square() -> BedProblem:
    """A number whose square is measured, and a prior that prefers one sign."""

    def model(y: Any) -> None:
        theta = numpyro.sample("theta", dist.Normal(1.0, 3.0))
        numpyro.sample("y", dist.Normal(theta**2, 1.0), obs=y)

    cells = grids.cells(lambda at: -((at - 1) ** 2) / 18 - (9.0 - at**2) ** 2 / 2, np.linspace(-6, 6, 48_001))
    return made(
        KIND,
        "square-is-measured",
        model,
        {"y": 9.0},
        sample=lambda rng, count: {"theta": cells(rng, count)[0]},
        mode=lambda draws: (draws["theta"] > 0).astype(int),
    )


def _phase() -> BedProblem:
    """A phase known from few angles, and so up to aliases."""
    t, y = np.array([1.0, 2.1, 4.0]), np.array([0.9, 0.3, -0.7])

    def model(t: Any, y: Any) -> None:
        speed = numpyro.sample("speed", dist.Normal(0.0, 2.0))
        numpyro.sample("y", dist.Normal(jnp.sin(speed * t), 0.4), obs=y)

    def density(speed: np.ndarray) -> np.ndarray:
        fit = sum((one - np.sin(speed * at)) ** 2 for at, one in zip(t, y, strict=True))
        return -(speed**2) / 8 - fit / 0.32

    cells = grids.cells(density, np.linspace(-16, 16, 64_001))
    return made(
        KIND, "speed-with-aliases", model, {"t": t, "y": y}, sample=lambda rng, count: {"speed": cells(rng, count)[0]}
    )
