"""Recipes: a cosine that ends at zero, and begins again where a round follows; and what a user may change."""

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

from guidebench.config import make_config
from guidebench.config.errors import RequestError
from guidebench.engine.recipe import recipe_of
from guidebench.inference import optimizers
from guidebench.inference.arguments import Arguments
from guidebench.inference.coordinates import Frame
from guidebench.inference.recipe import RECIPES, Recipe, make_optimizer
from guidebench.inference.schedules import Pace, Schedule, decaying
from guidebench.inference.train import ROUND_RATE, Callbacks, Round, Training, train
from guidebench.inference.training.carry import Carry, new_round


def scales(transform: Any, state: Any, steps: int) -> tuple[np.ndarray, Any]:
    """Return by what the updates are scaled in so many steps, and the state after them."""

    def step(state: Any, _: Any) -> tuple[Any, jax.Array]:
        scaled, state = transform.update(jnp.ones(()), state)
        return state, scaled

    state, found = jax.lax.scan(step, state, None, length=steps)
    return np.asarray(found), state


def test_the_rate_is_half_a_cosine_from_one_to_zero_and_stays_there() -> None:
    transform = decaying(100, Schedule(name="cosine"))
    found, _ = scales(transform, transform.init(jnp.ones(())), 130)
    np.testing.assert_allclose(found[:100], (1 + np.cos(np.pi * np.arange(100) / 100)) / 2, atol=1e-6)
    np.testing.assert_allclose(found[100:], 0, atol=1e-6)


def test_a_round_begins_at_a_third_and_decays_over_twice_the_steps() -> None:
    transform = decaying(100, Schedule(name="cosine"))
    _, state = scales(transform, transform.init(jnp.ones(())), 100)
    carry = new_round(Carry({"inner": (7, state)}, jnp.ones(2), jnp.ones(())), 200, ROUND_RATE)
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

    def settled(last: Round) -> bool:
        asked.append(last.losses.shape[1])
        np.testing.assert_array_equal(last.skipped, 0)
        return len(asked) == stop_after

    keys = jax.random.split(jax.random.key(0), 1)
    frame = Frame(model=model, arguments=Arguments(), starts={"x": np.zeros(1)})
    return train(lambda start: guide, frame, recipe, keys, callbacks=Callbacks(settled=settled))


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


# -- what a user may change


def asked(**options: Any) -> Any:
    return recipe_of(make_config(options))


def test_a_schedule_that_does_not_decay_is_trained_once() -> None:
    assert asked().rounds == 3
    assert asked(schedule="linear:final=0.01").rounds == 3
    assert asked(schedule="constant").rounds == 1
    assert asked(schedule="cosine:final=0.1").rounds == 1
    assert not asked(schedule="cosine:final=0.1").decayed()


def norms(recipe: Any, steps: int) -> np.ndarray:
    """The sizes of the updates to a gradient of size 1,000."""
    optimizer = make_optimizer(replace(recipe, optimizer="sgd", learning_rate=1.0, schedule=Schedule(name="constant")))

    def step(state: Any, _: Any) -> tuple[Any, jax.Array]:
        updates, state = optimizer.update(jnp.full(4, 500.0), state)
        return state, jnp.linalg.norm(updates)

    return np.asarray(jax.lax.scan(step, optimizer.init(jnp.zeros(4)), None, length=steps)[1])


@pytest.mark.parametrize(
    ("options", "clipped", "at"),
    [
        ({"steps": 40}, 10, 100.0),
        ({"steps": 40, "clip_norm": 3.0}, 10, 3.0),
        ({"steps": 40, "clip_share": 0.6}, 24, 100.0),
        ({"steps": 40, "clip_share": 1.0}, 60, 100.0),
        ({"steps": 40, "clip_norm": 0.0}, 0, 0.0),
        ({"steps": 40, "recipe": "plain"}, 0, 0.0),
        ({"steps": 40, "recipe": "plain", "clip_norm": 7.0}, 60, 7.0),
        ({"steps": 40, "recipe": "plain", "clip_norm": 7.0, "clip_share": 0.5}, 20, 7.0),
    ],
)
def test_gradients_are_clipped_during_the_first_share_of_the_steps(
    options: dict[str, Any], clipped: int, at: float
) -> None:
    found = norms(asked(**options), 60)  # a second round goes on where the first one ended
    np.testing.assert_allclose(found[:clipped], at, rtol=1e-5)
    np.testing.assert_allclose(found[clipped:], 1_000, rtol=1e-5)


