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

from guidebench.contracts import Solution
from guidebench.inference.arguments import Arguments
from guidebench.inference.density import TraceELBO
from guidebench.inference.device.compiled import compile_for, once
from guidebench.inference.objectives import objective
from guidebench.inference.recipe import Recipe, make_optimizer
from guidebench.inference.schedules import Pace

#: Parameters with more elements than this are trained but not recorded along the way.
RECORDED_SIZE = 64

#: Stretches of a round, at most: the program that is compiled trains one of them.
STRETCHES = 16

#: The same where rows are kept from training: their ELBO is evaluated after each stretch.
EVALUATIONS = 50

#: Snapshots of small parameters in a round, at most.
SNAPSHOTS = 256

#: The share of a round that is its end: over it the rate of a cosine is below 0.025 of its peak.
LAST = 0.1

#: Peak learning rate of a round over that of the round before.
ROUND_RATE = 1 / 3

#: ``make_guide(start)`` returns a fresh guide that starts at `start` (values of latent sites).
MakeGuide = Callable[[Mapping[str, Any]], Callable[..., Any]]
Params = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a guide is evaluated on while it trains on something else.

    Attributes
    ----------
    model, arguments
        A NumPyro model with the latent sites of the one that is trained on, given other data.
    key : PRNG key
        The same for every evaluation, so that evaluations differ by the parameters alone.
    particles : int
        Draws of the guide per evaluation.
    """

    model: Callable[..., Any]
    arguments: Arguments
    key: jax.Array
    particles: int


@dataclass(frozen=True, kw_only=True)
class Evaluations:
    """The course of what was watched.

    Attributes
    ----------
    losses : ndarray
        The negative ELBO on it, in nats, shape ``(R, E)``.
    steps : ndarray of int
        After which steps, shape ``(E,)``.
    kept : ndarray of int
        After which step each restart was at its best, shape ``(R,)``: these parameters are kept.
    patience : int or None
        The steps without an improvement after which training stopped early; ``None`` where it did not.
    """

    losses: np.ndarray
    steps: np.ndarray
    kept: np.ndarray
    patience: int | None = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """The outcome of training R restarts for T steps.

    Attributes
    ----------
    params : dict
        Guide parameters on the host, each of shape ``(R, ...)``, in their constrained space.
    losses : ndarray
        The training objective in nats, shape ``(R, T)``.
    rounds : tuple of int
        Steps of each round, over which the learning rate decayed; the last one may have been cut short.
    skipped : ndarray of int
        Steps that were not taken because the loss or the new state was not finite, shape ``(R,)``.
    skipped_lately : ndarray of int
        Those of the last round.
    finite : ndarray of bool
        Whether all final parameters are finite, shape ``(R,)``.
    snapshots : dict
        Small parameters along the way, each of shape ``(R, K, ...)``.
    snapshot_steps : ndarray of int
        Step numbers of the snapshots, shape ``(K,)``.
    compile_s, train_s : float
        Wall time in seconds.
    evaluations : Evaluations or None
        On what was watched.
    solutions : tuple of Solution
        How each restart ended, of a guide that finds its parameters itself.
    agreed : frozenset of int
        The restarts of which the last two rounds ended at guides that are as good.
    """

    params: Params
    losses: np.ndarray
    rounds: tuple[int, ...]
    skipped: np.ndarray
    skipped_lately: np.ndarray
    finite: np.ndarray
    snapshots: dict[str, np.ndarray]
    snapshot_steps: np.ndarray
    compile_s: float
    train_s: float
    evaluations: Evaluations | None = None
    solutions: tuple[Solution, ...] = ()
    agreed: frozenset[int] = frozenset()

    def at_the_end(self, restart: int) -> bool:
        """Return whether the parameters of a restart are from the end of a round, where the rate has decayed."""
        found = self.evaluations
        if found is None:
            return True
        return found.patience is None and bool(found.kept[restart] >= sum(self.rounds) - LAST * self.rounds[-1])


class Round(NamedTuple):
    """What there is at the end of a round: losses ``(R, T)``, steps not taken ``(R,)``, and the parameters."""

    losses: np.ndarray
    skipped: np.ndarray
    params: Params


class _Carry(NamedTuple):
    state: Any
    tail_sum: Any
    tail_steps: Any


def stretches(steps: int, *, watched: bool = False) -> int:
    """Return in how many equal stretches a round of so many steps is trained."""
    return _largest_divisor(steps, EVALUATIONS if watched else STRETCHES)


def _largest_divisor(number: int, at_most: int) -> int:
    return max(d for d in range(1, at_most + 1) if number % d == 0)


def _where(chosen: np.ndarray, these: Any, others: Any) -> Any:
    """Return the parameters of the restarts that are chosen from one tree, and the rest from another."""
    return jax.tree.map(
        lambda this, other: np.where(chosen.reshape(-1, *[1] * (np.ndim(this) - 1)), this, other), these, others
    )


class _Best:
    """The parameters of every restart at its best evaluation so far."""

    def __init__(self, count: int) -> None:
        self.lowest = np.full(count, np.inf)
        self.kept = np.zeros(count, int)
        self.losses: list[np.ndarray] = []
        self.steps: list[int] = []
        self._params: Params | None = None

    def add(self, losses: np.ndarray, params: Params, step: int) -> None:
        """Take one evaluation, of shape ``(R,)``, at the parameters that training would end with."""
        self.losses.append(losses)
        self.steps.append(step)
        better = losses < self.lowest  # which what is not finite is not
        self.lowest = np.where(better, losses, self.lowest)
        self.kept = np.where(better, step, self.kept)
        new = jax.device_get(params)
        if self._params is None:
            self._params = new
            return

        self._params = _where(better, new, self._params)

    def waited(self, since: int) -> int:
        """Return the steps since any restart has improved, or since step `since` where that is later."""
        return self.steps[-1] - max(int(self.kept.max()), since)

    def params(self, last: Params) -> Params:
        """Return the best parameters; the last ones where no evaluation was finite."""
        never = self.kept == 0
        self.kept = np.where(never, self.steps[-1], self.kept)
        params: Params = _where(never, jax.device_get(last), self._params)
        return params

    def summary(self, patience: int | None) -> Evaluations:
        """Return the course of the evaluations."""
        return Evaluations(
            losses=np.stack(self.losses, axis=1), steps=np.array(self.steps), kept=self.kept, patience=patience
        )


def train(
    make_guide: MakeGuide,
    model: Callable[..., Any],
    arguments: Arguments,
    recipe: Recipe,
    starts: Mapping[str, np.ndarray],
    keys: jax.Array,
    *,
    loss: Any = None,
    axes: Any = None,
    on_chunk: Callable[[int, int, float], None] | None = None,
    settled: Callable[[Round], bool] | None = None,
    watched: Watched | None = None,
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
    axes : pytree, optional
        Which of the traced arguments have a leading axis R of their own, as for :func:`jax.vmap`: every
        restart then has its own data.
    on_chunk : callable, optional
        Called between chunks with the steps done, those of all rounds so far, and the current loss, a
        mean over restarts.
    settled : callable, optional
        ``settled(round)`` is asked after a round whether training may end; without it there is one round.
    watched : Watched, optional
        What the guide is evaluated on after each stretch of steps.  Every restart then keeps the parameters
        of its best evaluation, and training stops once none has improved for as long as the recipe says.
        What is evaluated are the unconstrained parameters averaged over the stretch, or over the tail so
        far where it has begun; a recipe without a tail has the last ones.
    """
    optimizer = make_optimizer(recipe)
    loss = loss or objective(recipe.loss, recipe.particles)
    chunks = stretches(recipe.steps, watched=watched is not None)
    chunk = recipe.steps // chunks
    per_chunk = _largest_divisor(chunk, SNAPSHOTS // (EVALUATIONS if watched else STRETCHES))
    held = {} if watched is None else dict(watched.arguments.arrays)

    def start_svi(key: jax.Array, start: Mapping[str, Any], traced: Mapping[str, Any]) -> tuple[SVI, Any, Any, Any]:
        svi = SVI(model, make_guide(start), optimizer, loss)
        args, kwargs = arguments.call(model, traced)
        return svi, svi.init(key, *args, **kwargs), args, kwargs

    def init(key: jax.Array, start: Mapping[str, Any], traced: Mapping[str, Any]) -> _Carry:
        svi, state, _, _ = start_svi(key, start, traced)
        return _Carry(state, jax.tree.map(jnp.zeros_like, svi.optim.get_params(state.optim_state)), jnp.zeros(()))

    def advance(
        carry: _Carry,
        first: jax.Array,
        tail_from: jax.Array,
        key: jax.Array,
        start: Mapping[str, Any],
        traced: Mapping[str, Any],
        held: Mapping[str, Any],
    ) -> tuple[_Carry, jax.Array, Params, Params, jax.Array | None]:
        svi, _, args, kwargs = start_svi(key, start, traced)  # for its transforms; XLA drops the values

        def step(carry: _Carry, index: jax.Array) -> tuple[_Carry, jax.Array]:
            state, value = svi.stable_update(carry.state, *args, **kwargs)
            in_tail = jnp.where(index >= tail_from, 1.0, 0.0)
            current = svi.optim.get_params(state.optim_state)
            total = jax.tree.map(lambda s, p: s + in_tail * p, carry.tail_sum, current)
            return _Carry(state, total, carry.tail_steps + in_tail), value

        def snapshot(carry: _Carry, indices: jax.Array) -> tuple[_Carry, tuple[jax.Array, Params]]:
            carry, values = jax.lax.scan(step, carry, indices)
            params = svi.get_params(carry.state)
            small = {name: value for name, value in params.items() if _is_small(value)}
            return carry, (values, small)

        indices = (first + jnp.arange(chunk)).reshape(per_chunk, -1)
        carry, (values, snapshots) = jax.lax.scan(snapshot, carry, indices)
        # What the parameters would be if training ended here.
        last = svi.optim.get_params(carry.state.optim_state)
        averaged = carry.tail_steps > 0
        unconstrained = jax.tree.map(
            lambda s, p: jnp.where(averaged, s / jnp.maximum(carry.tail_steps, 1.0), p), carry.tail_sum, last
        )
        params = svi.constrain_fn(unconstrained)
        return carry, values.reshape(-1), snapshots, params, evaluate(svi, params, held)

    def evaluate(svi: SVI, params: Params, held: Mapping[str, Any]) -> jax.Array | None:
        if watched is None:
            return None
        args, kwargs = watched.arguments.call(watched.model, held)
        elbo = TraceELBO(num_particles=watched.particles)
        value: jax.Array = elbo.loss(watched.key, params, watched.model, svi.guide, *args, **kwargs)
        return value

    def on_all(function: Callable[..., Any], *axes: int | None) -> Callable[..., Any]:
        return jax.vmap(function, in_axes=axes)

    traced = dict(arguments.arrays)
    began = time.perf_counter()
    carry = once(on_all(init, 0, 0, axes), keys, starts, traced)
    program = compile_for(
        on_all(advance, 0, None, None, 0, 0, axes, None),
        carry,
        np.int32(0),
        np.int32(0),
        keys,
        starts,
        traced,
        held,
        level=_level(arguments),
    )
    ready = time.perf_counter()

    losses: list[Any] = []
    snapshots: list[Params] = []
    rounds: list[int] = []
    best = _Best(len(keys)) if watched else None
    patience: int | None = None
    done = 0
    skipped = lately = np.zeros(len(keys), int)
    for number in range(recipe.rounds if settled else 1):
        length, begun = chunks * 2**number, done
        if number:
            carry = _new_round(carry, chunk * length, ROUND_RATE**number)
        total = done + length
        mean_from = tail_from = np.int32(round((total - recipe.tail * length) * chunk))
        for at in range(begun, total):
            if watched is not None and recipe.tail and at * chunk <= tail_from:
                carry, mean_from = _averaging_anew(carry), np.int32(at * chunk)
            carry, values, small, params, watch = program(
                carry, np.int32(at * chunk), mean_from, keys, starts, traced, held
            )
            losses.append(values)
            snapshots.append(small)
            done = at + 1
            if on_chunk is not None:
                on_chunk(done * chunk, total * chunk, _mean(np.asarray(values)[:, -1]))
            if best is not None:
                best.add(np.asarray(watch, float), params, done * chunk)
                if done < total and best.waited(begun * chunk) >= recipe.patience_in(length * chunk):
                    patience = recipe.patience_in(length * chunk)
                    break
        rounds.append((done - begun) * chunk)
        so_far = done * chunk - np.asarray(carry.state.optim_state[0])  # the optimiser counts the steps it takes
        skipped, lately = so_far, so_far - skipped
        if patience or settled is None or settled(Round(_joined(losses[begun:]), lately, params)):
            break
    jax.block_until_ready(carry)
    trained = time.perf_counter()

    finite = np.ones(len(keys), bool)
    params = (
        jax.device_get(params) if best is None else best.params(params)
    )  # taking restarts apart on the device would compile a program per shape
    for value in jax.tree.leaves(params):
        finite &= np.isfinite(np.asarray(value)).reshape(len(keys), -1).all(axis=1)
    return Training(
        params=params,
        losses=_joined(losses),
        rounds=tuple(rounds),
        skipped=skipped,
        skipped_lately=lately,
        finite=finite,
        snapshots={
            name: np.concatenate([np.asarray(small[name]) for small in snapshots], axis=1) for name in snapshots[0]
        },
        snapshot_steps=np.arange(1, done * per_chunk + 1) * (chunk // per_chunk),
        compile_s=ready - began,
        train_s=trained - ready,
        evaluations=None if best is None else best.summary(patience),
    )


def _new_round(carry: _Carry, steps: int, rate: float) -> _Carry:
    """Return a carry with the learning rate up again, to decay over so many steps; moments are kept."""

    def restart(one: Any) -> Any:
        if not isinstance(one, Pace):
            return one
        return Pace(jnp.zeros_like(one.step), jnp.full_like(one.steps, steps), jnp.full_like(one.peak, rate))

    state = jax.tree.map(restart, carry.state, is_leaf=lambda one: isinstance(one, Pace))
    return _averaging_anew(carry._replace(state=state))


def _averaging_anew(carry: _Carry) -> _Carry:
    """Return a carry whose mean parameters begin with the next step."""
    return carry._replace(
        tail_sum=jax.tree.map(jnp.zeros_like, carry.tail_sum), tail_steps=jnp.zeros_like(carry.tail_steps)
    )


def _joined(losses: list[Any]) -> np.ndarray:
    return np.concatenate([np.asarray(values, float) for values in losses], axis=1)


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.mean(finite)) if finite.size else float("nan")


def _is_small(value: Any) -> bool:
    """Return whether a parameter is one array (a network's weights are many) of few elements."""
    return isinstance(value, jax.Array) and value.size <= RECORDED_SIZE


def _level(arguments: Arguments) -> int:
    """Optimise fully where a step is long enough to repay it."""
    return 1 if arguments.size() < 10_000 else 3
