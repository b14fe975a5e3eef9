"""In which precision a guide is scored: the same random numbers in both, and the spread of what float32 adds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import guidebench as gb
from guidebench.config import RunConfig
from guidebench.contracts import Problem
from guidebench.engine.prepared import prepare
from guidebench.engine.workbench import Workbench
from guidebench.inference.device.precision import as_double
from guidebench.inference.draws import Sampler, Scoring, make_sampler
from guidebench.inference.recipe import RECIPES
from guidebench.inference.rounding import Rounding, rounding_of
from guidebench.inference.train import train
from guidebench.plugins.registry import load_registry


def test_only_what_differs_between_draws_counts_and_what_is_lost() -> None:
    exact = np.linspace(-3, 3, 64)
    assert rounding_of(exact + 5.0, exact) == Rounding(pytest.approx(0.0, abs=1e-12), 0)  # type: ignore[arg-type]
    noisy = rounding_of(exact + np.tile([0.05, -0.05], 32), exact)
    assert noisy.spread == pytest.approx(0.05)
    assert noisy.too_much
    assert not rounding_of(exact + np.tile([0.005, -0.005], 32), exact).too_much
    missing = exact.copy()
    missing[3] = np.nan
    assert rounding_of(missing, exact) == Rounding(pytest.approx(0.0), 1)  # type: ignore[arg-type]
    assert rounding_of(missing, exact).too_much
    assert not rounding_of(missing, missing).too_much  # float64 would not know it either
    assert not rounding_of(np.full(64, np.nan), np.full(64, np.nan)).too_much


def model(offset: float, y: Any = None) -> None:
    a = numpyro.sample("a", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
    s = numpyro.sample("s", dist.HalfNormal(1.0))
    numpyro.factor("offset", offset)
    numpyro.sample("y", dist.Normal(a.sum(), s), obs=y)


def drawing(guide: str, offset: float) -> tuple[Sampler, Any]:
    """Return the program of a guide that was hardly trained, and its parameters."""
    recipe = replace(RECIPES["default"], steps=40, restarts=1, rounds=1)
    problem = Problem(name="known", model=model, kwargs={"offset": offset, "y": np.float64(0.3)})
    own = load_registry().guide(guide).declaration
    ready = prepare(problem, RunConfig(steps=40, restarts=1), recipe)
    bench = Workbench(ready.problem, ready.target)
    frame = bench.frame(own.family)
    make: Callable[[Any], Any] = lambda start: own.build(frame.model)  # noqa: E731
    training = train(make, frame, recipe, jax.random.split(jax.random.key(0), 1))
    params = jax.tree.map(lambda value: value[0], training.params)
    arrays = dict(frame.arguments.arrays)
    exact = {**as_double(arrays), "data": bench.exact_values}
    scoring = Scoring(exact=exact)
    return make_sampler(make, frame, ready.problem.structure, params=params, count=100, scoring=scoring), params


@pytest.mark.parametrize("guide", ["auto_normal", pytest.param("auto_iaf_normal", marks=pytest.mark.slow)])
def test_of_one_guide_the_rounding_is_that_of_float32(guide: str) -> None:
    sampler, params = drawing(guide, 0.0)
    found = sampler.rounding(params, jax.random.key(1))
    assert 0 < found.spread < 1e-4  # the same draws: others would differ by nats
    assert not found.too_much


def test_an_offset_of_a_million_nats_is_too_much() -> None:
    sampler, params = drawing("auto_normal", 1e6)
    found = sampler.rounding(params, jax.random.key(1))
    # Multiples of 1/16 nat are all that float32 knows there, and it rounds once or twice.
    assert 0.8 < found.spread / (0.0625 / np.sqrt(12)) < 1.8
    assert found.too_much


@pytest.mark.slow
def test_a_fit_is_scored_in_the_precision_that_it_needs_and_says_so() -> None:
    def fit(offset: float) -> gb.Fit:
        found = gb.compare(model, offset=offset, y=0.3, guides=["auto_normal"], reference="none", steps=500, restarts=1)
        return found["auto_normal"]

    near, far = fit(0.0), fit(1e6)
    assert (near.scored_in, far.scored_in) == ("float32", "float64")
    assert "float64" not in near.message
    assert "drawn and scored in float64, for float32 would add noise of 0.0" in far.message
    assert far.inference_data["posterior"]["a"].dtype == np.float64
    assert far.inference_data["sample_stats"]["log_p"].to_numpy().std() > 0.1
    one, other = near.metric("elbo"), far.metric("elbo")
    assert one is not None
    assert other is not None
    assert other.value - 1e6 == pytest.approx(one.value, abs=0.02 + 4 * ((one.mcse or 0) + (other.mcse or 0)))
