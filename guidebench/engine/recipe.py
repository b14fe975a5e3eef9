"""The recipe of a run: one of those that have a name, with the options of the user in it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from guidebench.config import RunConfig
from guidebench.config.errors import RequestError, opt
from guidebench.config.training import Trained
from guidebench.inference import optimizers
from guidebench.inference.objectives import objective
from guidebench.inference.recipe import RECIPES, Recipe, make_optimizer
from guidebench.inference.schedules import Schedule
from guidebench.inference.train import EVALUATIONS, stretches

#: Evaluations of the rows kept from training in a round, at least.
FEWEST_EVALUATIONS = 10


def recipe_of(config: RunConfig) -> Recipe:
    """Return the recipe of a run with the user's changes in it, checked.

    Raises
    ------
    RequestError
        Where the optimiser, the schedule or the objective is not known, or an option has nothing to act on.
    """
    _check_companions(config)
    _check_budget(config)
    recipe = replace(RECIPES[_named(config)], **_changes(config))
    if config.restarts is not None and recipe.first_starts is not None:
        recipe = replace(recipe, first_starts=None)  # so many were asked for
    if config.steps is not None or not recipe.decayed():  # so many, and no more; without a decay nothing settles
        recipe = replace(recipe, rounds=1)
    _check(recipe, config)
    return recipe


#: Options of a training by steps: whoever gives one wants every guide trained so.
OF_STEPS = (
    "optimizer",
    "learning_rate",
    "schedule",
    "clip_norm",
    "clip_share",
    "steps",
    "particles",
    "loss",
    "validation",
)


def _named(config: RunConfig) -> str:
    """Return the name of the recipe: the default one gives way to ``adam`` where an option needs that."""
    by_steps = any(getattr(config, name) is not None for name in OF_STEPS)
    return "adam" if config.recipe == "default" and by_steps else config.recipe


def _changes(config: RunConfig) -> dict[str, Any]:
    """Return the fields of the recipe that the user gave, and those that follow from them."""
    given = {one.name: getattr(config, one.name) for one in fields(Trained)}
    changes = {name: value for name, value in given.items() if value is not None}
    if config.schedule is not None:
        changes["schedule"] = Schedule.parse(config.schedule)
    if config.clip_norm == 0:
        changes["clip_norm"] = None
    if config.optimizer is not None and config.learning_rate is None:
        own = optimizers.find(config.optimizer).own_rate
        changes |= {} if own is None else {"learning_rate": own}
    return changes


def _check_companions(config: RunConfig) -> None:
    """Refuse options that mean nothing alone, or do not go together."""
    if config.patience is not None and config.validation is None:
        raise RequestError(
            f"there is nothing to wait for; give {opt('validation')}", option="patience", value=config.patience
        )
    if config.validation is not None and config.simulations is not None:
        raise RequestError(
            f"{opt('validation')} and {opt('simulations')} do not go together: simulated data are trained on whole"
        )


def _check_budget(config: RunConfig) -> None:
    if config.budget is not None and config.simulations is not None:
        raise RequestError(f"{opt('budget')} and {opt('simulations')} do not go together: every fit takes the same")


def _check(recipe: Recipe, config: RunConfig) -> None:
    """Refuse a recipe whose parts do not go together, or cannot be made."""
    if recipe.clip_norm is None and config.clip_share is not None:
        raise RequestError(
            f"there is no norm to clip at; give {opt('clip_norm')}",
            option="clip_share",
            value=f"{config.clip_share:g}",
        )
    if recipe.validation is not None and stretches(recipe.steps, watched=True) < FEWEST_EVALUATIONS:
        raise RequestError(
            f"{recipe.steps} steps cannot be divided into equal stretches to evaluate after; "
            f"{-(-recipe.steps // EVALUATIONS) * EVALUATIONS} could",
            option="validation",
        )
    optimizer = optimizers.find(recipe.optimizer)
    made = make_optimizer(recipe)
    if optimizer != optimizers.find("adam"):  # to trace one takes longer than anything else before the first model
        optimizers.check(optimizer, made)
    objective(recipe.loss, recipe.particles)
