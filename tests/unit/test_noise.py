"""What noise is allowed: the worst of many numbers, known alike or not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from guidebench.results.noise import BEYOND, LEAST_ALLOWED, allowance, worst


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
