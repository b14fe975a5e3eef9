"""The first stage of a fit: a guide is trained from every start, or finds its parameters by a method of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from guidebench.config.seeds import derive
from guidebench.engine.fit import own_method
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.counting import of_training
from guidebench.engine.fit.making import RANKED, Samplers, make_guide, own_objective
from guidebench.engine.fit.settling import Limits, Settling, final_loss
from guidebench.engine.starts import keys
from guidebench.inference import convergence
from guidebench.inference.coordinates import Frame
from guidebench.inference.recipe import Recipe
from guidebench.inference.train import Callbacks, Training, train
from guidebench.inference.training.deterministic import train_deterministically
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
    frame = case.bench.frame(case.declaration.family)
    samplers = Samplers(case, frame)
    if case.declaration.fit is None:
        training, counted, remarks = _trained(case, frame, samplers, _within(case, at.in_time(case.steps)))
        work: Work | None = counted
    else:
        own = _from(frame, slice(case.recipe.restarts))
        training, remarks = own_method.run(case, own, make_guide(case.guide, frame.model), at)
        work = of_training(training, case.prepared)
    return Trained(frame, samplers, training, _restarts(case, training), tuple(remarks), work, _ended(case, training))


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


class _Trained(NamedTuple):
    """A training, what it and the comparisons of its rounds have computed, and what was done otherwise."""

    training: Training
    work: Work
    remarks: list[str]


def _trained(case: Case, frame: Frame, samplers: Samplers, on_chunk: OnChunk) -> _Trained:
    """Train under fixed noise where that is possible, else step by step."""
    if not _under_fixed_noise(case, frame):
        return _by_steps(case, _from(frame, slice(case.recipe.restarts)), samplers, on_chunk, case.recipe)
    found = _fixed(case, _from(frame, _first_valid(case, case.recipe.restarts)), on_chunk)
    if found is not None:
        return _Trained(found, _counted(case, found), [])
    recipe = case.recipe.at_first()
    return _by_steps(case, _from(frame, _first_valid(case, recipe.restarts)), samplers, on_chunk, recipe)


def _under_fixed_noise(case: Case, frame: Frame) -> bool:
    """Return whether what training looks at is one function of the guide's parameters and its noise."""
    prepared = case.prepared
    return (
        case.recipe.fixed_noise
        and frame.stochastic is None
        and not prepared.structure.params
        and case.bench.target is not None
        and own_objective(case) is None
    )


def _first_valid(case: Case, count: int) -> np.ndarray:
    """Return the first starts at which the density is finite."""
    return np.flatnonzero(case.prepared.valid)[:count]


def _fixed(case: Case, frame: Frame, on_chunk: OnChunk) -> Training | None:
    """Train under fixed noise, if the guide allows it; from every start where the search saw several places."""
    landscape, recipe, seed = case.prepared.landscape, case.recipe, case.config.seed
    several = landscape is not None and any(
        one is not None and landscape.best is not None and not np.array_equal(one.mean, landscape.best.mean)
        for one in landscape.places[: recipe.restarts]
    )
    return train_deterministically(
        make_guide(case.guide, frame.model),
        frame,
        recipe,
        keys(seed, _count(frame), *case.names, "train"),
        seed=derive(seed, *case.names, "fixed noise"),
        all_starts=recipe.first_starts is None or several,
        callbacks=Callbacks(on_chunk=on_chunk),
    )


def _from(frame: Frame, chosen: np.ndarray | slice) -> Frame:
    """Return a frame with some of its starting points."""
    return replace(frame, starts={name: value[chosen] for name, value in frame.starts.items()})


def _count(frame: Frame) -> int:
    return len(next(iter(frame.starts.values())))


