"""Regressions whose columns nearly repeat each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist

from tests.numerics.bed import grids
from tests.numerics.bed.gaussians import gaussian, regression
from tests.numerics.bed.problem import BedProblem, Draws, made

KIND = "collinear regressions"


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield _known_noise("two-alike", _alike(1, 40, 2, 0.03), 10.0)
    yield _known_noise("five-alike", _alike(2, 40, 5, 0.03), 10.0)
    yield _known_noise("ten-alike-wide-prior", _alike(3, 60, 10, 0.1), 100.0)
    t = np.linspace(0, 2, 30)
    yield _known_noise("raw-powers", np.stack([t**power for power in range(6)], axis=1), 10.0)
    yield _unknown_noise()


def _alike(seed: int, rows: int, columns: int, apart: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((rows, 1))
    return (base + apart * rng.standard_normal((rows, columns))).round(4)


def _readings(design: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(5)
    rows, columns = design.shape
    return (design @ np.linspace(1, -0.5, columns) + rng.standard_normal(rows)).round(4)


def _known_noise(name: str, design: np.ndarray, prior: float) -> BedProblem:
    y = _readings(design)

    def model(x: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, prior).expand([x.shape[1]]).to_event(1))
        with numpyro.plate("row", x.shape[0]):
            numpyro.sample("y", dist.Normal(x @ beta, 1.0), obs=y)

    mean, covariance = regression(design, y, 1.0, prior)
    return made(
        KIND,
        name,
        model,
        {"x": design, "y": y},
        sample=lambda rng, count: {"beta": gaussian(rng, count, mean, covariance)},
        moments=lambda: {"beta": (mean, np.sqrt(np.diag(covariance)))},
    )


def _unknown_noise() -> BedProblem:
    design = _alike(6, 30, 3, 0.05)
    y = _readings(design)

    def model(x: Any, y: Any) -> None:
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        beta = numpyro.sample("beta", dist.Normal(0.0, 5.0).expand([x.shape[1]]).to_event(1))
        numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)

    # In the directions of the singular values everything given sigma is a division.
    left, singular, right = np.linalg.svd(design, full_matrices=False)
    pull, rest = singular * (left.T @ y), np.sum(y**2)

    def given(sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        precision = singular**2 / sigma[:, None] ** 2 + 1 / 25
        return pull / sigma[:, None] ** 2 / precision, precision

    def density(log_sigma: np.ndarray) -> np.ndarray:
        sigma = np.exp(log_sigma)
        mean, precision = given(sigma)
        fit = rest / sigma**2 - np.sum(precision * mean**2, axis=1)
        return -len(y) * log_sigma - 0.5 * (np.log(precision).sum(axis=1) + fit) - sigma**2 / 8 + log_sigma

    scale = grids.cells(density, np.linspace(-2, 2.5, 9_001))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        sigma = np.exp(scale(rng, count)[0])
        mean, precision = given(sigma)
        return {"sigma": sigma, "beta": (mean + rng.standard_normal(mean.shape) / np.sqrt(precision)) @ right}

    return made(KIND, "three-alike-unknown-noise", model, {"x": design, "y": y}, sample=sample)
