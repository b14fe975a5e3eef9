"""Guides of the user's own, checked against the model before anything is searched, compiled or trained."""

from __future__ import annotations

from typing import Any

from numpyro.infer.autoguide import AutoGuide
from numpyro.infer.initialization import init_to_feasible

from guidebench.config import RunConfig
from guidebench.config.errors import RequestError
from guidebench.contracts import Bound, Problem
from guidebench.engine.minibatches import Inspected, inspect_problem
from guidebench.inference.guide_sites import disagreement, is_point
from guidebench.plugins.isolation.failures import reason, said
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.isolation.time_limit import OutOfTime, TimeLimit
from guidebench.request.selection import ChosenGuide


def checked(guide: ChosenGuide, problem: Problem, config: RunConfig) -> Bound:
    """Check a guide of the user's own; return its bound, which is ``none`` where nothing in it is random.

    One that cannot be checked in time is left to its fit, which will say so.  Guides that plugins brought are never
    checked in this way: what is wrong with one is recorded in its row.

    Raises
    ------
    RequestError
        Where the guide cannot be one for this model, or the model does not run.
    """
    try:
        with restored(), TimeLimit(config.time_limit):
            inspected = inspect_problem(problem, config.minibatch)
            if inspected.structure.unsupported():
                return guide.declaration.bound  # which every row says
            return _checked(guide, inspected)
    except OutOfTime:
        return guide.declaration.bound


def _checked(guide: ChosenGuide, inspected: Inspected) -> Bound:
    declaration = guide.declaration
    model, arguments = inspected.problem.model, inspected.arguments
    where = f"guide {guide.label!r} on {inspected.problem.name}"
    try:
        built = _build(guide, model)
    except (Exception, SystemExit) as error:
        told = said(error) if isinstance(error, RequestError) else f"it cannot be built: {reason(error)}"
        raise RequestError(f"{where}: {told}") from error
    if not callable(built):
        raise RequestError(f"{where}: its build returns {type(built).__name__}, not a guide")
    if isinstance(built, AutoGuide) or declaration.family != "none":
        return declaration.bound  # these make their sites from whatever model they are given
    # A part of the data at a time: the guide draws its own sites for that part.
    wrong = disagreement(built, model, arguments, inspected.structure, in_parts=inspected.minibatches is not None)
    if wrong:
        raise RequestError(f"{where}: {wrong}")
    if declaration.bound == "none" or not is_point(built, model, arguments):
        return declaration.bound
    return "none"


def _build(guide: ChosenGuide, model: Any) -> Any:
    reserved = {"init_loc_fn": init_to_feasible} if guide.declaration.wants_start() else {}
    return guide.declaration.build(model, **guide.declaration.options_for("build", guide.options), **reserved)
