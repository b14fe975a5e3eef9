"""A run: every guide on every problem."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from guidebench import environment
from guidebench.config import RunConfig
from guidebench.contracts import Problem
from guidebench.engine import calibration
from guidebench.engine.fitting import blank, fit_guide
from guidebench.engine.own import own_guides
from guidebench.engine.prepared import Prepared, prepare
from guidebench.engine.references import reference_data, with_reference
from guidebench.errors import RequestError
from guidebench.inference import optimizers, precision
from guidebench.inference.objectives import objective
from guidebench.inference.recipe import RECIPES, Recipe, make_optimizer
from guidebench.inference.schedules import Schedule
from guidebench.inference.train import EVALUATIONS, stretches
from guidebench.progress import Progress, Silent
from guidebench.registry import Registry
from guidebench.results import Comparison, Fit, ProblemRecord
from guidebench.selection import ChosenGuide
from guidebench.state import restored

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
    changes = {
        name: getattr(config, name)
        for name in (
            *("optimizer", "learning_rate", "steps", "restarts", "particles", "loss"),
            *("clip_norm", "clip_share", "validation", "patience"),
        )
        if getattr(config, name) is not None
    }
    if config.schedule is not None:
        changes["schedule"] = Schedule.parse(config.schedule)
    if config.clip_norm == 0:
        changes["clip_norm"] = None
    if config.optimizer is not None and config.learning_rate is None:
        own = optimizers.find(config.optimizer).own_rate
        changes |= {} if own is None else {"learning_rate": own}
    recipe = replace(RECIPES[config.recipe], **changes)
    if config.steps is not None or not recipe.decayed():  # so many, and no more; without a decay nothing settles
        recipe = replace(recipe, rounds=1)
    if recipe.clip_norm is None and config.clip_share is not None:
        raise RequestError(f"--clip-share {config.clip_share:g}: there is no norm to clip at; give --clip-norm")
    if recipe.validation is not None and stretches(recipe.steps, watched=True) < FEWEST_EVALUATIONS:
        raise RequestError(
            f"--validation: {recipe.steps} steps cannot be divided into equal stretches to evaluate after; "
            f"{-(-recipe.steps // EVALUATIONS) * EVALUATIONS} could"
        )
    optimizer = optimizers.find(recipe.optimizer)
    optimizers.check(optimizer, make_optimizer(recipe))
    objective(recipe.loss, recipe.particles)
    return recipe


def _check_companions(config: RunConfig) -> None:
    """Refuse options that mean nothing alone, or do not go together."""
    if config.patience is not None and config.validation is None:
        raise RequestError(f"--patience {config.patience}: there is nothing to wait for; give --validation")
    if config.validation is not None and config.simulations is not None:
        raise RequestError("--validation and --simulations do not go together: simulated data are trained on whole")


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
    with restored(), precision.chosen(config.x64), warnings.catch_warnings():
        # NumPyro says so for every program that it traces; the report says it once.
        warnings.filterwarnings("ignore", message="Continuous inference poorly handles circular")
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
            with restored():  # a model is somebody's code, too
                if len(problems) == 1:  # with several, a guide that does not fit one of them says so in its row
                    guides = own_guides(guides, problem, config)
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
        failures=tuple(one.failure() for one in registry.broken),
        sections=registry.sections,
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
