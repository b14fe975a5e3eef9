"""Verdicts where weights are blind: dropped modes, with and without a reference, in either precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from guidebench.analysis.verdict import judge
from guidebench.contracts import Guide, MetricValue, Problem
from guidebench.metrics.evidence import Evidence
from guidebench.metrics.modes import dropped_mass
from guidebench.problems import two_modes
from guidebench.results import Comparison, Fit, Status, Verdict

Run = Callable[..., Comparison]

MEAN, COVARIANCE = two_modes.given_sign()


def mixture(name: str, *weights: float) -> Guide:
    """The exact Gaussians of the two modes with these weights; with one weight alone the other is dropped."""

    def build(model: Any) -> Any:
        def guide(y: Any = None) -> None:
            numpyro.param("unused", 0.0)
            means = jnp.stack([jnp.asarray(MEAN), -jnp.asarray(MEAN)])
            parts = dist.MultivariateNormal(means, covariance_matrix=jnp.asarray(COVARIANCE))
            numpyro.sample("theta", dist.MixtureSameFamily(dist.Categorical(probs=jnp.asarray(weights)), parts))

        return guide

    return Guide(name=name, build=build)


def one_mode(name: str, sign: int, widened: float = 1.0) -> Guide:
    def build(model: Any) -> Any:
        def guide(y: Any = None) -> None:
            numpyro.param("unused", 0.0)
            mean, covariance = sign * jnp.asarray(MEAN), widened**2 * jnp.asarray(COVARIANCE)
            numpyro.sample("theta", dist.MultivariateNormal(mean, covariance_matrix=covariance))

        return guide

    return Guide(name=name, build=build)


GUIDES = (
    one_mode("larger", 1),
    one_mode("smaller", -1),
    one_mode("about-larger", 1, 1.04),
    one_mode("about-smaller", -1, 1.04),
    mixture("both", 0.7, 0.3),
    mixture("mostly", 0.97, 0.03),
    mixture("evenly", 0.5, 0.5),
)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("none", False), id="none-float32"),
        pytest.param(("exact", True), id="exact-float64", marks=pytest.mark.slow),
        pytest.param(("exact", False), id="exact-float32", marks=pytest.mark.slow),
        pytest.param(("none", True), id="none-float64", marks=pytest.mark.slow),
    ],
)
def judged(request: pytest.FixtureRequest, run: Run) -> Comparison:
    reference, x64 = request.param
    return run("two-modes", *GUIDES, reference=reference, x64=x64, steps=20, restarts=1)


ONE_MODE = {"larger": 0.7, "smaller": 0.3, "about-larger": 0.7, "about-smaller": 0.3}


@pytest.mark.parametrize("guide", ONE_MODE)
def test_one_mode_of_two_is_distrusted_however_well_it_fits(judged: Comparison, guide: str) -> None:
    fit, share = judged[guide], ONE_MODE[guide]
    # Weights and means of the mode it is on are beyond reproach:
    assert (fit.value("mean_shift") or 0) < 0.03
    assert (fit.value("sd_shift") or 0) < 0.06
    assert (fit.value("kl") or 0) < 0.01
    assert fit.value("log_evidence") == pytest.approx(two_modes.log_evidence() + np.log(share), abs=0.01)
    assert fit.value("dropped_mass") == pytest.approx(1 - share, abs=1e-3)
    assert fit.verdict is Verdict.DISTRUST, fit.reason


@pytest.mark.parametrize("guide", ["about-larger", "about-smaller"])
def test_where_even_the_tail_shape_sees_nothing_the_modes_decide(judged: Comparison, guide: str) -> None:
    """Weights of the exact Gaussian of one mode vary in their tail alone, which k-hat sees; others hide it."""
    fit = judged[guide]
    assert (fit.value("khat") or 0) < 0.5
    assert f"{1 - ONE_MODE[guide]:.0%}" in fit.reason


def test_a_guide_that_covers_both_modes_is_not_accused(judged: Comparison) -> None:
    fit = judged["both"]
    assert fit.value("dropped_mass") == 0
    assert fit.value("dropped_mass_given", "mode 2") == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 4_000))
    assert fit.value("elbo") == pytest.approx(two_modes.log_evidence(), abs=1e-3)
    assert fit.verdict is Verdict.TRUST, fit.reason


def test_wrong_weights_of_modes_are_repaired_and_a_mode_left_with_next_to_nothing_counts_as_dropped(
    judged: Comparison,
) -> None:
    evenly, mostly = judged["evenly"], judged["mostly"]
    assert evenly.verdict is Verdict.REWEIGHT, evenly.reason  # KL of 0.087 nat, and no draws missing
    assert evenly.value("dropped_mass") == 0
    assert mostly.value("dropped_mass") == pytest.approx(0.3, abs=1e-3)
    assert mostly.verdict is Verdict.DISTRUST, mostly.reason


def standard_normal() -> None:
    numpyro.sample("x", dist.Normal(0.0, 1.0).expand([2]).to_event(1))


def fixed(name: str, loc: float, scale: float) -> Guide:
    def guide() -> None:
        numpyro.param("unused", 0.0)
        numpyro.sample("x", dist.Normal(loc, scale).expand([2]).to_event(1))

    return Guide(name=name, build=lambda model: guide)


#: (loc, scale, verdict); the KL of each is closed-form.
NORMALS = {
    "ten-times-too-wide": (0.0, 10.0, Verdict.DISTRUST),
    "ten-times-too-narrow": (0.0, 0.1, Verdict.DISTRUST),
    "three-sds-off": (3.0, 1.0, Verdict.DISTRUST),
    "exact": (0.0, 1.0, Verdict.TRUST),
}


@pytest.mark.slow
@pytest.mark.parametrize("x64", [pytest.param(False, id="float32"), pytest.param(True, id="float64")])
def test_normals_of_known_error_in_either_precision(run: Run, x64: bool) -> None:
    guides = [fixed(name, loc, scale) for name, (loc, scale, _) in NORMALS.items()]
    found = run(Problem(name="normal", model=standard_normal), *guides, steps=20, restarts=1, x64=x64)
    for name, (loc, scale, verdict) in NORMALS.items():
        fit = found[name]
        assert fit.verdict is verdict, fit.reason
        kl = np.log(scale**-2) + scale**2 - 1 + loc**2
        elbo = fit.metric("elbo")
        assert elbo is not None
        assert abs(-elbo.value - kl) < 1e-5 + 4 * (elbo.mcse or 0)
        # A standard normal has one mode, and no metric of several.
        assert fit.value("dropped_mass") is None


@pytest.mark.slow
def test_modes_count_in_float64_and_beside_an_exact_reference(run: Run) -> None:
    """All guides in all four combinations are slow; this is one of each kind."""
    guides = {guide.name: guide for guide in GUIDES}
    found = run("two-modes", guides["about-smaller"], guides["both"], reference="exact", x64=True, steps=20, restarts=1)
    assert found["about-smaller"].verdict is Verdict.DISTRUST
    assert (found["about-smaller"].value("mean_error") or 0) > 1
    assert (found["about-smaller"].value("reweighted_mean_error") or 0) > 1
    assert found["both"].verdict is Verdict.TRUST


# -- dropped mass, by hand


def dropped(*shares: tuple[float, float]) -> float:
    *_, last = dropped_mass(Evidence(latents={}, mode_shares=shares))
    assert (last.metric, last.variable) == ("", "")
    return last.value


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        (((0.7, 1.0), (0.3, 0.0)), 0.3),
        (((0.7, 0.0), (0.3, 1.0)), 0.7),
        (((0.7, 0.7), (0.3, 0.3)), 0.0),
        (((0.7, 0.93), (0.3, 0.07)), 0.0),  # a quarter of its share
        (((0.7, 0.95), (0.3, 0.05)), 0.3),  # a sixth of it
        (((0.96, 1.0), (0.04, 0.0)), 0.04),  # which matter is said where shares are found
        (((0.5, 1.0), (0.3, 0.0), (0.2, 0.0)), 0.5),
    ],
)
def test_dropped_mass_by_hand(shares: tuple[tuple[float, float], ...], expected: float) -> None:
    assert dropped(*shares) == pytest.approx(expected)


# -- the rules about a reference, one by one

SETTLED = {"smoothed_kl": 0.01, "khat": 0.3, "mean_shift": 0.01, "sd_shift": 0.02}
RIGHT = {"mean_error": 0.02, "sd_error": 0.03, "reweighted_mean_error": 0.02, "reweighted_sd_error": 0.03}


def verdict(**changes: float | tuple[float, float]) -> Verdict:
    """Judge a fit that would be trusted, but for these changes: values, or values with their errors."""
    values = {**SETTLED, **RIGHT, **changes}
    pairs = {name: one if isinstance(one, tuple) else (one, 0.001) for name, one in values.items()}
    metrics = [MetricValue(metric=name, value=value, mcse=mcse) for name, (value, mcse) in pairs.items()]
    return judge(metrics, "elbo", Status.CONVERGED).verdict


@pytest.mark.parametrize("wrong", ["mean", "sd"])
def test_wrong_draws_that_weights_repair_are_reweighted(wrong: str) -> None:
    assert verdict(**{f"{wrong}_error": 0.3}) is Verdict.REWEIGHT


@pytest.mark.parametrize("raw", ["mean_error", "sd_error"])
@pytest.mark.parametrize("repaired", ["reweighted_mean_error", "reweighted_sd_error"])
def test_draws_that_are_wrong_raw_and_repaired_are_distrusted(raw: str, repaired: str) -> None:
    assert verdict(**{raw: 0.3, repaired: 0.3}) is Verdict.DISTRUST


@pytest.mark.parametrize(("metric", "limit"), [("mean_error", 0.10), ("sd_error", 0.15)])
def test_within_two_errors_of_the_limit_is_not_wrong(metric: str, limit: float) -> None:
    assert verdict(**{metric: (limit + 0.0199, 0.01)}) is Verdict.TRUST
    assert verdict(**{metric: (limit + 0.0201, 0.01)}) is Verdict.REWEIGHT
    assert verdict(**{metric: (limit + 0.0201, 0.02)}) is Verdict.TRUST
    both = {metric: (limit + 0.0201, 0.01), f"reweighted_{metric}": (limit + 0.0199, 0.01)}
    assert verdict(**both) is Verdict.REWEIGHT
    both[f"reweighted_{metric}"] = (limit + 0.0201, 0.01)
    assert verdict(**both) is Verdict.DISTRUST


def test_right_draws_are_trusted_whatever_their_weights_would_do_to_them() -> None:
    assert verdict(reweighted_mean_error=0.3) is Verdict.TRUST


def test_draws_that_need_weights_are_distrusted_where_the_repaired_ones_are_wrong() -> None:
    wrong = {"mean_shift": 0.2, "mean_error": 0.2}
    assert verdict(**wrong) is Verdict.REWEIGHT
    assert verdict(**wrong, reweighted_mean_error=0.3) is Verdict.DISTRUST


@pytest.mark.parametrize("changes", [{"mean_shift": 0.2}, {"smoothed_kl": 0.3}, {"khat": 1.2, "smoothed_kl": 0.05}])
def test_the_reference_outvotes_the_weights_where_it_finds_nothing_wrong(changes: dict[str, float]) -> None:
    assert verdict(**changes) is Verdict.TRUST


def test_weights_cannot_repair_a_mode_in_which_there_are_no_draws() -> None:
    assert verdict(dropped_mass=0.3, mean_error=0.5) is Verdict.DISTRUST


@pytest.mark.parametrize("metric", ["mean_error", "sd_error"])
def test_what_is_no_number_is_never_trusted(metric: str) -> None:
    assert verdict(**{metric: float("nan")}) is not Verdict.TRUST


def test_a_verdict_is_the_same_wherever_the_reference_agrees(judged: Comparison) -> None:
    found: dict[str, Fit] = {fit.guide: fit for fit in judged}
    assert {name: str(fit.verdict) for name, fit in found.items()} == {
        "larger": "distrust",
        "smaller": "distrust",
        "about-larger": "distrust",
        "about-smaller": "distrust",
        "both": "trust",
        "mostly": "distrust",
        "evenly": "reweight",
    }
