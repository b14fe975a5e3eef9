"""How programs are compiled: which look up more than they multiply, side by side, and with options that XLA knows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from guidebench.inference.device import compiled
from guidebench.inference.device.compiled import Soon, mostly_looked_up, options, soon, split, values_soon
from guidebench.inference.device.precision import double
from guidebench.plugins.isolation.time_limit import OutOfTime, TimeLimit

GROUP = np.repeat(np.arange(100), 20)
MATRIX = np.ones((2_000, 30), np.float32)


def of_groups(effects: Any) -> Any:
    return jnp.sum(jnp.tanh(effects[GROUP]))


def of_columns(weights: Any) -> Any:
    return jnp.sum(jnp.tanh(MATRIX @ weights[:30]))


def of_steps(effects: Any) -> Any:
    return jax.lax.scan(lambda total, scale: (total + of_groups(scale * effects), None), 0.0, jnp.arange(3.0))[0]


def low_rank(effects: Any) -> Any:
    return of_groups(jnp.ones((100, 5)) @ effects[:5])


@pytest.mark.parametrize(
    ("program", "looks_up"),
    [
        (of_groups, True),
        (of_steps, True),  # within a loop
        (low_rank, True),  # a matrix that is small beside the rows
        (of_columns, False),
        (lambda x: of_groups(x) + of_columns(x), False),
        (lambda x: jnp.sum(x[GROUP[:50]]), False),  # a few
    ],
)
def test_programs_of_lookups_are_told_from_others(program: Callable[..., Any], looks_up: bool) -> None:
    assert mostly_looked_up(jax.make_jaxpr(jax.vmap(program))(jnp.ones((1, 100)))) == looks_up


@pytest.mark.parametrize("program", [of_groups, of_columns])
def test_the_numbers_are_the_same_either_way(program: Callable[..., Any]) -> None:
    x = np.linspace(-1, 2, 100, dtype=np.float32)
    np.testing.assert_allclose(values_soon(program, x, level=1)(x), program(x), rtol=1e-5)


@pytest.mark.parametrize(("program", "plain"), [(of_groups, True), (of_columns, False)])
def test_the_compiler_is_told(program: Callable[..., Any], plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr(compiled, "options", lambda level, *, plain: told.append(plain))
    values_soon(program, np.ones(100, np.float32), level=1)
    assert told == [plain]


def test_an_option_that_this_xla_does_not_know_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_EMITTERS", "xla_an_option_of_the_future")
    assert options(0) in (None, {"xla_backend_optimization_level": 0})
    x = np.ones(100, np.float32)
    assert values_soon(of_groups, x, level=0)(x) == pytest.approx(2_000 * np.tanh(1), rel=1e-5)


def test_what_is_compiled_meanwhile_is_there_when_it_is_called() -> None:
    programs = [soon(lambda x, by=by: by * x, jax.ShapeDtypeStruct((3,), np.float32), level=0) for by in range(4)]
    for by, program in enumerate(programs):
        np.testing.assert_array_equal(program(np.arange(3, dtype=np.float32)), by * np.arange(3))


def test_what_cannot_be_compiled_says_so_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "options", lambda level: {"xla_an_option_of_the_future": True})
    program = soon(lambda x: x, jax.ShapeDtypeStruct((), np.float32), level=0)
    with pytest.raises(jax.errors.JaxRuntimeError):
        program(np.float32(1))


def test_what_it_will_return_is_known_before_it_is_compiled() -> None:
    def program(x: Any, key: Any) -> Any:
        return {"own": 2.0 * x, "keys": jax.random.split(key, 3), "weak": jnp.asarray(2.0)}

    given = np.arange(3, dtype=np.float32), jax.random.key(0)
    found = soon(program, *given, level=0)
    assert jax.tree.map(lambda one: (one.shape, one.dtype), found.shapes) == jax.tree.map(
        lambda one: (one.shape, one.dtype), found(*given)
    )
    assert found.shapes["weak"].weak_type
    # Another program that is traced with it is the one that is traced with what comes.
    other = jax.jit(lambda given: given["own"] * given["weak"])
    assert other.lower(found.shapes).as_text() == other.lower(found(*given)).as_text()


def test_a_program_in_double_precision_is_that_whoever_compiles_it() -> None:
    with double():
        found = soon(lambda x: x / 3, np.ones(2), level=0)
        assert found.shapes.dtype == np.float64
        np.testing.assert_array_equal(found(np.ones(2)), np.full(2, 1 / 3))


def test_keys_are_split_as_jax_splits_them() -> None:
    for key in (jax.random.key(3), jax.random.key(4)):
        ours, theirs = (jax.random.key_data(one) for one in (split(key, 7), jax.random.split(key, 7)))
        np.testing.assert_array_equal(ours, theirs)


def test_who_is_out_of_time_holds_up_nobody_who_comes_after() -> None:
    compiled._compiling.cache_clear()
    never = threading.Event()
    try:
        for _ in range(compiled.MOST_COMPILED + 1):
            slow = Soon(compiling=compiled._compiling().submit(never.wait), shapes=None)
            with pytest.raises(OutOfTime), TimeLimit(0.1):
                slow()
        program = soon(lambda x: x + 1, jax.ShapeDtypeStruct((), np.float32), level=0)
        with TimeLimit(60):
            assert program(np.float32(1)) == 2
    finally:
        never.set()
        compiled._compiling.cache_clear()
