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
from guidebench.inference.chains.run import Settled, run_chains
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


def population(groups: int) -> Callable[..., Any]:
    """Many effects that move with the mean of their population, which no scale of a single one says."""

    def model() -> None:
        mean = numpyro.sample("mean", dist.Normal(0.0, 3.0))
        numpyro.sample("effect", dist.Normal(mean, 0.5).expand([groups]).to_event(1))

    return model


def test_of_many_latents_the_wider_group_runs_in_the_coordinates_of_the_first() -> None:
    moves, landscape = prepared(population(150))
    assert not moves.dense
    found = run_groups(moves, landscape, 0, 400_000)
    assert found.failure == ""
    first, wider = found.found
    assert wider.gradients < 2 * first.gradients
    sd = np.hypot(3, 0.5)
    for one in found.found:
        assert abs(one.latents["mean"].mean()) < 0.1 * 3
        assert one.latents["mean"].std() == pytest.approx(3, rel=0.1)
        assert np.abs(one.latents["effect"].mean(axis=(0, 1))).max() < 0.1 * sd
        np.testing.assert_allclose(one.latents["effect"].std(axis=(0, 1)), sd, rtol=0.1)


def test_coordinates_of_others_that_do_not_fit_are_chosen_anew() -> None:
    """Whitened by points that are ten times too narrow in a half of the coordinates, and elsewhere."""
    moves, _ = prepared(lambda: numpyro.sample("x", dist.Normal(0.0, 1.0).expand([150]).to_event(1)))
    rng = np.random.default_rng(0)
    wrong = 1 + rng.standard_normal((1_000, 150)) * np.where(np.arange(150) < 75, 0.1, 1.0)
    found = run_chains(moves, 2 * rng.standard_normal((1_000, 150)), 0, 400_000, whitened_by=wrong)
    assert found.settled, found.note
    x = found.latents["x"].reshape(-1, 150)
    assert np.abs(x.mean(axis=0)).max() < 0.1
    assert np.abs(x.std(axis=0) - 1).max() < 0.1


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
