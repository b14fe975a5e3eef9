"""A fit that keeps within the budget of the run: what it may spend, and what is left out for it."""

from __future__ import annotations

from typing import NamedTuple

from guidebench.engine.allowance import Meter, fitted, for_training
from guidebench.engine.fit.case import Case


class Limited(NamedTuple):
    """A case whose recipe is cut to what it may spend, what that leaves out, and whether nothing is left of it."""

    case: Case
    left_out: tuple[str, ...] = ()
    unless_settled: tuple[str, ...] = ()
    nothing: bool = False


def limited(case: Case) -> Limited:
    """Return how a guide is trained within the budget of the run, where there is one.

    Gradients cut the recipe before it begins; seconds end its training as they pass.  What a method of a guide's own
    takes is not known before, so that only its time can be told.
    """
    budget = case.config.allowance
    if budget is None:
        return Limited(case)
    share = for_training(budget, case.prepared.record.work, case.sharing)
    case = case._replace(meter=Meter(budget, share))
    if share <= 0:
        return Limited(case, (f"not trained: {budget.spent}",), nothing=True)
    if budget.timed or case.declaration.fit is not None:
        return Limited(case)
    most = int(share)
    if (minibatches := case.prepared.minibatches) is not None:  # a gradient on a part of the data is a part of one
        size, part = minibatches.plates[minibatches.main]
        most = int(share) * size // part
    found = fitted(case.recipe, most, budget.spent)
    if found.recipe is None:
        return Limited(case, found.left_out, nothing=True)
    settings = case.settings._replace(recipe=found.recipe)
    return Limited(case._replace(settings=settings), found.left_out, found.unless_settled)
