"""Training a guide: compiled chunks of ``lax.scan`` over ``SVI.stable_update``, in rounds.

What is compiled is pure (:mod:`guidebench.inference.training.program`); the host folds over rounds
(:mod:`guidebench.inference.training.rounds`), and keeps what a round leaves behind on the device until the end.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Key

from guidebench.inference.coordinates import Frame
from guidebench.inference.objectives import objective
from guidebench.inference.recipe import Recipe, make_optimizer
from guidebench.inference.training.cut import EVALUATIONS, Cut, stretches
from guidebench.inference.training.program import Program, start
from guidebench.inference.training.results import (
    SILENT,
    Callbacks,
    Evaluations,
    MakeGuide,
    Params,
    Round,
    Training,
    Watched,
)
from guidebench.inference.training.rounds import ROUND_RATE, Course, Rounds, begun, joined

__all__ = [
    "EVALUATIONS",
    "ROUND_RATE",
    "Callbacks",
    "Evaluations",
    "MakeGuide",
    "Params",
    "Round",
    "Training",
    "Watched",
    "stretches",
    "train",
]


def train(
    make_guide: MakeGuide,
    frame: Frame,
    recipe: Recipe,
    keys: Key[Array, " R"],
    *,
    loss: Any = None,
    watched: Watched | None = None,
    callbacks: Callbacks = SILENT,
) -> Training:
    """Train one guide from every starting point at once.

    Parameters
    ----------
    make_guide : callable
        Returns a fresh guide for a starting point.
    frame : Frame
        What it is trained on: its model with the arguments, and the starting points.
    recipe : Recipe
        How to train.
    keys : array of PRNG keys
        One per restart, shape ``(R,)``.
    loss : numpyro.infer.elbo.ELBO, optional
        Replaces the recipe's objective.
    watched : Watched, optional
        What the guide is evaluated on after each stretch of steps.  Every restart then keeps the parameters
        of its best evaluation, and training stops once none has improved for as long as the recipe says.
        What is evaluated are the unconstrained parameters averaged over the stretch, or over the tail so
        far where it has begun; a recipe without a tail has the last ones.
    callbacks : Callbacks, optional
        Whom to tell how far training is, and to ask whether it may end.
    """
    cut = Cut.of(recipe.steps, watched=watched is not None)
    program = Program(
        make_guide=make_guide,
        model=frame.model,
        arguments=frame.arguments,
        optimizer=make_optimizer(recipe),
        loss=loss or objective(recipe.loss, recipe.particles),
        cut=cut,
        watched=watched,
    )
    began = time.perf_counter()
    started = start(program, frame.starts, keys, frame.axes)
    ready = time.perf_counter()
    rounds = Rounds(recipe=recipe, cut=cut, started=started, callbacks=callbacks)
    course = rounds.run(begun(started.carry, len(keys), watched=watched is not None))
    jax.block_until_ready(course.carry)
    ended = _ended(course, cut, compile_s=ready - began, train_s=time.perf_counter() - ready)
    return replace(ended, gradients=sum(ended.rounds) * recipe.particles * len(keys))


def _ended(course: Course, cut: Cut, *, compile_s: float, train_s: float) -> Training:
    """Bring to the host what training has left behind, with the best parameters where they were watched."""
    best = None if course.best is None else course.best.or_last(course.params)
    # Taking restarts apart on the device would compile a program per shape.
    params: Params = jax.device_get(course.params if best is None else best.params)
    return Training(
        params=params,
        losses=joined(course.losses),
        rounds=tuple(count * cut.steps for count in course.rounds),
        skipped=course.skipped,
        skipped_lately=course.skipped_lately,
        finite=_finite(params, len(course.skipped)),
        snapshots={
            name: np.concatenate([np.asarray(small[name]) for small in course.snapshots], axis=1)
            for name in course.snapshots[0]
        },
        snapshot_steps=np.arange(1, course.done * cut.snapshots + 1) * (cut.steps // cut.snapshots),
        compile_s=compile_s,
        train_s=train_s,
        evaluations=None if best is None else best.summary(course.patience),
        ended=course.ended,
    )


def _finite(params: Params, count: int) -> Bool[np.ndarray, " {count}"]:
    """Return which restarts have finite parameters only."""
    finite = np.ones(count, bool)
    for value in jax.tree.leaves(params):
        finite &= np.isfinite(np.asarray(value)).reshape(count, -1).all(axis=1)
    return finite
