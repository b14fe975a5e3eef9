"""A run: every guide on every problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from guidebench import environment
from guidebench.config import RunConfig
from guidebench.contracts import Problem
from guidebench.engine import calibration
from guidebench.engine.fitting import blank, fit_guide
from guidebench.engine.prepared import Prepared, prepare
from guidebench.engine.progress import Progress, Silent
from guidebench.engine.references import reference_data, with_reference
from guidebench.inference import precision
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
    if config.steps is not None:  # so many, and no more
        recipe = replace(recipe, rounds=1)
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
    given: Mapping[str, Any] | None = None,
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
    given : mapping, optional
        Draws by site that take the place of the reference that `config` names.

    Raises
    ------
    RequestError
        Where the request is wrong; what goes wrong inside a fit is recorded in it instead.
    """
    with precision.chosen(config.x64):
        return _compare(name, problems, guides, config, registry, progress or Silent(), given)


def _compare(
    name: str,
    problems: Sequence[Problem],
    guides: Sequence[ChosenGuide],
    config: RunConfig,
    registry: Registry,
    watcher: Progress,
    given: Mapping[str, Any] | None,
) -> Comparison:
    recipe = recipe_of(config)
    prepared: list[Prepared | Unprepared] = []
    for problem in problems:
        try:
            ready = prepare(problem, config, recipe)
            if config.simulations is not None and len(problems) == 1:  # refused before anything takes long
                calibration.check(problem.name, ready.structure)
            prepared.append(with_reference(ready, config, recipe, given, watcher))
        except (Exception, SystemExit) as error:
            if len(problems) == 1:
                raise
            reason = f"the problem could not be prepared: {type(error).__name__}: {' '.join(str(error).split())}"
            prepared.append(Unprepared(ProblemRecord(name=problem.name, summary=problem.summary), reason))
    watcher.begin(len(prepared) * len(guides))
    fits: list[Fit] = []
    interrupted = False
    try:
        for index in range(len(prepared)):
            one, simulations = _with_simulations(prepared[index], config, recipe, watcher, alone=len(prepared) == 1)
            prepared[index] = one
            for guide in guides:
                if isinstance(one, Unprepared):
                    fit = replace(blank(one.record.name, guide), message=one.reason, reason=one.reason)
                else:
                    fit = fit_guide(one, guide, config, recipe, registry.metrics, watcher, simulations)
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
            if isinstance(ready, Prepared) and ready.reference.label
        },
        interrupted=interrupted,
    )


def _with_simulations(
    ready: Prepared | Unprepared, config: RunConfig, recipe: Recipe, watcher: Progress, *, alone: bool
) -> tuple[Prepared | Unprepared, calibration.Simulations | None]:
    """Return simulated data sets of a problem, if asked for; one of several that has none says why in its notes."""
    if config.simulations is None or isinstance(ready, Unprepared):
        return ready, None
    name = ready.problem.name
    watcher.phase(name, "simulations", f"drawing {config.simulations} data sets")
    try:
        found = calibration.prepare(name, ready.problem.model, ready.arguments, ready.structure, config, recipe)
    except (Exception, SystemExit) as error:
        if alone:
            raise
        note = f"There is no calibration by simulation: {' '.join(str(error).split()) or type(error).__name__}."
        return replace(ready, record=replace(ready.record, notes=(*ready.record.notes, note))), None
    return ready, found
