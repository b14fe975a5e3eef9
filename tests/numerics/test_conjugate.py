"""Problems whose posterior is Gaussian: the full-rank guide has to find it, whatever its scales and correlations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from guidebench.results import Comparison, Fit, Status, Verdict
from tests.numerics import conjugate

#: Hard scales and correlations in the default run; one dimension and twenty with the slow tests.
HARD = (conjugate.nearly_collinear, conjugate.many_scales)
CASES = [
    pytest.param(make, id=make.__name__, marks=[] if make in HARD else [pytest.mark.slow]) for make in conjugate.ALL
]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, run: Callable[..., Comparison]) -> tuple[conjugate.Conjugate, Comparison]:
    exact = request.param()
    return exact, run(exact.problem, "auto_multivariate_normal", "auto_normal", "mean_field")


def moments(fit: Fit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means, sds and relative Monte Carlo errors of the sds, by component."""
    means = [one for one in fit.metrics if one.metric == "mean"]
    sds = [one for one in fit.metrics if one.metric == "sd"]
    return (
        np.array([one.value for one in means]),
        np.array([one.value for one in sds]),
        np.array([(one.mcse or 0) / one.value for one in sds]),
    )


def test_the_cases_are_as_hard_as_they_say() -> None:
    collinear, scales = conjugate.nearly_collinear(), conjugate.many_scales()
    correlations = collinear.covariance / np.outer(collinear.sd, collinear.sd)
    assert np.abs(np.triu(correlations, 1)).max() == pytest.approx(0.999, abs=5e-4)
    assert scales.sd.min() == pytest.approx(1e-3, rel=0.3)
    assert scales.sd.max() == pytest.approx(1e4, rel=0.3)
    assert len(conjugate.twenty_dimensions().mean) == 20


def test_full_rank_is_exact(case: tuple[conjugate.Conjugate, Comparison]) -> None:
    exact, comparison = case
    fit = comparison["auto_multivariate_normal"]
    mean, sd, error = moments(fit)
    monte_carlo = 3 / np.sqrt(40_000)
    assert fit.status is Status.CONVERGED
    assert fit.verdict is Verdict.TRUST, fit.reason
    assert (fit.value("khat") or 0) < (fit.value("khat_threshold") or 0)
    assert np.max(np.abs(mean - exact.mean) / exact.sd) < 0.02 + monte_carlo
    assert np.all(np.abs(sd / exact.sd - 1) < 0.02 + 3 * error)
    assert fit.value("log_evidence") == pytest.approx(exact.log_evidence, abs=5e-3)
    found = fit.metric("elbo")
    assert found is not None
    noise = 3 * (found.mcse or 0) + 1e-5  # the last bits of float32 in a hundred nats
    assert exact.log_evidence - 0.01 - noise < found.value < exact.log_evidence + noise


@pytest.mark.parametrize("guide", ["auto_normal", "mean_field"])
def test_mean_field_has_the_sds_of_its_closed_form(case: tuple[conjugate.Conjugate, Comparison], guide: str) -> None:
    exact, comparison = case
    fit = comparison[guide]
    mean, sd, error = moments(fit)
    assert fit.status is Status.CONVERGED
    assert np.all(np.abs(sd / exact.mean_field_sd - 1) < 0.02 + 3 * error)
    assert np.max(np.abs(mean - exact.mean) / exact.sd) < 0.03
    # A Gaussian is no trouble for chains: what is too narrow comes back as wide as it should be.
    narrower = np.min(exact.mean_field_sd / exact.sd)
    assert fit.verdict is (Verdict.TRUST if narrower > 0.85 else Verdict.REFRESH), fit.reason
