"""The first stage of a fit: a guide is trained from every start, or finds its parameters by a method of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from guidebench.config.seeds import derive
from guidebench.engine.fit import own_method
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.counting import of_training
from guidebench.engine.fit.making import RANKED, Samplers, make_guide, own_objective
from guidebench.engine.fit.settling import Settling, final_loss
from guidebench.engine.starts import keys
from guidebench.inference import convergence
from guidebench.inference.coordinates import Frame
from guidebench.inference.recipe import Recipe
from guidebench.inference.train import Callbacks, Training, train
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.results import Restart, Status, Work

#: Share of skipped steps from which a start counts as unstable, and the learning rate that is tried instead.
UNSTABLE = 0.002
SLOWER = 0.2

#: Is told the steps done, those of all rounds so far, and the loss; says whether that is enough.
OnChunk = Callable[[int, int, float], bool]


class Trained(NamedTuple):
    """A guide after training: where every start has ended, and the programs that draw from there.

    `remarks` say what was done otherwise than asked for; `work` is ``None`` where a method of its own did not count;
    `left_out` is what the budget of the run did not allow.
    """

    frame: Frame
    samplers: Samplers
    training: Training
    restarts: tuple[Restart, ...]
    remarks: tuple[str, ...]
    work: Work | None
    left_out: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether any start has ended somewhere."""
        return any(one.status.has_draws for one in self.restarts)

    @property
    def stopped(self) -> bool:
        """Whether data that were held back stopped it early."""
        return self.training.evaluations is not None and self.training.evaluations.patience is not None


def train_guide(case: Case, at: Boundary) -> Trained:
    """Train a guide in the coordinates that its family allows."""
    frame = _first(case.bench.frame(case.declaration.family), case.recipe.restarts)
    samplers = Samplers(case, frame)
    if case.declaration.fit is None:
        attempt = partial(_attempt, case, frame, samplers, _within(case, at.in_time(case.steps)))
        training, counted, remarks = _at_a_rate_that_holds(attempt, case)
        work: Work | None = counted
    else:
        training, remarks = own_method.run(case, frame, make_guide(case.guide, frame.model), at)
        work = of_training(training, case.recipe, case.prepared)
    return Trained(frame, samplers, training, _restarts(case, training), tuple(remarks), work, _ended(case, training))


def _first(frame: Frame, count: int) -> Frame:
    """Return a frame with the first so many of its starting points."""
    return replace(frame, starts={name: value[:count] for name, value in frame.starts.items()})


def _within(case: Case, told: Callable[[int, int, float], None]) -> OnChunk:
    """Return what is told of every stretch, and says whether the time of the guide is over."""

    def on_chunk(done: int, total: int, loss: float) -> bool:
        told(done, total, loss)
        return case.meter.over()

    return on_chunk


def _ended(case: Case, training: Training) -> tuple[str, ...]:
    """Return that training was ended for its time, where it was."""
    if not training.ended:
        return ()
    return (f"training was ended after {sum(training.rounds):,} steps: {case.meter.said}",)


class _Attempt(NamedTuple):
    """A training, and what it has computed with the comparisons of its rounds."""

    training: Training
    work: Work


def _at_a_rate_that_holds(attempt: Callable[[Recipe], _Attempt], case: Case) -> tuple[Training, Work, list[str]]:
    """Train, and once more at a lower rate where that was too much for some starts and the rate is not the user's."""
    recipe, (first, work) = case.recipe, attempt(case.recipe)
    valid = case.prepared.valid[: len(first.finite)]
    lost = int(np.sum(valid & (~first.finite | (first.skipped > UNSTABLE * sum(first.rounds)))))
    if not lost or case.config.learning_rate is not None or not recipe.standardise:
        return first, work, []
    case.meter.charge(work)
    if case.meter.over(work.gradients):
        return first, work, []
    slower = replace(recipe, learning_rate=recipe.learning_rate * SLOWER)
    second, more = attempt(slower)
    compile_s, train_s = first.compile_s + second.compile_s, first.train_s + second.train_s
    if not _best(second) < _best(first):
        return replace(first, compile_s=compile_s, train_s=train_s), work + more, []
    said = f"trained at a learning rate of {slower.learning_rate:g}, for {recipe.learning_rate:g} was too much"
    remark = f"{said} for {lost} of {len(first.finite)} starts"
    return replace(second, compile_s=compile_s, train_s=train_s), work + more, [remark]


def _best(training: Training) -> float:
    """Return the lowest final loss of all restarts that stayed finite."""
    found = [final_loss(losses[-training.rounds[-1] :]) for losses in training.losses[training.finite]]
    return min((loss for loss in found if np.isfinite(loss)), default=float("inf"))


def _attempt(case: Case, frame: Frame, samplers: Samplers, on_chunk: OnChunk, recipe: Recipe) -> _Attempt:
    prepared, seed = case.prepared, case.config.seed
    shown = frame.in_training()
    settling = Settling(
        recipe,
        samplers,
        jax.random.key(derive(seed, *case.names, "settling")),
        most=RANKED,
        # The loss of a point is its density, without any noise.
        comparable=case.declaration.bound != "none" and case.declaration.draw is None,
    )
    watched = None
    if prepared.validation is not None:
        target = None if frame.kind == "own" else case.bench.validation_target
        watched = prepared.validation.watched(frame, seed, prepared.problem.name, target)
    training = train(
        make_guide(case.guide, shown.model, in_parts=frame.stochastic is not None and frame.kind == "own"),
        shown,
        recipe,
        keys(seed, recipe.restarts, *case.names, "train"),
        loss=own_objective(case),
        watched=watched,
        callbacks=Callbacks(on_chunk=on_chunk, settled=settling),
    )
    work = of_training(training, recipe, prepared, 0 if watched is None else watched.particles)
    assert work is not None  # for it was trained
    return _Attempt(replace(training, agreed=settling.agreed), work + settling.work)


def _restarts(case: Case, training: Training) -> tuple[Restart, ...]:
    """Return how each restart ended; a guide that finds its parameters itself says so itself."""
    valid, decays = case.prepared.valid, case.recipe.decayed()
    if training.solutions:
        return own_method.restarts(training, valid, final_loss)
    found = []
    for index, losses in enumerate(training.losses):
        lately = losses[-training.rounds[-1] :]
        status = convergence.judge(
            lately,
            skipped=int(training.skipped_lately[index]),
            finite=bool(training.finite[index] and valid[index]),
            decayed=decays and training.at_the_end(index),
        )
        if status is Status.MAX_STEPS and index in training.agreed and training.at_the_end(index):
            status = Status.CONVERGED
        found.append(Restart(index=index, status=status, loss=final_loss(lately), skipped=int(training.skipped[index])))
    return tuple(found)
