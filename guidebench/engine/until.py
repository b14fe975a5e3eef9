"""The short way to draws that can be used: from the cheapest to the dearest, until some can be stood behind.

First come draws that are made of what a search found, without training: by a mixture about it, and by groups of
chains that begin at it.  Then come NUTS and the guides, each trained, judged and repaired as in any run.  NUTS is the
last but where groups of chains were run and did not settle: chains from the draws of a guide begin much as those did,
so that the guides, of which only a flow goes beyond that, come after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from guidebench.analysis.together import together
from guidebench.analysis.usable import spent
from guidebench.config.errors import RequestError
from guidebench.contracts import Metric, Problem
from guidebench.engine.chained import LABEL as CHAINS
from guidebench.engine.collect import assembled
from guidebench.engine.consumers import Remarking, Showing, Warn
from guidebench.engine.events import Event, FitFinished, ProblemBegan, RunBegan, Tell
from guidebench.engine.fit.draw import Drawn
from guidebench.engine.fit.score import Scored
from guidebench.engine.gate import MIXTURE, Reference
from guidebench.engine.keys import environment
from guidebench.engine.keys.origin import prints
from guidebench.engine.perform import perform
from guidebench.engine.plan import FitNodes
from guidebench.engine.prepared import PreparedProblem
from guidebench.engine.progress import Progress, Silent
from guidebench.engine.recipe import recipe_of
from guidebench.engine.references import LADDER, Referenced, Rung, first_of
from guidebench.engine.request import Request, Settings
from guidebench.engine.sampled import LABEL as NUTS
from guidebench.engine.sampled import SETTINGS, labelled
from guidebench.engine.searching import Asked
from guidebench.engine.tasks import FitGuide, Last, PrepareProblem, ScoreFit
from guidebench.engine.workbench import WORKBENCHES
from guidebench.inference.chains.moves import MOST_DENSE
from guidebench.inference.device import precision
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.registry import Registered
from guidebench.request.declared import quantities
from guidebench.request.selection import ChosenGuide
from guidebench.results import Comparison, Fit, ProblemRecord, Verdict
from guidebench.results.inference_data import InferenceData
from guidebench.results.work import merged

#: Trajectories of NUTS in its first round.
TRAJECTORIES = SETTINGS.chains * (SETTINGS.warmup + SETTINGS.draws)

#: Gradients of a group of chains, and of those of a Gaussian guide after them, at most, in as many coordinates as are
#: whitened by a full matrix: what NUTS takes with paths of 15 steps, so that what fails costs no more than what comes
#: next.
AS_NUTS = 15 * TRAJECTORIES

#: Draws that take neither training nor NUTS, and the rest.
QUICK, SLOW = (tuple(one for one in LADDER if one.quick is quick) for quick in (True, False))


@dataclass(frozen=True, kw_only=True)
class _Climb:
    """Make draws of the first of these kinds that pass their checks."""

    rungs: tuple[Rung, ...]
    settings: Settings

    def run(self, inputs: tuple[PreparedProblem], tell: Tell) -> Referenced:
        """Return them, or why there are none."""
        (prepared,) = inputs
        of_group = AS_NUTS if prepared.structure.latent_dim <= MOST_DENSE else None
        with restored():
            bench = WORKBENCHES.of(prepared)
            return first_of(Asked(bench=bench, settings=self.settings, tell=tell, of_group=of_group), self.rungs)


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
        way = _Way(guides=guides, metrics=request.registry.metrics, settings=settings, tell=tell)
        tell(RunBegan(len(request.problems) * len(guides), len(request.problems)))
        try:
            for number, problem in enumerate(request.problems, 1):
                tell(ProblemBegan(number, problem.name))
                won.append(way.climb(problem))
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


@dataclass(frozen=True, kw_only=True)
class _Way:
    """The way from a problem to draws: guides in the order in which they are tried, and how everything is done."""

    guides: Sequence[ChosenGuide]
    metrics: tuple[Registered[Metric], ...]
    settings: Settings
    tell: Tell

    def climb(self, problem: Problem) -> _Won:
        """Return the first draws that can be used, and what was tried before them."""
        began = time.perf_counter()
        prepared: PreparedProblem = perform(PrepareProblem(problem=problem, settings=self.settings), (), self.tell)
        found: Referenced = perform(_Climb(rungs=QUICK, settings=self.settings), (prepared,), self.tell)
        fits: list[Fit] = []
        if prepared.refusal is None and not _over(found):
            if CHAINS in found.work:
                found = self.by_nuts(prepared, found)
                fits += [] if _over(found) else self.by_guides(prepared, found.reference, as_nuts=True)
            else:
                fits += self.by_guides(prepared, found.reference)
                found = found if fits and fits[-1].verdict.usable else self.by_nuts(prepared, found)
        record = found.described(replace(prepared.record, fingerprints=prints(problem)))
        reference = found.reference
        data = labelled(reference.chains, prepared.structure, prepared.coords()) if reference.label else None
        said = _said(record, fits, time.perf_counter() - began)
        return _Won(replace(record, notes=(*record.notes, said)), tuple(fits), data)

    def by_nuts(self, prepared: PreparedProblem, before: Referenced) -> Referenced:
        """Return draws by NUTS, with what was said of those that came before."""
        # By name, for on much data a run that chooses by itself leaves it out.
        named = self.settings._replace(config=self.settings.config.model_copy(update={"reference": "nuts"}))
        found: Referenced = perform(_Climb(rungs=SLOW, settings=named), (prepared,), self.tell)
        note = " ".join(filter(None, (before.reference.note, found.reference.note)))
        return found._replace(reference=replace(found.reference, note=note), work=merged(before.work, found.work))

    def by_guides(self, prepared: PreparedProblem, reference: Reference, *, as_nuts: bool = False) -> Iterator[Fit]:
        """Yield the fits of guides, as a run makes them, up to the first whose draws can be used.

        Judging one that is no flow may be held to what NUTS takes.
        """
        for guide in self.guides:
            fit = self._fitted(guide, prepared, reference, as_nuts=as_nuts)
            self.tell(FitFinished(fit))
            yield fit
            if fit.verdict.usable:
                return

    def _fitted(self, guide: ChosenGuide, prepared: PreparedProblem, reference: Reference, *, as_nuts: bool) -> Fit:
        drawn: Drawn | Last = perform(FitGuide(guide=guide, settings=self.settings), (prepared,), self.tell)
        if isinstance(drawn, Last):
            ended: Fit = drawn.value
            return ended
        to_score = drawn.to_score
        if as_nuts and to_score.params is None:
            to_score = to_score._replace(most=min(to_score.most, AS_NUTS))
        scoring = ScoreFit(guide=guide, settings=self.settings, metrics=self.metrics)
        scored: Scored = perform(scoring, (to_score, reference, prepared), self.tell)
        return assembled(drawn, scored, FitNodes(guide, "", ""), None, prepared.named)


def _over(found: Referenced) -> bool:
    """Return whether there is nothing left to do: there are draws, or two kinds of them contradict each other."""
    return bool(found.reference.label) or found.reference.disagreement is not None


#: How draws that no guide has a part in were won.
_HOW = {
    MIXTURE: "by the mixture, without training anything",
    CHAINS: "by groups of chains from what the search found, without training anything",
    NUTS: "by NUTS",
}


def _said(record: ProblemRecord, fits: Sequence[Fit], seconds: float) -> str:
    """Return how draws were won and what they cost beside NUTS, in a sentence or two."""
    gradients = spent(record, fits).gradients
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
        how = _HOW[record.reference]
    else:
        return f"No draws that can be used were found, after {cost}."
    tried = f", after {len(fits) - 1} guide{'s' * (len(fits) > 2)} that did not do" if usable and len(fits) > 1 else ""
    nuts = (
        ""
        if record.reference == NUTS
        else f"; NUTS would take {TRAJECTORIES:,} trajectories ({SETTINGS.chains} x ({SETTINGS.warmup:,} + "
        f"{SETTINGS.draws:,})), of at least three gradients each and mostly of 7 to 31"
    )
    return f"Draws were won {how}{tried}, at {cost}{nuts}."
