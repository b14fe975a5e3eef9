"""The divergence and the importance-weighted bound, of normal guides of a normal posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from guidebench.metrics import bounds
from guidebench.metrics.evidence import Evidence

RNG = np.random.default_rng(32)


def values(compute: Any, evidence: Evidence) -> dict[tuple[str, str], Any]:
    return {(one.metric, one.variable): one for one in compute(evidence)}


def weighted(log_weights: np.ndarray) -> Evidence:
    return Evidence(latents={}, log_weights=log_weights)


def _wide(count: int, *, sd: float = np.sqrt(2.0), shift: float = 0.0, log_evidence: float = 0.0) -> Evidence:
    """A guide N(shift, sd^2) of a posterior N(0, 1); the weights are bounded for sd > 1."""
    x = RNG.normal(shift, sd, count)
    return weighted(log_evidence + norm.logpdf(x) - norm(shift, sd).logpdf(x))


@pytest.mark.parametrize(("shift", "sd"), [(0.0, 1.5), (0.5, 1.2), (0.3, 0.9)])
def test_kl_of_a_normal_guide(shift: float, sd: float) -> None:
    found = values(bounds.kl, _wide(400_000, sd=sd, shift=shift, log_evidence=-1e4))["", ""]
    exact = -np.log(sd) + (sd**2 + shift**2 - 1) / 2
    assert found.value == pytest.approx(exact, abs=4 * found.mcse)
    assert found.mcse < 0.01


def test_kl_is_the_gap_between_evidence_and_elbo_and_its_error_is_paired() -> None:
    evidence = _wide(5000)
    kl, gap, elbo = (values(one, evidence)["", ""] for one in (bounds.kl, bounds.log_evidence, bounds.elbo))
    assert kl.value == pytest.approx(gap.value - elbo.value)
    assert kl.mcse < 0.8 * np.hypot(gap.mcse, elbo.mcse)
    exact = values(bounds.kl, weighted(np.full(1000, -3.7)))["", ""]
    assert (exact.value, exact.mcse) == (pytest.approx(0, abs=1e-14), pytest.approx(0, abs=1e-14))
    assert exact.value >= 0


@pytest.mark.parametrize("compute", [bounds.kl, bounds.iw_bound, bounds.log_evidence])
def test_errors_of_bounds_are_their_spread_over_samples(compute: Any) -> None:
    size = bounds.BOUND_DRAWS
    # The groups' mean of log w lies below log p(y) by var(w) / 2 K, to first order; E w^2 is 2 / sqrt(3) here.
    exact = {bounds.kl: 0.5 - np.log(2) / 2, bounds.iw_bound: -(2 / np.sqrt(3) - 1) / (2 * size)}.get(compute, 0.0)
    found = [values(compute, _wide(6000))["", ""] for _ in range(300)]
    z = np.array([(one.value - exact) / one.mcse for one in found])
    assert np.std(z) == pytest.approx(1, abs=0.15)
    assert np.mean(z) == pytest.approx(0, abs=0.25)


def test_importance_weighted_bound_lies_between_the_elbo_and_the_evidence() -> None:
    log_evidence, count = -1e5, 400_000
    evidence = _wide(count, sd=0.8, shift=0.3, log_evidence=log_evidence)
    assert evidence.log_weights is not None
    elbo = values(bounds.elbo, evidence)["", ""]
    found = values(bounds.iw_bound, evidence)["", ""]
    assert elbo.value + 4 * elbo.mcse < found.value < log_evidence
    sizes = {size: bounds.mean_log_group_weight(evidence.log_weights, size) for size in (1, 2, 10, 100, 1000, count)}
    means = [value for value, _ in sizes.values()]
    assert means == sorted(means)
    assert sizes[1] == pytest.approx((elbo.value, elbo.mcse))
    assert sizes[count] == (pytest.approx(values(bounds.log_evidence, evidence)["", ""].value), None)
    assert sizes[100] == (found.value, found.mcse)


def test_importance_weighted_bound_leaves_out_what_makes_no_group() -> None:
    log_weights = RNG.normal(size=250)
    found = values(bounds.iw_bound, weighted(log_weights))["", ""]
    first, second = np.log(np.mean(np.exp(log_weights[:200].reshape(2, 100)), axis=1))
    assert found.value == pytest.approx((first + second) / 2)
    assert found.mcse == pytest.approx(abs(first - second) / 2)
    assert not values(bounds.iw_bound, weighted(log_weights[:99]))
