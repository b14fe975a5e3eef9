r"""Training that ends when it is done: under a fixed sample of noise first, then by a short polish.

A Gaussian guide is started at the Gaussian of the search, and as itself at plain points, for a mode may be
singular.  The ELBO under fixed noise is maximised by L-BFGS in float64; what comes of each start is compared under
fresh common draws, and the best goes on: with larger samples until these gain nothing on fresh draws, and by
stochastic steps that take away what bias of the sample is left.  A point has no noise: L-BFGS takes it to its mode.
"""

from __future__ import annotations

import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64, Key

from guidebench.inference.arguments import Arguments
from guidebench.inference.coordinates import Frame
from guidebench.inference.device.precision import as_double, double
from guidebench.inference.recipe import Recipe
from guidebench.inference.training.course import Course, Found, Leg
from guidebench.inference.training.fixed import start
from guidebench.inference.training.objective import Objective
from guidebench.inference.training.program import RECORDED_SIZE
from guidebench.inference.training.results import Callbacks, Ending, MakeGuide, Params, Training
from guidebench.results import Status

#: Snapshots of small parameters, at most.
SNAPSHOTS = 64


def train_deterministically(
    make_guide: MakeGuide,
    frame: Frame,
    recipe: Recipe,
    keys: Key[Array, " R"],
    *,
    seed: int,
    all_starts: bool,
    callbacks: Callbacks,
) -> Training | None:
    """Train a Gaussian guide, or a point; return ``None`` for any other.

    Parameters
    ----------
    make_guide : callable
        Returns a fresh guide for a starting point.
    frame : Frame
        What it is trained on: its model with the arguments, and the starting points.
    recipe : Recipe
        Says how many gradients there may be.
    keys : array of PRNG keys
        One per start, shape ``(R,)``.
    seed : int
        Of the noise.
    all_starts : bool
        Whether every start is tried, whatever the first two come to.
    callbacks : Callbacks
        Whom to tell how far training is.
    """
    dtype = jnp.result_type(float)
    with double(), np.errstate(all="ignore"):
        began = time.perf_counter()
        try:
            started = start(make_guide, _in_double(frame), keys)
        except Exception:  # noqa: BLE001 - what a guide cannot do in double precision it may do in single, or fails there
            return None
        if started is None:
            return None
        ready = time.perf_counter()
        objective = Objective(started, seed)
        dim = sum(int(np.prod(np.shape(value)[1:])) for value in frame.starts.values())
        course = Course(objective=objective, dim=dim, most=recipe.most_gradients(), callbacks=callbacks)
        if objective.size:
            found = course.to_optimum(started.points, standard=frame.kind != "own", all_starts=all_starts)
        else:
            found = course.to_modes(started.points)
        training = replace(_training(objective, found, dtype), ended=course.clock.over)
    return replace(training, compile_s=ready - began, train_s=time.perf_counter() - ready)


def _in_double(frame: Frame) -> Frame:
    arrays = jax.tree.map(jnp.asarray, as_double(dict(frame.arguments.arrays)))
    return replace(
        frame, arguments=Arguments(arrays=arrays, static=frame.arguments.static), starts=as_double(dict(frame.starts))
    )


def _training(objective: Objective, found: Found, dtype: jnp.dtype) -> Training:
    """Return what training came to, its parameters in the precision of the run."""
    ends = [_rounded(objective.params(leg.theta), dtype) for leg in found.legs]
    iterations = max(len(leg.losses) for leg in found.legs)
    finite = np.array(
        [bool(np.isfinite(loss)) and _is_finite(own) for loss, own in zip(found.losses, ends, strict=True)]
    )
    skipped = np.where(np.arange(len(ends)) == found.best, found.skipped, 0)
    snapshots, at = _snapshots(objective, found.legs[found.best], len(ends), dtype)
    return Training(
        params=jax.tree.map(lambda *values: np.stack(values), *ends),
        losses=_losses(found, iterations),
        rounds=(iterations, *map(len, found.polished)),
        skipped=skipped,
        skipped_lately=skipped,
        finite=finite,
        snapshots=snapshots,
        snapshot_steps=at,
        compile_s=0.0,
        train_s=0.0,
        gradients=objective.gradients,
        endings=tuple(
            Ending(_status(leg, bool(own)), loss)
            for leg, own, loss in zip(found.legs, finite, found.losses, strict=True)
        ),
    )


def _status(leg: Leg, finite: bool) -> Status:
    if not finite:
        return Status.DIVERGED
    return Status.CONVERGED if leg.level else Status.MAX_STEPS


def _losses(found: Found, iterations: int) -> Float64[np.ndarray, "R T"]:
    """Return the losses of all starts, with gaps where one had fewer iterations than another, or was not polished."""
    steps = sum(map(len, found.polished))
    losses = np.full((len(found.legs), iterations + steps), np.nan)
    for row, leg in zip(losses, found.legs, strict=True):
        row[: len(leg.losses)] = leg.losses
    losses[found.best, iterations:] = [value for one in found.polished for value in one]
    return losses


def _snapshots(objective: Objective, leg: Leg, count: int, dtype: jnp.dtype) -> tuple[Params, np.ndarray]:
    """Return the small parameters of the best start along its way; those of others were not kept."""
    if not leg.points:
        return {}, np.zeros(0, int)
    known = np.array([iteration for iteration, _ in leg.points])
    wanted = np.linspace(known[0], known[-1], SNAPSHOTS).astype(int)
    kept = [leg.points[index] for index in np.unique(np.searchsorted(known, wanted))]
    along = [_rounded(objective.params(point), dtype) for _, point in kept]
    small = [name for name, value in along[0].items() if isinstance(value, np.ndarray) and value.size <= RECORDED_SIZE]
    return {
        name: np.broadcast_to(np.stack([one[name] for one in along])[None], (count, len(kept), *along[0][name].shape))
        for name in small
    }, np.array([iteration for iteration, _ in kept])


def _rounded(params: Params, dtype: jnp.dtype) -> Params:
    rounded: Params = jax.tree.map(lambda value: np.asarray(value, dtype), params)
    return rounded


def _is_finite(params: Params) -> bool:
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
