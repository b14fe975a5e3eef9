"""Ridges and bananas: thin, long, bent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy import stats

from tests.numerics.bed import grids
from tests.numerics.bed.gaussians import gaussian, regression
from tests.numerics.bed.problem import BedProblem, Draws, made

KIND = "ridges and bananas"

norm = stats.norm.logpdf


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield _banana("banana-strong", 2.0, 1.0, 0)
    yield _banana("banana-thin", 1.0, 0.1, 0)
    yield _banana("banana-in-ten", 1.0, 0.3, 8)
    yield _product("product-positive", positive=True)
    yield _product("product-signed", positive=False)
    yield _ring()
    yield _decay()
    yield _sum()


def _banana(name: str, length: float, width: float, others: int) -> BedProblem:
    def model() -> None:
        x = numpyro.sample("x", dist.Normal(0.0, length))
        numpyro.sample("y", dist.Normal(x**2, width))
        if others:
            numpyro.sample("z", dist.Normal(jnp.arange(others, dtype=float), 1.0).to_event(1))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        x = length * rng.standard_normal(count)
        found = {"x": x, "y": x**2 + width * rng.standard_normal(count)}
        if others:
            found["z"] = np.arange(others) + rng.standard_normal((count, others))
        return found

    known = {"x": (0.0, length), "y": (length**2, np.sqrt(2 * length**4 + width**2))}
    if others:
        known["z"] = (np.arange(others), np.ones(others))  # type: ignore[assignment]
    return made(KIND, name, model, sample=sample, moments=lambda: known)


def _product(name: str, *, positive: bool) -> BedProblem:
    """Only a product is measured: a hyperbola, or both of its branches."""
    prior = dist.HalfNormal(2.0) if positive else dist.Normal(0.0, 2.0)

    def model(y: Any) -> None:
        a = numpyro.sample("a", prior)
        b = numpyro.sample("b", prior)
        numpyro.sample("y", dist.Normal(a * b, 0.1), obs=y)

    def density(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return norm(a, 0, 2) + norm(b, 0, 2) + norm(1.0, a * b, 0.1)

    step = 0.005
    axis = (np.arange(2_400) + 0.5) * step  # the other branch is its mirror image
    branch = grids.cells(density, axis, axis, closed=(0, 1))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        a, b = branch(rng, count)
        sign = 1.0 if positive else rng.choice([-1.0, 1.0], size=count)
        return {"a": sign * a, "b": sign * b}

    mode = None if positive else (lambda draws: (draws["a"] > 0).astype(int))
    return made(KIND, name, model, {"y": 1.0}, sample=sample, mode=mode)


def _ring() -> BedProblem:
    def model(y: Any) -> None:
        x = numpyro.sample("x", dist.Normal(0.0, 3.0).expand([2]).to_event(1))
        numpyro.sample("y", dist.Normal(jnp.sqrt(x[0] ** 2 + x[1] ** 2), 0.1), obs=y)

    radius = grids.cells(lambda r: np.log(r) - r**2 / 18 + norm(2.0, r, 0.1), np.linspace(1.2, 2.8, 8_001))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        r, angle = radius(rng, count)[0], rng.uniform(0, 2 * np.pi, size=count)
        return {"x": np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)}

    return made(KIND, "ring", model, {"y": 2.0}, sample=sample)


def _decay() -> BedProblem:
    """Amplitude and rate of a decay that is read three times, late."""
    t, y = np.array([1.0, 2.0, 3.0]), np.array([0.9, 0.35, 0.3])

    def model(t: Any, y: Any) -> None:
        amplitude = numpyro.sample("amplitude", dist.LogNormal(1.0, 1.0))
        rate = numpyro.sample("rate", dist.LogNormal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(amplitude * jnp.exp(-rate * t), 0.2), obs=y)

    def density(log_amplitude: np.ndarray, log_rate: np.ndarray) -> np.ndarray:
        curve = (np.exp(log_amplitude - np.exp(log_rate) * at) for at in t)
        fit = sum(norm(one, at, 0.2) for one, at in zip(y, curve, strict=True))
        return norm(log_amplitude, 1, 1) + norm(log_rate, 0, 1) + fit

    both = grids.cells(density, np.linspace(-5, 8, 1_301), np.linspace(-6, 4, 1_001))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        amplitude, rate = both(rng, count)
        return {"amplitude": np.exp(amplitude), "rate": np.exp(rate)}

    return made(KIND, "late-decay", model, {"t": t, "y": y}, sample=sample, unsteady=("amplitude",))


def _sum() -> BedProblem:
    def model(y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 10.0))
        b = numpyro.sample("b", dist.Normal(0.0, 10.0))
        numpyro.sample("y", dist.Normal(a + b, 0.05), obs=y)

    mean, covariance = regression(np.ones((1, 2)), np.array([3.0]), 0.05, 10.0)
    sd = np.sqrt(np.diag(covariance))
    return made(
        KIND,
        "sum-of-two",
        model,
        {"y": 3.0},
        sample=lambda rng, count: dict(zip("ab", gaussian(rng, count, mean, covariance).T, strict=True)),
        moments=lambda: {"a": (mean[0], sd[0]), "b": (mean[1], sd[1])},
    )
