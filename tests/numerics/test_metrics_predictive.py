"""Intervals of the coverage and the probability integral transform, of predictions known to be right or wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from guidebench.metrics import predictive
from guidebench.metrics.evidence import Evidence, Heldout

RNG = np.random.default_rng(33)


def values(compute: Any, evidence: Evidence) -> dict[tuple[str, str], Any]:
    return {(one.metric, one.variable): one for one in compute(evidence)}


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


def test_coverage_comes_with_a_binomial_interval() -> None:
    # Nine observations in the middle of the predictive draws and one beyond them.
    heldout = Heldout(
        observed={"y": np.array([0.5] * 9 + [2.0])},
        predicted={"y": np.tile(np.linspace(0, 1, 101)[:, None], 10)},
        log_likelihood={"y": np.zeros((101, 10))},
    )
    found = values(predictive.coverage, Evidence(latents={}, heldout=heldout))
    exact = binomtest(9, 10).proportion_ci(0.95, method="wilson")
    for level in (50, 80, 90, 95):
        assert found[f"coverage_{level}", ""].value == 0.9
        assert found[f"coverage_{level}_low", ""].value == pytest.approx(exact.low)
        assert found[f"coverage_{level}_high", ""].value == pytest.approx(exact.high)
    assert (exact.low, exact.high) == (pytest.approx(0.596, abs=1e-3), pytest.approx(0.982, abs=1e-3))
    assert len(found) == len(predictive.LEVELS) + 2 * 4 + 1


def test_binomial_intervals_cover_at_their_level() -> None:
    inside = []
    for _ in range(400):
        found = values(predictive.coverage, _heldout(1.0, points=60, count=400))
        inside.append(found["coverage_80_low", ""].value <= 0.8 <= found["coverage_80_high", ""].value)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.035)


def _shares(evidence: Evidence) -> np.ndarray:
    found = values(predictive.pit, evidence)
    return np.array([found[f"pit_{position:02d}", ""].value for position in range(1, 11)])


def _counts(mean: float, points: int = 4000, count: int = 500) -> Evidence:
    """Poisson predictions with `mean` of data whose mean is 2."""
    heldout = Heldout(
        observed={"y": RNG.poisson(2.0, points)},
        predicted={"y": RNG.poisson(mean, (count, points))},
        log_likelihood={"y": np.zeros((count, points))},
        discrete=frozenset({"y"}),
    )
    return Evidence(latents={}, heldout=heldout)


@pytest.mark.parametrize("evidence", [_heldout(1.0, count=300), _counts(2.0)], ids=["normal", "poisson"])
def test_pit_of_a_calibrated_prediction_is_uniform(evidence: Evidence) -> None:
    points = evidence.heldout.observed["y"].size if evidence.heldout else 0
    found = values(predictive.pit, evidence)
    shares = _shares(evidence)
    assert shares.sum() == pytest.approx(1)
    assert points * np.sum((shares - 0.1) ** 2) / 0.1 < 27.9  # chi-squared of nine degrees, one in a thousand
    assert found["pit_distance", ""].value < 1.95 / np.sqrt(points)  # one in a thousand
    assert found["pit_01", ""].mcse == pytest.approx(np.sqrt(shares[0] * (1 - shares[0]) / points))
    assert {(one.value, one.mcse) for one in found.values()} == {
        (one.value, one.mcse) for one in values(predictive.pit, evidence).values()
    }


def test_pit_is_exactly_uniform_with_few_draws_and_many_ties() -> None:
    # Of y and three draws from {0, 1} any order is as likely as another.
    outcomes = RNG.integers(0, 2, (4, 200_000))
    found = predictive.pit_values(outcomes[0], outcomes[1:], RNG.random(200_000))
    assert np.histogram(found, 20, (0, 1))[0] / 200_000 == pytest.approx(0.05, abs=0.003)


@pytest.mark.parametrize("sd", [0.5, 2.0])
def test_pit_of_a_wrong_spread(sd: float) -> None:
    evidence = _heldout(sd, points=20_000, count=500)
    # y ~ N(0, 1) under N(0, sd): P(PIT < u) = Phi(sd Phi^-1(u)); U-shaped below one, a hump above.
    edges = norm.cdf(sd * norm.ppf(np.linspace(0, 1, 11)))
    assert _shares(evidence) == pytest.approx(np.diff(edges), abs=4 * 0.5 / np.sqrt(20_000))
    grid = np.linspace(0.001, 0.999, 999)
    distance = values(predictive.pit, evidence)["pit_distance", ""]
    assert distance.value == pytest.approx(np.max(np.abs(norm.cdf(sd * norm.ppf(grid)) - grid)), abs=0.015)
    assert distance.mcse is None


def test_pit_of_biased_counts_leans() -> None:
    shares = _shares(_counts(3.0))
    assert shares[0] > 0.2
    assert shares[-1] < 0.05
    assert values(predictive.pit, _counts(3.0))["pit_distance", ""].value > 0.2
