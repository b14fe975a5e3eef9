"""Guides that find their parameters themselves: on exact answers, and broken in every way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree
from numpyro.infer.autoguide import AutoDelta, AutoMultivariateNormal

from guidebench.contracts import Family, Guide, Problem, Solution, Task
from guidebench.results import Comparison, Status, Verdict
from guidebench.results.inference_data import group
from tests.numerics import conjugate

Run = Callable[..., Comparison]


def newton(task: Task, *, damping: float = 1.0, known: str = "both") -> Solution:
    """Take one Newton step, which ends at a Gaussian posterior.

    And be done.
    """
    flat, sites = ravel_pytree(task.start)

    @jax.jit
    def step(flat: Any) -> tuple[Any, Any]:
        def log_density(point: Any) -> Any:
            return task.log_density(sites(point))

        precision = -jax.hessian(log_density)(flat)
        center = flat + damping * jnp.linalg.solve(precision, jax.grad(log_density)(flat))
        return center, jnp.linalg.cholesky(jnp.linalg.inv(precision))

    center, factor = step(flat)
    return Solution(
        params={"auto_loc": center, "auto_scale_tril": factor}, converged=True, message=f"known to {known}", steps=1
    )


def with_losses(task: Task) -> Solution:
    """Take one Newton step; the ELBO before and after it is what the guide's own weights say."""
    found = newton(task)
    keys = jax.random.split(task.key, 100)
    elbo = jax.jit(lambda params: jnp.mean(jax.vmap(task.log_weight, in_axes=(None, 0))(params, keys)))
    return replace(found, losses=[-elbo(dict(task.params)), -elbo(dict(found.params))], steps=None)


def build(model: Any, *, init_scale: float = 0.1, known: str = "both") -> Any:
    return AutoMultivariateNormal(model, init_scale=init_scale)


def guide(name: str, fit: Callable[..., Any], family: Family = "affine", **changes: Any) -> Guide:
    return Guide(**{"name": name, "build": build, "fit": fit, "family": family, **changes})


@cache
def two_sites() -> conjugate.Conjugate:
    """Regression whose sites are not in the order of their names, one of them a vector; the sds are far apart."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((30, 3)) @ np.array([[1.0, 0.9, 0.0], [0.0, 0.4, 0.0], [0.0, 0.0, 0.02]])
    y = x @ np.array([1.0, -2.0, 30.0]) + rng.standard_normal(30)
    known = conjugate._regression("unused", x, y, 1.0, np.array([5.0, 5.0, 100.0]))

    def model(x: Any, y: Any) -> None:
        slopes = numpyro.sample("slopes", dist.Normal(0.0, 5.0).expand([2]).to_event(1))
        last = numpyro.sample("a_last", dist.Normal(0.0, 100.0))
        with numpyro.plate("n", x.shape[0]):
            numpyro.sample("y", dist.Normal(x[:, :2] @ slopes + x[:, 2] * last, 1.0), obs=y)

    return replace(known, problem=Problem(name="two-sites", model=model, kwargs={"x": x, "y": y}))


def params(**changes: Any) -> Callable[[Task], Solution]:
    """Return a fit with other params."""

    def fit(task: Task) -> Solution:
        found = {**task.params, **changes}
        return Solution(params={name: value for name, value in found.items() if value is not None}, converged=True)

    return fit


def raises(task: Task) -> Solution:
    raise RuntimeError("no descent direction")


BROKEN: Mapping[str, tuple[Callable[..., Any], str]] = {
    "raises": (raises, "RuntimeError: no descent direction"),
    "returns-nothing": (lambda task: None, "TypeError: fit must return a guidebench.Solution, not NoneType"),
    "returns-params": (lambda task: dict(task.params), "fit must return a guidebench.Solution, not dict"),
    "lacks-a-param": (params(auto_loc=None), "lack auto_loc; the guide's are auto_loc, auto_scale_tril"),
    "has-another": (params(mean=0.0), "have mean, which the guide does not"),
    "wrong-shape": (params(auto_loc=jnp.zeros(2)), "param auto_loc of the solution has shape (2,), the guide's has"),
    "other-parts": (params(auto_loc=(1.0, 2.0)), "param auto_loc of the solution is not made of the same parts"),
    "no-mapping": (
        lambda task: Solution(params=[1.0], converged=True),  # type: ignore[arg-type]
        "params must be a mapping by name, not list",
    ),
    "losses-in-two-dimensions": (
        lambda task: Solution(params=task.params, converged=True, losses=np.zeros((2, 2))),
        "must be a row of numbers, not of shape (2, 2)",
    ),
}


class Ranked:
    """A fit that breaks down from the first start, is best from the second, and remembers what it was given."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def __call__(self, task: Task, *, shared: int = 1, tries: int = 2) -> Solution:
        self.tasks.append(task)
        self.options = {"shared": shared, "tries": tries}
        if len(self.tasks) == 1:
            return params(auto_loc=jnp.full(3, jnp.nan))(task)
        return newton(task, damping=1.0 if len(self.tasks) == 2 else 0.9)


