"""How many draws are computed at a time: within memory and caches, and without a remainder where that costs nothing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from guidebench.inference.device import compiled
from guidebench.inference.device.compiled import BATCH_VALUES, CACHED_VALUES, LEAST_AT_ONCE, at_once, over_draws


def test_few_numbers_are_computed_all_at_once() -> None:
    assert at_once(256, 100) == 256
    assert at_once(7, 1) == 7


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="caches of other devices are not those of a CPU")
def test_on_a_cpu_it_is_what_caches_hold_but_never_one_by_one() -> None:
    assert at_once(256, 10_000) == LEAST_AT_ONCE
    assert at_once(4_000, 1_000) == 250
    assert at_once(4_000, BATCH_VALUES // 5) == 5  # as many as memory holds
    assert at_once(4_000, 10 * BATCH_VALUES) == 1


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="caches of other devices are not those of a CPU")
def test_no_program_is_compiled_for_a_remainder_where_a_divisor_is_near() -> None:
    assert CACHED_VALUES // 4_000 == 62
    assert at_once(4_000, 4_000) == 50
    assert at_once(256, 4_000) == 32
    assert at_once(251, 4_000) == 62  # a prime has none


def test_in_parts_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    points = jnp.asarray(np.random.default_rng(0).standard_normal((71, 3)))
    whole = over_draws(lambda one: jnp.sum(jnp.exp(one)), points, 3)
    monkeypatch.setattr(compiled, "CACHED_VALUES", 3)
    monkeypatch.setattr(compiled, "LEAST_AT_ONCE", 7)
    np.testing.assert_allclose(over_draws(lambda one: jnp.sum(jnp.exp(one)), points, 3), whole, rtol=1e-6)
