"""Recipes: how a guide is trained.

Three are named.  ``default`` ends when it is done: Gaussian guides and points are trained under fixed noise by
L-BFGS and polished, others by Adam from two starts.  ``adam`` trains every guide by Adam, from four
starts, and is built to converge without tuning; ``plain`` is what tutorials do (Adam at a constant rate, one
particle, one start).  Every field can be overridden.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import optax

from guidebench.config.training import Trained
from guidebench.inference import optimizers
from guidebench.inference.schedules import Schedule, decaying


@dataclass(frozen=True, kw_only=True)
class Recipe(Trained):
    """Settings of one training run: those that options of the same names change, and the rest.

    Attributes
    ----------
    name : str
        ``default``, ``adam`` or ``plain``, with what was changed told by the engine.
    schedule : Schedule
        Of the learning rate over a round.
    second_moment_decay : float or None
        ``b2`` of the Adam family, unless `optimizer` gives it; ``None`` leaves the optimiser's own.  At
        the usual 0.999 the huge first gradients of a flow inflate the second moment for thousands of
        steps.
    tail : float
        Share of the last steps over which the unconstrained parameters are averaged (0: none).
    rounds : int
        Training that has not settled after `steps` goes on: with twice the steps and a third of the
        learning rate each time, up to so many rounds in all.
    standardise : bool
        Whether guides are trained in standardised coordinates, as far as their family allows.
    fixed_noise : bool
        Whether Gaussian guides and points are trained under fixed noise, by
        :func:`~guidebench.inference.training.deterministic.train_deterministically`; for these `steps` and
        `particles` only say how many gradients there may be.
    first_starts : int or None
        From how many of the starts a guide is trained at first: further ones are for where these end in different
        places, under fixed noise.  ``None`` is for all.
    """

    name: Literal["default", "adam", "plain"]
    schedule: Schedule
    second_moment_decay: float | None = None
    tail: float = 0.0
    rounds: int = 1
    standardise: bool = False
    fixed_noise: bool = False
    first_starts: int | None = None

    def decayed(self) -> bool:
        """Return whether the learning rate ends at nothing, or next to it."""
        return self.schedule.decays()

    def most_steps(self) -> int:
        """Return the steps of all rounds together."""
        return int(self.steps * (2**self.rounds - 1))

    def allowance(self) -> int:
        """Return the gradients of one round from every start: what a guide may cost, whatever it does."""
        return self.steps * self.particles * self.restarts

    def most_gradients(self) -> int:
        """Return the gradients of all rounds from every start."""
        return self.most_steps() * self.particles * self.restarts

    def at_first(self) -> Recipe:
        """Return the recipe of a guide that is trained by steps: from the first starts alone."""
        return self if self.first_starts is None else replace(self, restarts=min(self.first_starts, self.restarts))

    def patience_in(self, steps: int) -> int:
        """Return after how many steps without an improvement a round of so many steps is stopped."""
        return self.patience or max(steps // 10, 1)

    def describe(self) -> str:
        """Return one sentence that says how the guides were trained."""
        by_steps = self.at_first()._by_steps()
        if not self.fixed_noise:
            return f"Recipe {self.name}: {by_steps}."
        first = f"from {self.first_starts} starts, up to {self.restarts} where these disagree"
        starts = first if self.first_starts and self.first_starts < self.restarts else f"from {_counted(self.restarts)}"
        return (
            f"Recipe {self.name}: Gaussian guides by L-BFGS under fixed noise, {starts}, with larger samples until the "
            f"ELBO of fresh draws no longer gains, then by a short stochastic polish; point estimates and Laplace "
            f"approximations by L-BFGS to the mode, from {_counted(self.restarts)}; other guides by {by_steps}."
        )

    def _by_steps(self) -> str:
        """Return how guides are trained that are trained by steps."""
        optimizer = optimizers.find(self.optimizer)
        rate = f"learning rate {self.learning_rate:g}, {self.schedule.describe()}"
        parts = [f"{optimizer.describe()} ({rate})"]
        memory = optimizer.with_memory(self.second_moment_decay).get("b2")
        if memory is not None and "b2" not in optimizer.given:
            parts.append(f"b2 = {memory:g}")
        if self.clip_norm is not None:
            parts.append(f"gradients clipped at norm {self.clip_norm:g}{_during(self.clip_share)}")
        parts.append(
            f"{self.steps:,} steps" + (f" (up to {self.most_steps():,} where needed)" if self.rounds > 1 else "")
        )
        parts.append(f"{self.particles} particle{'s' if self.particles > 1 else ''}")
        parts.append(_counted(self.restarts))
        parts.append(f"objective {self.loss}")
        if self.tail:
            parts.append(f"parameters averaged over the last {self.tail:.0%} of the steps")
        if self.validation is not None:
            patience = f"{self.patience:,} steps" if self.patience else "a tenth of the steps"
            parts.append(
                f"stopped early, at the best parameters, where the ELBO on {100 * self.validation:g}% of the rows, "
                f"kept from training, has not improved for {patience}"
            )
        if self.standardise:
            parts.append("coordinates standardised as far as a family allows")
        return ", ".join(parts)


def _counted(starts: int) -> str:
    return f"{starts} start{'s' if starts > 1 else ''}"


def _during(share: float) -> str:
    if share >= 1:
        return " throughout"
    return " in the first quarter" if share == 0.25 else f" in the first {100 * share:g}% of the steps"


_ADAM = Recipe(
    name="adam",
    learning_rate=0.05,
    schedule=Schedule(name="cosine"),
    second_moment_decay=0.99,
    clip_norm=100.0,
    clip_share=0.25,
    tail=0.3,
    steps=4000,
    restarts=4,
    particles=10,
    rounds=3,
    standardise=True,
)

RECIPES = {
    "default": replace(_ADAM, name="default", fixed_noise=True, first_starts=2),
    "adam": _ADAM,
    "plain": Recipe(
        name="plain",
        learning_rate=0.01,
        schedule=Schedule(name="constant"),
        steps=1000,
        restarts=1,
        particles=1,
    ),
}


def make_optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """Return the optax transformation of a recipe.

    Raises
    ------
    RequestError
        Where optax has no optimiser of that name, or refuses an argument.
    """
    optimizer = optimizers.build(optimizers.find(recipe.optimizer), recipe.learning_rate, recipe.second_moment_decay)
    if recipe.schedule.varies():
        optimizer = optax.chain(optimizer, decaying(recipe.steps, recipe.schedule))
    if recipe.clip_norm is None:
        return optimizer
    clip = optax.clip_by_global_norm(recipe.clip_norm)
    if recipe.clip_share < 1:
        early = max(int(recipe.clip_share * recipe.steps), 1)
        clip = optax.conditionally_transform(clip, lambda step, *_: step < early)
    return optax.chain(clip, optimizer)
