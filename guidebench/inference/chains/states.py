"""The state of chains, and what a block of their transitions was seen to do: of all chains, or of a part of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

#: Energy, in nats, that a path may lose: one that loses more has met what is too narrow for its steps.
MOST_LOST = 10.0


class State(NamedTuple):
    """Where chains are, in whitened coordinates, with density and gradient there, and the step size of all."""

    z: Float[Array, "C D"]
    log_density: Float[Array, " C"]
    gradient: Float[Array, "C D"]
    log_step: Float[Array, ""]
    taken: Int[Array, ""]


class Watched(NamedTuple):
    """Per chain, the sums of every quantity, and of its square, over the transitions of a block.

    Quantities are in units of the guide's own moments.  `acceptance` is the mean of the block, and `gradients`
    counts those of all chains; `lost` counts the paths that lost more energy than :data:`MOST_LOST`.
    """

    sums: Float[Array, "C K"]
    squares: Float[Array, "C K"]
    last: Float[Array, "C K"]
    acceptance: Float[Array, ""]
    gradients: Int[Array, ""]
    lost: Int[Array, ""]


def state_like(size: int, dim: int) -> State:
    """Return the shape of a state; to be made where JAX computes in double precision."""
    z = jax.ShapeDtypeStruct((size, dim), np.float64)
    value, step = jax.ShapeDtypeStruct((size,), np.float64), jax.ShapeDtypeStruct((), np.float64)
    return State(z, value, z, step, jax.ShapeDtypeStruct((), np.int32))  # type: ignore[arg-type]  # a shape


def nothing(size: int, quantities: int) -> Watched:
    """Return what was seen before the first transition of a block."""
    empty, none = np.zeros((size, quantities)), np.zeros((), np.int32)
    return Watched(empty, empty, empty, np.zeros(()), none, none)  # type: ignore[arg-type]  # programs take them


def parts_of(state: State, count: int) -> list[State]:
    """Return the states of so many equal parts of the chains, on the host."""
    z, value, gradient = (np.split(np.asarray(each), count) for each in (state.z, state.log_density, state.gradient))
    return [
        State(*own, state.log_step, state.taken)  # type: ignore[arg-type]  # programs take them
        for own in zip(z, value, gradient, strict=True)
    ]


def together(parts: Sequence[tuple[State, Watched]]) -> tuple[State, Watched]:
    """Return the state of all chains, and what was seen of them, on the host: one step size, the mean of the parts."""
    states, seen = [state for state, _ in parts], [watched for _, watched in parts]
    return (
        State(
            _over(np.concatenate, [one.z for one in states]),
            _over(np.concatenate, [one.log_density for one in states]),
            _over(np.concatenate, [one.gradient for one in states]),
            _over(np.mean, [one.log_step for one in states]),
            states[0].taken,
        ),
        Watched(
            _over(np.concatenate, [one.sums for one in seen]),
            _over(np.concatenate, [one.squares for one in seen]),
            _over(np.concatenate, [one.last for one in seen]),
            _over(np.mean, [one.acceptance for one in seen]),
            _over(np.sum, [one.gradients for one in seen]),
            _over(np.sum, [one.lost for one in seen]),
        ),
    )


def _over(function: Callable[[list[Any]], Any], parts: list[Any]) -> Any:
    return np.asarray(function(parts))