def test_the_recipe_is_told_whole() -> None:
    assert asked(recipe="adam").describe() == (
        "Recipe adam: adam (learning rate 0.05, cosine decay to 0), b2 = 0.99, gradients clipped at norm 100 in the "
        "first quarter, 4,000 steps (up to 28,000 where needed), 10 particles, 4 starts, objective Trace_ELBO, "
        "parameters averaged over the last 30% of the steps, coordinates standardised as far as a family allows."
    )
    told = asked(
        optimizer="sgd:momentum=0.9,nesterov=true",
        learning_rate=0.1,
        schedule="linear:warmup=0.1,final=0.005",
        clip_norm=5.0,
        clip_share=0.1,
        validation=0.2,
        loss="RenyiELBO:alpha=0.5",
    ).describe()
    assert "sgd momentum=0.9 nesterov=True (learning rate 0.1, warm-up over 10% of the steps, linear decay" in told
    assert "decay to 0.005 of it)" in told
    assert "b2" not in told
    assert "clipped at norm 5 in the first 10% of the steps" in told
    assert "objective RenyiELBO:alpha=0.5" in told
    assert "the ELBO on 20% of the rows, kept from training, has not improved for a tenth of the steps" in told
    plain = asked(recipe="plain", clip_norm=5.0, validation=0.5, patience=70).describe()
    assert "clipped at norm 5 throughout" in plain
    assert "has not improved for 70 steps" in plain


def test_the_default_recipe_says_how_each_kind_of_guide_is_trained() -> None:
    told = asked().describe()
    assert told.startswith("Recipe default: Gaussian guides by L-BFGS under fixed noise, from 2 starts, up to 4 where")
    assert (
        "Laplace approximations by L-BFGS to the mode, from 4 starts; other guides by adam (learning rate 0.05" in told
    )
    assert "10 particles, 2 starts, objective Trace_ELBO" in told
    assert "under fixed noise, from 3 starts, with larger samples" in asked(restarts=3).describe()


def test_the_default_recipe_has_the_numbers_of_adam() -> None:
    """What a guide may cost, and how one is trained by steps, is the same."""
    default, adam = RECIPES["default"], RECIPES["adam"]
    assert replace(default, name="adam", fixed_noise=False, first_starts=None) == adam
    assert adam == Recipe(
        name="adam",
        learning_rate=0.05,
        schedule=Schedule(name="cosine"),
        second_moment_decay=0.99,
        clip_norm=100.0,
        clip_share=0.25,
        tail=0.3,
        steps=4_000,
        restarts=4,
        particles=10,
        rounds=3,
        standardise=True,
    )


def test_the_memory_that_a_user_gives_wins() -> None:
    assert "b2 = 0.99" in asked(optimizer="adamw").describe()
    assert "b2 = 0.99" not in asked(optimizer="adamw:b2=0.9").describe()
    assert dict(optimizers.find("adamw:b2=0.9").with_memory(0.99)) == {"b2": 0.9}
    assert dict(optimizers.find("adam").with_memory(0.99)) == {"b2": 0.99}
    assert not optimizers.find("sgd").with_memory(0.99)


def test_an_optimiser_that_finds_its_own_step_size_keeps_its_own_rate_unless_one_is_given() -> None:
    assert asked(optimizer="contrib.prodigy").learning_rate == 1.0
    assert asked(optimizer="contrib.prodigy", learning_rate=0.5).learning_rate == 0.5
    assert asked(optimizer="sgd").learning_rate == 0.05
    assert asked(optimizer="adafactor").learning_rate == 0.05


