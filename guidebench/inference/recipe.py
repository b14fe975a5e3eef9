"""Recipes: how a guide is trained.

Two are named.  ``default`` is built to converge without tuning; ``plain`` is what tutorials do
(Adam at a constant rate, one particle, one start).  Every field can be overridden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from numpyro.infer import RenyiELBO, TraceGraph_ELBO, TraceMeanField_ELBO

from guidebench.errors import RequestError
from guidebench.inference.density import TraceELBO


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of one training run.

    Attributes
    ----------
    name : str
        ``default`` or ``plain``, with what was changed told by the engine.
    optimizer : str
        Name of an optax optimiser that takes a learning rate.
    learning_rate : float
        Peak learning rate.
    schedule : {"cosine", "constant"}
        Cosine decay to zero over all steps, or none.
    second_moment_decay : float or None
        ``b2`` of the Adam family; ``None`` leaves the optimiser's own.  At the usual 0.999 the huge
        first gradients of a flow inflate the second moment for thousands of steps.
    clip_norm : float or None
        Global norm at which gradients are clipped during the first quarter of the steps; clipping
        throughout would bias the optimum.
    tail : float
        Share of the last steps over which the unconstrained parameters are averaged (0: none).
    steps, restarts, particles : int
        Optimiser steps, starting points, and draws per gradient.
    rounds : int
        Training that has not settled after `steps` goes on: with twice the steps and a third of the
        learning rate each time, up to so many rounds in all.
    loss : str
        Name of the objective.
    standardise : bool
        Whether guides are trained in standardised coordinates, as far as their family allows.
    """

    name: Literal["default", "plain"]
    optimizer: str = "adam"
    learning_rate: float
    schedule: Literal["cosine", "constant"]
    second_moment_decay: float | None = None
    clip_norm: float | None = None
    tail: float = 0.0
    steps: int
    restarts: int
    particles: int
    rounds: int = 1
    loss: str = "Trace_ELBO"
    standardise: bool = False

    def decayed(self) -> bool:
        """Return whether the learning rate ends at zero."""
        return self.schedule == "cosine"

    def most_steps(self) -> int:
        """Return the steps of all rounds together."""
        return int(self.steps * (2**self.rounds - 1))

    def describe(self) -> str:
        """Return one sentence that says how the guides were trained."""
        rate = f"learning rate {self.learning_rate:g}"
        rate += ", cosine decay to 0" if self.schedule == "cosine" else ", constant"
        parts = [f"{self.optimizer} ({rate})"]
        if self.second_moment_decay is not None:
            parts.append(f"b2 = {self.second_moment_decay:g}")
        if self.clip_norm is not None:
            parts.append(f"gradients clipped at norm {self.clip_norm:g} in the first quarter")
        parts.append(
            f"{self.steps:,} steps" + (f" (up to {self.most_steps():,} where needed)" if self.rounds > 1 else "")
        )
        parts.append(f"{self.particles} particle{'s' if self.particles > 1 else ''}")
        parts.append(f"{self.restarts} start{'s' if self.restarts > 1 else ''}")
        parts.append(f"objective {self.loss}")
        if self.tail:
            parts.append(f"parameters averaged over the last {self.tail:.0%} of the steps")
        if self.standardise:
            parts.append("coordinates standardised as far as a family allows")
        return f"Recipe {self.name}: " + ", ".join(parts) + "."


RECIPES = {
    "default": Recipe(
        name="default",
        learning_rate=0.05,
        schedule="cosine",
        second_moment_decay=0.99,
        clip_norm=100.0,
        tail=0.3,
        steps=4000,
        restarts=4,
        particles=10,
        rounds=3,
        standardise=True,
    ),
    "plain": Recipe(name="plain", learning_rate=0.01, schedule="constant", steps=1000, restarts=1, particles=1),
}


class Pace(NamedTuple):
    """How far a round of training is: the step, its steps in all, and its peak rate over the recipe's."""

    step: Any
    steps: Any
    peak: Any


def decaying(steps: int) -> optax.GradientTransformation:
    r"""Return a transformation that scales updates by a cosine decay to zero.

    .. math:: a \, (1 + \cos(\pi t / T)) / 2

    The steps T and the peak a are part of its state, so that one compiled program serves every round.
    """

    def init(_: Any) -> Pace:
        return Pace(jnp.zeros((), jnp.int32), jnp.asarray(steps, jnp.int32), jnp.ones(()))

    def update(updates: Any, state: Pace, params: Any = None) -> tuple[Any, Pace]:
        share = jnp.minimum(state.step / state.steps, 1.0)
        scale = state.peak * 0.5 * (1 + jnp.cos(jnp.pi * share))
        return jax.tree.map(lambda one: scale * one, updates), state._replace(step=state.step + 1)

    return optax.GradientTransformation(init, update)


_ADAM_FAMILY = {"adam", "adamw", "adamax", "adamaxw", "nadam", "nadamw", "amsgrad", "radam", "lamb", "yogi"}

#: Objectives by name.  Scores never depend on the objective: every guide is scored by its ELBO.
OBJECTIVES: dict[str, Callable[[int], Any]] = {
    "Trace_ELBO": lambda particles: TraceELBO(num_particles=particles),
    "TraceMeanField_ELBO": lambda particles: TraceMeanField_ELBO(num_particles=particles),
    "TraceGraph_ELBO": lambda particles: TraceGraph_ELBO(num_particles=particles),
    "RenyiELBO": lambda particles: RenyiELBO(num_particles=particles),
}


def objective(name: str, particles: int) -> Any:
    """Return the objective called `name`, with `particles` draws per step.

    Raises
    ------
    RequestError
        Where no objective has that name.
    """
    if name not in OBJECTIVES:
        raise RequestError(f"--loss {name!r} is not known; choose one of {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name](particles)


def make_optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """Return the optax transformation of a recipe.

    Raises
    ------
    RequestError
        Where optax has no optimiser of that name, or it does not take a learning rate alone.
    """
    factory = getattr(optax, recipe.optimizer, None)
    if factory is None or not callable(factory) or recipe.optimizer.startswith("_"):
        raise RequestError(f"--optimizer {recipe.optimizer!r}: optax has no optimiser of that name")
    options = {}
    if recipe.second_moment_decay is not None and recipe.optimizer in _ADAM_FAMILY:
        options["b2"] = recipe.second_moment_decay
    try:
        optimizer = factory(learning_rate=recipe.learning_rate, **options)
    except TypeError as error:
        raise RequestError(
            f"--optimizer {recipe.optimizer!r} cannot be used with a learning rate alone: {error}"
        ) from None
    if not isinstance(optimizer, optax.GradientTransformation):
        raise RequestError(f"--optimizer {recipe.optimizer!r} is not an optax optimiser")
    if recipe.schedule == "cosine":
        optimizer = optax.chain(optimizer, decaying(recipe.steps))
    if recipe.clip_norm is None:
        return optimizer
    early = max(recipe.steps // 4, 1)
    clip = optax.conditionally_transform(optax.clip_by_global_norm(recipe.clip_norm), lambda step, *_: step < early)
    return optax.chain(clip, optimizer)
