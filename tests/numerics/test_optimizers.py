"""Optimisers, schedules and objectives: whatever leads there, it leads to the same posterior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import TraceMeanField_ELBO
from numpyro.infer.autoguide import AutoNormal

from guidebench.contracts import Problem
from guidebench.inference.arguments import Arguments
from guidebench.inference.coordinates import model_of
from guidebench.inference.density import TraceELBO
from guidebench.inference.objectives import objective
from guidebench.inference.recipe import RECIPES
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from guidebench.problems import linear_regression
from guidebench.results import Comparison, Status
from tests.numerics import conjugate, linear_regression_exact

Run = Callable[..., Comparison]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"optimizer": "sgd:momentum=0.9", "learning_rate": 0.02}, marks=pytest.mark.slow),
        {"optimizer": "sgd:momentum=0.9,nesterov=true", "learning_rate": 0.02, "schedule": "linear:warmup=0.1"},
        pytest.param({"optimizer": "rmsprop", "learning_rate": 0.02}, marks=pytest.mark.slow),
        {"optimizer": "rmsprop:momentum=0.9", "learning_rate": 0.005, "schedule": "exponential:warmup=0.05"},
        pytest.param(
            {"optimizer": "adamw:weight_decay=1e-4", "schedule": "cosine:warmup=0.1,final=0.005"},
            marks=pytest.mark.slow,
        ),
        {"optimizer": "contrib.prodigy"},
        {"clip_norm": 50.0, "clip_share": 1.0},
        pytest.param({"clip_norm": 0.0}, marks=pytest.mark.slow),
    ],
    ids=lambda options: " ".join(f"{key}={value}" for key, value in options.items()),
)
def test_a_conjugate_posterior_is_reached_by_any_of_them(run: Run, options: dict[str, Any]) -> None:
    exact = conjugate.gaussian_mean()
    fit = run(exact.problem, "auto_normal", restarts=2, draws=1000, **options)["auto_normal"]
    assert fit.status is Status.CONVERGED
    assert fit.value("mean", "beta[0]") == pytest.approx(exact.mean[0], abs=0.03 * exact.sd[0])
    assert fit.value("sd", "beta[0]") == pytest.approx(exact.sd[0], rel=0.03)
    found = fit.metric("elbo")
    assert found is not None
    assert exact.log_evidence - 0.005 < found.value < exact.log_evidence + 3 * (found.mcse or 0) + 1e-5


@pytest.mark.slow
def test_weight_decay_pulls_the_parameters_of_the_guide_to_zero(run: Run) -> None:
    exact = conjugate.gaussian_mean()
    options = {"recipe": "plain", "steps": 2_000, "particles": 20, "draws": 1000}
    plain = run(exact.problem, "mean_field", **options)["mean_field"]
    pulled = run(exact.problem, "mean_field", optimizer="adamw:weight_decay=20.0", **options)["mean_field"]
    assert plain.value("mean", "beta[0]") == pytest.approx(exact.mean[0], abs=0.1)
    assert abs(pulled.value("mean", "beta[0]") or 9) < 0.5 * exact.mean[0]


@pytest.mark.parametrize(
    "schedule",
    [
        "constant",
        "cosine:final=0.5",
        pytest.param("constant:warmup=0.2", marks=pytest.mark.slow),
        pytest.param("exponential:final=0.2", marks=pytest.mark.slow),
    ],
)
def test_a_rate_that_does_not_decay_does_not_converge_and_goes_one_round(run: Run, schedule: str) -> None:
    fit = run(conjugate.gaussian_mean().problem, "auto_normal", restarts=1, draws=500, schedule=schedule)["auto_normal"]
    assert fit.status is Status.MAX_STEPS
    assert fit.rounds == (4_000,)


# -- objectives

LOSSES = ["TraceMeanField_ELBO", "TraceGraph_ELBO", "RenyiELBO:alpha=0.999"]


def regression() -> tuple[Callable[..., Any], Arguments, Any, Target]:
    problem = linear_regression.problem()
    arguments = Arguments.split(problem.model, problem.arguments())
    structure = inspect_model(problem.model, arguments)
    return problem.model, arguments, structure, Target.of(problem.model, arguments, structure)


@pytest.mark.parametrize("loss", ["TraceMeanField_ELBO", "TraceGraph_ELBO"])
@pytest.mark.parametrize("standardised", [False, True], ids=["own", "standardised"])
def test_an_objective_is_the_same_elbo_in_either_coordinates(loss: str, standardised: bool) -> None:
    """Analytic divergences from the prior of the standardised model, a masked normal, would be wrong."""
    model, arguments, _, target = regression()
    args, kwargs = arguments.call(model, arguments.arrays)
    if standardised:
        model = model_of(target)
        args, kwargs = (), {"data": dict(arguments.arrays), "center": jnp.ones(3) * 0.1, "factor": jnp.ones(3) * 0.8}
    guide = AutoNormal(model, init_scale=0.3)
    with numpyro.handlers.seed(rng_seed=0):
        guide(*args, **kwargs)
    params = {
        f"{name}_auto_{part}": jnp.array(value)
        for name, loc in (("w", 0.4), ("b", -0.6), ("s_eps", 0.2))
        for part, value in (("loc", loc), ("scale", 0.3))
    }
    key = jax.random.key(1)

    def both(elbo: Any) -> tuple[jax.Array, Any]:
        return jax.jit(jax.value_and_grad(lambda p: elbo.loss(key, p, model, guide, *args, **kwargs)))(params)

    ours, our_gradient = both(TraceELBO(num_particles=40_000))
    other, gradient = both(objective(loss, 40_000))
    assert float(other) == pytest.approx(float(ours), abs=0.1)
    for name in params:
        assert float(gradient[name]) == pytest.approx(float(our_gradient[name]), rel=0.05, abs=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_every_objective_trains_to_the_elbo_that_trace_elbo_trains_to(
    run: Run, seed_problem: Comparison, loss: str
) -> None:
    guides = ("auto_normal", "mean_field", "auto_multivariate_normal")
    found = run("linear-regression", *guides, loss=loss, restarts=2, draws=2000)
    for guide in guides:
        fit, plain = found[guide], seed_problem[guide]
        assert fit.status is Status.CONVERGED
        assert fit.value("elbo") == pytest.approx(plain.value("elbo"), abs=0.02)
        assert fit.value("mean", "w") == pytest.approx(plain.value("mean", "w"), abs=0.01)
        assert fit.value("sd", "b") == pytest.approx(plain.value("sd", "b"), rel=0.05)


@pytest.mark.parametrize("loss", ["TraceMeanField_ELBO", pytest.param("TraceGraph_ELBO", marks=pytest.mark.slow)])
def test_a_guide_in_the_models_own_coordinates_as_well(run: Run, monkeypatch: pytest.MonkeyPatch, loss: str) -> None:
    monkeypatch.setitem(RECIPES, "adam", replace(RECIPES["adam"], standardise=False))
    fit = run("linear-regression", "auto_normal", loss=loss, restarts=2)["auto_normal"]
    assert fit.coordinates == "own"
    assert fit.value("elbo") == pytest.approx(linear_regression_exact.best_elbo(full_rank=False), abs=0.03)


def test_a_point_estimate_by_mean_field_elbo_is_the_mode(run: Run) -> None:
    fit = run("linear-regression", "auto_delta", loss="TraceMeanField_ELBO", restarts=2)["auto_delta"]
    for name, value in linear_regression_exact.MODE.items():
        assert fit.value("mean", name) == pytest.approx(value, abs=2e-3)


@pytest.mark.slow
def test_renyi_at_a_small_alpha_covers_more_at_the_price_of_its_elbo(run: Run, seed_problem: Comparison) -> None:
    fit = run("linear-regression", "auto_normal", loss="RenyiELBO:alpha=0", particles=50, restarts=2)["auto_normal"]
    plain = seed_problem["auto_normal"]
    assert (fit.value("sd", "s_eps") or 0) > 1.05 * (plain.value("sd", "s_eps") or 0)
    assert (fit.value("elbo") or 0) < (plain.value("elbo") or 0) - 0.005
    assert np.isfinite(fit.value("elbo") or np.nan)


def hierarchical(y: Any = None) -> None:
    """The prior of theta depends on other latents, which analytic divergences have to respect."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 3.0))
    theta = numpyro.sample("theta", dist.Normal(mu, 0.7).expand([4]).to_event(1))
    numpyro.sample("y", dist.Normal(theta, 0.5).to_event(1), obs=y)


