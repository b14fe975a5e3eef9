"""What is compiled: pure functions that start one restart, train it for a stretch of steps and evaluate it.

The guide and its SVI are built *inside* the traced functions: a guide object remembers its first
initialisation, and the order of columns of a flat latent depends on how it was initialised, so
neither is ever shared between restarts or programs.  Restarts are the leading axis of everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Key
from numpyro.infer import SVI

from guidebench.inference.arguments import Arguments
from guidebench.inference.density import TraceELBO
from guidebench.inference.device.compiled import level_for, soon
from guidebench.inference.training.carry import Carry, average, started
from guidebench.inference.training.cut import Cut
from guidebench.inference.training.results import MakeGuide, Params, Watched

#: Parameters with more elements than this are trained but not recorded along the way.
RECORDED_SIZE = 64


class Given(NamedTuple):
    """What is the same in every call: keys ``(R,)``, starting points, and the data of the two models."""

    keys: Key[Array, " R"]
    starts: Mapping[str, Any]
    traced: Mapping[str, Any]
    held: Mapping[str, Any]


class Stretch(NamedTuple):
    """What comes of a stretch of steps.

    Attributes
    ----------
    carry : Carry
        For the next one.
    losses : array
        One per step.
    snapshots : dict
        Small parameters along the way.
    params : dict
        What the parameters would be if training ended here.
    watch : array or None
        The negative ELBO at these on what is watched.
    """

    carry: Carry
    losses: Float[Array, "*restarts T"]
    snapshots: Params
    params: Params
    watch: Float[Array, "*restarts"] | None


@dataclass(frozen=True, kw_only=True)
class Program:
    """One restart of a guide in training.

    Attributes
    ----------
    make_guide : callable
        Returns a fresh guide for a starting point.
    model, arguments
        What it is trained on.
    optimizer, loss
        Of NumPyro's SVI.
    cut : Cut
        How long a stretch is.
    watched : Watched or None
        What the guide is evaluated on after each stretch.
    """

    make_guide: MakeGuide
    model: Callable[..., Any]
    arguments: Arguments
    optimizer: Any
    loss: Any
    cut: Cut
    watched: Watched | None

    def init(self, key: Key[Array, ""], start: Mapping[str, Any], traced: Mapping[str, Any]) -> Carry:
        """Return what the first stretch begins with."""
        svi, state, _, _ = self._svi(key, start, traced)
        return started(state, svi.optim.get_params(state.optim_state))

    def advance(self, carry: Carry, first: Integer[Array, ""], tail_from: Integer[Array, ""], given: Given) -> Stretch:
        """Train for one stretch that begins at step `first`, averaging from step `tail_from` on."""
        # For its transforms; XLA drops the values.
        svi, _, args, kwargs = self._svi(given.keys, given.starts, given.traced)

        def step(carry: Carry, index: Integer[Array, ""]) -> tuple[Carry, Float[Array, ""]]:
            state, value = svi.stable_update(carry.state, *args, **kwargs)
            in_tail = jnp.where(index >= tail_from, 1.0, 0.0)
            current = svi.optim.get_params(state.optim_state)
            total = jax.tree.map(lambda s, p: s + in_tail * p, carry.tail_sum, current)
            return Carry(state, total, carry.tail_steps + in_tail), value

        def snapshot(carry: Carry, indices: Integer[Array, " T"]) -> tuple[Carry, tuple[Float[Array, " T"], Params]]:
            carry, values = jax.lax.scan(step, carry, indices)
            params = svi.get_params(carry.state)
            small = {name: value for name, value in params.items() if _is_small(value)}
            return carry, (values, small)

        indices = (first + jnp.arange(self.cut.steps)).reshape(self.cut.snapshots, -1)
        carry, (values, snapshots) = jax.lax.scan(snapshot, carry, indices)
        params = svi.constrain_fn(average(carry, svi.optim.get_params(carry.state.optim_state)))
        return Stretch(carry, values.reshape(-1), snapshots, params, self.evaluate(svi, params, given.held))

    def evaluate(self, svi: SVI, params: Params, held: Mapping[str, Any]) -> Float[Array, ""] | None:
        """Return the negative ELBO on what is watched, if anything is."""
        if self.watched is None:
            return None
        model = self.watched.model
        args, kwargs = self.watched.arguments.call(model, held)
        elbo = TraceELBO(num_particles=self.watched.particles)
        value: Float[Array, ""] = elbo.loss(self.watched.key, params, model, svi.guide, *args, **kwargs)
        return value

    def _svi(
        self, key: Key[Array, ""], start: Mapping[str, Any], traced: Mapping[str, Any]
    ) -> tuple[SVI, Any, tuple[Any, ...], dict[str, Any]]:
        """Return a fresh SVI, its first state, and the arguments of the model."""
        svi = SVI(self.model, self.make_guide(start), self.optimizer, self.loss)
        args, kwargs = self.arguments.call(self.model, traced)
        return svi, svi.init(key, *args, **kwargs), args, kwargs


class Started(NamedTuple):
    """All restarts before their first step.

    Attributes
    ----------
    advance : callable
        The compiled program, over restarts.
    given : Given
        What it takes each time.
    carry : Carry
        What it begins with.
    """

    advance: Callable[[Carry, np.int32, np.int32, Given], Stretch]
    given: Given
    carry: Carry


def start(program: Program, starts: Mapping[str, Any], keys: Key[Array, " R"], axes: Any) -> Started:
    """Initialise every restart and compile what trains them all.

    Parameters
    ----------
    program : Program
        For one restart.
    starts : mapping of str to array
        Starting values per latent site, leading axis R.
    keys : array of PRNG keys
        One per restart, shape ``(R,)``.
    axes : pytree
        Which of the traced arguments have a leading axis R of their own, as for :func:`jax.vmap`.
    """
    held = {} if program.watched is None else dict(program.watched.arguments.arrays)
    given = Given(keys, starts, dict(program.arguments.arrays), held)
    # What trains them is traced while a thread compiles what initialises them, which of a flow takes as long.
    init = soon(jax.vmap(program.init, in_axes=(0, 0, axes)), keys, starts, given.traced, level=0)
    advance = soon(
        jax.vmap(program.advance, in_axes=(0, None, None, Given(0, 0, axes, None))),  # type: ignore[arg-type]
        init.shapes,
        np.int32(0),
        np.int32(0),
        given,
        level=level_for(program.arguments.size() + _size_of_one((starts, init.shapes.tail_sum))),
    )
    carry = jax.block_until_ready(init(keys, starts, given.traced))
    advance.wait()
    return Started(advance, given, carry)


def _size_of_one(values: Any) -> int:
    """Return how many numbers one of several restarts holds."""
    return sum(math.prod(np.shape(value)[1:]) for value in jax.tree.leaves(values))


def _is_small(value: Any) -> bool:
    """Return whether a parameter is one array (a network's weights are many) of few elements."""
    return isinstance(value, jax.Array) and value.size <= RECORDED_SIZE