def _by_steps(case: Case, frame: Frame, samplers: Samplers, on_chunk: OnChunk, recipe: Recipe) -> _Trained:
    """Train, and once more at a lower rate where that was too much for some starts and the rate is not the user's."""
    attempt = partial(_attempt, case, frame, samplers, on_chunk)
    first, work, _ = attempt(recipe)
    lost = int(np.sum(_valid(case, first) & (~first.finite | (first.skipped > UNSTABLE * sum(first.rounds)))))
    if not lost or case.config.learning_rate is not None or not recipe.standardise:
        return _Trained(first, work, [])
    case.meter.charge(work)
    if case.meter.over(work.gradients):
        return _Trained(first, work, [])
    slower = replace(recipe, learning_rate=recipe.learning_rate * SLOWER)
    second, more, _ = attempt(slower)
    spent: dict[str, Any] = {
        "compile_s": first.compile_s + second.compile_s,
        "train_s": first.train_s + second.train_s,
        "gradients": first.gradients + second.gradients,
    }
    if not _best(second) < _best(first):
        return _Trained(replace(first, **spent), work + more, [])
    said = f"trained at a learning rate of {slower.learning_rate:g}, for {recipe.learning_rate:g} was too much"
    remark = f"{said} for {lost} of {len(first.finite)} starts"
    return _Trained(replace(second, **spent), work + more, [remark])


def _counted(case: Case, training: Training, watching: int = 0) -> Work:
    """Return what a training that was not of the guide's own has computed."""
    work = of_training(training, case.prepared, watching)
    assert work is not None
    return work


def _valid(case: Case, training: Training) -> np.ndarray:
    """Return which restarts of a training began where the density is finite: all of them, or all that could."""
    valid, count = case.prepared.valid, len(training.finite)
    return valid if count == len(valid) else np.ones(count, bool)


def _best(training: Training) -> float:
    """Return the lowest final loss of all restarts that stayed finite."""
    found = [final_loss(losses[-training.rounds[-1] :]) for losses in training.losses[training.finite]]
    return min((loss for loss in found if np.isfinite(loss)), default=float("inf"))


def _attempt(case: Case, frame: Frame, samplers: Samplers, on_chunk: OnChunk, recipe: Recipe) -> _Trained:
    prepared, seed = case.prepared, case.config.seed
    shown = frame.in_training()
    settling = Settling(
        recipe,
        samplers,
        jax.random.key(derive(seed, *case.names, "settling")),
        most=RANKED,
        # The loss of a point is its density, without any noise.
        comparable=case.declaration.bound != "none" and case.declaration.draw is None,
        limits=_limits(case),
    )
    watched = None
    if prepared.validation is not None:
        target = None if frame.kind == "own" else case.bench.validation_target
        watched = prepared.validation.watched(frame, seed, prepared.problem.name, target)
    training = train(
        make_guide(case.guide, shown.model, in_parts=frame.stochastic is not None and frame.kind == "own"),
        shown,
        recipe,
        keys(seed, _count(frame), *case.names, "train"),
        loss=own_objective(case),
        watched=watched,
        callbacks=Callbacks(on_chunk=on_chunk, settled=settling),
    )
    work = _counted(case, training, 0 if watched is None else watched.particles)
    return _Trained(replace(training, agreed=settling.agreed), work + settling.work, [])


def _limits(case: Case) -> Limits:
    return Limits.of(case.recipe, case.prepared.structure.latent_dim)


def _restarts(case: Case, training: Training) -> tuple[Restart, ...]:
    """Return how each restart ended; a guide that finds its parameters itself says so itself."""
    valid, decays = _valid(case, training), case.recipe.decayed()
    if training.endings:
        return tuple(
            Restart(index=index, status=one.status, loss=one.loss, skipped=int(training.skipped[index]))
            for index, one in enumerate(training.endings)
        )
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
            **_limits(case)._asdict(),
        )
        if status is Status.MAX_STEPS and index in training.agreed and training.at_the_end(index):
            status = Status.CONVERGED
        found.append(Restart(index=index, status=status, loss=final_loss(lately), skipped=int(training.skipped[index])))
    return tuple(found)
