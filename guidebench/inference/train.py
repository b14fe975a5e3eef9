"""Training a guide: compiled chunks of ``lax.scan`` over ``SVI.stable_update``.

The guide and its SVI are built *inside* the traced function: a guide object remembers its first
initialisation, and the order of columns of a flat latent depends on how it was initialised, so
neither is ever shared between restarts or programs.  Restarts are the leading axis of everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import SVI

from guidebench.inference.arguments import Arguments
from guidebench.inference.compiled import compile_for, once
from guidebench.inference.recipe import Recipe, make_optimizer, objective

#: Parameters with more elements than this are trained but not recorded along the way.
RECORDED_SIZE = 64

#: ``make_guide(start)`` returns a fresh guide that starts at `start` (values of latent sites).
MakeGuide = Callable[[Mapping[str, Any]], Callable[..., Any]]
Params = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Training:
    """The outcome of training R restarts for T steps.

    Attributes
    ----------
    params : dict
        Guide parameters on the host, each of shape ``(R, ...)``, in their constrained space.
    losses : ndarray
        The training objective in nats, shape ``(R, T)``.
    skipped : ndarray of int
        Steps that were not taken because the loss or the new state was not finite, shape ``(R,)``.
    finite : ndarray of bool
        Whether all final parameters are finite, shape ``(R,)``.
    snapshots : dict
        Small parameters along the way, each of shape ``(R, K, ...)``.
    snapshot_steps : ndarray of int
        Step numbers of the snapshots, shape ``(K,)``.
    compile_s, train_s : float
        Wall time in seconds.
    """

    params: Params
    losses: np.ndarray
    skipped: np.ndarray
    finite: np.ndarray
    snapshots: dict[str, np.ndarray]
    snapshot_steps: np.ndarray
    compile_s: float
    train_s: float


class _Carry(NamedTuple):
    state: Any
    tail_sum: Any


def _largest_divisor(number: int, at_most: int) -> int:
    return max(d for d in range(1, at_most + 1) if number % d == 0)


def train(
    make_guide: MakeGuide,
    model: Callable[..., Any],
    arguments: Arguments,
    recipe: Recipe,
    starts: Mapping[str, np.ndarray],
    keys: jax.Array,
    *,
    loss: Any = None,
    on_chunk: Callable[[int, float], None] | None = None,
) -> Training:
    """Train one guide from every starting point at once.

    Parameters
    ----------
    make_guide : callable
        Returns a fresh guide for a starting point.
    model : callable
        The NumPyro model.
    arguments : Arguments
        Its training arguments.
    recipe : Recipe
        How to train.
    starts : mapping of str to array
        Starting values per latent site, leading axis R.
    keys : array of PRNG keys
        One per restart, shape ``(R,)``.
    loss : numpyro.infer.elbo.ELBO, optional
        Replaces the recipe's objective.
    on_chunk : callable, optional
        Called between chunks with the number of steps done and the current loss, a mean over restarts.
    """
    optimizer = make_optimizer(recipe)
    loss = loss or objective(recipe.loss, recipe.particles)
    chunks = _largest_divisor(recipe.steps, 16)
    chunk = recipe.steps // chunks
    per_chunk = _largest_divisor(chunk, 16)
    tail = max(1, round(recipe.tail * recipe.steps)) if recipe.tail else 0

    def start_svi(key: jax.Array, start: Mapping[str, Any], traced: Mapping[str, Any]) -> tuple[SVI, Any, Any, Any]:
        svi = SVI(model, make_guide(start), optimizer, loss)
        args, kwargs = arguments.call(model, traced)
        return svi, svi.init(key, *args, **kwargs), args, kwargs

    def init(key: jax.Array, start: Mapping[str, Any], traced: Mapping[str, Any]) -> _Carry:
        svi, state, _, _ = start_svi(key, start, traced)
        return _Carry(state, jax.tree.map(jnp.zeros_like, svi.optim.get_params(state.optim_state)))

    def advance(
        carry: _Carry, first: jax.Array, key: jax.Array, start: Mapping[str, Any], traced: Mapping[str, Any]
    ) -> tuple[_Carry, jax.Array, Params, Params]:
        svi, _, args, kwargs = start_svi(key, start, traced)  # for its transforms; XLA drops the values

        def step(carry: _Carry, index: jax.Array) -> tuple[_Carry, jax.Array]:
            state, value = svi.stable_update(carry.state, *args, **kwargs)
            in_tail = jnp.where(index >= recipe.steps - tail, 1.0, 0.0)
            current = svi.optim.get_params(state.optim_state)
            return _Carry(state, jax.tree.map(lambda s, p: s + in_tail * p, carry.tail_sum, current)), value

        def snapshot(carry: _Carry, indices: jax.Array) -> tuple[_Carry, tuple[jax.Array, Params]]:
            carry, values = jax.lax.scan(step, carry, indices)
            params = svi.get_params(carry.state)
            small = {name: value for name, value in params.items() if _is_small(value)}
            return carry, (values, small)

        indices = (first + jnp.arange(chunk)).reshape(per_chunk, -1)
        carry, (values, snapshots) = jax.lax.scan(snapshot, carry, indices)
        # What the parameters would be if training ended here.
        last = svi.optim.get_params(carry.state.optim_state)
        unconstrained = jax.tree.map(lambda s: s / tail, carry.tail_sum) if tail else last
        return carry, values.reshape(-1), snapshots, svi.constrain_fn(unconstrained)

    def on_all(function: Callable[..., Any], *axes: int | None) -> Callable[..., Any]:
        return jax.vmap(function, in_axes=axes)

    traced = dict(arguments.arrays)
    began = time.perf_counter()
    carry = once(on_all(init, 0, 0, None), keys, starts, traced)
    program = compile_for(
        on_all(advance, 0, None, 0, 0, None), carry, np.int32(0), keys, starts, traced, level=_level(arguments)
    )
    ready = time.perf_counter()

    losses, snapshots = [], []
    for number in range(chunks):
        carry, values, small, params = program(carry, np.int32(number * chunk), keys, starts, traced)
        losses.append(values)
        snapshots.append(small)
        if on_chunk is not None:
            last = np.asarray(values)[:, -1]
            on_chunk(
                (number + 1) * chunk, float(np.mean(last[np.isfinite(last)])) if np.isfinite(last).any() else np.nan
            )
    jax.block_until_ready(carry)
    trained = time.perf_counter()

    finite = np.ones(len(keys), bool)
    params = jax.device_get(params)  # taking restarts apart on the device would compile a program per shape
    for value in jax.tree.leaves(params):
        finite &= np.isfinite(np.asarray(value)).reshape(len(keys), -1).all(axis=1)
    taken = carry.state.optim_state[0]  # the optimiser counts only the steps it takes
    return Training(
        params=params,
        losses=np.concatenate([np.asarray(values, float) for values in losses], axis=1),
        skipped=recipe.steps - np.asarray(taken),
        finite=finite,
        snapshots={
            name: np.concatenate([np.asarray(small[name]) for small in snapshots], axis=1) for name in snapshots[0]
        },
        snapshot_steps=np.arange(1, chunks * per_chunk + 1) * (chunk // per_chunk),
        compile_s=ready - began,
        train_s=trained - ready,
    )


def _is_small(value: Any) -> bool:
    """Return whether a parameter is one array (a network's weights are many) of few elements."""
    return isinstance(value, jax.Array) and value.size <= RECORDED_SIZE


def _level(arguments: Arguments) -> int:
    """Optimise fully where a step is long enough to repay it."""
    return 1 if arguments.size() < 10_000 else 3
