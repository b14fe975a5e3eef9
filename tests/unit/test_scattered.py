"""Which of many points a search starts at."""

from __future__ import annotations

import numpy as np
import pytest

from guidebench.inference.scattered import scattered


@pytest.mark.parametrize("dim", [1, 5, 20])
def test_each_of_two_unequal_modes_gets_a_start(dim: int) -> None:
    """Of 1,000 draws one in twenty is of a mode whose density is lower than that of most of the others."""
    rng = np.random.default_rng(dim)
    light = rng.uniform(size=1_000) < 0.05
    points = rng.standard_normal((1_000, dim)) + 12.0 * light[:, None]
    values = -0.5 * np.sum((points - 12.0 * light[:, None]) ** 2, axis=1) + np.where(light, np.log(0.05), np.log(0.95))
    chosen = scattered(points, values, 4)
    assert len(set(chosen)) == 4
    assert chosen[0] == np.argmax(values)
    assert light[chosen].any()
    assert not light[chosen].all()


def test_units_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((300, 3))
    values = -np.sum(points**2, axis=1)
    np.testing.assert_array_equal(scattered(points, values, 5), scattered(points * [1e-6, 1.0, 1e6], values, 5))


def test_what_is_not_finite_is_left_out_and_few_are_all_taken() -> None:
    points = np.arange(6.0)[:, None]
    values = np.array([0.0, np.nan, 1.0, -np.inf, 2.0, np.inf])
    assert scattered(points, values, 4).tolist() == [0, 2, 4]
    assert scattered(points, np.full(6, -np.inf), 4).tolist() == []
    # One peak only: the others are the next highest.
    assert sorted(scattered(np.arange(30.0)[:, None], -np.arange(30.0), 3)) == [0, 1, 2]
