"""Judging within a budget: chains from the draws of one guide after the other, the best first, while there is any left.

Without a budget every fit is judged by itself when it is scored, and nothing of this is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from guidebench.config.budget import Budget
from guidebench.engine.allowance import Meter, spent
from guidebench.engine.events import Tell
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.draw import Drawn, Judged, Refreshed
from guidebench.engine.fit.refresh import of_steps, refresh
from guidebench.engine.request import Settings
from guidebench.engine.workbench import Workbench
from guidebench.inference.chains.run import LEAST
from guidebench.request.selection import ChosenGuide
from guidebench.results import Chaining, Fit


class JudgedAll(NamedTuple):
    """What chains from the draws of the guides came to, by guide; and what is left of the budget, in its unit."""

    found: Mapping[str, Judged]
    left: float


def not_judged(how: str) -> JudgedAll:
    """Return what stands in for chains whose process died."""
    del how  # the fits are as sound as without chains
    return JudgedAll({}, 0.0)


def judge_all(
    bench: Workbench,
    guides: Sequence[ChosenGuide],
    fits: Sequence[Drawn | Fit | None],
    settings: Settings,
    tell: Tell,
) -> JudgedAll:
    """Run chains from the draws of guides as far as the budget goes.

    Parameters
    ----------
    bench : Workbench
        The problem, and its programs.
    guides, fits : sequence
        The guides, and what has become of each: nothing where its process died.
    settings : Settings
        Of the run, with the recipe as it would be without a budget.
    tell : callable
        Is told what happens.
    """
    budget = settings.config.allowance
    assert budget is not None
    meter = Meter(budget, budget.amount - _before(budget, bench, fits))
    drawn = [(guide, fit) for guide, fit in zip(guides, fits, strict=True) if isinstance(fit, Drawn)]
    found: dict[str, Judged] = {}
    for guide, fit in sorted(drawn, key=lambda one: -_elbo(one[1])):
        case = Case(bench, guide, settings, tell, meter)
        refreshed = _judge(case, fit)
        if refreshed is not None:
            found[guide.label] = Judged.of(refreshed)
            if refreshed.work is not None:
                meter.charge(refreshed.work)
    return JudgedAll(found, meter.left())


def _before(budget: Budget, bench: Workbench, fits: Sequence[Drawn | Fit | None]) -> float:
    """Return what the search and the training of all guides took."""
    own = [one.fit if isinstance(one, Drawn) else one for one in fits if one is not None]
    return spent(budget, bench.prepared.record.work) + sum(spent(budget, one.work) for one in own)


def _elbo(drawn: Drawn) -> float:
    found = drawn.fit.restarts[drawn.fit.best].elbo
    return -math.inf if found is None or math.isnan(found) else found


def _judge(case: Case, drawn: Drawn) -> Refreshed | None:
    """Return what chains came to, or that nothing was left for them."""
    if case.declaration.bound == "none":
        return None
    wanted = of_steps(case)  # as many as a training that is not cut takes
    most = case.meter.most(wanted)
    if most < min(wanted, LEAST):
        note = f"not judged: {case.meter.said}"
        return Refreshed(Chaining(settled=False, note=note), left_out=(note,))
    found = refresh(case, drawn.to_score, most)
    if found is None or found.work is None or found.chains.settled:
        return found
    if case.meter.over(found.work.gradients) or (most < wanted and found.chains.gradients >= most):
        return found._replace(left_out=(f"its chains were ended: {case.meter.said}",))
    return found
