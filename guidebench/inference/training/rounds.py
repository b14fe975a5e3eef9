"""The fold over rounds of training, and over the stretches of each: on the host, from one :class:`Course` to the next.

In every round the learning rate decays anew, from a lower peak and over twice as many steps as in the one before.  A
round after which every restart is worse than where training began has had too high a rate, as the wide networks of a
flow may: the next one goes back to the beginning, with a tenth of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Float64, Int

from guidebench.inference.recipe import Recipe
from guidebench.inference.training.best import Best
from guidebench.inference.training.carry import Carry, averaging_anew, from_the_start, new_round
from guidebench.inference.training.cut import Cut
from guidebench.inference.training.program import Started
from guidebench.inference.training.results import Callbacks, Params, Round

#: Peak learning rate of a round over that of the round before.
ROUND_RATE = 1 / 3

#: The same beside it where no restart was better than at the beginning; over how many steps that is seen, first and
#: last, and by how much worse it must be, in nats and in standard errors of the beginning.
COOLED = 1 / 10
FIRST_STEPS, LAST_STEPS = 10, 100
WORSE, ERRORS = 1.0, 3.0


class Course(NamedTuple):
    """How far training is, and what there is of it.

    Attributes
    ----------
    carry : Carry
        What the next stretch begins with.
    params : dict
        What the parameters would be if training ended here; empty before the first stretch.
    losses : tuple of array
        Of every stretch, shape ``(R, steps)``.
    snapshots : tuple of dict
        Of every stretch.
    rounds : tuple of int
        Stretches of every round that has ended.
    skipped, skipped_lately : ndarray of int
        Steps that were not taken by the end of the last round, and in that round, shape ``(R,)``.
    best : Best or None
        The best parameters on what is watched, if anything is.
    patience : int or None
        The steps without an improvement after which training was stopped.
    ended : bool
        Whether it was told to end.
    cooled : float
        Peak rates over what they would be, had no round ended worse than training began.
    """

    carry: Carry
    params: Params
    losses: tuple[Float[Array, "R _"], ...]
    snapshots: tuple[Params, ...]
    rounds: tuple[int, ...]
    skipped: Int[np.ndarray, " R"]
    skipped_lately: Int[np.ndarray, " R"]
    best: Best | None
    patience: int | None
    ended: bool = False
    cooled: float = 1.0

    @property
    def done(self) -> int:
        """The stretches that have been trained."""
        return len(self.losses)

    def last_round(self) -> Round:
        """Return what there is at the end of the last round."""
        return Round(joined(self.losses[-self.rounds[-1] :]), self.skipped_lately, self.params)


def begun(carry: Carry, count: int, *, watched: bool) -> Course:
    """Return the course of so many restarts before the first stretch."""
    none = np.zeros(count, int)
    return Course(
        carry=carry,
        params={},
        losses=(),
        snapshots=(),
        rounds=(),
        skipped=none,
        skipped_lately=none,
        best=Best.before_any(count) if watched else None,
        patience=None,
    )


class Span(NamedTuple):
    """One round: its number, its first stretch and the one after its last, and from which step on it averages."""

    number: int
    first: int
    end: int
    tail_from: int


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """What stays the same from one round to the next.

    Attributes
    ----------
    recipe : Recipe
        How to train.
    cut : Cut
        How the first round is cut.
    started : Started
        The compiled program, and what it is given.
    callbacks : Callbacks
        Whom to tell and to ask.
    """

    recipe: Recipe
    cut: Cut
    started: Started
    callbacks: Callbacks

    def run(self, course: Course) -> Course:
        """Train round after round until it may end."""
        for number in range(self.recipe.rounds):
            course = self._settle(self._round(course, self._span(course, number)))
            if course.patience is not None or course.ended or self.callbacks.settled(course.last_round()):
                break
        return course

    def _span(self, course: Course, number: int) -> Span:
        length = self.cut.stretches * 2**number
        end = course.done + length
        return Span(number, course.done, end, round((end - self.recipe.tail * length) * self.cut.steps))

    def _round(self, course: Course, span: Span) -> Course:
        """Train one round, to its end or until patience runs out."""
        if span.number:
            if worse_than_begun(course.losses):
                carry = from_the_start(course.carry, self.started.carry)
                course = course._replace(carry=carry, cooled=COOLED * course.cooled)
            steps = (span.end - span.first) * self.cut.steps
            rate = course.cooled * ROUND_RATE**span.number
            course = course._replace(carry=new_round(course.carry, steps, rate))
        while course.done < span.end and course.patience is None and not course.ended:
            course = self._stretch(course, span)
        return course

    def _stretch(self, course: Course, span: Span) -> Course:
        """Train and evaluate one stretch of a round."""
        first = course.done * self.cut.steps
        carry, tail_from = self._average(course, span)
        found = self.started.advance(carry, np.int32(first), np.int32(tail_from), self.started.given)
        course = course._replace(
            carry=found.carry,
            params=found.params,
            losses=(*course.losses, found.losses),
            snapshots=(*course.snapshots, found.snapshots),
        )
        if self.callbacks.on_chunk is not None:
            done, total = (count * self.cut.steps for count in (course.done, span.end))
            ended = self.callbacks.on_chunk(done, total, _mean(np.asarray(found.losses)[:, -1]))
            course = course._replace(ended=bool(ended) and done < total)
        return course if course.best is None else self._evaluate(course, course.best, np.asarray(found.watch), span)

    def _average(self, course: Course, span: Span) -> tuple[Carry, int]:
        """Return the carry of the next stretch, and from which step on parameters are averaged in it.

        What is evaluated after each stretch is the mean over this one, until the tail begins in one of them.
        """
        if course.best is None or not self.recipe.tail:
            return course.carry, span.tail_from
        last = min(course.done, span.tail_from // self.cut.steps)  # the stretch with which the mean begins
        carry = averaging_anew(course.carry) if last == course.done else course.carry
        return carry, last * self.cut.steps

    def _evaluate(self, course: Course, best: Best, losses: Float[np.ndarray, " R"], span: Span) -> Course:
        """Return the course with what the last stretch is worth, and whether that was the last of all."""
        first, done, end = (count * self.cut.steps for count in (span.first, course.done, span.end))
        best = best.with_another(losses.astype(float), course.params, done)
        patience = self.recipe.patience_in(end - first)
        stops = done < end and best.waited(first) >= patience
        return course._replace(best=best, patience=patience if stops else None)

    def _settle(self, course: Course) -> Course:
        """Return the course at the end of a round: how long it was, and which of its steps were not taken."""
        taken = np.asarray(course.carry.state.optim_state[0])  # the optimiser counts them
        skipped = course.done * self.cut.steps - taken
        return course._replace(
            rounds=(*course.rounds, course.done - sum(course.rounds)),
            skipped=skipped,
            skipped_lately=skipped - course.skipped,
        )


def worse_than_begun(losses: Sequence[Float[Array | np.ndarray, "R _"]]) -> bool:
    """Return whether every restart ends with larger losses than the best of them began with, or with none."""
    first = np.asarray(losses[0], float)[:, :FIRST_STEPS]
    last = np.asarray(losses[-1], float)[:, -LAST_STEPS:].mean(axis=1)
    begun = first.mean(axis=1)
    if not np.isfinite(begun).any():
        return False  # nothing to go back to
    best = int(np.nanargmin(np.where(np.isfinite(begun), begun, np.nan)))
    most = begun[best] + WORSE + ERRORS * first[best].std() / np.sqrt(first.shape[1])
    return not bool((last <= most).any())


def joined(losses: Sequence[Float[Array, "R _"]]) -> Float64[np.ndarray, "R T"]:
    """Return the losses of several stretches as one array, shape ``(R, T)``."""
    return np.concatenate([np.asarray(values, float) for values in losses], axis=1)


def _mean(values: Float[np.ndarray, " R"]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.mean(finite)) if finite.size else float("nan")
