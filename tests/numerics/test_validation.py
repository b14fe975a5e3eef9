"""Rows kept from training: what is evaluated on them, when training stops, and what is then kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoDelta, AutoMultivariateNormal, AutoNormal
from numpyro.infer.initialization import init_to_value

from guidebench.config import make_config
from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.engine.recipe import recipe_of
from guidebench.engine.validation import Validation, counting, with_validation
from guidebench.inference.arguments import Arguments
from guidebench.inference.coordinates import Affine, Frame, standardised
from guidebench.inference.density import TraceELBO
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from guidebench.inference.train import Training, Watched, train
from guidebench.problems import linear_regression
from guidebench.results import Comparison, Status
from guidebench.results.inference_data import group

Run = Callable[..., Comparison]

RNG = np.random.default_rng(5)
DESIGN = RNG.standard_normal((20, 2))
READINGS = DESIGN @ [1.5, -0.5] + 0.7 * RNG.standard_normal(20)
PRIOR, NOISE = 2.0, 0.7


def regression(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(0.0, PRIOR).expand([2]).to_event(1))
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(x @ beta, NOISE), obs=y)


def problem(**changes: Any) -> Problem:
    return replace(Problem(name="reg", model=regression, kwargs={"x": DESIGN, "y": READINGS}), **changes)


def split(one: Problem, share: float = 0.25, **options: Any) -> tuple[Problem, Validation]:
    smaller, validation = with_validation(one, make_config({"validation": share, **options}))
    assert validation is not None
    return smaller, validation


def closed_form(kept: Validation, loc: np.ndarray, scale: np.ndarray) -> tuple[float, float]:
    """Return E log p(y) of the kept rows once, and KL(q||p), of a factorised Gaussian."""
    x, y = (np.asarray(kept.arguments.arrays[name], float) for name in ("x", "y"))
    residual = (y - x @ loc) ** 2 + (x * scale) ** 2 @ np.ones(2)
    likelihood = np.sum(-0.5 * np.log(2 * np.pi * NOISE**2) - residual / (2 * NOISE**2))
    kl = np.sum(np.log(PRIOR / scale) + (scale**2 + loc**2) / (2 * PRIOR**2) - 0.5)
    return float(likelihood), float(kl)


LOC, SCALE = np.array([1.2, -0.3]), np.array([0.2, 0.3])


def test_what_is_evaluated_is_the_closed_form() -> None:
    _, kept = split(problem())
    assert (kept.trained, kept.kept) == (15, 5)
    likelihood, kl = closed_form(kept, LOC, SCALE)
    args, kwargs = kept.arguments.call(kept.model, kept.arguments.arrays)

    def guide(x: Any, y: Any = None) -> None:
        numpyro.sample("beta", dist.Normal(LOC, SCALE).to_event(1))

    elbo = TraceELBO(num_particles=200_000)
    found = elbo.loss(jax.random.key(0), {}, kept.model, guide, *args, **kwargs)
    assert float(found) == pytest.approx(-3 * likelihood + kl, abs=0.05)
    # Counted once, it is what svi.evaluate gives on the kept rows.
    svi = SVI(regression, guide, numpyro.optim.Adam(1e-3), Trace_ELBO(num_particles=200_000))
    theirs = svi.evaluate(svi.init(jax.random.key(1), *args, **kwargs), *args, **kwargs)
    once = elbo.loss(jax.random.key(0), {}, counting(regression, 1.0), guide, *args, **kwargs)
    assert float(theirs) == pytest.approx(-likelihood + kl, abs=0.05)
    assert float(once) == pytest.approx(-likelihood + kl, abs=0.05)


@pytest.mark.parametrize("diagonal", [True, False])
def test_standardised_coordinates_change_nothing(diagonal: bool) -> None:
    smaller, kept = split(problem())
    arguments = Arguments.split(smaller.model, smaller.arguments())
    target = Target.of(smaller.model, arguments, inspect_model(smaller.model, arguments))
    factor = np.array([0.5, 0.25]) if diagonal else np.array([[0.5, 0.0], [0.1, 0.25]])
    frame = standardised(target, Affine(center=np.array([1.0, -1.0]), factor=factor), np.zeros((1, 2)))
    watched = kept.watched(frame, 0, "reg")
    args, kwargs = watched.arguments.call(watched.model, watched.arguments.arrays)
    whole = factor if not diagonal else np.diag(factor)
    inverse = np.linalg.inv(whole)

    def guide(**_: Any) -> None:
        location = inverse @ (LOC - [1.0, -1.0])
        covariance = inverse @ np.diag(SCALE**2) @ inverse.T
        numpyro.sample("beta", dist.MultivariateNormal(location, covariance))

    likelihood, kl = closed_form(kept, LOC, SCALE)
    found = TraceELBO(num_particles=200_000).loss(
        watched.key, {}, watched.model, lambda *a, **k: guide(), *args, **kwargs
    )
    assert float(found) == pytest.approx(-3 * likelihood + kl, abs=0.05)


def test_factors_and_latents_count_once() -> None:
    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        numpyro.factor("extra", -(mu**2))
        numpyro.sample("y", dist.Normal(mu, 1.0).expand([3]).to_event(1), obs=y)

    values = {"mu": 0.7}
    y = np.array([0.1, -0.4, 2.0])
    density = numpyro.infer.util.log_density
    once, _ = density(model, (y,), {}, values)
    thrice, _ = density(counting(model, 3.0), (y,), {}, values)
    likelihood = float(np.sum(-0.5 * np.log(2 * np.pi) - (y - 0.7) ** 2 / 2))
    assert float(thrice - once) == pytest.approx(2 * likelihood, rel=1e-5)


# -- training with an eye on them


def trained(recipe: Any, kept: Validation | None, smaller: Problem, starts: np.ndarray, guide: Any) -> Training:
    arguments = Arguments.split(smaller.model, smaller.arguments())
    frame = Frame(model=smaller.model, arguments=arguments, starts={"beta": starts})
    watched = None if kept is None else kept.watched(frame, 0, "reg")
    keys = jax.random.split(jax.random.key(3), len(starts))
    make: Callable[..., Any] = lambda start: guide(smaller.model, init_loc_fn=init_to_value(values=start))  # noqa: E731
    return train(make, frame, recipe, keys, watched=watched)


def evaluate(kept: Validation, training: Training, restart: int, watched: Watched) -> float:
    """Return the negative ELBO on the kept rows at the parameters that training returned."""
    guide = AutoNormal(regression, init_loc_fn=init_to_value(values={"beta": np.zeros(2)}))
    args, kwargs = kept.arguments.call(kept.model, kept.arguments.arrays)
    params = jax.tree.map(lambda value: value[restart], training.params)

    def one(key: jax.Array) -> jax.Array:
        svi = SVI(regression, guide, numpyro.optim.Adam(1e-3), Trace_ELBO())
        svi.init(jax.random.key(0), *args, **kwargs)
        elbo = TraceELBO(num_particles=watched.particles)
        value: jax.Array = elbo.loss(key, params, kept.model, guide, *args, **kwargs)
        return value

    return float(one(watched.key))


@pytest.mark.parametrize("name", ["default", pytest.param("plain", marks=pytest.mark.slow)])
def test_the_parameters_that_are_returned_have_the_lowest_loss_that_was_recorded(name: str) -> None:
    smaller, kept = split(problem())
    recipe = recipe_of(make_config({"recipe": name, "validation": 0.25, "steps": 500, "patience": 10_000}))
    found = trained(recipe, kept, smaller, np.array([[3.0, 3.0], [0.0, 0.0]]), AutoNormal)
    evaluations = found.evaluations
    assert evaluations is not None
    assert evaluations.losses.shape == (2, 50)
    np.testing.assert_array_equal(evaluations.steps, np.arange(10, 501, 10))
    assert evaluations.patience is None
    assert found.rounds == (500,)
    best = np.argmin(evaluations.losses, axis=1)
    np.testing.assert_array_equal(evaluations.kept, evaluations.steps[best])
    frame = Frame(model=regression, arguments=kept.arguments, starts={"beta": np.zeros((2, 2))})
    for restart in range(2):
        again = evaluate(kept, found, restart, kept.watched(frame, 0, "reg"))
        assert again == pytest.approx(evaluations.losses[restart, best[restart]], rel=1e-4)


def test_watching_does_not_change_how_a_plain_recipe_trains() -> None:
    smaller, kept = split(problem())
    recipe = recipe_of(make_config({"recipe": "plain", "steps": 200}))
    starts = np.array([[3.0, 3.0]])
    with_it = trained(replace(recipe, validation=0.25, patience=10_000), kept, smaller, starts, AutoNormal)
    without = trained(recipe, None, smaller, starts, AutoNormal)
    assert without.evaluations is None
    np.testing.assert_allclose(with_it.losses, without.losses, rtol=1e-5)


def flexible(x: Any, y: Any = None) -> None:
    """As many coefficients as rows of training, and hardly a prior."""
    beta = numpyro.sample("beta", dist.Normal(0.0, 30.0).expand([x.shape[1]]).to_event(1))
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(x @ beta, 1.0), obs=y)


def overfitting() -> Problem:
    rng = np.random.default_rng(11)
    x = rng.standard_normal((60, 40))
    y = x[:, :3] @ [2.0, -2.0, 1.5] + rng.standard_normal(60)
    return Problem(name="flexible", model=flexible, kwargs={"x": x, "y": y})


def test_a_guide_that_learns_its_rows_by_heart_is_stopped_and_goes_back() -> None:
    smaller, kept = split(overfitting())
    config = {"recipe": "plain", "validation": 0.25, "steps": 2_000, "learning_rate": 0.02, "schedule": "cosine"}
    starts = np.zeros((2, 40))
    stopped = trained(recipe_of(make_config(config)), kept, smaller, starts, AutoDelta)
    patient = trained(recipe_of(make_config({**config, "patience": 100_000})), kept, smaller, starts, AutoDelta)
    found, whole = stopped.evaluations, patient.evaluations
    assert found is not None
    assert whole is not None
    assert found.patience == 200
    assert patient.rounds == (2_000,)
    assert sum(stopped.rounds) == stopped.losses.shape[1] == found.steps[-1] < 1_000
    assert found.steps[-1] - found.kept.max() == 200
    # At the end of all steps the kept rows are far worse off, though the loss of training is lower.
    np.testing.assert_array_equal(whole.kept, found.kept)
    assert np.all(whole.losses.min(axis=1) < whole.losses[:, -1] - 5)
    assert np.all(patient.losses[:, -20:].mean(axis=1) < stopped.losses[:, -20:].mean(axis=1))
    np.testing.assert_allclose(whole.losses[:, : len(found.steps)], found.losses, rtol=1e-5)
    np.testing.assert_allclose(stopped.params["beta_auto_loc"], patient.params["beta_auto_loc"], rtol=1e-4)
    assert not stopped.at_the_end(0)
    assert not patient.at_the_end(0)  # its parameters are from long before the rate had decayed


def test_a_loss_that_is_never_finite_keeps_the_last_parameters() -> None:
    smaller, kept = split(problem())
    broken = replace(kept, arguments=Arguments(arrays={**kept.arguments.arrays, "y": np.full(5, np.nan)}))
    recipe = recipe_of(make_config({"recipe": "plain", "validation": 0.25, "steps": 100, "patience": 1_000}))
    found = trained(recipe, broken, smaller, np.zeros((1, 2)), AutoMultivariateNormal)
    plain = trained(recipe, None, smaller, np.zeros((1, 2)), AutoMultivariateNormal)
    assert found.evaluations is not None
    np.testing.assert_array_equal(found.evaluations.kept, [100])
    np.testing.assert_allclose(found.params["auto_loc"], plain.params["auto_loc"], rtol=1e-5)


# -- a run


def test_a_run_says_what_it_did(run: Run) -> None:
    options = {
        "validation": 0.25,
        "restarts": 2,
        "draws": 500,
        "recipe": "plain",
        "init": "value:beta=0",
        "steps": 2_000,
    }
    comparison = run(overfitting(), "auto_delta", "auto_normal", learning_rate=0.02, **options)
    fit = comparison["auto_delta"]
    assert fit.status is Status.MAX_STEPS
    assert fit.steps < 1_000
    found = group(fit.inference_data, "training")
    assert found["validation_loss"].dims == ("restart", "evaluation")
    assert found["evaluation_step"].dims == ("evaluation",)
    assert found.sizes["step"] == fit.steps == int(found["evaluation_step"][-1])
    step = int(found["kept_step"][fit.best])
    assert fit.message == (
        f"stopped early at step {fit.steps:,}: the validation ELBO had not improved for 200 steps; "
        f"the parameters are those after step {step:,}, where the validation ELBO was best"
    )
    assert "15 of 60 rows, drawn at random, were kept from training" in comparison.problems[0].notes[0]
    assert "of the other 45" in comparison.problems[0].notes[0]
    assert group(fit.inference_data, "observed_data")["y"].size == 45
    assert "has not improved for a tenth of the steps" in comparison.recipe
    other = group(comparison["auto_normal"].inference_data, "observed_data")
    np.testing.assert_array_equal(other["y"], group(fit.inference_data, "observed_data")["y"])


def test_only_parameters_from_the_end_of_a_round_have_converged(run: Run) -> None:
    fit = run(problem(), "auto_normal", validation=0.25, restarts=1, draws=500, patience=100_000)["auto_normal"]
    found = group(fit.inference_data, "training")
    late = int(found["kept_step"][0]) >= fit.steps - 0.1 * fit.rounds[-1]
    assert (fit.status is Status.CONVERGED) is late
    assert "stopped early" not in fit.message


def test_rows_are_drawn_from_the_seed() -> None:
    kept = [np.asarray(split(problem(), seed=seed)[1].arguments.arrays["y"]) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(kept[0], kept[1])
    assert not np.array_equal(kept[0], kept[2])
    rest = split(problem())[0].arguments()
    np.testing.assert_allclose(np.sort(np.concatenate([rest["y"], kept[0]])), np.sort(READINGS), rtol=1e-6)
    for x, y in zip(rest["x"], rest["y"], strict=True):  # rows stay together
        assert np.flatnonzero(np.isclose(READINGS, y)) == np.flatnonzero(np.isclose(DESIGN[:, 0], x[0]))


def test_what_is_known_of_all_rows_is_not_taken_for_the_rest() -> None:
    one = linear_regression.problem()
    smaller, kept = split(one, 0.2)
    assert smaller.reference is None
    assert smaller.log_evidence is None
    assert smaller.heldout is one.heldout
    assert (kept.trained, kept.kept) == (8, 2)
    assert "does not hold for them and is left out" in smaller.notes[-1]
    assert with_validation(one, make_config({})) == (one, None)


def positional(x: Any, y: Any = None, /, *, power: int = 1) -> None:
    regression(x**power, y)


def test_arguments_by_position_and_by_default() -> None:
    smaller, _ = split(Problem(name="pos", model=positional, args=(DESIGN, READINGS), kwargs={"power": 2}))
    assert [len(value) for value in smaller.args] == [15, 15]
    assert smaller.arguments()["power"] == 2


def local(y: Any) -> None:
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", y.shape[0]):
        theta = numpyro.sample("theta", dist.Normal(mu, 1.0))
        numpyro.sample("y", dist.Normal(theta, 1.0), obs=y)


def sized(y: Any, size: int) -> None:
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0).expand([size]).to_event(1))
    numpyro.sample("y", dist.Normal(mu, 1.0).to_event(1), obs=y)


def two_lengths(y: Any, z: Any) -> None:
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)
    numpyro.sample("z", dist.Normal(mu, 1.0), obs=z)


def nothing() -> None:
    numpyro.sample("mu", dist.Normal(0.0, 1.0))


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (local, {"y": np.zeros(8)}, "has latents of every row (theta)"),
        (sized, {"y": np.zeros(8), "size": 8}, "does not run on a part of its rows; is their number built in?"),
        (two_lengths, {"y": np.zeros(8), "z": np.zeros(5)}, "observations of different lengths (y 8, z 5)"),
        (nothing, {}, "has no argument with rows of observations"),
        (regression, {"x": DESIGN[:1], "y": READINGS[:1]}, "1 row cannot be split in two"),
    ],
)
def test_what_has_no_rows_to_keep_is_refused_in_one_line(model: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as refused:
        split(Problem(name="p", model=model, kwargs=values))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
