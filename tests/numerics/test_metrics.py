"""Metrics against closed forms, on draws whose distribution is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import genpareto, norm

from guidebench.metrics import bounds, errors, moments, predictive, reweighting
from guidebench.metrics.evidence import Evidence, Heldout

RNG = np.random.default_rng(20)


def values(compute: Any, evidence: Evidence) -> dict[tuple[str, str], Any]:
    return {(one.metric, one.variable): one for one in compute(evidence)}


def weighted(log_weights: np.ndarray, **fields: Any) -> Evidence:
    return Evidence(latents={}, log_weights=log_weights, **fields)


def test_elbo_and_evidence_of_lognormal_weights() -> None:
    # log w ~ N(m, s^2): ELBO m, log evidence m + s^2 / 2, ESS share exp(-s^2).
    m, s, count = -3.0, 0.5, 400_000
    evidence = weighted(RNG.normal(m, s, count), restart_elbos=(-3.0, -3.1, -3.2))
    elbo = values(bounds.elbo, evidence)
    assert elbo["", ""].value == pytest.approx(m, abs=4 * s / np.sqrt(count))
    assert elbo["", ""].mcse == pytest.approx(s / np.sqrt(count), rel=0.02)
    assert elbo["elbo_restart_sd", ""].value == pytest.approx(0.1)
    found = values(bounds.log_evidence, evidence)["", ""]
    assert found.value == pytest.approx(m + s**2 / 2, abs=4 * found.mcse)
    assert found.mcse == pytest.approx(np.sqrt((np.exp(s**2) - 1) / count), rel=0.05)
    ess = values(bounds.effective_sample_size, evidence)
    assert ess["ess_share", ""].value == pytest.approx(np.exp(-(s**2)), rel=0.02)
    assert ess["", ""].value == pytest.approx(ess["ess_share", ""].value * count)


def test_weights_are_reduced_in_float64() -> None:
    tiny = weighted(np.array([-1e4, -1e4 + np.log(3)] * 500))
    assert values(bounds.log_evidence, tiny)["", ""].value == pytest.approx(-1e4 + np.log(2), abs=1e-9)


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.8, 1.2])
def test_khat_finds_the_tail_of_a_pareto(shape: float) -> None:
    log_weights = np.log(genpareto(shape).rvs(40_000, random_state=RNG) + 1)
    found = values(bounds.khat, weighted(log_weights))
    assert found["", ""].value == pytest.approx(shape, abs=0.15)
    assert found["khat_threshold", ""].value == pytest.approx(0.7)
    assert values(bounds.khat, weighted(log_weights[:200]))["khat_threshold", ""].value == pytest.approx(
        1 - 1 / np.log10(200)
    )


def test_the_error_of_khat_is_its_spread_over_samples() -> None:
    samples = [
        values(bounds.khat, weighted(np.log(genpareto(0.6).rvs(10_000, random_state=RNG) + 1)))["", ""]
        for _ in range(60)
    ]
    spread = np.std([one.value for one in samples], ddof=1)
    assert np.mean([one.mcse for one in samples]) == pytest.approx(spread, rel=0.35)


def test_khat_of_weights_that_are_not_finite_is_infinite() -> None:
    log_weights = RNG.normal(size=1000)
    log_weights[3] = np.nan
    assert values(bounds.khat, weighted(log_weights))["", ""].value == np.inf


def test_moments_and_their_errors() -> None:
    count, repetitions = 1000, 400
    errors: dict[str, list[float]] = {"mean": [], "sd": [], "correlation": []}
    for _ in range(repetitions):
        x = RNG.normal(2.0, 3.0, count)
        y = -0.6 * (x - 2) / 3 + 0.8 * RNG.normal(size=count)
        evidence = Evidence(latents={"x": x, "y": y})
        for name, truth, variable in (("mean", 2.0, "x"), ("sd", 3.0, "x"), ("correlation", -0.6, "x,y")):
            found = values(getattr(moments, name), evidence)["", variable]
            errors[name].append((found.value - truth) / found.mcse)
    for name, standardised in errors.items():
        assert np.std(standardised) == pytest.approx(1, abs=0.12), name
        assert np.mean(standardised) == pytest.approx(0, abs=0.2), name


def test_components_are_named_and_constant_ones_have_no_correlation() -> None:
    evidence = Evidence(latents={"a": RNG.normal(size=(50, 2, 1)), "c": np.ones(50)})
    assert [variable for _, variable in values(moments.mean, evidence)] == ["a[0,0]", "a[1,0]", "c"]
    assert [variable for _, variable in values(moments.correlation, evidence)] == ["a[0,0],a[1,0]"]
    assert values(moments.sd, evidence)["", "c"].value == 0


def _heldout(sd: float, points: int = 2000, count: int = 2000) -> Evidence:
    """Predictions N(mu, sd) of data that are N(mu, 1)."""
    mu = RNG.normal(size=points)
    observed = RNG.normal(mu, 1.0)
    predicted = RNG.normal(mu, sd, (count, points))
    log_likelihood = np.broadcast_to(norm(mu, sd).logpdf(observed), (count, points))
    return Evidence(
        latents={},
        heldout=Heldout(observed={"y": observed}, predicted={"y": predicted}, log_likelihood={"y": log_likelihood}),
    )


@pytest.mark.parametrize("sd", [0.5, 1.0, 2.0])
def test_coverage_of_predictions_with_a_wrong_spread(sd: float) -> None:
    found = values(predictive.coverage, _heldout(sd))
    levels = np.asarray(predictive.LEVELS) / 100
    exact = 2 * norm.cdf(sd * norm.ppf((1 + levels) / 2)) - 1
    shares = np.array([found[f"coverage_{level:02d}", ""].value for level in predictive.LEVELS])
    assert np.abs(shares - exact).max() < 4 * 0.5 / np.sqrt(2000) + 0.005
    # The levels share one sample, so their errors do not average out.
    assert found["calibration_error", ""].value == pytest.approx(
        np.mean(np.abs(exact - levels)), abs=4 * 0.5 / 2000**0.5
    )
    error = found["coverage_90", ""].mcse
    assert error == pytest.approx(np.sqrt(shares[17] * (1 - shares[17]) / 2000))


@pytest.mark.parametrize("sd", [0.5, 1.0, 2.0])
def test_crps_and_log_density_of_normal_predictions(sd: float) -> None:
    evidence = _heldout(sd)
    # E CRPS of N(mu, sd) for y ~ N(mu, 1): E|X - y| - E|X - X'| / 2.
    exact = np.sqrt(2 * (1 + sd**2) / np.pi) - sd / np.sqrt(np.pi)
    crps = values(predictive.crps, evidence)["", ""]
    assert crps.value == pytest.approx(exact, abs=4 * crps.mcse)
    elpd = values(predictive.elpd, evidence)["", ""]
    assert elpd.value == pytest.approx(-0.5 * np.log(2 * np.pi * sd**2) - 0.5 / sd**2, abs=4 * elpd.mcse)


def test_crps_of_a_point_prediction_is_the_absolute_error() -> None:
    heldout = Heldout(
        observed={"y": np.array([1.0, 4.0])},
        predicted={"y": np.full((10, 2), 2.0)},
        log_likelihood={"y": np.zeros((10, 2))},
    )
    assert values(predictive.crps, Evidence(latents={}, heldout=heldout))["", ""].value == pytest.approx(1.5)


def test_point_estimates_have_no_density() -> None:
    point = Evidence(latents={"x": np.zeros(5)})
    assert not point.has("density")
    assert not point.has("weights")
    augmented = weighted(np.zeros(5), marginal_weights=False)
    assert augmented.has("density")
    assert not augmented.has("weights")


def test_errors_of_a_shifted_narrow_uncorrelated_guide() -> None:
    count = 200_000
    x, e = RNG.normal(size=(2, count))
    reference = {"a": 1 + 2 * x, "b": 0.6 * x + 0.8 * e}
    latents = {"a": RNG.normal(1.5, 1.0, count), "b": RNG.normal(size=count)}
    evidence = Evidence(latents=latents, log_weights=np.zeros(count), reference=reference)
    mean = values(errors.mean_error, evidence)
    assert mean["", "a"].value == pytest.approx(0.25, abs=4 * mean["", "a"].mcse)
    assert mean["", "b"].value == pytest.approx(0, abs=4 * mean["", "b"].mcse)
    assert mean["", ""].value == mean["", "a"].value
    sd = values(errors.sd_error, evidence)
    assert sd["", "a"].value == pytest.approx(0.5, abs=4 * sd["", "a"].mcse)
    assert sd["", ""].mcse == sd["", "a"].mcse
    # W1 of N(0.5, 1) and N(0, 2) is E|0.5 - z| for a standard normal z, over the sd of 2.
    w1 = values(errors.w1_error, evidence)
    assert w1["", "a"].value == pytest.approx((2 * norm.pdf(0.5) + 0.5 * (2 * norm.cdf(0.5) - 1)) / 2, abs=0.02)
    correlation = values(errors.correlation_error, evidence)
    assert correlation["", "a,b"].value == pytest.approx(0.6, abs=4 * correlation["", "a,b"].mcse)


def test_error_of_equal_samples_is_zero_and_a_point_has_only_that_of_its_mean() -> None:
    x = RNG.normal(size=1000)
    same = Evidence(latents={"x": x}, log_weights=np.zeros(1000), reference={"x": x})
    assert all(values(one, same)["", ""].value == 0 for one in (errors.mean_error, errors.sd_error, errors.w1_error))
    point = Evidence(latents={"x": np.ones(10)}, reference={"x": x})
    assert point.has("reference")
    assert not point.has("reference spread")
    assert values(errors.mean_error, point)["", ""].value == pytest.approx((1 - x.mean()) / x.std())


def test_weights_repair_a_guide_of_known_error_and_know_how_well() -> None:
    shifts: dict[str, list[float]] = {"mean_reweighted": [], "sd_reweighted": []}
    for _ in range(200):
        x = RNG.normal(0.3, 1.3, 4000)
        log_weights = norm.logpdf(x) - norm(0.3, 1.3).logpdf(x)
        found = values(reweighting.reweighted, Evidence(latents={"x": x}, log_weights=log_weights))
        for name, truth in (("mean_reweighted", 0.0), ("sd_reweighted", 1.0)):
            shifts[name].append((found[name, "x"].value - truth) / found[name, "x"].mcse)
    assert found["mean_shift", ""].value == pytest.approx(0.3, abs=0.1)
    assert found["sd_shift", ""].value == pytest.approx(0.3, abs=0.1)
    for name, standardised in shifts.items():
        assert np.std(standardised) == pytest.approx(1, abs=0.15), name
        assert np.mean(standardised) == pytest.approx(0, abs=0.3), name
