"""Verdicts: on guides whose error is known, and on guides that are bad on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from guidebench.analysis.recommendation import recommend
from guidebench.analysis.verdict import judge
from guidebench.contracts import Bound, Guide, MetricValue, Problem
from guidebench.results import Comparison, Fit, Status, Verdict
from tests import made


def standard_normal() -> None:
    numpyro.sample("x", dist.Normal(0.0, 1.0).expand([2]).to_event(1))


def fixed(name: str, loc: float, scale: float) -> Guide:
    def guide() -> None:
        numpyro.param("unused", 0.0)
        numpyro.sample("x", dist.Normal(loc, scale).expand([2]).to_event(1))

    return Guide(name=name, build=lambda model: guide)


BAD = {
    "ten-times-too-wide": (0.0, 10.0, Verdict.DISTRUST),
    "ten-times-too-narrow": (0.0, 0.1, Verdict.DISTRUST),
    "three-sds-off": (3.0, 1.0, Verdict.DISTRUST),
    "a-quarter-too-wide": (0.0, 1.25, Verdict.REWEIGHT),
    "exact": (0.0, 1.0, Verdict.TRUST),
}


@pytest.fixture(scope="module", params=range(3), ids=lambda seed: f"seed-{seed}")
def judged(request: pytest.FixtureRequest, run: Callable[..., Comparison]) -> Comparison:
    guides = [fixed(name, loc, scale) for name, (loc, scale, _) in BAD.items()]
    problem = Problem(name="normal", model=standard_normal)
    return run(problem, *guides, steps=20, restarts=1, seed=request.param)


@pytest.mark.parametrize("case", BAD)
def test_a_normal_of_known_error(judged: Comparison, case: str) -> None:
    loc, scale, expected = BAD[case]
    fit = judged[case]
    assert fit.verdict is expected, fit.reason
    kl = np.log(scale**-2) + scale**2 - 1 + loc**2
    assert -(fit.value("elbo") or 0) == pytest.approx(kl, abs=0.02 + 0.02 * kl)
    assert fit.value("dropped_mass") is None  # a standard normal has one mode, and no metric of several


def metrics(**changes: float) -> list[MetricValue]:
    values: dict[str, float] = {"smoothed_kl": 0.01, "khat": 0.3, "mean_shift": 0.01, "sd_shift": 0.02}
    return [MetricValue(metric=name, value=value, mcse=0.01) for name, value in {**values, **changes}.items()]


def errors(mean: float, sd: float, mcse: float = 0.01) -> list[MetricValue]:
    """Return what a reference says of the only component."""
    return [
        MetricValue(metric=name, value=value, mcse=mcse, variable=variable)
        for name, one in (("mean_error", mean), ("sd_error", sd))
        for variable, value in (("w", one), ("", one))
    ]


DROPPED = MetricValue(metric="dropped_mass", value=0.4)


@pytest.mark.parametrize(
    ("found", "bound", "status", "verdict", "words"),
    [
        (metrics(), "elbo", Status.CONVERGED, Verdict.TRUST, "as they are"),
        (metrics(), "elbo", Status.MAX_STEPS, Verdict.TRUST, "ran out of steps"),
        (metrics(mean_shift=0.065), "elbo", Status.CONVERGED, Verdict.REWEIGHT, "their weights"),
        (metrics(sd_shift=0.3), "elbo", Status.CONVERGED, Verdict.REWEIGHT, "30%"),
        (metrics(smoothed_kl=1.01), "elbo", Status.CONVERGED, Verdict.DISTRUST, "1.01 nat"),
        (metrics(khat=1.05, smoothed_kl=0.05), "elbo", Status.CONVERGED, Verdict.DISTRUST, "k-hat 1.05"),
        (metrics(khat=1.66, smoothed_kl=0.005), "elbo", Status.CONVERGED, Verdict.TRUST, "as they are"),
        (metrics(khat=np.inf), "elbo", Status.CONVERGED, Verdict.DISTRUST, "no mean"),
        (metrics(khat=np.nan), "elbo", Status.CONVERGED, Verdict.DISTRUST, "no mean"),
        (metrics(smoothed_kl=np.nan), "elbo", Status.CONVERGED, Verdict.DISTRUST, "nan"),
        ([], "augmented", Status.CONVERGED, Verdict.DISTRUST, "cannot be told"),
        (
            errors(0.02, 0.03),
            "augmented",
            Status.CONVERGED,
            Verdict.TRUST,
            "0.02 sd and no sd by more than 3%",
        ),
        (errors(0.02, 0.03), "augmented", Status.MAX_STEPS, Verdict.TRUST, "ran out of steps"),
        (errors(0.02, 0.12), "augmented", Status.CONVERGED, Verdict.TRUST, "as they are"),
        (errors(0.02, 0.145), "augmented", Status.CONVERGED, Verdict.DISTRUST, "room for an error"),
        (errors(0.02, 0.25, mcse=0.06), "augmented", Status.CONVERGED, Verdict.DISTRUST, "room for an error"),
        (errors(0.19, 0.03, mcse=0.06), "augmented", Status.CONVERGED, Verdict.DISTRUST, "room for an error"),
        (errors(0.02, 0.3), "augmented", Status.CONVERGED, Verdict.DISTRUST, "an sd is off by 30% (w)"),
        (errors(0.2, 0.03), "augmented", Status.CONVERGED, Verdict.DISTRUST, "a mean is off by 0.20 sd (w)"),
        (errors(np.nan, 0.03), "augmented", Status.CONVERGED, Verdict.DISTRUST, "off by nan"),
        ([*errors(0.2, 0.03), DROPPED], "augmented", Status.CONVERGED, Verdict.DISTRUST, "at modes that hold"),
        ([DROPPED], "augmented", Status.CONVERGED, Verdict.DISTRUST, "of the posterior"),
        ([], "none", Status.CONVERGED, Verdict.POINT, "no intervals"),
        ([], "elbo", Status.FAILED, Verdict.FAILED, "no draws"),
    ],
)
def test_judging(found: Any, bound: Any, status: Status, verdict: Verdict, words: str) -> None:
    given = judge(found, bound, status)
    assert given.verdict is verdict
    assert words in given.reason


def fit(guide: str, verdict: Verdict, seconds: float = 1.0, elbo: float = -1.0, bound: Bound = "elbo") -> Fit:
    return made.fit(guide, {"elbo": elbo}, bound=bound, verdict=verdict, train_s=seconds)


def test_the_recommendation_names_the_cheapest_trusted_guide() -> None:
    fits = [fit("slow", Verdict.TRUST, 9), fit("quick", Verdict.TRUST, 1), fit("far", Verdict.DISTRUST)]
    assert recommend(fits).startswith("Use quick: the quickest of 2 guides")
    assert "Do not use the intervals of far." in recommend(fits)


def test_without_a_trusted_guide_the_closest_is_named_with_its_weights() -> None:
    fits = [fit("near", Verdict.REWEIGHT, elbo=0.0), fit("further", Verdict.REWEIGHT, elbo=-0.5)]
    assert "near comes closest: use its draws with their weights" in recommend(fits)


def test_draws_that_nothing_could_check_are_not_called_bad() -> None:
    unknown = fit("path", Verdict.DISTRUST, bound="augmented")
    said = recommend([fit("quick", Verdict.TRUST), fit("far", Verdict.DISTRUST), unknown])
    assert "Do not use the intervals of far. How good the draws of path are cannot be told without a ref" in said
    judged = replace(unknown, metrics=(*unknown.metrics, *errors(0.02, 0.3)))
    assert "Do not use the intervals of path." in recommend([fit("quick", Verdict.TRUST), judged])


@pytest.mark.parametrize("fits", [[fit("a", Verdict.DISTRUST)], [fit("b", Verdict.POINT)], [fit("c", Verdict.FAILED)]])
def test_none_is_an_answer(fits: list[Fit]) -> None:
    assert "use NUTS" in recommend(fits)
