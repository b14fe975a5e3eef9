"""Guides of the user's own, checked against the model before anything is searched, compiled or trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpyro.infer.autoguide import AutoGuide
from numpyro.infer.initialization import init_to_feasible

from guidebench.config import RunConfig
from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.engine.minibatches import Inspected, inspect_problem
from guidebench.inference.guide_sites import disagreement, is_point
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.isolation.time_limit import OutOfTime, TimeLimit
from guidebench.request.own_guides import YOURS
from guidebench.request.selection import ChosenGuide


def own_guides(guides: Sequence[ChosenGuide], problem: Problem, config: RunConfig) -> tuple[ChosenGuide, ...]:
    """Return the guides, those of the user's own checked; one in which nothing is random becomes a point estimate.

    Those that plugins brought are left alone: what is wrong with one is recorded in its row.

    Raises
    ------
    RequestError
        Where a guide cannot be one for this model, or the model does not run.
    """
    if all(one.registered.distribution != YOURS for one in guides):
        return tuple(guides)
    inspected = inspect_problem(problem, config.minibatch)
    if inspected.structure.unsupported():
        return tuple(guides)  # which every row says
    return tuple(
        _in_time(one, inspected, config.time_limit) if one.registered.distribution == YOURS else one for one in guides
    )


def _in_time(guide: ChosenGuide, inspected: Inspected, time_limit: float | None) -> ChosenGuide:
    """Return the checked guide; one that cannot be checked in time is left to its fit, which will say so."""
    try:
        with restored(), TimeLimit(time_limit):
            return _checked(guide, inspected)
    except OutOfTime:
        return guide


def _checked(guide: ChosenGuide, inspected: Inspected) -> ChosenGuide:
    declaration = guide.declaration
    model, arguments = inspected.problem.model, inspected.arguments
    where = f"guide {guide.label!r} on {inspected.problem.name}"
    try:
        built = _build(guide, model)
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())[:300]
        told = text if isinstance(error, RequestError) else f"it cannot be built: {type(error).__name__}: {text}"
        raise RequestError(f"{where}: {told}") from error
    if not callable(built):
        raise RequestError(f"{where}: its build returns {type(built).__name__}, not a guide")
    if isinstance(built, AutoGuide) or declaration.family != "none":
        return guide  # these make their sites from whatever model they are given
    # A part of the data at a time: the guide draws its own sites for that part.
    wrong = disagreement(built, model, arguments, inspected.structure, in_parts=inspected.minibatches is not None)
    if wrong:
        raise RequestError(f"{where}: {wrong}")
    if declaration.bound == "none" or not is_point(built, model, arguments):
        return guide
    point = replace(declaration, bound="none")
    return replace(guide, registered=replace(guide.registered, declaration=point))


def _build(guide: ChosenGuide, model: Any) -> Any:
    reserved = {"init_loc_fn": init_to_feasible} if guide.declaration.wants_start() else {}
    return guide.declaration.build(model, **guide.declaration.options_for("build", guide.options), **reserved)
