"""Features of posteriors that are known: Gaussians with given correlations, a skewed one, and a funnel."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from guidebench.contracts import Problem
from guidebench.engine import features
from guidebench.engine.gate import Reference
from guidebench.engine.workbench import Workbench
from guidebench.inference.device import cache
from guidebench.problems import linear_regression
from guidebench.results import ProblemRecord
from tests.numerics.referenced import prepared, workbench

CORRELATION = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
SDS = np.array([0.1, 1.0, 20.0])


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))


def gaussian() -> None:
    """x ~ N(1, S R S) and, apart from it, log t ~ N(0, 0.5): Gaussian in unconstrained coordinates."""
    covariance = SDS[:, None] * CORRELATION * SDS
    numpyro.sample("x", dist.MultivariateNormal(jnp.ones(3), jnp.asarray(covariance)))
    numpyro.sample("t", dist.LogNormal(0.0, 0.5))


def exact(seed: int, count: int) -> Mapping[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.multivariate_normal(np.ones(3), SDS[:, None] * CORRELATION * SDS, size=count)
    return {"x": x, "t": np.exp(0.5 * rng.normal(size=count))}


def record(problem: Problem, **options: Any) -> ProblemRecord:
    return prepared(problem, **options).record


GAUSSIAN = Problem(name="gaussian", model=gaussian, reference=exact)


def test_a_gaussian_has_the_features_it_was_given() -> None:
    found = record(GAUSSIAN).features
    assert found["dimension"] == 4
    assert found["correlation"] == pytest.approx(0.9, abs=0.01)
    assert found["condition"] == pytest.approx(1.9 / 0.1, rel=0.05)
    assert found["scale_range"] == pytest.approx(200, rel=0.05)
    assert found["skewness"] < 0.1  # that of t is 1.75 in its own space
    assert found["curvature"] == pytest.approx(0, abs=0.001)


def test_without_a_reference_the_search_stands_in_and_knows_no_skewness() -> None:
    found = record(GAUSSIAN, reference="none").features
    assert found.keys() == {"dimension", "correlation", "condition", "scale_range", "curvature"}
    assert found["correlation"] == pytest.approx(0.9, abs=0.01)
    assert found["condition"] == pytest.approx(19, rel=0.1)
    assert found["scale_range"] == pytest.approx(200, rel=0.1)


def skewed() -> None:
    """u = log(t) for t ~ Exponential(1): minus a Gumbel variable, of sd pi / sqrt(6) and skewness 1.1395."""
    numpyro.sample("t", dist.Exponential(1.0))


def test_skewness_and_curvature_of_a_gumbel_variable() -> None:
    problem = Problem(
        name="skewed", model=skewed, reference=lambda seed, n: {"t": np.random.default_rng(seed).exponential(size=n)}
    )
    found = record(problem).features
    assert found.keys() == {"dimension", "scale_range", "skewness", "curvature"}  # one coordinate correlates with none
    assert found["skewness"] == pytest.approx(1.1395, abs=0.15)
    # log density u - exp(u): its mode is 0 with curvature one, its mean minus Euler's constant.
    variance = np.pi**2 / 6
    expected = (1 / variance + np.euler_gamma**2 / variance - 1 + np.log(variance)) / 2
    assert found["curvature"] == pytest.approx(expected, abs=0.01)


def test_the_seed_problem() -> None:
    found = record(linear_regression.problem()).features
    assert found["dimension"] == 3
    assert found["correlation"] == pytest.approx(0.5429, abs=0.025)
    assert found["condition"] == pytest.approx(1.5429 / 0.4571, rel=0.1)
    assert found["scale_range"] == pytest.approx(0.383346 / 0.100994, rel=0.03)


def test_what_cannot_be_computed_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = prepared(GAUSSIAN)
    bench = ready.bench
    few = {name: value[:, :20] for name, value in ready.reference.chains.items()}
    assert features.features(bench, Reference(label="few", chains=few)) == {"dimension": 4.0}
    constant = {"x": np.ones((1, 500, 3)), "t": np.ones((1, 500))}
    assert features.features(bench, Reference(label="constant", chains=constant)) == {"dimension": 4.0}
    outside = {"x": ready.reference.chains["x"], "t": -ready.reference.chains["t"]}
    assert features.features(bench, Reference(label="outside", chains=outside)) == {"dimension": 4.0}
    untargeted = Workbench(replace(bench.prepared, has_target=False))
    assert features.features(untargeted, ready.reference) == {"dimension": 4.0}

    def broken(*given: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(features, "unconstrained", broken)
    assert features.features(bench, ready.reference) == {"dimension": 4.0}


def test_they_cost_next_to_nothing() -> None:
    ready = prepared(GAUSSIAN)
    bench = ready.bench
    features.features(bench, ready.reference)
    began = time.perf_counter()
    features.features(bench, ready.reference)
    assert time.perf_counter() - began < 0.5  # 20 ms on an idle machine


def test_divergence_of_gaussians_in_closed_form() -> None:
    rng = np.random.default_rng(0)
    first, second = (np.tril(rng.normal(size=(3, 3))) + 3 * np.eye(3) for _ in range(2))
    mean, other = rng.normal(size=(2, 3))
    expected = dist.MultivariateNormal(jnp.asarray(mean), scale_tril=jnp.asarray(first))
    target = dist.MultivariateNormal(jnp.asarray(other), scale_tril=jnp.asarray(second))
    from numpyro.distributions.kl import kl_divergence

    found = features.divergence(mean, first, other, second @ second.T)
    assert found == pytest.approx(float(kl_divergence(expected, target)), rel=1e-4)
    assert features.divergence(mean, first, mean, first @ first.T) == pytest.approx(0, abs=1e-12)


def test_matrices_by_hand() -> None:
    assert features.largest_correlation(CORRELATION) == 0.9
    assert features.condition(CORRELATION) == pytest.approx(19)
    assert features.condition(np.ones((2, 2))) > 1e12 or features.condition(np.ones((2, 2))) == np.inf


def bounded() -> None:
    numpyro.sample("a", dist.Normal(0.0, 1.0))
    numpyro.sample("b", dist.HalfNormal(1.0))
    numpyro.sample("c", dist.Beta(2.0, 2.0))
    numpyro.sample("d", dist.Dirichlet(jnp.ones(3)))
    numpyro.sample("e", dist.Normal(jnp.zeros(2), 1.0).to_event(1))


def test_the_maps_are_numpyros_whatever_the_support() -> None:
    from numpyro.distributions.transforms import biject_to

    bench = workbench(Problem(name="bounded", model=bounded), reference="none")
    target = bench.target
    assert target is not None
    rng = np.random.default_rng(0)
    free = rng.normal(size=(50, target.dim))
    supports = target.supports(target.arguments.arrays)
    draws = {name: np.asarray(biject_to(supports[name])(value)) for name, value in target.split(free).items()}
    kinds = {site.name: site.support for site in bench.prepared.structure.latents}
    assert {"real", "positive"} <= set(kinds.values())
    for known in (kinds, {}):
        np.testing.assert_allclose(features.unconstrained(target, draws, known), free, atol=2e-4)