@pytest.mark.parametrize(
    "spec",
    [
        "adam", "adamw:weight_decay=1e-3", "amsgrad", "lion", "adafactor", "sgd:momentum=0.9,nesterov=true",
        "rmsprop:centered=true", "adam:mu_dtype=bfloat16", "noisy_sgd:key=0", "contrib.prodigy:betas=(0.8,0.9)",
        "contrib.muon", "contrib.dog", "contrib.ademamix",
    ],
)  # fmt: skip
def test_optimisers_of_optax_with_their_arguments(spec: str) -> None:
    assert asked(optimizer=spec).optimizer == spec


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("adm", "did you mean adam or"),
        ("prodigy", "did you mean contrib.prodigy?"),
        ("Adam", "did you mean adam"),
        ("contrib.adam", "did you mean adam"),
        ("nonsense_of_mine", "try adam, adamw, sgd, rmsprop or contrib.prodigy"),
        ("_src", "optax has no optimiser of that name"),
        ("clip_by_global_norm", "is no optimiser that takes a learning rate"),
        ("scale_by_adam", "is no optimiser that takes a learning rate"),
        ("scale_by_learning_rate", "is no optimiser that takes a learning rate"),
        ("polyak_sgd", "is no optimiser that takes a learning rate"),
        ("sgd:mom=0.9", "has no option 'mom'; its options are momentum, nesterov, accumulator_dtype"),
        ("sgd:nesterov=1", "option 'nesterov' takes bool"),
        ("sgd:momentum", "'momentum' is not OPTION=VALUE"),
        ("sgd:momentum=big", "cannot train a guide: TypeError"),
        ("adam:b1=high", "option 'b1' takes float"),
        ("adam:learning_rate=0.1", "give its learning rate as --learning-rate"),
        ("adam:mu_dtype=nonsense", "cannot be made: TypeError"),
        ("lbfgs", "its update needs 'value', 'grad', and 'value_fn' besides the gradients"),
        ("contrib.momo", "its update needs 'value' besides the gradients"),
        ("contrib.sophia", "cannot train a guide: ValueError: obj_fn must be provided"),
        ("sm3", "cannot train a guide: IndexError"),
        ("contrib.dpsgd", "needs its argument(s) l2_norm_clip, noise_multiplier, seed"),
        ("contrib.schedule_free_sgd", "a schedule-free optimiser keeps the parameters to use apart"),
        ("contrib.schedule_free_adamw:b1=0.95", "a schedule-free optimiser keeps the parameters to use apart"),
    ],
)
def test_an_optimiser_that_cannot_train_is_refused_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(RequestError, match=r"^--optimizer") as refused:
        asked(optimizer=spec)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "ELBO"}, "--loss 'ELBO' is not known; choose one of Trace_ELBO, TraceMeanField_ELBO"),
        ({"loss": "RenyiELBO:beta=1"}, "RenyiELBO has no option 'beta'; its options are alpha"),
        ({"loss": "RenyiELBO:alpha=1"}, "at alpha = 1 it is the ELBO itself; take Trace_ELBO"),
        ({"loss": "RenyiELBO:alpha=1.0"}, "at alpha = 1 it is the ELBO itself; take Trace_ELBO"),
        ({"loss": "RenyiELBO:alpha=half"}, "option 'alpha' takes float"),
        ({"loss": "Trace_ELBO:num_particles=3"}, "give its number of particles as --particles"),
        ({"recipe": "plain", "clip_share": 0.5}, "there is no norm to clip at; give --clip-norm"),
        ({"clip_norm": 0.0, "clip_share": 0.5}, "there is no norm to clip at; give --clip-norm"),
        ({"patience": 10}, "there is nothing to wait for; give --validation"),
        ({"validation": 0.2, "steps": 997}, "997 steps cannot be divided into equal stretches"),
        ({"validation": 0.2, "simulations": 64}, "do not go together"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as refused:
        asked(**options)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
