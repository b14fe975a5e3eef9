"""Calibration by simulation: ranks of guides whose coverage is known, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

from guidebench.contracts import Guide, MetricValue, Problem
from guidebench.metrics.simulated import LEVELS, band, bias_p_value, calibration, holm, probabilities
from guidebench.results import Comparison, Fit
from guidebench.results.inference_data import group

Run = Callable[..., Comparison]

# -- a conjugate model: for every data set the posterior is Gaussian with one and the same covariance

DESIGN = np.array([[1.0, 0.9], [0.2, 0.4], [-1.0, -0.6], [0.5, 0.8], [-0.3, 0.1]], np.float32)
COVARIANCE = np.linalg.inv(np.eye(2) + DESIGN.astype(float).T @ DESIGN.astype(float) / 0.25)
SD = np.sqrt(np.diag(COVARIANCE))
CORRELATION = COVARIANCE / np.outer(SD, SD)


def model(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
    numpyro.sample("y", dist.Normal(x @ beta, 0.5).to_event(1), obs=y)


PROBLEM = Problem(name="conjugate", model=model, kwargs={"x": DESIGN, "y": np.zeros(5, np.float32)})
NAMES = ("beta[0]", "beta[1]")


def known(shift: float = 0.0, scale: float = 1.0, name: str = "known") -> Guide:
    """The exact posterior, `shift` sds off and `scale` times as wide.

    In coordinates standardised one by one the exact posterior is N(0, CORRELATION) for every data set.
    """

    def build(model: Any) -> Any:
        def guide(data: Any, center: Any, factor: Any) -> None:
            numpyro.param("unused", 0.0)
            covariance = scale**2 * jnp.asarray(CORRELATION)
            numpyro.sample("beta", dist.MultivariateNormal(jnp.full(2, shift), covariance_matrix=covariance))

        return guide

    return Guide(name=name, build=build, family="diagonal")


def simulated(run: Run, guide: Guide | str, count: int, **options: Any) -> Fit:
    (fit,) = run(PROBLEM, guide, simulations=count, **{"restarts": 1, "draws": 200, "steps": 20, **options})
    assert fit.status.has_draws, fit.message
    return fit


def ranks(fit: Fit) -> np.ndarray:
    """Return the ranks as probabilities, shape ``(N, 2)``."""
    found = group(fit.inference_data, "simulations")
    assert list(found["component"].to_numpy()) == list(NAMES)
    return probabilities(found["rank"].to_numpy(), int(found.attrs["draws"]))


def assert_coverage(fit: Fit, expected: Callable[[float], np.ndarray], count: int) -> None:
    """Coverage of every level is within four binomial errors of what it should be."""
    for level in LEVELS:
        for name, share in zip(NAMES, expected(level / 100), strict=True):
            found = fit.value(f"simulated_coverage_{level}", name)
            assert abs((found or 0) - share) < 4 * np.sqrt(share * (1 - share) / count), (name, level, found, share)
            low, high = (fit.value(f"simulated_coverage_{level}_{end}", name) or 0 for end in ("low", "high"))
            assert low <= (found or 0) <= high


def widened(ratio: np.ndarray, shift: float = 0.0) -> Callable[[float], np.ndarray]:
    """Coverage of central intervals of a Gaussian `ratio` times as wide as the truth and `shift` sds off."""

    def coverage(level: float) -> np.ndarray:
        z = stats.norm.ppf((1 + level) / 2) * np.asarray(ratio)
        return np.asarray(stats.norm.cdf(shift + z) - stats.norm.cdf(shift - z))

    return coverage


@pytest.fixture(scope="module")
def untrained(run: Run) -> Comparison:
    """Guides whose ranks are known, on the same 400 data sets."""
    guides = (known(name="exact"), known(scale=0.5, name="narrow"), breaking(above=0.0))
    return run(PROBLEM, *guides, simulations=400, restarts=1, draws=200, steps=20)


def test_the_exact_posterior_has_uniform_ranks(untrained: Comparison) -> None:
    fit = untrained["exact"]
    for one in ranks(fit).T:
        assert stats.kstest(one, "uniform").pvalue > 1e-3
    assert_coverage(fit, lambda level: np.full(2, level), 400)
    assert (fit.value("simulated_bias_p") or 0) > 1e-3
    assert (fit.value("simulated_uniformity_p") or 0) > 1e-3
    for name in NAMES:
        bias = fit.metric("simulated_bias", name)
        assert bias is not None
        assert abs(bias.value) < 4 * (bias.mcse or 0)


@pytest.fixture(scope="module")
def trained(run: Run) -> dict[str, Fit]:
    guides = ("auto_multivariate_normal", "auto_normal", "auto_delta")
    found = run(PROBLEM, *guides, simulations=400, restarts=1, draws=200, steps=1000)
    return {name: found[name] for name in guides}


def test_a_full_rank_guide_that_is_trained_is_as_good_as_exact(trained: dict[str, Fit]) -> None:
    fit = trained["auto_multivariate_normal"]
    assert (fit.value("simulated_converged") or 0) > 0.95
    for one in ranks(fit).T:
        assert len(one) == 400
        assert stats.kstest(one, "uniform").pvalue > 1e-3
    assert_coverage(fit, lambda level: np.full(2, level), 400)


def test_mean_field_covers_what_its_closed_form_says(trained: dict[str, Fit]) -> None:
    ratio = float(np.sqrt(1 - CORRELATION[0, 1] ** 2))
    assert ratio < 0.75  # far from exact
    fit = trained["auto_normal"]
    assert_coverage(fit, widened(np.full(2, ratio)), 400)
    assert (fit.value("simulated_coverage_90", NAMES[0]) or 1) < 0.85
    assert (fit.value("simulated_uniformity_p") or 1) < 0.05
    assert (fit.value("simulated_bias_p") or 0) > 1e-3  # too narrow, but in the right place


@pytest.mark.slow
def test_a_guide_that_is_off_by_an_sd_is_found_with_its_sign(run: Run) -> None:
    shift = 1.0
    fit = simulated(run, known(shift=shift), 400)
    assert (fit.value("simulated_bias_p") or 1) < 1e-6
    expected = 2 * stats.norm.cdf(-shift / np.sqrt(2)) - 1  # P(draw < truth) is the cdf of a difference
    for name in NAMES:
        assert (fit.value("simulated_bias_p", name) or 1) < 1e-6
        bias = fit.metric("simulated_bias", name)
        assert bias is not None
        assert np.sign(bias.value) == -np.sign(shift)  # true values lie below the draws where those are too high
        assert abs(bias.value - expected) < 4 * (bias.mcse or 0)
    assert_coverage(fit, widened(np.ones(2), shift), 400)


def assert_wrong_width(fit: Fit, scale: float) -> None:
    """The width shows in coverage and in uniformity, and not as a bias."""
    assert_coverage(fit, widened(np.full(2, scale)), 400)
    assert (fit.value("simulated_uniformity_p") or 1) < 1e-6
    assert (fit.value("simulated_bias_p") or 0) > 1e-3


def test_a_guide_that_is_too_narrow_covers_too_little(untrained: Comparison) -> None:
    assert_wrong_width(untrained["narrow"], 0.5)
    assert (untrained["narrow"].value("simulated_coverage_80", NAMES[0]) or 1) < 0.6


@pytest.mark.slow
def test_a_guide_that_is_too_wide_covers_too_much(run: Run) -> None:
    fit = simulated(run, known(scale=2.0), 400)
    assert_wrong_width(fit, 2.0)
    assert (fit.value("simulated_coverage_80", NAMES[0]) or 0) > 0.95


def test_the_same_seed_gives_the_same_bits_whatever_was_observed(run: Run) -> None:
    """Data are simulated: those of the run take no part."""
    moved = Problem(name="conjugate", model=model, kwargs={"x": DESIGN, "y": np.full(5, 30, np.float32)})
    settings = {"simulations": 20, "steps": 60, "restarts": 1, "draws": 200}
    found = [
        group(run(problem, "auto_normal", seed=seed, **settings)["auto_normal"].inference_data, "simulations")
        for problem, seed in ((PROBLEM, 3), (moved, 3))
    ]
    assert found[0].equals(found[1])


def test_other_guides_see_the_same_data(trained: dict[str, Fit]) -> None:
    full, mean_field = (
        group(trained[name].inference_data, "simulations") for name in ("auto_multivariate_normal", "auto_normal")
    )
    np.testing.assert_array_equal(full["truth"], mean_field["truth"])
    assert not np.array_equal(full["rank"], mean_field["rank"])


def test_a_point_estimate_is_noted_and_left_out(trained: dict[str, Fit]) -> None:
    fit = trained["auto_delta"]
    assert "a point estimate has no intervals, so there is no calibration to simulate" in fit.message
    assert not any(one.metric.startswith("simulated") for one in fit.metrics)
    assert fit.simulate_s is None


# -- fits that break down


def breaking(above: float) -> Guide:
    """Exact, but not a number for data whose first reading exceeds `above`."""

    def build(model: Any) -> Any:
        def guide(data: Any, center: Any, factor: Any) -> None:
            numpyro.param("unused", 0.0)
            simulated = "observed" in data
            first = data["observed"]["y"][0] if simulated else data["y"][0] - 1e9
            loc = jnp.where(first > above, jnp.nan, jnp.zeros(2))
            numpyro.sample("beta", dist.MultivariateNormal(loc, covariance_matrix=jnp.asarray(CORRELATION)))

        return guide

    return Guide(name="breaking", build=build, family="diagonal")


def test_fits_that_break_down_are_counted_and_have_no_ranks(untrained: Comparison) -> None:
    fit = untrained["breaking"]
    found = group(fit.inference_data, "simulations")
    assert found.sizes["simulation"] + found.attrs["broken"] == 400
    assert 100 < found.attrs["broken"] < 300
    assert (found["rank"].to_numpy() >= 0).all()
    assert fit.value("simulated_coverage_90", NAMES[0]) is not None


@pytest.mark.slow
def test_a_guide_that_breaks_on_all_simulated_data_keeps_its_fit(run: Run) -> None:
    fit = simulated(run, breaking(above=-1e6), 40)
    assert fit.value("elbo") is not None
    assert not any(one.metric.startswith("simulated") for one in fit.metrics)
    assert "not one of 40 fits ended with finite draws" in fit.message


def test_without_ranks_there_is_nothing_to_say() -> None:
    assert list(calibration({"a": np.array([], int)}, 999)) == []


# -- the arithmetic of ranks


def test_holm_by_hand() -> None:
    # sorted: .005 x 4, .01 x 3, .03 x 2, .04 x 1 -> .02, .03, .06, and .04 raised to .06
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.5, 0.6])), [1.0, 1.0])
    np.testing.assert_allclose(holm(np.array([0.2])), [0.2])


def test_holm_keeps_the_familywise_error() -> None:
    rng = np.random.default_rng(0)
    false = [holm(rng.uniform(size=5)).min() < 0.05 for _ in range(4_000)]
    assert abs(np.mean(false) - (1 - (1 - 0.01) ** 5)) < 4 * np.sqrt(0.05 * 0.95 / 4_000)


def test_ranks_become_probabilities_in_the_middle_of_their_steps() -> None:
    np.testing.assert_allclose(probabilities(np.array([0, 4, 9]), 9), [0.05, 0.45, 0.95])
    uniform = probabilities(np.arange(1_000), 999)
    for level in LEVELS:
        assert np.mean(np.abs(uniform - 0.5) <= level / 200) == pytest.approx(level / 100, abs=1e-9)


def by_name(values: Iterator[MetricValue]) -> dict[tuple[str, str], MetricValue]:
    return {(one.metric, one.variable): one for one in values}


def test_shares_and_intervals_by_hand() -> None:
    found = by_name(calibration({"a": np.array([0, 250, 500, 749, 999] * 10)}, 999))
    # |p - 1/2|: .4995, .2495, .0005, .2495, .4995
    assert found["simulated_coverage_50", "a"].value == 0.6
    assert found["simulated_coverage_95", "a"].value == 0.6
    assert found["simulated_coverage_50", "a"].mcse == pytest.approx(np.sqrt(0.6 * 0.4 / 50))
    z, n = stats.norm.ppf(0.975), 50
    centre = (0.6 + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(0.6 * 0.4 / n + z**2 / (4 * n**2))
    assert found["simulated_coverage_50_low", "a"].value == pytest.approx(centre - half)
    assert found["simulated_coverage_50_high", "a"].value == pytest.approx(centre + half)
    assert found["simulated_bias", "a"].value == pytest.approx(2 * (0.5 + 250.5 + 500.5 + 749.5 + 999.5) / 5_000 - 1)


def test_the_overall_p_value_is_the_smallest_corrected_one() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.integers(0, 1_000, 300), rng.integers(300, 1_000, 300)
    found = by_name(calibration({"good": good, "bad": bad}, 999))
    for metric in ("simulated_bias_p", "simulated_uniformity_p"):
        assert found[metric, ""].value == found[metric, "bad"].value < 1e-6
        assert found[metric, "good"].value > 0.01


@pytest.mark.parametrize("count", [40, 250])
def test_the_test_of_bias_has_its_size(count: int) -> None:
    rng = np.random.default_rng(count)
    p = probabilities(rng.integers(0, 1_000, (3_000, count)), 999)
    found = np.array([bias_p_value(one) for one in p])
    for level in (0.01, 0.05, 0.2):
        assert abs(np.mean(found <= level) - level) < 4 * np.sqrt(level * (1 - level) / 3_000), level


def test_symmetric_ranks_of_a_narrow_guide_are_no_bias() -> None:
    rng = np.random.default_rng(0)
    p = stats.norm.cdf(2 * rng.standard_normal((1_000, 100)))  # the truth is twice as wide as the draws
    assert np.mean([bias_p_value(one) < 0.05 for one in p]) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 1_000))
    assert bias_p_value(np.full(20, 0.5)) == 1


@pytest.mark.parametrize("count", [20, 100, 500])
def test_the_band_holds_the_whole_curve_as_often_as_it_says(count: int) -> None:
    z, low, high = band(count)
    rng = np.random.default_rng(12345 + count)
    trials = 4_000
    values = np.sort(rng.uniform(size=(trials, count)), axis=1)
    inside = []
    for one in values:
        difference = np.searchsorted(one, z, side="right") / count - z
        inside.append(np.all((difference >= low - 1e-12) & (difference <= high + 1e-12)))
    share = float(np.mean(inside))
    # At least 95 %, but for the noise of both simulations; a little more, for counts are discrete.
    error = np.sqrt(0.05 * 0.95 * (1 / trials + 1 / 4_000))
    assert 0.95 - 4 * error < share < 0.97 + 4 * error
    assert np.all(low < 0)
    assert np.all(high > 0)
    # No wider than a Kolmogorov-Smirnov band anywhere near the middle, and narrower at the ends.
    ks = stats.kstwo.ppf(0.95, count)
    assert high[0] < ks
    assert high[49] < 1.2 * ks


def test_the_band_notices_what_is_not_uniform() -> None:
    z, low, high = band(300)
    narrow = np.sort(stats.norm.cdf(2 * np.random.default_rng(0).standard_normal(300)))
    difference = np.searchsorted(narrow, z, side="right") / 300 - z
    assert not np.all((difference >= low) & (difference <= high))
