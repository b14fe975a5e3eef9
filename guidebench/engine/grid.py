"""A run: every guide on every problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from guidebench import environment
from guidebench.config import RunConfig
from guidebench.contracts import Problem
from guidebench.engine.fitting import blank, fit_guide
from guidebench.engine.forward import reference_data
from guidebench.engine.prepared import Prepared, prepare
from guidebench.engine.progress import Progress, Silent
from guidebench.inference.recipe import RECIPES, Recipe, make_optimizer, objective
from guidebench.registry import Registry
from guidebench.results import Comparison, Fit, ProblemRecord
from guidebench.selection import ChosenGuide


def recipe_of(config: RunConfig) -> Recipe:
    """Return the recipe of a run with the user's changes in it, checked.

    Raises
    ------
    RequestError
        Where the optimiser or the objective is not known.
    """
    changes = {
        name: getattr(config, name)
        for name in ("optimizer", "learning_rate", "steps", "restarts", "particles", "loss")
        if getattr(config, name) is not None
    }
    recipe = replace(RECIPES[config.recipe], **changes)
    make_optimizer(recipe)
    objective(recipe.loss, recipe.particles)
    return recipe


class Unprepared(NamedTuple):
    """One of several problems that could not be made ready, and why."""

    record: ProblemRecord
    reason: str


def compare(
    name: str,
    problems: Sequence[Problem],
    guides: Sequence[ChosenGuide],
    config: RunConfig,
    registry: Registry,
    progress: Progress | None = None,
) -> Comparison:
    """Train every guide on every problem and score them all.

    Parameters
    ----------
    name : str
        What the comparison is called.
    problems, guides : sequences
        The grid.
    config : RunConfig
        Recipe, seeds and numbers of draws.
    registry : Registry
        Brings the metrics.
    progress : Progress, optional
        Is told what happens.

    Raises
    ------
    RequestError
        Where the request is wrong; what goes wrong inside a fit is recorded in it instead.
    """
    watcher = progress or Silent()
    recipe = recipe_of(config)
    prepared: list[Prepared | Unprepared] = []
    for problem in problems:
        try:
            prepared.append(prepare(problem, config, recipe))
        except (Exception, SystemExit) as error:
            if len(problems) == 1:
                raise
            reason = f"the problem could not be prepared: {type(error).__name__}: {' '.join(str(error).split())}"
            prepared.append(Unprepared(ProblemRecord(name=problem.name, summary=problem.summary), reason))
    watcher.begin(len(prepared) * len(guides))
    fits: list[Fit] = []
    interrupted = False
    try:
        for ready in prepared:
            for guide in guides:
                if isinstance(ready, Unprepared):
                    fit = replace(blank(ready.record.name, guide), message=ready.reason, reason=ready.reason)
                else:
                    fit = fit_guide(ready, guide, config, recipe, registry.metrics, watcher)
                watcher.finish(fit)
                fits.append(fit)
    except KeyboardInterrupt:
        if not fits:
            raise
        interrupted = True
    return Comparison(
        name=name,
        problems=tuple(ready.record for ready in prepared),
        fits=tuple(fits),
        recipe=recipe.describe(),
        config=config.model_dump(mode="json"),
        environment=environment.describe(),
        references={
            ready.problem.name: reference_data(ready)
            for ready in prepared
            if isinstance(ready, Prepared) and ready.reference
        },
        interrupted=interrupted,
    )
