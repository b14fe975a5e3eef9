"""What noise is allowed: the worst of many numbers, known alike or not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from guidebench.results.noise import BEYOND, LEAST_ALLOWED, allowance, without_noise, worst


@pytest.mark.parametrize("count", [300, 1_000, 10_000])
def test_where_all_are_known_alike_it_is_about_the_allowance(count: int) -> None:
    assert worst(np.full(count, 0.02)) == pytest.approx(0.02 * allowance(count), rel=0.05)


def test_a_few_that_are_known_badly_are_few_however_many_others_there_are() -> None:
    few = np.full(3, 0.04)
    many = np.concatenate([few, np.full(10_000, 0.001)])
    assert worst(many) == pytest.approx(worst(few), rel=1e-6)
    assert worst(few) == pytest.approx(LEAST_ALLOWED * 0.04, rel=1e-6)
    assert worst(many) < 0.6 * allowance(len(many)) * 0.04


def test_hardly_any_is_farther_off_by_noise() -> None:
    rng = np.random.default_rng(0)
    errors = np.exp(rng.standard_normal(500)) / 100
    beyond = [np.sum(np.abs(errors * rng.standard_normal(500)) > worst(errors)) for _ in range(2_000)]
    assert 0.02 < np.mean(beyond) < BEYOND + 0.04


def test_what_is_not_known_at_all_is_infinite_and_what_does_not_vary_counts_for_nothing() -> None:
    assert worst(np.array([0.1, np.nan])) == math.inf
    assert worst(np.array([0.1, np.inf])) == math.inf
    assert worst(np.zeros(3)) == 0.0
    assert worst(np.array([0.0, 0.1])) == pytest.approx(0.2)


@pytest.mark.parametrize("count", [30, 300, 10_000])
def test_the_largest_of_numbers_that_differ_by_noise_alone_is_as_large_as_the_others(count: int) -> None:
    seen = 0.1 + 0.02 * np.random.default_rng(count).standard_normal(count)
    assert without_noise(seen, np.full(count, 0.02)).max() < 0.10 + 0.04 < 0.10 + 0.02 * allowance(count)


def test_the_largest_of_numbers_that_are_known_well_is_what_it_is() -> None:
    seen = np.random.default_rng(0).uniform(0, 0.1, 200)
    assert without_noise(seen, np.zeros(200)) == pytest.approx(seen)
    assert without_noise(seen, np.full(200, 1e-3)) == pytest.approx(seen, abs=3e-3)


def test_it_is_a_bound_of_what_numbers_are_without_their_noise() -> None:
    """Of numbers that differ by as much as they are known to: 2.5 sds leave 0.6 % beyond."""
    rng = np.random.default_rng(0)
    errors = 0.02 * np.exp(0.3 * rng.standard_normal((400, 100)))
    true = 0.3 + 0.02 * rng.standard_normal((400, 100))
    seen = true + errors * rng.standard_normal((400, 100))
    bounds = np.array([without_noise(one, error) for one, error in zip(seen, errors, strict=True)])
    assert 0.003 < np.mean(true > bounds) < 0.012
    assert np.mean(bounds - true) < 0.75 * np.mean(seen + 2.5 * errors - true)


def test_a_number_that_is_none_of_the_others_is_not_measured_by_them() -> None:
    seen, errors = np.zeros(1_000), np.full(1_000, 0.02)
    seen[3] = 0.12
    assert without_noise(seen, errors)[3] == pytest.approx(0.17)
    assert without_noise(np.array([0.3]), np.array([0.1])) == pytest.approx(0.3)
    assert np.isinf(without_noise(np.array([0.1, np.nan]), np.array([0.1, 0.1]))).all()
