"""Rounds: training stops when it has settled, goes on when it has not, and says how far it went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from guidebench.contracts import Guide, Problem
from guidebench.inference.recipe import RECIPES
from guidebench.inference.training.rounds import worse_than_begun
from guidebench.results import Comparison, Status
from guidebench.results.inference_data import group

Run = Callable[..., Comparison]


def away(distance: float) -> Problem:
    """A normal `distance` sds from where the guide below begins."""

    def model(distance: Any) -> None:
        numpyro.sample("x", dist.Normal(distance, 1.0))

    return Problem(name="away", model=model, kwargs={"distance": np.array(distance)})  # one program for all distances


def stubborn() -> Guide:
    """A guide of no family, that begins at 0 whatever the starting point: Adam must walk all the way.

    At a rate of 0.05, decaying, 4,000 steps lead at most 100 far, 8,000 at a third of it 67 farther,
    and 16,000 at a ninth 44.
    """

    def build(model: Any) -> Any:
        def guide(distance: Any) -> None:
            numpyro.sample("x", dist.Normal(numpyro.param("loc", 0.0), 1.0))

        return guide

    return Guide(name="stubborn", build=build)


@pytest.mark.parametrize(
    ("distance", "steps", "status"),
    [
        pytest.param(5.0, 4_000, Status.CONVERGED, marks=pytest.mark.slow),
        (130.0, 12_000, Status.CONVERGED),
        pytest.param(1_000.0, 28_000, Status.MAX_STEPS, marks=pytest.mark.slow),
    ],
)
def test_as_many_rounds_as_are_needed_and_no_more(run: Run, distance: float, steps: int, status: Status) -> None:
    fit = run(away(distance), stubborn(), restarts=1, draws=500)["stubborn"]
    assert fit.steps == steps
    assert fit.rounds == {4_000: (4_000,), 12_000: (4_000, 8_000), 28_000: (4_000, 8_000, 16_000)}[steps]
    assert fit.status is status
    assert group(fit.inference_data, "training").sizes["step"] == steps
    if status is Status.CONVERGED:
        assert fit.value("mean", "x") == pytest.approx(distance, abs=0.1)
    else:
        assert (fit.value("mean", "x") or 0) < 250
        assert "ran out of steps" in fit.reason


@pytest.mark.parametrize("steps", [150, 1_500])
def test_steps_that_are_asked_for_are_exactly_so_many(run: Run, steps: int) -> None:
    fit = run(away(130.0), stubborn(), restarts=1, draws=500, steps=steps)["stubborn"]
    assert fit.steps == steps
    assert fit.status is Status.MAX_STEPS


# -- standardising: what it is for

SLOPES = np.array([2.0e4, -7.0e3])
DESIGN = np.random.default_rng(0).standard_normal((30, 2)) * [1.0, 0.5]
READINGS = DESIGN @ SLOPES + 300 * np.random.default_rng(1).standard_normal(30)
PRIOR, NOISE = 5e4, 300.0


def large(x: Any, y: Any = None) -> None:
    slopes = numpyro.sample("slopes", dist.Normal(0.0, PRIOR).expand([2]).to_event(1))
    numpyro.sample("y", dist.Normal(x @ slopes, NOISE).to_event(1), obs=y)


def known() -> tuple[np.ndarray, np.ndarray]:
    covariance = np.linalg.inv(DESIGN.T @ DESIGN / NOISE**2 + np.eye(2) / PRIOR**2)
    return covariance @ DESIGN.T @ READINGS / NOISE**2, np.sqrt(np.diag(covariance))


@pytest.mark.parametrize("standardise", [True, False], ids=["standardised", "as-it-is"])
def test_coefficients_of_ten_thousands_need_standardised_coordinates(
    run: Run, monkeypatch: pytest.MonkeyPatch, standardise: bool
) -> None:
    monkeypatch.setitem(RECIPES, "adam", replace(RECIPES["adam"], standardise=standardise))
    problem = Problem(name="large", model=large, kwargs={"x": DESIGN, "y": READINGS})
    fit = run(problem, "auto_multivariate_normal", recipe="adam", restarts=1)["auto_multivariate_normal"]
    mean, sd = known()
    names = ("slopes[0]", "slopes[1]")
    mean_errors = [abs((fit.value("mean", name) or 0) - mean[i]) / sd[i] for i, name in enumerate(names)]
    sd_errors = [abs((fit.value("sd", name) or 0) / sd[i] - 1) for i, name in enumerate(names)]
    if standardise:
        assert fit.coordinates == "affine"
        assert fit.steps == 4_000
        assert fit.status is Status.CONVERGED
        assert max(mean_errors) < 0.03
        assert max(sd_errors) < 0.03
    else:
        assert fit.coordinates == "own"
        assert max(mean_errors) > 1
        assert max(sd_errors) > 0.5
        assert fit.status is not Status.CONVERGED  # and it says so


def test_a_flow_whose_networks_the_usual_rate_drives_apart_begins_anew_with_a_tenth_of_it(run: Run) -> None:
    """Independent coordinates that are standard normal once standardised: the flow begins next to its optimum."""
    y = np.random.default_rng(0).standard_normal(50).round(3)

    def model(y: Any) -> None:
        with numpyro.plate("each", len(y)):
            x = numpyro.sample("x", dist.Normal(0.0, 1.0))
            numpyro.sample("y", dist.Normal(x, 0.5), obs=y)

    fit = run(Problem(name="fifty", model=model, kwargs={"y": y}), "auto_iaf_normal", draws=1_000)["auto_iaf_normal"]
    first, second = fit.rounds
    losses = group(fit.inference_data, "training")["loss"].to_numpy()
    losses = losses.reshape(-1, first + second) if losses.shape[-1] == first + second else losses.T
    assert losses[:, first - 100 : first].mean() > losses[:, :10].mean() + 10  # the usual rate
    assert fit.status is Status.CONVERGED
    evidence = dist.Normal(0.0, np.sqrt(1.25)).log_prob(y).sum()
    assert fit.value("elbo") == pytest.approx(float(evidence), abs=0.1)


def test_training_is_worse_than_it_began_where_every_restart_is_beyond_noise() -> None:
    noise = np.random.default_rng(0).standard_normal((2, 200))
    begun = 50 + noise
    assert not worse_than_begun([begun, begun[:, ::-1]])  # settled where it began
    assert not worse_than_begun([begun, begun + np.array([[-1.0], [500.0]])])  # one has come on
    assert worse_than_begun([begun, begun + 500])
    assert worse_than_begun([begun, np.full_like(begun, np.nan)])
    assert worse_than_begun([begun + np.array([[0.0], [np.inf]]), begun + 500])
    assert not worse_than_begun([np.full_like(begun, np.inf), begun + 500])
