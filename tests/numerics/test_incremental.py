"""Mixtures that grow: what no ellipse covers is covered in the end, and what they begin with is never given up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from guidebench.inference.component import Component, log_mixture
from guidebench.inference.incremental import KEPT, Grown, grow
from guidebench.inference.weighted import moments, normalised, tail

Density = Callable[[np.ndarray], np.ndarray]


def banana(points: np.ndarray) -> np.ndarray:
    """x ~ N(0, 1), y ~ N(x^2, 0.1^2): mean (0, 1), variances 1 and 2.01."""
    x, y = points.T
    return np.asarray(stats.norm.logpdf(x) + stats.norm.logpdf(y, x**2, 0.1))


def neck(points: np.ndarray) -> np.ndarray:
    """v ~ N(0, 2^2), four x_i ~ N(0, exp(v)): means 0, variances 4 and exp(2)."""
    v, x = points[:, 0], points[:, 1:]
    return np.asarray(stats.norm.logpdf(v, 0, 2) + stats.norm.logpdf(x, 0, np.exp(v / 2)[:, None]).sum(axis=1))


def from_a_ball(dim: int, radius: float = 1.0) -> Grown:
    centre = np.zeros(dim)
    parts = [
        Component(location=centre, factor=scale * radius * np.eye(dim), freedom=3.0, share=0.5) for scale in (1, 3)
    ]
    return Grown(tuple(parts))


def drawn(mixture: Grown, count: int, rng: np.random.Generator) -> np.ndarray:
    shares = np.array([one.share for one in mixture.components])
    counts = rng.multinomial(count, shares / shares.sum())
    return np.concatenate([one.draw(int(some), rng) for one, some in zip(mixture.components, counts, strict=True)])


def weighed(mixture: Grown, density: Density, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    points = drawn(mixture, 40_000, rng)
    return points, density(points) - log_mixture(mixture.components, points)


@pytest.mark.parametrize(
    ("density", "dim", "mean", "variance"),
    [
        (banana, 2, np.array([0.0, 1.0]), np.array([1.0, 2.01])),
        (neck, 5, np.zeros(5), np.array([4.0, *[np.exp(2.0)] * 4])),
    ],
)
def test_what_no_ellipse_covers_is_covered(density: Density, dim: int, mean: np.ndarray, variance: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    first = from_a_ball(dim)
    points, log_weights = weighed(first, density, rng)
    worth = 1 / np.sum(normalised(log_weights) ** 2) / len(points)
    assert worth < 0.15

    mixture, count = grow(first, density, points, density(points), rng)
    assert count > 0
    points, log_weights = weighed(mixture, density, rng)  # none of those that it was built from
    weights = normalised(log_weights)
    assert 1 / np.sum(weights**2) / len(points) > max(0.2, 3 * worth)
    raw = np.exp(log_weights)
    assert raw.mean() == pytest.approx(1, abs=4 * raw.std() / np.sqrt(len(raw)))
    found, sd = moments(points, weights)
    np.testing.assert_allclose((found - mean) / np.sqrt(variance), 0, atol=0.05)
    np.testing.assert_allclose(sd / np.sqrt(variance), 1, atol=0.08)


def test_what_it_began_with_keeps_its_part() -> None:
    """It is far too wide for the target, so that likelihood alone would leave it nothing."""
    rng = np.random.default_rng(1)
    first = from_a_ball(2, radius=10.0)
    points, _ = weighed(first, banana, rng)
    mixture, _ = grow(first, banana, points, banana(points), rng)
    assert sum(one.share for one in mixture.components) == pytest.approx(1)
    assert sum(one.share for one in mixture.covering) == pytest.approx(KEPT)
    assert [one.share for one in mixture.covering] == pytest.approx([KEPT / 2, KEPT / 2])
    for before, after in zip(first.covering, mixture.covering, strict=True):
        np.testing.assert_array_equal(before.location, after.location)
        np.testing.assert_array_equal(before.factor, after.factor)


def test_nothing_is_added_to_what_is_as_good_as_can_be() -> None:
    rng = np.random.default_rng(2)
    only = Component(location=np.zeros(3), factor=np.eye(3), freedom=30.0, share=1.0)
    points = only.draw(10_000, rng)
    mixture, count = grow(Grown((only,)), only.log_density, points, only.log_density(points), rng)
    assert (mixture, count) == (Grown((only,)), 0)


def test_points_without_density_count_for_nothing() -> None:
    """Half of the plane is forbidden."""

    def half(points: np.ndarray) -> np.ndarray:
        return np.where(points[:, 0] > 0, banana(points) + np.log(2), -np.inf)

    rng = np.random.default_rng(3)
    first = from_a_ball(2)
    points, _ = weighed(first, half, rng)
    mixture, _ = grow(first, half, points, half(points), rng)
    points, log_weights = weighed(mixture, half, rng)
    raw = np.exp(log_weights)
    assert raw.mean() == pytest.approx(1, abs=4 * raw.std() / np.sqrt(len(raw)))
    assert moments(points, normalised(log_weights))[0][0] == pytest.approx(np.sqrt(2 / np.pi), abs=0.03)


@pytest.mark.parametrize("shape", [0.5, 0.7, 0.8, 0.9])
def test_what_a_tail_is_lacking_is_what_sums_of_pareto_variables_are_short_of(shape: float) -> None:
    """Their mean is 1 / (1 - k); how far the median of 100 means of 40,000 is below that is told without knowing it."""
    rng = np.random.default_rng(0)
    samples = rng.uniform(size=(100, 40_000)) ** -shape
    short = np.median(1 - samples.mean(axis=1) * (1 - shape))
    told = np.median([tail(np.log(one)).lacking for one in samples])
    assert 0.7 * short < told < 4 * short + 0.005


def test_nothing_is_lacking_where_all_are_alike() -> None:
    found = tail(np.zeros(10_000))
    assert found.khat == 0
    assert found.lacking < 0.001
