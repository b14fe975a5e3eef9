"""What a stage of a run may spend of the budget, and how training is cut to fit.

Of what a problem is allowed, what the search took comes off first.  A half of the rest is for training, the same for
every guide, so that what one guide gets does not hang on when another ends; then comes judging, the guide with the best
ELBO first, and then the reference, each with what is left.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from guidebench.config.budget import Budget
from guidebench.inference.recipe import Recipe
from guidebench.results import Work
from guidebench.results.work import total

#: Share of what the search leaves that is for training.
TRAINING = 0.5

#: Steps that are a training at all, and what the steps of a shorter one are a multiple of: it is trained in stretches.
FEWEST_STEPS = 64
STRETCHES = 16


class Meter:
    """What is left for one stage, which begins now.

    Parameters
    ----------
    budget : Budget or None
        That of the run; without one nothing is ever spent.
    amount : float
        What of it the stage may spend.
    """

    def __init__(self, budget: Budget | None = None, amount: float = 0.0) -> None:
        self.budget = budget
        self._amount, self._charged, self._began = amount, 0, time.perf_counter()

    @property
    def limited(self) -> bool:
        """Whether there is a budget."""
        return self.budget is not None

    @property
    def timed(self) -> bool:
        """Whether there is one, in seconds."""
        return self.budget is not None and self.budget.timed

    @property
    def said(self) -> str:
        """That the budget was spent, in words."""
        return "" if self.budget is None else self.budget.spent

    def charge(self, work: Work) -> None:
        """Take gradients off; seconds pass by themselves."""
        if self.budget is not None:
            self._charged += work.gradients

    def left(self) -> float:
        """Return what is left, in gradients or in seconds."""
        if self.budget is None:
            return float("inf")
        return self._amount - (time.perf_counter() - self._began if self.budget.timed else self._charged)

    def over(self, gradients: int = 0) -> bool:
        """Return whether nothing is left once so many gradients more are taken off."""
        return self.left() - (0 if self.timed else gradients) <= 0

    def most(self, wanted: int) -> int:
        """Return how many of the wanted gradients there may be."""
        if self.budget is None:
            return wanted
        if self.budget.timed:
            return wanted if self.left() > 0 else 0
        return max(min(wanted, int(self.left())), 0)


def spent(budget: Budget, work: Mapping[str, Work]) -> float:
    """Return what phases took of a budget, in its unit."""
    found = total(work.values())
    return found.seconds if budget.timed else float(found.gradients)


def for_training(budget: Budget, shared: Mapping[str, Work], guides: int) -> float:
    """Return what each of so many guides may spend on its training, once what they share is taken off."""
    return TRAINING * (budget.amount - spent(budget, shared)) / guides


class Fitted(NamedTuple):
    """A recipe that keeps within an allowance, and what it leaves out, in words; ``None`` where nothing fits.

    `unless_settled` is left out only where training would have gone on.
    """

    recipe: Recipe | None
    left_out: tuple[str, ...] = ()
    unless_settled: tuple[str, ...] = ()


def fitted(recipe: Recipe, most: int, said: str) -> Fitted:
    """Return a recipe that takes at most so many gradients.

    Starts are given up before steps: those of the first round have to fit for every start that is kept.  The further
    rounds, which are only made where training has not settled, are given up where they would not fit.

    Parameters
    ----------
    recipe : Recipe
        The recipe of the run.
    most : int
        Gradients, each on as much of the data as a step sees.
    said : str
        Why it is cut, for what is said.
    """
    each = recipe.particles * recipe.steps
    restarts = max(min(recipe.restarts, most // each), 1)
    steps = min(recipe.steps, most // (recipe.particles * restarts))
    if steps < recipe.steps:
        steps -= steps % STRETCHES
    if steps < min(FEWEST_STEPS, recipe.steps):
        return Fitted(None, (f"not trained: {said}",))
    rounds = recipe.rounds if steps == recipe.steps else 1
    while rounds > 1 and recipe.particles * restarts * steps * (2**rounds - 1) > most:
        rounds -= 1
    told = []
    if restarts < recipe.restarts:
        told.append(f"from {restarts} start{'s' * (restarts > 1)} of {recipe.restarts}")
    if steps < recipe.steps:
        told.append(f"for {steps:,} steps of {recipe.steps:,}")
    longest = steps * (2**rounds - 1)
    unless = (f"trained for no more than {longest:,} steps of {recipe.most_steps():,}: {said}",)
    cut = replace(recipe, restarts=restarts, steps=steps, rounds=rounds)
    left_out = (f"trained {', '.join(told)}: {said}",) if told else ()
    return Fitted(cut, left_out, unless if steps == recipe.steps and rounds < recipe.rounds else ())
