"""Standardised coordinates: maps that invert, and densities that stay those of the model's own latents."""

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
from scipy import stats

from guidebench.config import RunConfig
from guidebench.contracts import Family, Guide, Problem
from guidebench.engine.prepared import prepare
from guidebench.engine.workbench import Workbench
from guidebench.inference.coordinates import Affine, apply
from guidebench.inference.device.precision import chosen
from guidebench.inference.draws import make_sampler
from guidebench.inference.modes import Gaussian
from guidebench.inference.recipe import RECIPES
from guidebench.inference.train import train
from guidebench.plugins.registry import load_registry
from guidebench.results import Comparison


def gaussian(dim: int = 4) -> Gaussian:
    rng = np.random.default_rng(0)
    scales = np.logspace(-3, 4, dim)
    root = rng.standard_normal((dim, dim)) * scales[:, None]
    return Gaussian(mean=100 * scales, factor=np.linalg.cholesky(root @ root.T), elbo=0.0)


@pytest.mark.parametrize("family", ["diagonal", "affine"])
def test_the_inverse_is_the_inverse(family: Family) -> None:
    affine = Affine.for_family(family, gaussian(), 4)
    z = np.random.default_rng(1).standard_normal((7, 4))
    with chosen(True):
        center, matrix = jnp.asarray(affine.center), jnp.asarray(affine.factor)
        u = np.stack([apply(center, matrix, jnp.asarray(one))[0] for one in z])
    np.testing.assert_allclose(affine.inverse(u), z, rtol=1e-9, atol=1e-9)
    factor = np.diag(affine.factor) if affine.factor.ndim == 1 else affine.factor
    with chosen(True):
        log_jacobian = float(apply(center, matrix, jnp.asarray(z[0]))[1])
    assert log_jacobian == pytest.approx(np.linalg.slogdet(factor)[1], rel=1e-12)


@pytest.mark.parametrize("family", ["diagonal", "affine"])
def test_the_gaussian_has_unit_scales_in_its_coordinates(family: Family) -> None:
    found = gaussian()
    affine = Affine.for_family(family, found, 4)
    np.testing.assert_allclose(affine.inverse(found.mean[None]), 0)
    inverse = np.diag(1 / affine.factor) if affine.factor.ndim == 1 else np.linalg.inv(affine.factor)
    covariance = inverse @ found.factor @ found.factor.T @ inverse.T
    # One scale for each coordinate is its sd given all others: the inverse covariance has a diagonal of ones.
    np.testing.assert_allclose(np.diag(np.linalg.inv(covariance)), 1, rtol=1e-9)
    if family == "affine":
        np.testing.assert_allclose(covariance, np.eye(4), atol=1e-8)


def test_without_a_gaussian_nothing_is_moved() -> None:
    affine = Affine.for_family("affine", None, 3)
    points = np.random.default_rng(0).standard_normal((2, 3))
    np.testing.assert_array_equal(affine.inverse(points), points)


# -- densities over the model's own latents, one of them positive: log_p, log_q and their difference

Y = np.array([2.1, 1.4, 2.6])


def model(y: Any = None) -> None:
    a = numpyro.sample("a", dist.Normal(1.0, 300.0).expand([2]).to_event(1))
    b = numpyro.sample("b", dist.LogNormal(-4.0, 1.5))
    numpyro.sample("y", dist.Normal(a[0] / 100 + a[1], 0.5 + b).expand([3]).to_event(1), obs=y)


