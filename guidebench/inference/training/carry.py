"""What one step of training hands to the next: the state of the optimiser, and the mean of the parameters so far."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from guidebench.inference.schedules import Pace


class Carry(NamedTuple):
    """The state of the SVI, the sum of the unconstrained parameters over the tail so far, and its steps."""

    state: Any
    tail_sum: Any
    tail_steps: Any


def started(state: Any, unconstrained: Any) -> Carry:
    """Return the carry before the first step."""
    return Carry(state, jax.tree.map(jnp.zeros_like, unconstrained), jnp.zeros(()))


def new_round(carry: Carry, steps: int, rate: float) -> Carry:
    """Return a carry with the learning rate up again, to decay over so many steps; moments are kept."""

    def restart(one: Any) -> Any:
        if not isinstance(one, Pace):
            return one
        return Pace(jnp.zeros_like(one.step), jnp.full_like(one.steps, steps), jnp.full_like(one.peak, rate))

    state = jax.tree.map(restart, carry.state, is_leaf=lambda one: isinstance(one, Pace))
    return averaging_anew(carry._replace(state=state))


def from_the_start(carry: Carry, first: Carry) -> Carry:
    """Return the parameters and moments of the first carry, and the random numbers and count of steps of this one."""
    (count, _), (_, state) = carry.state.optim_state, first.state.optim_state
    return carry._replace(
        state=carry.state._replace(optim_state=(count, state), mutable_state=first.state.mutable_state)
    )


def averaging_anew(carry: Carry) -> Carry:
    """Return a carry whose mean parameters begin with the next step."""
    return carry._replace(
        tail_sum=jax.tree.map(jnp.zeros_like, carry.tail_sum), tail_steps=jnp.zeros_like(carry.tail_steps)
    )


def average(carry: Carry, last: Any) -> Any:
    """Return the unconstrained parameters averaged over the tail so far; the last ones before it has begun."""
    begun = carry.tail_steps > 0
    return jax.tree.map(lambda s, p: jnp.where(begun, s / jnp.maximum(carry.tail_steps, 1.0), p), carry.tail_sum, last)