RANKED = Ranked()
BUILT: dict[str, Any] = {}


def remember(model: Any, *, width: float = 1.0, shared: int = 1) -> Any:
    BUILT.update(width=width, shared=shared)
    return AutoMultivariateNormal(model)


class Point:
    """A point estimate that goes half of the way to the mode from all starts but one."""

    starts = 0

    def __call__(self, task: Task) -> Solution:
        self.starts += 1
        center = newton(task, damping=1.0 if self.starts == 2 else 0.5).params["auto_loc"]
        sites = ravel_pytree(task.start)[1](center)
        return Solution(params={f"{name}_auto_loc": sites[name] for name in sites}, converged=True)


@pytest.fixture(scope="module")
def fits(run: Run) -> Comparison:
    """All of them in one run: what one does must not touch the others."""
    nan = params(auto_loc=jnp.full(3, jnp.nan))
    return run(
        two_sites().problem,
        *(guide(f"exact-{family}", with_losses, family) for family in FAMILIES),
        *(guide(name, fit) for name, (fit, _) in BROKEN.items()),
        guide("nan", lambda task: replace(nan(task), message="lost its way")),
        guide("unsure", lambda task: replace(newton(task), converged=False, message="stopped after 1 step")),
        guide("ranked", RANKED, build=remember),
        guide("point", Point(), family="none", build=lambda model: AutoDelta(model), bound="none"),
        draws=1000,
        restarts=3,
    )


FAMILIES: tuple[Family, ...] = ("none", "affine")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_exact_posterior_has_the_log_evidence_as_its_elbo(fits: Comparison, family: Family) -> None:
    exact, fit = two_sites(), fits[f"exact-{family}"]
    elbo = fit.metric("elbo")
    assert elbo is not None
    assert elbo.value == pytest.approx(exact.log_evidence, abs=2e-3)
    assert elbo.mcse == pytest.approx(0, abs=1e-3)  # every weight is the evidence, so there is no noise either
    assert (fit.status, fit.verdict) == (Status.CONVERGED, Verdict.TRUST), fit.reason
    assert fit.coordinates == {"none": "own"}.get(family, family)
    names = ("slopes[0]", "slopes[1]", "a_last")
    means = np.array([fit.value("mean", name) for name in names], float)
    sds = np.array([fit.value("sd", name) for name in names], float)
    assert np.all(np.abs(means - exact.mean) < 5 * exact.sd / np.sqrt(10_000))
    assert sds == pytest.approx(exact.sd, rel=0.05)


def test_how_it_was_fitted_is_recorded(fits: Comparison) -> None:
    fit = fits["exact-affine"]
    assert fit.method.startswith("Take one Newton step; the ELBO before and after it")
    assert fits["unsure"].method == "a method of its own"
    assert fit.message == "known to both"
    assert fits["ranked"].options == {"width": 1.0, "shared": 1, "tries": 2}
    assert (fit.steps, len(fit.restarts)) == (2, 3)
    assert min(fit.compile_s or 0, fit.train_s or 0) > 0
    losses = group(fit.inference_data, "training")
    assert losses is not None
    assert dict(losses.sizes) == {"restart": 3, "step": 2}
    begun, ended = losses["loss"].values[0]
    assert begun > ended + 0.5
    assert ended == pytest.approx(-(fit.value("elbo") or 0), abs=0.01)


