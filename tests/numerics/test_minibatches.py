"""Minibatches: parts of the data in training, all of them in every score, and the same numbers as without."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density
from scipy import stats

import guidebench as gb
from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.engine.minibatches import inspect_problem
from guidebench.engine.workbench import Workbench
from guidebench.inference import subsampling
from guidebench.inference.coordinates import controlled
from guidebench.inference.device.precision import double
from guidebench.inference.rescoring import LogJoint
from guidebench.inference.subsampling import in_blocks, on_a_part, stratified
from guidebench.inference.target import Target
from guidebench.results import Fit
from tests.numerics.referenced import workbench

RNG = np.random.default_rng(7)
N = 103  # a prime: no block and no batch divides it
X = RNG.normal(size=(N, 2)).astype(np.float32)
Y = (X @ [0.5, -1.0] + 0.3 + RNG.normal(size=N)).astype(np.float32)
GROUP = np.arange(N) % 7


def regression(x: Any, y: Any = None, batch_size: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0.0, 2.0).expand([2]).to_event(1))
    b = numpyro.sample("b", dist.Normal(0.0, 2.0))
    with numpyro.plate("rows", x.shape[0], subsample_size=batch_size) as rows:
        numpyro.sample("y", dist.Normal(x[rows] @ w + b, 1.0), obs=None if y is None else y[rows])


def exact(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean, covariance and log evidence of the regression, conjugate: prior N(0, 4 I), noise N(0, 1)."""
    design = np.column_stack([x, np.ones(len(x))]).astype(float)
    covariance = np.linalg.inv(np.eye(3) / 4 + design.T @ design)
    evidence = stats.multivariate_normal(np.zeros(len(x)), np.eye(len(x)) + 4 * design @ design.T).logpdf(y)
    return covariance @ design.T @ y, covariance, float(evidence)


def grouped(x: Any, group: Any, y: Any = None, batch_size: Any = None) -> None:
    """Effects of groups, which all rows share; a scaled likelihood and a factor inside of the plate."""
    tau = numpyro.sample("tau", dist.HalfNormal(1.0))
    with numpyro.plate("groups", 7):
        effect = numpyro.sample("effect", dist.Normal(0.0, tau))
    with numpyro.plate("rows", x.shape[0], subsample_size=batch_size), handlers.scale(scale=0.5):
        rows = numpyro.subsample(jnp.arange(x.shape[0]), event_dim=0)
        mean = x[rows, 0] + effect[group[rows]]
        numpyro.sample("y", dist.Normal(mean, 1.0), obs=None if y is None else y[rows])
        numpyro.factor("extra", -0.1 * mean**2)


