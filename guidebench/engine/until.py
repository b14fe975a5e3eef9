"""The short way to draws that can be used: from the cheapest to the dearest, until some can be stood behind.

A mixture about what the search found comes first, which trains nothing; then the guides, each trained, judged and
repaired as in any run; and NUTS last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from guidebench.analysis.together import together
from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.engine.collect import assembled
from guidebench.engine.consumers import Remarking, Showing, Warn
from guidebench.engine.events import Event, FitFinished, ProblemBegan, RunBegan, Tell
from guidebench.engine.fit.draw import Drawn
from guidebench.engine.gate import Reference
from guidebench.engine.keys import environment
from guidebench.engine.keys.origin import prints
from guidebench.engine.mixed import by_mixture
from guidebench.engine.perform import perform
from guidebench.engine.plan import FitNodes
from guidebench.engine.prepared import PreparedProblem
from guidebench.engine.progress import Progress, Silent
from guidebench.engine.recipe import recipe_of
from guidebench.engine.references import Referenced
from guidebench.engine.request import Request, Settings
from guidebench.engine.sampled import LABEL as NUTS
from guidebench.engine.sampled import SETTINGS, labelled
from guidebench.engine.searching import Asked
from guidebench.engine.tasks import FitGuide, Last, PrepareProblem, SampleReference, ScoreFit
from guidebench.engine.workbench import WORKBENCHES
from guidebench.inference.device import precision
from guidebench.plugins.isolation.state import restored
from guidebench.request.declared import quantities
from guidebench.request.selection import ChosenGuide
from guidebench.results import Comparison, Fit, ProblemRecord, Verdict
from guidebench.results.inference_data import InferenceData
from guidebench.results.work import total


@dataclass(frozen=True, kw_only=True)
class _Mixture:
    """Make a mixture about what the search found, where one can be made."""

    settings: Settings

    def run(self, inputs: tuple[PreparedProblem], tell: Tell) -> Referenced:
        """Return it, or why there is none."""
        with restored():
            made = by_mixture(Asked(bench=WORKBENCHES.of(inputs[0]), settings=self.settings, tell=tell))
        if isinstance(made, str):
            return Referenced(Reference(note=f"A mixture cannot be made here: {made}."), {})
        return Referenced(made, {}, made.work)


def check(request: Request) -> None:
    """Raise a RequestError where what is asked for does not go with climbing from draws to dearer ones."""
    config = request.config
    if config.reference != "auto" or request.given is not None:
        raise RequestError("it has references of its own, a mixture first and NUTS last", option="until")
    if config.budget is not None or config.simulations is not None:
        other = "budget" if config.budget is not None else "simulations"
        raise RequestError(
            f"it does not go with {RequestError.opt(other)}, which is for runs of all guides", option="until"
        )


def cheapest_first(guides: Sequence[ChosenGuide]) -> list[ChosenGuide]:
    """Return the guides that have draws, from cheap to dear: points made Gaussian, then by how rich their family is."""

    def rank(one: ChosenGuide) -> int:
        if one.declaration.draw is not None or one.declaration.fit is not None:
            return 0
        return 2 if one.declaration.family == "affine" else 1

    return sorted((one for one in guides if one.declaration.bound != "none"), key=rank)


def until_trusted(request: Request, *, progress: Progress | None = None, warn: Warn | None = None) -> Comparison:
    """Return the comparison of as many guides as it took to have draws of every problem that can be used.

    How they were won, and what they cost beside NUTS, is the last of the notes of each problem.

    Parameters
    ----------
    request : Request
        What is asked for.
    progress : Progress, optional
        Is told what happens.
    warn : callable, optional
        As for :func:`guidebench.engine.run.compare`.

    Raises
    ------
    RequestError
        Where the request is wrong.
    """
    check(request)
    consumers: list[Callable[[Event], None]] = [Showing(progress or Silent())]
    consumers += [] if warn is None else [Remarking(warn)]

    def tell(event: Event) -> None:
        for consumer in consumers:
            consumer(event)

    guides, won = cheapest_first(request.guides), []
    with restored(), precision.chosen(request.config.x64):
        settings = Settings(request.config, recipe_of(request.config), request.alone)
        tell(RunBegan(len(request.problems) * len(guides), len(request.problems)))
        try:
            for number, problem in enumerate(request.problems, 1):
                tell(ProblemBegan(number, problem.name))
                won.append(_climb(problem, guides, request, settings, tell))
        finally:
            WORKBENCHES.clear()
    return Comparison(
        name=request.name,
        problems=tuple(one.record for one in won),
        fits=tuple(fit for one in won for fit in together(list(one.fits))),
        recipe=settings.recipe.describe(),
        config=request.config.saved(),
        environment=environment.describe(),
        references={one.record.name: one.reference for one in won if one.reference is not None},
        failures=tuple(one.failure() for one in request.registry.broken),
        quantities=quantities(request.registry),
    )


@dataclass(frozen=True)
class _Won:
    record: ProblemRecord
    fits: tuple[Fit, ...]
    reference: InferenceData | None


def _climb(problem: Problem, guides: Sequence[ChosenGuide], request: Request, settings: Settings, tell: Tell) -> _Won:
    began = time.perf_counter()
    prepared: PreparedProblem = perform(PrepareProblem(problem=problem, settings=settings), (), tell)
    record = replace(prepared.record, fingerprints=prints(problem))
    referenced: Referenced = perform(_Mixture(settings=settings), (prepared,), tell)
    record = referenced.described(record)
    fits: list[Fit] = []
    if not referenced.reference.label and prepared.refusal is None:
        for fit in _fitted(prepared, guides, request, settings, tell):
            tell(FitFinished(fit))
            fits.append(fit)
            if fit.verdict.usable:
                break
        else:
            nuts = settings._replace(config=settings.config.model_copy(update={"reference": "nuts"}))
            referenced = _sampled(prepared, nuts, tell)
            record = referenced.described(record)
    reference = referenced.reference
    data = labelled(reference.chains, prepared.structure) if reference.label else None
    said = _said(record, fits, time.perf_counter() - began)
    return _Won(replace(record, notes=(*record.notes, said)), tuple(fits), data)


def _sampled(prepared: PreparedProblem, settings: Settings, tell: Tell) -> Referenced:
    try:
        found: Referenced = perform(SampleReference(settings=settings), (prepared,), tell)
    except RequestError as error:
        return Referenced(Reference(note=f"NUTS cannot run here: {error.text}."), {})
    return found


def _fitted(
    prepared: PreparedProblem,
    guides: Sequence[ChosenGuide],
    request: Request,
    settings: Settings,
    tell: Tell,
) -> Iterator[Fit]:
    """Yield the fit of one guide after the other, as a run makes it."""
    for guide in guides:
        drawn: Drawn | Last = perform(FitGuide(guide=guide, settings=settings), (prepared,), tell)
        if isinstance(drawn, Last):
            yield drawn.value
            continue
        scoring: Any = ScoreFit(guide=guide, settings=settings, metrics=request.registry.metrics)
        scored = perform(scoring, (drawn.to_score, Reference(), prepared), tell)
        yield assembled(drawn, scored, FitNodes(guide, "", ""), None)


def _said(record: ProblemRecord, fits: Sequence[Fit], seconds: float) -> str:
    """Return how draws were won and what they cost beside NUTS, in a sentence or two."""
    gradients = total([*record.work.values(), *(one for fit in fits for one in fit.work.values())]).gradients
    cost = f"{gradients:,} gradient{'s' * (gradients != 1)} and {seconds:.1f} s"
    usable = [fit for fit in fits if fit.verdict.usable]
    if usable:
        fit = usable[-1]
        how = {
            Verdict.TRUST: f"by {fit.guide}, as they are",
            Verdict.REFRESH: f"by the chains that began at {fit.guide}",
            Verdict.REWEIGHT: f"by {fit.guide}, with its weights",
        }[fit.verdict]
    elif record.reference:
        how = "by NUTS" if record.reference == NUTS else "by the mixture, without training anything"
    else:
        return f"No draws that can be used were found, after {cost}."
    tried = f", after {len(fits) - 1} guide{'s' * (len(fits) > 2)} that did not do" if usable and len(fits) > 1 else ""
    transitions = SETTINGS.chains * (SETTINGS.warmup + SETTINGS.draws)
    nuts = (
        ""
        if record.reference == NUTS
        else f"; NUTS would take {transitions:,} trajectories ({SETTINGS.chains} x ({SETTINGS.warmup:,} + "
        f"{SETTINGS.draws:,})), of at least three gradients each and mostly of 7 to 31"
    )
    return f"Draws were won {how}{tried}, at {cost}{nuts}."
