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


@pytest.mark.parametrize(("count", "most"), [(30, 0.04), (300, 0.03), (10_000, 0.015)])
def test_the_largest_of_numbers_that_differ_by_noise_alone_is_about_as_large_as_the_others(
    count: int, most: float
) -> None:
    """Seen 0.04 to 0.08 above them."""
    seen = 0.1 + 0.02 * np.random.default_rng(count).standard_normal(count)
    assert without_noise(seen, np.full(count, 0.02)).max() < 0.10 + most < seen.max()


@pytest.mark.parametrize("centre", [0.0, 0.3])
@pytest.mark.parametrize("spread", [0.5, 0.75, 1.0, 2.0])
@pytest.mark.parametrize(("count", "share"), [(20, 0.1), (51, 0.1), (300, 0.02), (2_000, 0.01)])
def test_what_the_largest_is_without_its_noise_is_hardly_ever_beyond_the_bound(
    count: int, share: float, spread: float, centre: float
) -> None:
    """By more than half of an error, of numbers without a sign; it is the largest that a verdict hangs on.

    How much few numbers differ is known only to a third of it.
    """
    rng = np.random.default_rng(0)
    beyond = 0
    for _ in range(200):
        errors = 0.02 * np.exp(0.2 * rng.standard_normal(count))
        true = centre + 0.02 * spread * rng.standard_normal(count)
        seen = np.abs(true + errors * rng.standard_normal(count))
        largest = int(np.argmax(seen))
        beyond += bool(abs(true[largest]) > without_noise(seen, errors)[largest] + 0.01)
    assert beyond <= 200 * share


def test_a_bound_is_nearer_than_that_of_a_number_alone() -> None:
    rng = np.random.default_rng(0)
    true = 0.3 + 0.02 * rng.standard_normal(300)
    seen = true + 0.02 * rng.standard_normal(300)
    bounds = without_noise(seen, np.full(300, 0.02))
    assert np.mean(true > bounds) < 0.02
    assert np.mean(bounds - true) < 0.75 * np.mean(seen + 2.5 * 0.02 - true)


def test_numbers_that_are_known_well_are_what_they_are() -> None:
    seen = np.random.default_rng(0).uniform(0, 0.1, 200)
    assert without_noise(seen, np.zeros(200)) == pytest.approx(seen)
    assert without_noise(seen, np.full(200, 1e-3)) == pytest.approx(seen, abs=3e-3)


def test_a_number_that_is_farther_than_noise_takes_any_is_not_measured_by_the_others() -> None:
    """Of a thousand noise takes none by 4.7 errors."""
    seen, errors = np.zeros(1_000), np.full(1_000, 0.02)
    seen[3] = 0.096
    assert without_noise(seen, errors)[3] == pytest.approx(0.096 + 2.5 * 0.02)
    seen[3] = 0.09
    assert without_noise(seen, errors)[3] < 0.03


def test_nothing_is_known_of_numbers_some_of_which_are_none() -> None:
    for values, errors in (([0.1, np.nan], [0.1, 0.1]), ([0.1, np.inf], [0.1, 0.1]), ([0.1, 0.1], [0.1, np.nan])):
        assert np.isinf(without_noise(np.array(values), np.array(errors))).all()