def local(y: Any = None, batch_size: Any = None) -> None:
    """Every element has a latent of its own: y_i ~ N(theta_i, 1), theta_i ~ LogNormal(mu, 0.5)."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("schools", 11, subsample_size=batch_size) as index:
        theta = numpyro.sample("theta", dist.LogNormal(mu, 0.5))
        numpyro.sample("y", dist.Normal(theta, 1.0), obs=None if y is None else y[index])


SCHOOLS = (1.0 + RNG.normal(size=11)).astype(np.float32)
MODELS: dict[str, tuple[Callable[..., Any], dict[str, Any], int]] = {
    "regression": (regression, {"x": X, "y": Y}, 10),
    "groups": (grouped, {"x": X, "group": GROUP, "y": Y}, 10),
    "local latents": (local, {"y": SCHOOLS}, 4),
}


def target_of(name: str) -> tuple[Target, Any]:
    model, data, size = MODELS[name]
    found = inspect_problem(Problem(name="p", model=model, kwargs=data), {"batch_size": size})
    assert found.minibatches is not None
    return Target.of(found.problem.model, found.arguments, found.structure, found.minibatches), found


def whole_density(name: str, target: Target, flat: Any) -> jax.Array:
    """The density by NumPyro, on the model without minibatches."""
    model, data, _ = MODELS[name]
    data = jax.tree.map(jnp.asarray, data)
    values, log_jacobian = target.constrain(flat, target.arguments.arrays)
    return log_density(handlers.seed(model, jax.random.key(0)), (), data, values)[0] + log_jacobian


@pytest.mark.parametrize(("size", "count"), [(10, 4), (10, 10), (10, 1), (103, 10), (7, 3)])
def test_a_stratified_sample_holds_every_element_with_the_same_probability(size: int, count: int) -> None:
    keys = jax.random.split(jax.random.key(3), 20_000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: stratified(size, count, key)))(keys))
    assert drawn.shape == (20_000, count)
    assert (np.diff(np.sort(drawn, axis=1), axis=1) > 0).all()
    counts = np.bincount(drawn.ravel(), minlength=size)
    expected = 20_000 * count / size
    assert len(counts) == size
    assert np.abs(counts - expected).max() <= 5 * np.sqrt(max(expected * (1 - count / size), 0.01))


def test_a_stratified_sample_of_many_stays_inside() -> None:
    size = 2**31 - 1
    drawn = np.asarray(jax.vmap(lambda key: stratified(size, 64, key))(jax.random.split(jax.random.key(0), 200)))
    assert drawn.min() >= 0
    assert drawn.max() < size
    assert 0.45 < np.mean(drawn / size) < 0.55


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [1, 10, 64, 200])
def test_blocks_add_up_to_the_whole_and_so_do_their_gradients(name: str, rows: int) -> None:
    target, found = target_of(name)
    flat = jnp.asarray(np.random.default_rng(1).normal(size=target.dim), jnp.float32)
    arrays = jax.tree.map(jnp.asarray, dict(found.arguments.arrays))

    def blocked(point: Any) -> Any:
        at_a_time = min(rows, found.minibatches.plates[found.minibatches.main][0])
        return in_blocks(found.minibatches, target.split(point), arrays, at_a_time)

    # Compiled whole: one by one, their operations take far longer.
    expected, expected_slope = jax.jit(jax.value_and_grad(lambda point: whole_density(name, target, point)))(flat)
    value, slope = jax.jit(jax.value_and_grad(blocked))(flat)
    np.testing.assert_allclose(value, expected, rtol=2e-5)
    np.testing.assert_allclose(slope, expected_slope, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", MODELS)
def test_a_part_is_unbiased_and_its_control_leaves_little_noise(name: str) -> None:
    target, found = target_of(name)
    rng = np.random.default_rng(2)
    center = rng.normal(size=target.dim) * 0.1
    flat = jnp.asarray(center + 0.1 * rng.normal(size=target.dim), jnp.float32)
    arrays = found.arguments.arrays
    density = jax.jit(lambda point: target.log_density(point, arrays))
    at = jnp.asarray(center, jnp.float32)
    expansion = {
        "center": at,
        "value": density(at),
        "gradient": jax.jit(jax.grad(density))(at),
        "hessian": jax.jit(jax.hessian(density))(at),
    }
    keys = jax.random.split(jax.random.key(5), 8_000)
    plain = np.asarray(
        jax.jit(jax.vmap(lambda key: on_a_part(found.minibatches, target.split(flat), arrays, key)))(keys), float
    )
    quiet = np.asarray(jax.jit(jax.vmap(lambda key: controlled(target, flat, arrays, key, expansion)))(keys), float)
    expected = float(whole_density(name, target, flat))
    for estimates in (plain, quiet):
        error = estimates.std() / np.sqrt(len(estimates))
        assert abs(estimates.mean() - expected) < 4 * error + 1e-3
    assert quiet.std() < plain.std() / 20


def fitted(name: str, guide: str, *, minibatch: bool, **options: Any) -> Fit:
    model, data, size = MODELS[name]
    more: dict[str, Any] = {"minibatch": {"batch_size": size}} if minibatch else {}
    settings = {"reference": "none", "restarts": 2, **options, **more}
    return gb.compare(model, guides=guide, **data, **settings)[guide]


@pytest.mark.parametrize(
    "blocks", [pytest.param(False, id="at once", marks=pytest.mark.slow), pytest.param(True, id="in blocks")]
)
def test_a_conjugate_posterior_is_found_from_minibatches(blocks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if blocks:
        monkeypatch.setattr("guidebench.inference.target.AT_ONCE", 0)
        monkeypatch.setattr(subsampling, "BLOCK", 20)
    found = fitted("regression", "auto_multivariate_normal", minibatch=True)
    mean, covariance, evidence = exact(X, Y)
    assert str(found.status) == "converged"
    assert str(found.verdict) == "trust"
    assert found.value("elbo") == pytest.approx(evidence, abs=0.005)
    for index, name in enumerate(["w[0]", "w[1]", "b"]):
        sd = float(np.sqrt(covariance[index, index]))
        assert found.value("mean", name) == pytest.approx(mean[index], abs=0.05 * sd)
        assert found.value("sd", name) == pytest.approx(sd, rel=0.04)


@pytest.mark.parametrize(
    "guide",
    [
        pytest.param("auto_normal", marks=pytest.mark.slow),
        pytest.param("auto_laplace_approximation", marks=pytest.mark.slow),
        "mean_field",
    ],
)
def test_minibatches_end_at_the_best_elbo_of_all_data(guide: str) -> None:
    """The ELBO of Laplace's Gaussian is the evidence; that of independent coordinates is short of it by their KL."""
    parts = fitted("regression", guide, minibatch=True)
    _, covariance, evidence = exact(X, Y)
    precision = np.linalg.inv(covariance)
    lost = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    best = evidence if guide == "auto_laplace_approximation" else evidence - lost
    elbo = parts.metric("elbo")
    assert elbo is not None
    assert str(parts.status) == "converged"
    assert elbo.value == pytest.approx(best, abs=0.01 + 3 * (elbo.mcse or 0))