def log_joint(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    prior = stats.norm(1, 300).logpdf(a).sum(axis=1) + stats.lognorm(1.5, scale=np.exp(-4)).logpdf(b)
    mean, sd = a[:, 0] / 100 + a[:, 1], 0.5 + b
    return np.asarray(prior + stats.norm(mean[:, None], sd[:, None]).logpdf(Y).sum(axis=1))


@pytest.mark.parametrize(
    ("name", "x64"),
    [
        ("auto_normal", True),
        ("auto_multivariate_normal", True),
        pytest.param("auto_multivariate_normal", False, marks=pytest.mark.slow),
    ],
    ids=["diagonal", "affine", "affine-in-float32"],
)
def test_densities_are_those_over_the_models_own_latents(name: str, x64: bool) -> None:
    recipe = replace(RECIPES["default"], steps=60, restarts=1, rounds=1)
    problem = Problem(name="known", model=model, kwargs={"y": Y})
    guide = load_registry().guide(name).declaration
    with chosen(x64):
        ready = prepare(problem, RunConfig(steps=60, restarts=1), recipe)
        frame = Workbench(ready.problem, ready.target).frame(guide.family)
        key = jax.random.split(jax.random.key(0), 1)
        make: Callable[[Any], Any] = lambda start: guide.build(frame.model)  # noqa: E731
        training = train(make, frame, recipe, key)
        params = {site: value[0] for site, value in training.params.items()}
        sampler = make_sampler(make, frame, ready.problem.structure, params=params, count=200)
        draws = sampler(params, jax.random.key(1))
    affine = frame.arguments.arrays
    assert frame.kind == guide.family
    factor = np.diag(affine["factor"]) if frame.kind == "diagonal" else affine["factor"]
    assert np.abs(np.log(np.diag(factor))).max() > 2  # there is a scale to account for

    if name == "auto_normal":
        loc = np.concatenate([np.ravel(params[f"{site}_auto_loc"]) for site in "ab"])
        scale = np.diag(np.concatenate([np.ravel(params[f"{site}_auto_scale"]) for site in "ab"]))
    else:
        loc, scale = np.asarray(params["auto_loc"]), np.asarray(params["auto_scale_tril"])
    mean, root = affine["center"] + factor @ loc, factor @ scale
    a, b = (np.asarray(draws.latents[site], np.float64) for site in "ab")
    u = np.column_stack([a, np.log(b)])
    log_q = stats.multivariate_normal(mean, root @ root.T).logpdf(u) - np.log(b)
    tolerance = 1e-8 if x64 else 5e-3
    np.testing.assert_allclose(draws.log_p, log_joint(a, b), atol=tolerance)
    np.testing.assert_allclose(draws.log_q, log_q, atol=tolerance)
    np.testing.assert_allclose(draws.log_weights, log_joint(a, b) - log_q, atol=tolerance)


# -- what a guide of each family is shown, written as a third party would write one


def shown_to(family: Family, seen: dict[str, tuple[str, tuple[int, ...]]]) -> Guide:
    """A mean-field guide over whatever sites the model has, noting their supports, with a plate of its own."""

    def build(model: Callable[..., Any]) -> Callable[..., Any]:
        def guide(*args: Any, **kwargs: Any) -> None:
            with numpyro.handlers.block():
                sites = numpyro.handlers.trace(numpyro.handlers.seed(model, 0)).get_trace(*args, **kwargs)
            own = {name: one for name, one in sites.items() if one["type"] == "sample" and not one["is_observed"]}
            seen.update({name: (str(one["fn"].support), np.shape(one["value"])) for name, one in own.items()})
            with numpyro.plate("groups", 3):
                loc = numpyro.param("loc", np.zeros(3, np.float32))
                scale = numpyro.param("scale", np.full(3, 0.3, np.float32), constraint=dist.constraints.positive)
                transform = dist.biject_to(dist.constraints.positive if family == "none" else dist.constraints.real)
                numpyro.sample("rate", dist.TransformedDistribution(dist.Normal(loc, scale), transform))

        return guide

    return Guide(name=f"mine-{family}", build=build, family=family)


COUNTS = np.array([4, 0, 9])


def rates(y: Any = None) -> None:
    with numpyro.plate("groups", 3):
        rate = numpyro.sample("rate", dist.Gamma(2.0, 0.5))
        numpyro.sample("y", dist.Poisson(rate), obs=y)


@pytest.fixture(scope="module")
def shown(run: Callable[..., Comparison]) -> tuple[Comparison, dict[str, dict[str, tuple[str, tuple[int, ...]]]]]:
    seen: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {"none": {}, "diagonal": {}, "affine": {}}
    guides = [shown_to(family, seen[family]) for family in ("none", "diagonal", "affine")]
    return run(Problem(name="rates", model=rates, kwargs={"y": COUNTS}), *guides, restarts=1), seen


def test_a_guide_of_no_family_is_shown_the_model_itself(shown: Any) -> None:
    _, seen = shown
    assert seen["none"] == {"rate": ("Positive(lower_bound=0.0)", (3,))}
    assert seen["diagonal"] == {"rate": ("IndependentConstraint(Real(), 1)", (3,))}
    assert seen["affine"] == seen["diagonal"]


@pytest.mark.parametrize("family", ["none", "diagonal", "affine"])
def test_a_third_partys_guide_finds_the_same_optimum_in_every_family(shown: Any, family: str) -> None:
    """The best log-normal for a Gamma(a, b) has its mean a / b and the sd of its log 1 / sqrt(a)."""
    comparison, _ = shown
    fit = comparison[f"mine-{family}"]
    assert fit.coordinates == {"none": "own", "diagonal": "diagonal", "affine": "affine"}[family]
    assert fit.status.has_draws, fit.message
    a, b = 2 + COUNTS, 1.5
    for index, shape in enumerate(a):
        mean, sd = fit.metric("mean", f"rate[{index}]"), fit.metric("sd", f"rate[{index}]")
        assert mean is not None
        assert sd is not None
        assert mean.value == pytest.approx(shape / b, rel=0.02 + 4 * (mean.mcse or 0) / mean.value)
        expected = shape / b * np.sqrt(np.expm1(1 / shape))
        assert sd.value == pytest.approx(expected, rel=0.02 + 4 * (sd.mcse or 0) / sd.value)


def test_the_elbo_does_not_depend_on_the_coordinates(shown: Any) -> None:
    comparison, _ = shown
    found = [fit.metric("elbo") for fit in comparison]
    for one in found[1:]:
        assert abs(one.value - found[0].value) < 0.002 + 4 * np.hypot(one.mcse, found[0].mcse)
    evidence = stats.nbinom(2, 0.5 / 1.5).logpmf(COUNTS).sum()
    for fit in comparison:
        assert fit.value("log_evidence") == pytest.approx(evidence, abs=0.02)
