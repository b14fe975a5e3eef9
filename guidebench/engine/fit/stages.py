"""A fit from its first stage to its draws; what a plugin does wrong ends its own fit, and nobody else's."""

from __future__ import annotations

from dataclasses import replace

from guidebench.engine.fit import own_method
from guidebench.engine.fit.case import Case, blank
from guidebench.engine.fit.choose import choose
from guidebench.engine.fit.draw import Drawn, draw
from guidebench.engine.fit.in_flow import may_be_a_flow
from guidebench.engine.fit.refresh import budget_of_judging
from guidebench.engine.fit.train import Trained, train_guide
from guidebench.engine.fit.within import limited
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.failures import Failure
from guidebench.results import Fit, Status


def fit_guide(case: Case) -> Drawn | Fit:
    """Train one guide, choose among its restarts, and draw from the best.

    Where the run has a budget, training keeps within its part of it.

    Returns
    -------
    Drawn or Fit
        What is to be judged and scored; or the fit as it ended before there was anything to judge.
    """
    case, left_out, unless_settled, nothing = limited(case)
    empty = replace(blank(case.prepared.problem.name, case.guide), left_out=left_out)
    with case.boundary("supports") as at:
        refusal = _refusal(case)
        if refusal:
            return replace(empty, status=Status.UNSUPPORTED, message=refusal, reason=f"Not possible here: {refusal}.")
        if nothing:
            return replace(empty, message=left_out[0], reason=f"It was {left_out[0]}.")
        at.begin("train")
        case.phase("training")
        trained = train_guide(case, at)
        fit = _after_training(case, empty, trained)
        case.ended("training", trained.work)
        if not trained.usable:
            return _diverged(fit, trained, at)
        at.begin("draw")
        case.phase("drawing")
        chosen = choose(case, trained, at)
        drawn = draw(case, fit, trained, chosen, at)
        case.ended("scoring", drawn.fit.work["scoring"])
        if case.meter.limited:
            return drawn if drawn.fit.status is Status.CONVERGED else drawn.leaving_out(unless_settled)
        most = budget_of_judging(case, trained.training)
        params = chosen.params if may_be_a_flow(case, trained) else None
        return replace(drawn, to_score=drawn.to_score._replace(most=most, params=params))
    assert at.failure is not None  # for every other way out returns
    return failed(empty, at.failure)


def failed(empty: Fit, failure: Failure) -> Fit:
    """Return a fit that a failure has ended, its guide's or another's."""
    reason = f"The guide of {failure.distribution} failed in phase {failure.phase!r}."
    if failure.distribution != empty.plugin:
        reason = f"It was ended in phase {failure.phase!r} by what belongs to {failure.owner}."
    return replace(
        empty,
        message=f"{failure.phase}: {failure.message}",
        reason=reason,
        failures=(failure,),
    )


def _refusal(case: Case) -> str | None:
    declaration, prepared = case.declaration, case.prepared
    reason = prepared.refusal or (declaration.supports(prepared.structure) if declaration.supports else None)
    reason = reason or (own_method.refusal(prepared) if declaration.fit else None)
    if reason is not None and not isinstance(reason, str):
        raise TypeError(f"supports must return a reason or None, not {reason!r}")
    return reason


def _after_training(case: Case, empty: Fit, trained: Trained) -> Fit:
    training = trained.training
    return replace(
        empty,
        coordinates=trained.frame.kind,
        rounds=training.rounds,
        steps=sum(training.rounds),
        iterations=training.rounds[0] if training.endings else 0,
        stopped=trained.stopped,
        compile_s=training.compile_s,
        train_s=training.train_s,
        work={} if trained.work is None else {"training": trained.work},
        left_out=(*empty.left_out, *trained.left_out),
    )


def _diverged(fit: Fit, trained: Trained, at: Boundary) -> Fit:
    message = f"the loss or the parameters were not finite in any of {len(trained.restarts)} starts"
    message = "; ".join([message, *own_method.said(trained.training, 0)])
    return replace(
        fit,
        status=Status.DIVERGED,
        restarts=trained.restarts,
        message=message,
        reason=f"Training failed: {message}.",
        failures=(at.fail(message),),
    )
