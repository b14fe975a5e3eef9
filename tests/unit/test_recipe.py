"""The schedule: a cosine that ends at zero, and begins again where a round follows."""

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

from guidebench.inference.arguments import Arguments
from guidebench.inference.recipe import RECIPES, Pace, decaying, make_optimizer
from guidebench.inference.train import ROUND_RATE, Training, _Carry, _new_round, train


def scales(transform: Any, state: Any, steps: int) -> tuple[np.ndarray, Any]:
    """Return by what the updates are scaled in so many steps, and the state after them."""

    def step(state: Any, _: Any) -> tuple[Any, jax.Array]:
        scaled, state = transform.update(jnp.ones(()), state)
        return state, scaled

    state, found = jax.lax.scan(step, state, None, length=steps)
    return np.asarray(found), state


def test_the_rate_is_half_a_cosine_from_one_to_zero_and_stays_there() -> None:
    transform = decaying(100)
    found, _ = scales(transform, transform.init(jnp.ones(())), 130)
    np.testing.assert_allclose(found[:100], (1 + np.cos(np.pi * np.arange(100) / 100)) / 2, atol=1e-6)
    np.testing.assert_allclose(found[100:], 0, atol=1e-6)


def test_a_round_begins_at_a_third_and_decays_over_twice_the_steps() -> None:
    transform = decaying(100)
    _, state = scales(transform, transform.init(jnp.ones(())), 100)
    carry = _new_round(_Carry({"inner": (7, state)}, jnp.ones(2), jnp.ones(())), 200, ROUND_RATE)
    inner, state = carry.state["inner"]
    assert inner == 7  # nothing else is touched: the optimiser keeps its moments
    assert isinstance(state, Pace)
    np.testing.assert_array_equal(carry.tail_sum, 0)
    assert carry.tail_steps == 0
    found, _ = scales(transform, state, 220)
    expected = (1 + np.cos(np.pi * np.arange(200) / 200)) / 2 / 3
    np.testing.assert_allclose(found[:200], expected, atol=1e-6)
    np.testing.assert_allclose(found[200:], 0, atol=1e-6)


def test_most_steps_are_those_of_all_rounds() -> None:
    assert RECIPES["default"].most_steps() == 4_000 + 8_000 + 16_000
    assert RECIPES["plain"].most_steps() == 1_000


def far(shift: float) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A model and a guide whose only parameter has `shift` to go."""

    def model() -> None:
        numpyro.sample("x", dist.Normal(shift, 1.0))

    def guide() -> None:
        numpyro.sample("x", dist.Normal(numpyro.param("loc", 0.0), 1e-4))

    return model, guide


def trained(shift: float, asked: list[int], rounds: int = 3, stop_after: int = 3) -> Training:
    model, guide = far(shift)
    recipe = replace(RECIPES["default"], optimizer="sgd", learning_rate=0.01, clip_norm=None, steps=160, rounds=rounds)

    def settled(losses: np.ndarray, skipped: np.ndarray) -> bool:
        asked.append(losses.shape[1])
        np.testing.assert_array_equal(skipped, 0)
        return len(asked) == stop_after

    keys = jax.random.split(jax.random.key(0), 1)
    return train(lambda start: guide, model, Arguments(), recipe, {"x": np.zeros(1)}, keys, settled=settled)


def test_rounds_go_on_until_the_caller_is_satisfied() -> None:
    for stop_after, rounds, expected in ((1, 3, [160]), (2, 3, [160, 320]), (9, 3, [160, 320, 640]), (9, 1, [160])):
        asked: list[int] = []
        training = trained(1.0, asked, rounds, stop_after)
        assert asked == expected
        assert training.losses.shape == (1, sum(expected))
        assert training.rounds == tuple(expected)
        assert training.snapshot_steps[-1] == sum(expected)


def test_the_parameter_moves_as_gradient_descent_with_these_rates_says() -> None:
    """The gradient of the loss is loc - shift, but for 1e-4 of noise, so every step is known."""
    asked: list[int] = []
    training = trained(5.0, asked)
    loc, path = 0.0, []
    for number, steps in enumerate((160, 320, 640)):
        for step in range(steps):
            loc -= 0.01 * ROUND_RATE**number * (1 + np.cos(np.pi * step / steps)) / 2 * (loc - 5)
            path.append(loc)
    found = training.snapshots["loc"][0]
    np.testing.assert_allclose(found, np.asarray(path)[training.snapshot_steps - 1], rtol=1e-4)
    assert abs(found[-1] - found[-2]) < 1e-4 * abs(found[0])  # at the end it stands still
    # What is kept is the mean over the last 30 % of the last round alone.
    assert training.params["loc"][0] == pytest.approx(np.mean(path[-192:]), rel=1e-4)


def test_a_plain_recipe_does_not_decay() -> None:
    optimizer = make_optimizer(replace(RECIPES["plain"], optimizer="sgd"))
    found, _ = scales(optimizer, optimizer.init(jnp.ones(())), 50)
    np.testing.assert_allclose(found, -0.01, rtol=1e-6)
