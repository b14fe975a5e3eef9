"""Groups of chains from different places: believed where all of them settle in the same one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import guidebench as gb
from guidebench.engine import chained
from guidebench.inference.arguments import Arguments
from guidebench.inference.chains.groups import Groups, run_groups
from guidebench.inference.chains.moves import CHAINS, Moves
from guidebench.inference.chains.run import Settled
from guidebench.inference.modes import Landscape, explore
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target


def prepared(model: Callable[..., Any]) -> tuple[Moves, Landscape]:
    arguments = Arguments.split(model, {})
    target = Target.of(model, arguments, inspect_model(model, arguments))
    points = np.random.default_rng(0).uniform(-2, 2, (8, target.dim))
    return Moves(target, {}), explore(target, np.concatenate([points, 10 + points]), {}, 0)


def test_groups_from_the_best_gaussian_and_from_a_wider_one_agree_on_a_skewed_posterior() -> None:
    moves, landscape = prepared(lambda: numpyro.sample("g", dist.Gamma(3.0, 2.0).expand([5]).to_event(1)))
    found = run_groups(moves, landscape, 0, 400_000)
    assert found.failure == ""
    assert len(found.found) == 2
    for one in found.found:
        assert np.abs(one.latents["g"].mean(axis=(0, 1)) - 1.5).max() < 0.07 * 0.75**0.5
        np.testing.assert_allclose(one.latents["g"].std(axis=(0, 1)), 0.75**0.5, rtol=0.07)


def test_groups_that_ran_for_different_times_make_one_reference() -> None:
    def group(length: int) -> Settled:
        draws = np.arange(CHAINS * length, dtype=np.float64).reshape(CHAINS, length)
        return Settled(
            settled=True,
            note="",
            transitions=2 * length,
            gradients=10,
            acceptance=0.8,
            remembered=0.0,
            drift=0.0,
            latents={"s": draws},
            points=draws.reshape(-1, 1),
        )

    found = chained.reference_of_groups(Groups((group(6), group(9)), ""), 1.0)
    assert found.chains["s"].shape == (2 * CHAINS, 6)
    np.testing.assert_array_equal(found.chains["s"][CHAINS, :], np.arange(3, 9))  # the last ones
    assert found.checks["draws"] == 2 * CHAINS * 6


def test_groups_in_far_modes_settle_apart_and_are_not_believed() -> None:
    def two() -> None:
        at = jnp.array([[0.0], [12.0]]) * jnp.ones(3)
        numpyro.sample(
            "x", dist.MixtureSameFamily(dist.Categorical(jnp.array([0.9, 0.1])), dist.Normal(at, 1.0).to_event(1))
        )

    moves, landscape = prepared(two)
    assert len(landscape.modes) == 2
    found = run_groups(moves, landscape, 0, 400_000)
    assert "settled apart" in found.failure


def test_a_group_that_does_not_settle_ends_it() -> None:
    moves, landscape = prepared(lambda: numpyro.sample("x", dist.StudentT(2.5, 0.0, 1.0).expand([3]).to_event(1)))
    found = run_groups(moves, landscape, 0, 100_000)
    assert "did not settle" in found.failure
    assert found.found == ()


@pytest.mark.slow
def test_chains_are_the_reference_where_the_mixture_does_not_reach() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 60)).astype(np.float32)
    true = 0.5 * rng.standard_normal(60)
    y = (rng.random(500) < 1 / (1 + np.exp(-x @ true))).astype(np.int32)

    def logistic(x: Any, y: Any = None) -> None:
        beta = numpyro.sample("beta", dist.Normal(0, 2).expand([60]).to_event(1))
        numpyro.sample("y", dist.Bernoulli(logits=x @ beta), obs=y)

    by_chains, by_nuts = (
        gb.compare(logistic, x, y=y, guides=["auto_normal"], reference=kind) for kind in ("auto", "nuts")
    )
    assert by_chains.problems[0].reference == "chains"
    assert by_nuts.problems[0].reference == "NUTS"
    draws = [
        one.references[one.problems[0].name]["posterior"]["beta"].to_numpy().reshape(-1, 60)
        for one in (by_chains, by_nuts)
    ]
    assert np.abs((draws[0].mean(axis=0) - draws[1].mean(axis=0)) / draws[1].std(axis=0)).max() < 0.12
    assert np.abs(draws[0].std(axis=0) / draws[1].std(axis=0) - 1).max() < 0.12
