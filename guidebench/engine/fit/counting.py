"""How much training has computed, in evaluations on all data."""

from __future__ import annotations

from guidebench.engine.prepared import PreparedProblem
from guidebench.inference.train import Training
from guidebench.results import Work


def of_training(training: Training, prepared: PreparedProblem, watching: int = 0) -> Work | None:
    """Return what a training has computed, or ``None`` where a method of the guide's own does not say.

    Every step takes a gradient for each particle of each start, whatever becomes of it; on a part of the data one
    counts for that part.  `watching` is how many particles evaluate the rows that are kept from training.
    """
    seconds = training.compile_s + training.train_s
    if training.solutions:
        own = [one.gradients for one in training.solutions if one.gradients is not None]
        return Work(gradients=sum(own), seconds=seconds) if len(own) == len(training.solutions) else None
    work = Work(gradients=training.gradients, seconds=seconds)
    if (minibatches := prepared.minibatches) is not None:
        size, part = minibatches.plates[minibatches.main]
        work = work.of_part(part, size)
    if training.evaluations is None or prepared.validation is None:
        return work
    watched = Work(densities=training.evaluations.losses.size * watching)
    return work + watched.of_part(prepared.validation.kept, prepared.validation.trained)
