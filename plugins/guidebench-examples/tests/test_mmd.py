"""The discrepancy against its closed form between Gaussians."""

from __future__ import annotations

import math

import numpy as np
import pytest

from guidebench import Evidence
from guidebench_examples.mmd import compute, squared_mmd


def expected(mean: float, sd: float, width: float) -> float:
    """Return the squared discrepancy of N(mean, sd²) from N(0, 1) under a Gaussian kernel."""

    def kernel(shift: float, variance: float) -> float:
        total = width**2 + variance
        return width / math.sqrt(total) * math.exp(-(shift**2) / (2 * total))

    return kernel(0, 2 * sd**2) + kernel(0, 2) - 2 * kernel(mean, 1 + sd**2)


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (0.5, 1.0), (0.0, 0.5), (-1.0, 2.0)])
@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
def test_it_agrees_with_the_closed_form(mean: float, sd: float, width: float) -> None:
    rng = np.random.default_rng(3)
    x, y = mean + sd * rng.standard_normal((40_000, 1)), rng.standard_normal((40_000, 1))
    value, error = squared_mmd(x, y, width)
    assert abs(value - expected(mean, sd, width)) < 4 * error


def test_its_error_is_that_of_the_estimate() -> None:
    rng = np.random.default_rng(4)
    found = [squared_mmd(rng.normal(0.5, 1, (400, 1)), rng.standard_normal((400, 1)), 1.0) for _ in range(400)]
    values, errors = np.array(found).T
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def evidence(shift: float) -> Evidence:
    rng = np.random.default_rng(5)
    latents = {"w": rng.standard_normal((4000, 2)) + shift, "b": rng.standard_normal(4000)}
    reference = {"b": rng.standard_normal(3000), "w": rng.standard_normal((3000, 2)), "zero": np.zeros(3000)}
    return Evidence(latents=latents, log_weights=np.zeros(4000), reference=reference)


def test_equal_distributions_differ_by_no_more_than_noise() -> None:
    (found,) = compute(evidence(0.0))
    assert found.mcse is not None
    assert abs(found.value) < 4 * found.mcse


def test_a_shift_is_seen_whatever_the_scale() -> None:
    (found,) = compute(evidence(1.0))
    assert found.mcse is not None
    assert found.value > 10 * found.mcse
    given = evidence(1.0)
    stretched = Evidence(
        latents={name: 1e4 * values for name, values in given.latents.items()},
        log_weights=given.log_weights,
        reference={name: 1e4 * values for name, values in given.reference.items()},
    )
    (again,) = compute(stretched)
    assert again.value == pytest.approx(found.value, rel=1e-9)


def test_nothing_shared_is_nothing_to_compare() -> None:
    assert list(compute(Evidence(latents={"w": np.zeros(4)}, reference={"b": np.arange(4.0)}))) == []
