from __future__ import annotations

import numpy as np
import xarray as xr

from guidebench.report import draws
from guidebench.report.density import density, density2d, mass_levels
from guidebench.report.draws import Component


def dataset() -> xr.Dataset:
    values = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    return xr.Dataset({"theta": (("chain", "draw", "d"), values), "w": (("chain", "draw"), values[..., 0])})


def test_components_are_named_as_in_the_metrics() -> None:
    found = [component.name for component in draws.components(dataset(), ("w", "missing", "theta"))]
    assert found == ["w", "theta[0]", "theta[1]", "theta[2]", "theta[3]"]
    assert Component("L", (1, 0)).name == "L[1,0]"
    first, total = draws.first(dataset(), ("w", "theta"), limit=2)
    assert [component.name for component in first] == ["w", "theta[0]"]
    assert total == 5


def test_chains_are_joined_whatever_the_order_of_dimensions() -> None:
    turned = dataset().transpose("d", "draw", "chain")
    assert draws.values(turned, Component("theta", (1,))).tolist() == [1, 5, 9, 13, 17, 21]
    assert draws.values(turned, Component("w")).dtype == np.float64


def test_truth_of_a_component() -> None:
    truth = {"theta": [1.0, 2.0], "w": 0.5}
    assert draws.truth_of(truth, Component("theta", (1,))) == 2.0
    assert draws.truth_of(truth, Component("w")) == 0.5
    assert draws.truth_of(truth, Component("theta", (5,))) is None
    assert draws.truth_of(truth, Component("b")) is None
    assert draws.truth_of(truth, Component("theta")) is None


def test_weights_and_weighted_moments() -> None:
    weight = draws.weights(np.array([[1000.0, 1000.0 + np.log(3), np.nan, -np.inf]]))
    np.testing.assert_allclose(weight, [0.25, 0.75, 0, 0])
    mean, sd = draws.moments(np.array([0.0, 4.0, 9.0, 9.0]), weight)
    np.testing.assert_allclose([mean, sd], [3.0, np.sqrt(3.0)])
    assert draws.moments(np.array([1.0, 3.0])) == (2.0, np.sqrt(2.0))
    assert np.isnan(draws.weights(np.array([np.nan, -np.inf]))).all()


def test_correlation_by_hand_and_of_a_constant() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0])
    found = draws.correlation([x, -2 * x, np.full(4, 0.1), np.array([1.0, -1.0, -1.0, 1.0])])
    np.testing.assert_allclose(found[:2, :2], [[1, -1], [-1, 1]])
    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(found[0, 3], 0.0, atol=1e-15)


def test_thinning_keeps_both_ends() -> None:
    assert draws.thin(5, 100).tolist() == [0, 1, 2, 3, 4]
    assert draws.thin(101, 3).tolist() == [0, 50, 100]


def test_a_density_has_unit_mass_and_the_right_height() -> None:
    sample = np.random.default_rng(0).normal(2.0, 0.5, size=20_000)
    grid, curve = density(sample, 0.0, 4.0)
    mass = curve.sum() * (grid[1] - grid[0])
    np.testing.assert_allclose(mass, 1.0, atol=0.002)
    np.testing.assert_allclose(curve.max(), 1 / (0.5 * np.sqrt(2 * np.pi)), rtol=0.05)
    np.testing.assert_allclose(grid[curve.argmax()], 2.0, atol=0.1)


def test_a_positive_sample_keeps_its_density_at_zero() -> None:
    sample = np.random.default_rng(0).exponential(size=50_000)
    grid, curve = density(sample, -1.0, 6.0)
    assert (curve[grid < 0] == 0).all()
    at_zero = curve[np.searchsorted(grid, 0.02)]
    np.testing.assert_allclose(at_zero, 1.0, atol=0.12)  # without reflection it would be near a half


def test_a_density_of_identical_draws_is_empty_rather_than_infinite() -> None:
    assert not density(np.ones(10), 0.0, 2.0)[1].any()


def test_contours_of_a_joint_density_hold_their_mass() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 40_000))
    columns, rows, surface = density2d(x, y, (-5, 5, -4, 4))
    assert surface.shape == (rows.size, columns.size)
    cell = (columns[1] - columns[0]) * (rows[1] - rows[0])
    np.testing.assert_allclose(surface.sum() * cell, 1.0, atol=0.01)
    low, high = mass_levels(surface, (0.9, 0.5))
    assert low < high
    np.testing.assert_allclose(surface[surface >= high].sum() * cell, 0.5, atol=0.02)
    assert mass_levels(np.zeros((2, 2)), (0.5,)) == []
