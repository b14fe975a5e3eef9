"""Guides that find their parameters themselves: what they are given, and what is made of what they return.

As in training, every start and every program builds its own guide inside a traced function, so that the
columns of a flat latent are in one order, that of the sites' names, here and where the guide is drawn from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, PRNGKeyArray
from numpyro.handlers import block, seed, trace
from numpyro.infer.util import potential_energy, unconstrain_fn

from guidebench.contracts import Solution, Task
from guidebench.inference.coordinates import Frame
from guidebench.inference.density import draw
from guidebench.inference.device.compiled import once
from guidebench.inference.train import MakeGuide, Params, Training


def solve(
    fit: Callable[[Task], Solution],
    make_guide: MakeGuide,
    frame: Frame,
    valid: Bool[np.ndarray, " R"],
    keys: Key[Array, " R"],
    *,
    on_start: Callable[[int], None] | None = None,
) -> Training:
    """Let one guide find its parameters from every starting point, one after the other.

    Parameters
    ----------
    fit : callable
        The guide's own method.
    make_guide, frame, keys
        As for :func:`guidebench.inference.train.train`.
    valid : ndarray of bool
        From which starting points to fit, shape ``(R,)``; the others count as not finite.
    on_start : callable, optional
        Called with the number of each start before it is fitted.

    Returns
    -------
    Training
        With the solutions in it.  Its compile time is that of the set-up; what the method itself compiles is
        part of its training time.

    Raises
    ------
    TypeError, ValueError
        Where what is returned is no solution, or its parameters are not those of the guide.
    """
    began = time.perf_counter()
    asked = _Asked(make_guide=make_guide, frame=frame, arrays=jax.tree.map(jnp.asarray, dict(frame.arguments.arrays)))
    initial, free = once(jax.vmap(asked.init, in_axes=(0, 0, None)), keys, frame.starts, asked.arrays)
    ready = time.perf_counter()
    # One function of each for all starts: what a method compiles of them, it compiles once.
    make_task = partial(Task, log_density=asked.log_density, log_weight=asked.log_weight)
    found = []
    for index, key in enumerate(keys):
        params, start = (jax.tree.map(lambda value, at=index: value[at], one) for one in (initial, free))
        if valid[index]:
            if on_start is not None:
                on_start(index)
            solution = fit(make_task(start=start, params=params, key=key))
            found.append(_Found(solution, _checked(solution, params)))
        else:
            found.append(_not_fitted(params))
    return _training(found, compile_s=ready - began, train_s=time.perf_counter() - ready)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the task of every start is made of: the guide, the model as it is shown it, and its traced arguments."""

    make_guide: MakeGuide
    frame: Frame
    arrays: Any

    def init(self, key: Key[Array, ""], start: Mapping[str, Any], traced: Mapping[str, Any]) -> tuple[Params, Params]:
        """Return the first parameters of the guide, and the unconstrained starting point."""
        model = self.frame.model
        args, kwargs = self.frame.arguments.call(model, traced)
        sites = trace(seed(self.make_guide(start), key)).get_trace(*args, **kwargs)
        params = {name: site["value"] for name, site in sites.items() if site["type"] == "param"}
        with block():
            free = unconstrain_fn(seed(model, jax.random.key(0)), args, kwargs, dict(start))
        return params, {name: free[name] for name in start}

    def log_density(self, sites: Mapping[str, Any]) -> Float[Array, ""]:
        """Return the log density of the posterior at unconstrained sites."""
        model = self.frame.model
        args, kwargs = self.frame.arguments.call(model, self.arrays)
        with block():
            value: Float[Array, ""] = -potential_energy(seed(model, jax.random.key(0)), args, kwargs, dict(sites))
        return value

    def log_weight(self, params: Mapping[str, Any], key: PRNGKeyArray) -> Float[Array, ""]:
        """Return the log weight of one draw of the guide."""
        args, kwargs = self.frame.arguments.call(self.frame.model, self.arrays)
        with block():
            one = draw(key, params, self.frame.model, self.make_guide(self.frame.first()), args, kwargs)
        return one.log_p - one.log_q


class _Found(NamedTuple):
    """What a method said of one start, and the parameters on the host."""

    solution: Solution
    params: Params


def _not_fitted(params: Params) -> _Found:
    said = Solution(params=params, converged=False, message="the density at its starting point is not finite")
    return _Found(said, jax.tree.map(lambda value: np.full(np.shape(value), np.nan), params))


def _training(found: Sequence[_Found], *, compile_s: float, train_s: float) -> Training:
    """Return the solutions of all starts as a training of one round."""
    solutions, all_params = zip(*found, strict=True)
    losses = [_losses(one) for one in solutions]
    steps = max(len(own) if one.steps is None else int(one.steps) for own, one in zip(losses, solutions, strict=True))
    longest = max(map(len, losses))
    stacked: Params = jax.tree.map(lambda *values: np.stack(values), *all_params)
    none = np.zeros(len(solutions), int)
    return Training(
        params=stacked,
        losses=np.stack([np.pad(own, (0, longest - len(own)), constant_values=np.nan) for own in losses]),
        rounds=(steps,),
        skipped=none,
        skipped_lately=none,
        finite=np.array([all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(own)) for own in all_params]),
        snapshots={},
        snapshot_steps=np.zeros(0, int),
        compile_s=compile_s,
        train_s=train_s,
        solutions=solutions,
    )


def _checked(found: Any, expected: Params) -> Params:
    """Return the parameters of a solution as host arrays of the guide's own names, shapes and types."""
    if not isinstance(found, Solution):
        raise TypeError(f"fit must return a guidebench.Solution, not {type(found).__name__}")
    lacking, unknown = sorted(expected.keys() - found.params.keys()), sorted(found.params.keys() - expected.keys())
    if lacking or unknown:
        wrong = [f"lack {', '.join(lacking)}"] if lacking else []
        wrong += [f"have {', '.join(map(str, unknown))}, which the guide does not"] if unknown else []
        raise ValueError(f"the params of the solution {' and '.join(wrong)}; the guide's are {', '.join(expected)}")
    params: Params = {}
    for name, like in expected.items():
        value = found.params[name]
        parts: list[Any] = [jax.tree.structure(one) for one in (value, like)]
        if parts[0] != parts[1]:
            raise ValueError(f"param {name} of the solution is not made of the same parts as the guide's")
        shapes, wanted = ([np.shape(leaf) for leaf in jax.tree.leaves(one)] for one in (value, like))
        if shapes != wanted:
            told = [" and ".join(map(str, one)) for one in (shapes, wanted)]
            raise ValueError(f"param {name} of the solution has shape {told[0]}, the guide's has {told[1]}")
        params[name] = jax.tree.map(lambda leaf, own: np.asarray(leaf, np.asarray(own).dtype), value, like)
    return params


def _losses(found: Solution) -> Float[np.ndarray, " T"]:
    losses = np.zeros(0) if found.losses is None else np.asarray(found.losses, float)
    if losses.ndim != 1:
        raise ValueError(f"the losses of the solution must be a row of numbers, not of shape {losses.shape}")
    return losses
