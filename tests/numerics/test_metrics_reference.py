"""Errors against a reference and joint distances from it, on draws whose distributions are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.spatial.distance import cdist
from scipy.stats import norm

from guidebench.contracts import MetricValue
from guidebench.metrics import distances, errors
from guidebench.metrics.evidence import Evidence

RNG = np.random.default_rng(31)


def values(compute: Any, evidence: Evidence) -> dict[tuple[str, str], Any]:
    return {(one.metric, one.variable): one for one in compute(evidence)}


def against(draws: np.ndarray, reference: np.ndarray, **fields: Any) -> Evidence:
    return Evidence(latents={"x": draws}, reference={"x": reference}, log_weights=np.zeros(len(draws)), **fields)


def chain(count: int, rho: float) -> tuple[np.ndarray, float]:
    """A stationary autoregression with standard normal marginals, and its effective size for the mean."""
    noise = RNG.normal(size=count) * np.sqrt(1 - rho**2)
    noise[0] /= np.sqrt(1 - rho**2)
    return lfilter([1], [1, -rho], noise), count * (1 - rho) / (1 + rho)


def standardised_errors(
    compute: Callable[[Evidence], Iterable[MetricValue]],
    make: Callable[[], Evidence],
    exact: float,
    *,
    metric: str = "",
    variable: str = "",
    repetitions: int = 300,
) -> np.ndarray:
    found = [values(compute, make())[metric, variable] for _ in range(repetitions)]
    return np.array([(one.value - exact) / one.mcse for one in found])


def energy_of_normals(m: float, s: float) -> float:
    """The energy distance of N(m, s^2) and N(0, 1)."""
    both = np.hypot(1, s)
    across = both * 2 * norm.pdf(m / both) + m * (2 * norm.cdf(m / both) - 1)
    return 2 * across - 2 * (1 + s) / np.sqrt(np.pi)


def test_sd_ratio_says_which_way() -> None:
    count = 100_000
    evidence = against(RNG.normal(0, [0.5, 1.5], (count, 2)), RNG.normal(size=(count, 2)))
    found = values(errors.sd_ratio, evidence)
    for variable, exact in (("x[0]", 0.5), ("x[1]", 1.5)):
        one = found["", variable]
        assert one.value == pytest.approx(exact, abs=4 * one.mcse)
        # The sd of a normal has a relative error of 1 / sqrt(2 S), and both sides have one.
        assert one.mcse == pytest.approx(exact / np.sqrt(count), rel=0.03)


@pytest.mark.parametrize(("m", "s"), [(0.5, 0.5), (-1.0, 1.5), (0.0, 0.7)])
def test_quantile_error_of_normals(m: float, s: float) -> None:
    count = 100_000
    evidence = against(3 + 2 * RNG.normal(m, s, count), 3 + 2 * RNG.normal(size=count))
    found = values(errors.quantile_error, evidence)
    exact = max(abs(m + (s - 1) * norm.ppf(level)) for level in errors.QUANTILES)
    assert found["", "x"].value == pytest.approx(exact, abs=5 * found["", "x"].mcse)
    assert (found["", ""].value, found["", ""].mcse) == (found["", "x"].value, found["", "x"].mcse)


def test_the_error_of_a_quantile_needs_no_density() -> None:
    # sqrt(u (1 - u) / S) / f at the quantile, of an exponential with f = 1 - u.
    count, levels = 20_000, np.asarray(errors.QUANTILES)
    found = [errors.quantiles_with_errors(RNG.exponential(size=count), count) for _ in range(40)]
    values, mcses = (np.mean(part, axis=0) for part in zip(*found, strict=True))
    exact = np.sqrt(levels / (1 - levels) / count)
    assert np.abs(values + np.log1p(-levels)).max() < exact.max()
    assert mcses == pytest.approx(exact, rel=0.1)


def test_distance_of_correlation_matrices() -> None:
    count, r = 100_000, 0.6
    reference = RNG.multivariate_normal(np.zeros(3), [[1, r, 0], [r, 1, 0], [0, 0, 1]], count)
    found = values(errors.correlation_error, against(RNG.normal(size=(count, 3)), reference))
    one = found["correlation_error_frobenius", ""]
    assert one.value == pytest.approx(np.sqrt(2) * r, abs=4 * one.mcse)
    assert found["", ""].value == found["", "x[0],x[1]"].value == pytest.approx(r, abs=0.02)
    same = values(errors.correlation_error, against(reference, reference))["correlation_error_frobenius", ""]
    assert (same.value, same.mcse) == (0, None)


def test_too_many_components_have_no_correlations() -> None:
    draws = RNG.normal(size=(50, errors.MOST_CORRELATED + 1))
    assert not values(errors.correlation_error, against(draws, draws))


@pytest.mark.parametrize(
    ("compute", "metric", "exact"),
    [
        (errors.mean_error, "", 0.4),
        (errors.sd_ratio, "", 0.5),
        (errors.sd_error, "", 0.5),
        (errors.quantile_error, "", 0.4 + 0.5 * norm.ppf(0.95)),
    ],
)
def test_errors_of_marginals_are_their_spread_over_samples(compute: Any, metric: str, exact: float) -> None:
    def make() -> Evidence:
        return against(RNG.normal(-0.4, 0.5, 2000), RNG.normal(size=3000))

    z = standardised_errors(compute, make, exact, metric=metric, variable="x")
    assert np.std(z) == pytest.approx(1, abs=0.15)
    assert np.mean(z) == pytest.approx(0, abs=0.25)


def test_error_of_the_frobenius_distance_is_its_spread_over_samples() -> None:
    r = 0.5
    root = np.linalg.cholesky([[1, r], [r, 1]])

    def make() -> Evidence:
        # Not normal: the error must come from the draws' own fourth moments.
        return against(RNG.laplace(size=(1500, 2)), RNG.laplace(size=(1500, 2)) @ root.T)

    z = standardised_errors(errors.correlation_error, make, np.sqrt(2) * r, metric="correlation_error_frobenius")
    assert np.std(z) == pytest.approx(1, abs=0.15)
    assert np.mean(z) == pytest.approx(0, abs=0.25)


@pytest.mark.parametrize(
    ("compute", "count", "shift", "exact"),
    [
        (errors.mean_error, 1600, 0.5, 0.5),
        (distances.sliced_w2, 1600, 0.5, 0.5),
        (distances.energy_distance, 600, 1.0, energy_of_normals(1.0, 1.0)),
    ],
    ids=["mean", "sliced", "energy"],
)
def test_dependent_reference_draws_count_for_what_they_are_worth(
    compute: Any, count: int, shift: float, exact: float
) -> None:
    def make(known: bool) -> Evidence:
        reference, ess = chain(1600, 0.8)
        return against(RNG.normal(shift, 1, count), reference, reference_ess={"x": ess} if known else {})

    assert 0.85 < np.std(standardised_errors(compute, lambda: make(True), exact)) < 1.4
    assert np.std(standardised_errors(compute, lambda: make(False), exact, repetitions=100)) > 1.6


def test_effective_size_scales_the_part_of_the_reference_only() -> None:
    draws, reference = RNG.normal(0.3, 0.8, (5000, 2)), RNG.normal(size=(4000, 2))
    plain, full, poor = (
        against(draws, reference, reference_ess=ess)
        for ess in ({}, {"x[0]": 4000.0, "x[1]": 4000.0}, {"x[0]": 40.0, "x[1]": 4000.0})
    )
    for compute in (errors.mean_error, errors.sd_error, errors.correlation_error, errors.quantile_error):
        assert values(compute, plain) == values(compute, full)
    for compute in (errors.mean_error, errors.sd_error):
        before, after = (values(compute, one) for one in (plain, poor))
        assert after["", "x[1]"] == before["", "x[1]"]
        assert after["", "x[0]"].mcse == pytest.approx(before["", "x[0]"].mcse * 7.5, rel=0.3)
    found = values(errors.mean_error, poor)["", "x[0]"]
    # The reference's sd, in whose units the error is, is an estimate from as few draws.
    expected = np.sqrt(0.8**2 / 5000 + (1 + found.value**2 / 2) / 40)
    assert found.mcse == pytest.approx(expected, rel=0.02)
    pair = values(errors.correlation_error, poor)["", "x[0],x[1]"].mcse
    assert pair == pytest.approx(1 / np.sqrt(40), rel=0.05)


@pytest.mark.parametrize("components", [1, 3, 40, 200])
@pytest.mark.parametrize(("shift", "s"), [(0.5, 1.0), (0.0, 0.5), (1.0, 1.5)])
def test_sliced_distance_of_normals(components: int, shift: float, s: float) -> None:
    count = 4000
    m = shift * (-1.0) ** np.arange(components)
    # In units of the reference: it is scaled and moved on both sides alike.
    scale = np.linspace(1, 100, components)
    evidence = against(
        7 + scale * RNG.normal(m, s, (count, components)), 7 + scale * RNG.normal(size=(2 * count, components))
    )
    found = values(distances.sliced_w2, evidence)
    floor = found["sliced_w2_floor", ""].value
    # Frames share the mean out evenly; where 128 directions are no whole number of them, nearly.
    exact = np.sqrt(np.mean((distances.directions(components) @ m) ** 2) + (s - 1) ** 2)
    assert exact == pytest.approx(np.sqrt(shift**2 + (s - 1) ** 2), rel=0.15)
    assert found["", ""].value == pytest.approx(np.hypot(exact, floor), abs=4 * found["", ""].mcse)
    assert floor < 0.1


def test_directions_are_unit_vectors_spread_evenly_and_the_same_every_time() -> None:
    for components in (2, 7, 64, 300):
        found = distances.directions(components)
        assert found.shape == (128, components)
        assert np.linalg.norm(found, axis=1) == pytest.approx(1)
        assert np.array_equal(found, distances.directions(components))
    # The mean of outer products of unit vectors spread over the sphere is the identity over d.
    assert distances.directions(4).T @ distances.directions(4) / 128 == pytest.approx(np.eye(4) / 4)


@pytest.mark.parametrize("reference_count", [1000, 1500, 5000])
def test_sliced_distance_of_one_law_is_its_floor(reference_count: int) -> None:
    found = [
        values(distances.sliced_w2, against(RNG.normal(size=(1000, 3)), RNG.normal(size=(reference_count, 3))))
        for _ in range(60)
    ]
    value, floor = (np.mean([one[name, ""].value for one in found]) for name in ("", "sliced_w2_floor"))
    assert value == pytest.approx(floor, rel=0.12)
    # The difference of the means alone has a mean square of 2 / n.
    assert np.sqrt(2 / 1000) < floor < 3 * np.sqrt(2 / 1000)


@pytest.mark.parametrize("far", [1e20, 1e300])
def test_one_draw_beyond_all_bounds_leaves_the_sliced_distance_a_number(far: float) -> None:
    draws = RNG.normal(size=(1000, 3))
    draws[0, 0] = far
    found = values(distances.sliced_w2, against(draws, RNG.normal(size=(1000, 3))))
    assert 1e10 < found["", ""].value < np.inf


def test_error_of_the_sliced_distance_is_its_spread_over_samples() -> None:
    m, s = np.array([0.8, 0.0]), 0.7

    def make() -> Evidence:
        return against(RNG.normal(m, s, (1000, 2)), RNG.normal(size=(4000, 2)))

    exact = np.sqrt(np.mean((distances.directions(2) @ m) ** 2) + (s - 1) ** 2)
    z = standardised_errors(distances.sliced_w2, make, exact, repetitions=150)
    assert np.std(z) == pytest.approx(1, abs=0.2)
    assert np.mean(z) == pytest.approx(0, abs=0.3)


def test_joint_distances_see_what_marginals_do_not() -> None:
    count, r = 4000, 0.9
    reference = RNG.multivariate_normal([0, 0], [[1, r], [r, 1]], count)
    evidence = against(RNG.normal(size=(count, 2)), reference)
    assert values(errors.w1_error, evidence)["", ""].value < 0.1
    sliced = values(distances.sliced_w2, evidence)
    assert sliced["", ""].value > 4 * sliced["sliced_w2_floor", ""].value
    energy = values(distances.energy_distance, evidence)["", ""]
    assert energy.value > 10 * energy.mcse


@pytest.mark.parametrize(("m", "s"), [(0.5, 1.0), (0.0, 0.5), (2.0, 1.5)])
def test_energy_distance_of_normals(m: float, s: float) -> None:
    evidence = against(1e3 + 10 * RNG.normal(m, s, 40_000), 1e3 + 10 * RNG.normal(size=40_000))
    found = values(distances.energy_distance, evidence)["", ""]
    assert found.value == pytest.approx(energy_of_normals(m, s), abs=4 * found.mcse)
    assert found.mcse < 0.1


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_distances_by_a_product_are_those_of_every_pair(offset: float) -> None:
    """Far from zero, too, and where one point is far from all others, or two are the same."""
    rng = np.random.default_rng(0)
    x, y = offset + rng.standard_normal((50, 40)), offset + rng.standard_normal((60, 40))
    x[0] += 1e6
    y[3] = x[4]
    assert x.shape[1] >= distances.BY_PRODUCTS
    for one, other in ((x, y), (x, x)):
        np.testing.assert_allclose(distances._apart(one, other), cdist(one, other), rtol=1e-6, atol=1e-5)


def test_energy_distance_of_one_law_is_zero_on_average() -> None:
    found = [
        values(distances.energy_distance, against(RNG.normal(size=(300, 2)), RNG.normal(size=(600, 2))))["", ""]
        for _ in range(200)
    ]
    estimates = np.array([one.value for one in found])
    assert np.mean(estimates) == pytest.approx(0, abs=4 * np.std(estimates) / np.sqrt(len(found)))
    assert estimates.min() < 0
    # There the error is that of the jackknife on a degenerate statistic: too large, never too small.
    assert 1 <= np.mean([one.mcse for one in found]) / np.std(estimates) < 1.7
    assert np.mean(np.abs(estimates) < 3 * np.array([one.mcse for one in found])) > 0.93


def test_error_of_the_energy_distance_is_its_spread_over_samples() -> None:
    def make() -> Evidence:
        return against(RNG.normal(0.7, 0.6, 300), RNG.normal(size=1000))

    z = standardised_errors(distances.energy_distance, make, energy_of_normals(0.7, 0.6))
    assert np.std(z) == pytest.approx(1, abs=0.15)
    assert np.mean(z) == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("compute", [distances.sliced_w2, distances.energy_distance])
def test_components_that_do_not_vary_in_the_reference_are_left_out(compute: Any) -> None:
    draws, reference = RNG.normal(0.2, 1, (500, 2)), RNG.normal(size=(700, 2))
    with_constant = Evidence(
        latents={"x": draws, "c": RNG.normal(size=500)},
        reference={"x": reference, "c": np.ones(700)},
        reference_ess={"c": np.nan},
        log_weights=np.zeros(500),
    )
    assert values(compute, with_constant) == values(compute, against(draws, reference))
    constant = Evidence(latents={"c": draws}, reference={"c": np.ones((700, 2))}, log_weights=np.zeros(500))
    assert not values(compute, constant)
    assert not values(compute, against(draws[:1], reference))


@pytest.mark.parametrize("compute", [distances.sliced_w2, distances.energy_distance, errors.quantile_error])
def test_single_precision_far_from_zero(compute: Any) -> None:
    draws = (1000 + RNG.normal(size=(3000, 2))).astype(np.float32)
    reference = (1000 + RNG.normal(size=(3000, 2))).astype(np.float32)
    exact = values(compute, against(draws.astype(np.float64), reference.astype(np.float64)))
    assert values(compute, against(draws, reference)) == exact


def test_thinning_takes_some_of_every_chain() -> None:
    chains = np.repeat(np.arange(4), 1000)
    assert np.array_equal(np.bincount(distances.thinned(chains, 10)), [3, 2, 3, 2])
    assert distances.thinned(chains, 5000) is chains