@pytest.mark.slow
def test_a_point_estimate_sees_parts_too() -> None:
    parts, whole = (fitted("regression", "auto_delta", minibatch=each) for each in (True, False))
    assert str(parts.status) == "converged"
    assert parts.value("mean", "b") == pytest.approx(whole.value("mean", "b"), abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("guide", ["auto_normal", "auto_multivariate_normal"])
def test_local_latents_in_a_subsampled_plate(guide: str) -> None:
    parts, whole = (fitted("local latents", guide, minibatch=each) for each in (True, False))
    assert parts.value("elbo") == pytest.approx(whole.value("elbo"), abs=0.02)
    assert parts.inference_data["posterior"]["theta"].dims[-1] == "schools"


def test_all_guides_score_all_data_however_the_plate_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A size that is written down in the model needs no option."""

    def fixed(x: Any, y: Any = None) -> None:
        regression(x, y, batch_size=10)

    options: Mapping[str, Any] = {"reference": "none", "restarts": 1, "steps": 2000}
    found = gb.compare(fixed, X, y=Y, guides="auto_multivariate_normal", **options)
    assert found["auto_multivariate_normal"].value("elbo") == pytest.approx(exact(X, Y)[2], abs=0.005)
    assert "random 10 of the 103 elements of plate rows" in found.problems[0].notes[0]


def own_guide(y: Any = None, batch_size: Any = None) -> None:
    """The mean-field guide of `local` as NumPyro's tutorials write it: it subsamples its own latents."""
    loc, scale = numpyro.param("loc", jnp.zeros(11)), numpyro.param("scale", jnp.full(11, 0.3), constraint=POSITIVE)
    mean = numpyro.param("mean", 0.0)
    sd = numpyro.param("sd", 0.3, constraint=POSITIVE)
    numpyro.sample("mu", dist.Normal(mean, sd))
    with numpyro.plate("schools", 11, subsample_size=batch_size) as index:
        numpyro.sample("theta", dist.LogNormal(loc[index], scale[index]))


POSITIVE = dist.constraints.positive


def test_a_hand_written_guide_may_subsample_its_own_latents() -> None:
    options: Mapping[str, Any] = {"reference": "none", "restarts": 1, "steps": 6000, "minibatch": {"batch_size": 4}}
    own = next(iter(gb.compare(local, y=SCHOOLS, guides=own_guide, **options)))
    auto = fitted("local latents", "auto_normal", minibatch=False, restarts=1, steps=2000)
    assert own.status.has_draws, own.message
    assert own.value("elbo") == pytest.approx(auto.value("elbo"), abs=0.05)


def ready(data: dict[str, Any], size: int) -> Workbench:
    problem = Problem(name="p", model=regression, kwargs=data)
    return workbench(problem, minibatch={"batch_size": size}, reference="none")


def test_large_data_are_searched_and_scored_in_double_precision_block_by_block() -> None:
    """The evidence of 60,000 rows, whose density float32 would know to a hundredth of a nat only."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(60_000, 2)).astype(np.float32)
    y = (x @ [0.5, -1.0] + 0.3 + rng.normal(size=60_000)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("guidebench.inference.target.AT_ONCE", 0)
        found = ready({"x": x, "y": y}, 256)
    assert found.target is not None
    assert found.target.rows == subsampling.BLOCK
    landscape = found.prepared.landscape
    assert landscape is not None
    assert landscape.best is not None

    design = np.column_stack([x, np.ones(len(x))]).astype(float)
    precision = np.eye(3) / 4 + design.T @ design
    sds = np.sqrt(np.diag(np.linalg.inv(precision)))
    away = (landscape.best.mean - np.linalg.solve(precision, design.T @ y)) / sds
    assert np.abs(away).max() < 0.005  # a search ends where a Newton step would gain less than 1e-6 nat
    factor = landscape.best.factor
    np.testing.assert_allclose(factor @ factor.T, np.linalg.inv(precision), rtol=1e-6, atol=1e-12)

    draws = np.random.default_rng(3).normal(size=(5, 3))
    latents = {"w": draws[:, :2].astype(np.float32), "b": draws[:, 2].astype(np.float32)}
    points = np.column_stack([latents["w"], latents["b"]]).astype(float)
    expected = [
        stats.norm.logpdf(y.astype(float), design @ point).sum() + stats.norm.logpdf(point, 0, 2).sum()
        for point in points
    ]
    assert isinstance(found.log_joint, LogJoint)
    np.testing.assert_allclose(found.log_joint(latents), expected, rtol=1e-10)


def test_the_global_precision_is_left_alone() -> None:
    with double():
        pass
    assert jnp.zeros(()).dtype == jnp.float32


WRONG = {
    "no such argument": ({"size": 10}, "has no argument size; its arguments are x, y, batch_size"),
    "as many as there are": ({"batch_size": 103}, "no plate of regression then shows fewer elements than it has"),
    "more than there are": ({"batch_size": 1000}, "no plate of regression then shows fewer elements than it has"),
    "no whole number": ({"batch_size": 0.5}, "should be a whole number of at least 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_minibatches_are_refused(case: str) -> None:
    sizes, words = WRONG[case]
    with pytest.raises(RequestError, match=re.escape(words)):
        gb.compare(regression, X, y=Y, minibatch=sizes, guides="auto_normal")


@pytest.mark.slow
def test_an_autoguide_in_the_models_own_coordinates_subsamples_its_latents() -> None:
    parts, whole = (fitted("local latents", "auto_delta", minibatch=each, steps=6000) for each in (True, False))
    assert parts.status.has_draws, parts.message
    assert parts.value("mean", "mu") == pytest.approx(whole.value("mean", "mu"), abs=0.05)