@pytest.mark.slow
def test_priors_that_depend_on_other_latents(run: Run) -> None:
    problem = Problem(name="hierarchical", model=hierarchical, kwargs={"y": np.array([1.0, 2.0, 0.5, 3.0])})
    ours = run(problem, "auto_normal", restarts=2, draws=1000)["auto_normal"]
    theirs = run(problem, "auto_normal", restarts=2, draws=1000, loss="TraceMeanField_ELBO")["auto_normal"]
    assert theirs.value("elbo") == pytest.approx(ours.value("elbo"), abs=0.02)
    assert theirs.value("sd", "mu") == pytest.approx(ours.value("sd", "mu"), rel=0.04)


def test_a_guide_in_another_order_is_trained_on_its_log_weights() -> None:
    """Where theta comes before mu, E KL(q(theta) || p(theta | mu)) is no part of the ELBO; NumPyro uses it."""

    def model() -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        numpyro.sample("theta", dist.Normal(mu, 0.5))

    def guide() -> None:
        theta = numpyro.sample("theta", dist.Normal(0.0, 1.0))
        numpyro.sample("mu", dist.Normal(0.9 * theta, 0.2))

    key = jax.random.key(0)
    ours = objective("TraceMeanField_ELBO", 50_000).loss(key, {}, model, guide)
    assert float(ours) == pytest.approx(float(TraceELBO(num_particles=50_000).loss(key, {}, model, guide)), abs=1e-4)
    with pytest.warns(UserWarning, match="mean field restriction"):
        theirs = TraceMeanField_ELBO(num_particles=50_000).loss(key, {}, model, guide)
    assert abs(float(theirs) - float(ours)) > 0.5


def test_divergences_are_numpyros_where_the_order_is_right() -> None:
    key, y = jax.random.key(0), jnp.array([1.0, 2.0, 0.5, 3.0])

    def guide(y: Any) -> None:
        numpyro.sample("mu", dist.Normal(0.3, 0.4))
        numpyro.sample("theta", dist.Normal(jnp.arange(4.0), 0.6).to_event(1))

    ours = objective("TraceMeanField_ELBO", 50).loss(key, {}, hierarchical, guide, y)
    assert float(ours) == pytest.approx(
        float(TraceMeanField_ELBO(num_particles=50).loss(key, {}, hierarchical, guide, y)), rel=1e-5
    )
    draws = TraceELBO(num_particles=50).loss(key, {}, hierarchical, guide, y)
    assert abs(float(draws) - float(ours)) > 1e-3