def test_restarts_are_ranked_by_their_elbo_and_have_keys_of_their_own(fits: Comparison) -> None:
    found, tasks = fits["ranked"], RANKED.tasks
    assert (found.best, found.steps, len(tasks)) == (1, 1, 3)
    assert (found.restarts[1].elbo or 0) > (found.restarts[2].elbo or 0) + 1e-3
    assert all(np.isnan(one.loss) for one in found.restarts)
    assert "loss" not in (group(found.inference_data, "training") or {})
    assert len({tuple(jax.random.key_data(task.key).tolist()) for task in tasks}) == 3
    assert len({id(task.log_density) for task in tasks}) == 1  # so that what is compiled for one start serves all
    starts = [np.asarray(ravel_pytree(dict(task.start))[0]) for task in tasks]
    assert all(np.allclose(start, task.params["auto_loc"]) for start, task in zip(starts, tasks, strict=True))
    assert not np.allclose(starts[0], starts[1])


def test_options_go_to_whom_they_belong(fits: Comparison) -> None:
    assert fits["ranked"].status is Status.CONVERGED
    assert BUILT == {"width": 1.0, "shared": 1}
    assert RANKED.options == {"shared": 1, "tries": 2}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_fit_is_named_in_its_own_row(fits: Comparison, case: str) -> None:
    found = fits[case]
    assert (found.status, found.verdict, found.plugin) == (Status.FAILED, Verdict.FAILED, "test")
    assert found.message.startswith("train: ")
    assert BROKEN[case][1] in found.message
    assert found.reason == "The guide of test failed in phase 'train'."
    assert found.value("elbo") is None


def test_params_that_are_not_finite_are_a_divergence(fits: Comparison) -> None:
    found = fits["nan"]
    assert found.status is Status.DIVERGED
    assert "not finite in any of 3 starts; lost its way" in found.message


def test_one_start_that_diverges_leaves_the_others(fits: Comparison) -> None:
    found = fits["ranked"]
    assert [one.status for one in found.restarts] == [Status.DIVERGED, Status.CONVERGED, Status.CONVERGED]
    assert (found.restarts[0].elbo, found.verdict) == (None, Verdict.TRUST)
    assert "1 of 3 starts diverged" in found.message


def test_what_did_not_converge_is_not_called_converged(fits: Comparison) -> None:
    found = fits["unsure"]
    assert found.status is Status.MAX_STEPS
    assert found.reason.endswith("Its own method of fitting did not converge.")
    assert "ran out of steps" not in found.reason


def test_a_point_estimate_may_find_its_point_itself(fits: Comparison) -> None:
    exact, found = two_sites(), fits["point"]
    assert (found.status, found.verdict, found.best) == (Status.CONVERGED, Verdict.POINT, 1)
    assert found.value("elbo") is None
    assert found.restarts[1].loss < min(found.restarts[0].loss, found.restarts[2].loss)
    means = np.array([found.value("mean", name) for name in ("slopes[0]", "slopes[1]", "a_last")], float)
    assert np.all(np.abs(means - exact.mean) < 0.05 * exact.sd)


def with_param(x: Any, y: Any) -> None:
    scale = numpyro.param("scale", 1.0)
    w = numpyro.sample("w", dist.Normal(0.0, scale))
    numpyro.sample("y", dist.Normal(x * w, 1.0), obs=y)


def in_parts(x: Any, y: Any, size: int = 4) -> None:
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", x.shape[0], subsample_size=size) as rows:
        numpyro.sample("y", dist.Normal(x[rows] * w, 1.0), obs=y[rows])


@pytest.mark.parametrize(
    ("model", "words"),
    [(with_param, "the model has parameters of its own (scale)"), (in_parts, "the model shows its data in parts")],
)
def test_where_it_cannot_be_fitted_it_says_why(run: Run, model: Any, words: str) -> None:
    data = {"x": np.arange(8.0), "y": np.arange(8.0)}
    (found,) = run(Problem(name="p", model=model, kwargs=data), guide("newton", newton), restarts=1)
    assert found.status is Status.UNSUPPORTED
    assert words in found.message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [({"simulations": 20}, "not fitted to simulated data"), ({"validation": 0.2}, "it is not stopped early")],
)
def test_what_needs_training_is_left_out_and_said_so(run: Run, options: Mapping[str, Any], words: str) -> None:
    (found,) = run(two_sites().problem, guide("newton", newton), draws=500, restarts=1, **options)
    assert words in found.message
    assert (found.status, found.stopped, found.simulate_s) == (Status.CONVERGED, False, None)
