"""What the guides are measured against: exact draws, those that come with a problem, made ones, or the user's own.

Draws are made from cheap to dear, until some pass their checks: by a mixture, by groups of chains, and by NUTS.  A
reference that fails its checks is named in the record with the reason, and used for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from guidebench.config.errors import RequestError
from guidebench.config.seeds import derive
from guidebench.config.settings import RunConfig
from guidebench.contracts import ReferenceDraws
from guidebench.engine.allowance import Meter
from guidebench.engine.chained import by_chains
from guidebench.engine.disagreeing import disagreement, neither, unvisited
from guidebench.engine.events import PhaseEnded, Tell
from guidebench.engine.features import features
from guidebench.engine.gate import Reference, judge, used
from guidebench.engine.given import Given, arrange, read
from guidebench.engine.lost import TaskLostError
from guidebench.engine.mixed import by_mixture
from guidebench.engine.prepared import PreparedProblem
from guidebench.engine.request import Settings
from guidebench.engine.sampled import LABEL as NUTS
from guidebench.engine.sampled import SETTINGS, by_nuts
from guidebench.engine.searching import Asked
from guidebench.engine.workbench import Workbench
from guidebench.inference.mixture import MOST_REPEATED
from guidebench.inference.structure import ModelStructure
from guidebench.plugins.isolation.time_limit import OutOfTime, TimeLimit, told
from guidebench.results import ProblemRecord, Work
from guidebench.results.work import merged, total

#: Gradients of training from which on it is worth a witness to judge by.
WORTH_JUDGING = 100_000

#: Draws from an exact posterior: enough that its own noise hardly counts.
EXACT_DRAWS = 40_000


class Referenced(NamedTuple):
    """The reference of a problem, the features of its posterior, which are read off it, and what all of it took."""

    reference: Reference
    features: Mapping[str, float]
    work: Mapping[str, Work] = {}

    def described(self, record: ProblemRecord) -> ProblemRecord:
        """Return the record of the problem with what the report needs to know of the reference."""
        return replace(
            record,
            reference=self.reference.label,
            reference_checks=dict(self.reference.checks),
            reference_doubts=self.reference.doubts,
            unchecked=self.reference.unchecked,
            disagreement=self.reference.disagreement,
            reference_note=self.reference.note,
            reference_s=self.reference.seconds,
            features=dict(self.features),
            work=merged(record.work, self.work),
            left_out=self.reference.left_out,
        )


def no_reference(how: str) -> Referenced:
    """Return what stands in for a reference whose process died."""
    return Referenced(Reference(note=f"There is no reference, for it could not be found: {how}."), {})


def find_reference(
    bench: Workbench, settings: Settings, given: Mapping[str, Any] | None, tell: Tell, meter: Meter | None = None
) -> Referenced:
    """Return the reference that a run asks for.

    Parameters
    ----------
    bench : Workbench
        The problem, and its programs.
    settings : Settings
        The configuration says which one; the recipe is that of training.
    given : mapping, optional
        Draws by site that the user gave in place of a file.
    tell : callable
        Is told what happens.
    meter : Meter, optional
        What is left of the budget of the run.

    Raises
    ------
    RequestError
        Where the reference that was asked for cannot be had.
    """
    asked = Asked(bench=bench, settings=settings, tell=tell, meter=meter or Meter())
    found, work = _find(asked, given), dict[str, Work]()
    if not found.label and found.disagreement is None:
        made, witnessing, left_out = _witness(asked)
        found = replace(found, left_out=tuple(dict.fromkeys((*found.left_out, *left_out))))
        if made is not None and made.disagreement is not None:
            found = replace(found, disagreement=made.disagreement, note=" ".join(filter(None, (found.note, made.note))))
        else:
            found = replace(found, witness=made)
        work = {"witness": witnessing} if witnessing != Work() else {}
    return _referenced(asked, found, {**found.work, **work})


def first_of(asked: Asked, rungs: Sequence[Rung]) -> Referenced:
    """Return the first of these kinds of draws that pass their checks, or what was said of all of them."""
    found = _best_of(asked, rungs)
    return _referenced(asked, found, found.work)


def _referenced(asked: Asked, found: Reference, work: Mapping[str, Work]) -> Referenced:
    """Return a reference with the features of its posterior, and what it took with the search that it began with."""
    work = merged({"search": asked.work} if asked.work != Work() else {}, work)
    for phase, one in work.items():
        asked.tell(PhaseEnded(asked.problem.problem.name, "", phase, one))
    return Referenced(found, features(asked.bench, found), work)


def _witness(asked: Asked) -> tuple[Reference | None, Work, tuple[str, ...]]:
    """Return what guides are judged by where there is no reference: what costs little, where training costs more.

    With it comes what was computed, in vain or not, and what the budget did not allow.
    """
    work, left_out = Work(), tuple[str, ...]()
    recipe, dim = asked.settings.recipe, asked.problem.structure.latent_dim
    if recipe.steps * recipe.particles * recipe.restarts < WORTH_JUDGING or not 0 < dim <= MOST_REPEATED:
        return None, work, ()
    if asked.bench.in_blocks or asked.settings.config.reference == "auto":  # all of them have been tried
        return None, work, ()
    for rung in LADDER:
        made = rung.make(asked) if rung.quick else ""
        if isinstance(made, Reference):
            work += total(made.work.values())
            left_out = (*left_out, *made.left_out)
            if made.label or made.disagreement:
                return made, work, ()
    return None, work, left_out


def _find(asked: Asked, given: Mapping[str, Any] | None) -> Reference:
    config, bench = asked.settings.config, asked.bench
    problem, structure = bench.prepared.problem, bench.prepared.structure
    sites = (*structure.latents, *structure.deterministics)
    if given is not None:
        return _in_part("given draws", Given(arrange(given, sites, "reference", partly=True)), structure)
    if config.reference == "none":
        return Reference()
    if config.reference == "exact" or (config.reference == "auto" and problem.reference is not None):
        return _exact(bench.prepared, config)
    if config.reference == "auto" and problem.reference_draws is not None:
        return _made_earlier(bench.prepared, config)
    if config.reference == "auto":
        return _best_of(asked, LADDER)
    for rung in LADDER:
        if rung.name == config.reference:
            return _named(rung, asked)
    file = Path(config.reference)
    return _in_part(file.name, read(file, sites), structure)


class Rung(NamedTuple):
    """A kind of draws that can be made of any posterior: its option, its name in a sentence, and what makes them.

    Those that are made and fail their checks come back without a label, with the reason in their note; a text is the
    reason why none can be made.
    """

    name: str
    title: str
    make: Callable[[Asked], Reference | str]
    quick: bool = True


#: From cheap to dear: the first whose draws pass their checks is taken.
LADDER = (
    Rung("mixture", "a mixture", by_mixture),
    Rung("chains", "chains", by_chains),
    Rung("nuts", "NUTS", by_nuts, quick=False),
)


def _best_of(asked: Asked, rungs: Sequence[Rung]) -> Reference:
    """Return the first reference of a ladder that passes its checks, or the last one with what was said of all."""
    found, refused = Reference(), []
    for rung in rungs:
        made = rung.make(asked)
        if isinstance(made, str):
            found = replace(found, note=f"There is no reference, for {rung.title} cannot run here: {made}.")
            continue
        made = _held(made, asked)
        doubts = tuple(dict.fromkeys((*found.doubts, *made.doubts)))
        left_out = () if made.label else (*found.left_out, *made.left_out)
        found = replace(made, doubts=doubts, work=merged(found.work, made.work), left_out=left_out)
        if found.label or found.disagreement:
            break
        refused.append(made.note)
    notes = (found.note, *(note for note in refused if note != found.note))
    return replace(found, note=" ".join(note for note in notes if note))


def _named(rung: Rung, asked: Asked) -> Reference:
    """Return the kind of reference that was asked for by name."""
    made = rung.make(asked)
    if isinstance(made, str):
        name = asked.problem.problem.name
        raise RequestError(f"problem {name!r}: {made}", option="reference", value=rung.name)
    made = _held(made, asked)
    # What costs little and knows nothing of NUTS is a second opinion.
    second = by_mixture(asked) if made.label == NUTS else ""
    apart = disagreement(made, second) if isinstance(second, Reference) and second.label else None
    return made if apart is None else neither(apart)


def _held(made: Reference, asked: Asked) -> Reference:
    """Return draws of NUTS, or what stands in for them where they contradict what the search found."""
    search = asked.searched
    if made.label != NUTS or search.target is None or search.landscape is None:
        return made
    apart = unvisited(made, search.landscape, search.target, SETTINGS.chains)
    return made if apart is None else neither(apart)


def _exact(prepared: PreparedProblem, config: RunConfig) -> Reference:
    """Return draws from the exact posterior."""
    problem = prepared.problem
    if problem.reference is None:
        raise RequestError(
            f"problem {problem.name!r} cannot draw from its exact posterior; try nuts",
            option="reference",
            value="exact",
        )
    count = max(config.draws, EXACT_DRAWS)
    draws = _in_time(partial(problem.reference, derive(config.seed, problem.name, "reference"), count), config)
    found = {name: np.asarray(value) for name, value in draws.items()}
    for site in prepared.structure.latents:
        if site.name not in found or found[site.name].shape != (count, *site.shape):
            given = found[site.name].shape if site.name in found else "nothing"
            raise RequestError(
                f"problem {problem.name!r}: its reference gives {given} for site {site.name}, "
                f"not draws of shape {(count, *site.shape)}"
            )
    chains = {site.name: found[site.name][None] for site in prepared.structure.latents}
    return Reference(label="exact posterior" if chains else "", chains=chains, checks={"draws": float(count)})


def _in_time(call: Callable[[], Any], config: RunConfig) -> Any:
    """Return what a function of the problem's returns; as lost where that takes longer than it may."""
    try:
        with TimeLimit(config.time_limit):
            return call()
    except OutOfTime:
        assert config.time_limit is not None
        raise TaskLostError(told(config.time_limit)) from None


def _made_earlier(prepared: PreparedProblem, config: RunConfig) -> Reference:
    """Return the draws that come with a problem."""
    problem = prepared.problem
    assert problem.reference_draws is not None
    found = _in_time(problem.reference_draws, config)
    if not isinstance(found, ReferenceDraws):
        raise RequestError(
            f"problem {problem.name!r}: reference_draws must return ReferenceDraws, not {type(found).__name__}"
        )
    where = f"problem {problem.name!r}: its reference draws"
    return _own(found.label, Given(arrange(found.chains, prepared.structure.latents, where), found.divergences))


def _in_part(label: str, given: Given, structure: ModelStructure) -> Reference:
    """Return the user's own draws of some sites, which say what they say nothing of."""
    found = _own(label, given)
    unchecked = tuple(site.name for site in structure.latents if site.name not in given.chains)
    if not found.label or not unchecked:
        return found
    note = f"{label} has no draws of {', '.join(unchecked)}, of which no error is known."
    return replace(found, unchecked=unchecked, note=" ".join(filter(None, (found.note, note))))


def _own(label: str, given: Given) -> Reference:
    """Return the user's own draws: checked where they are chains, and otherwise with a word of caution."""
    found = judge(given.chains, given.divergences)
    if found.checks["chains"] == 1:
        checks = {name: value for name, value in found.checks.items() if name != "rhat"}
        if given.divergences:
            return Reference(checks=checks, note=f"{label} is not used: {found.failure}.")
        note = f"Given by {label}; its convergence was not checked."
        return used(label, given.chains, found._replace(checks=checks), note)
    if found.failure:
        note = f"{label} failed its checks and is used for nothing: {found.failure}.{found.disagreement()}"
        return Reference(checks=found.checks, doubts=found.doubts, note=note)
    note = "" if given.divergences is not None else f"{label} does not say whether transitions diverged."
    return used(label, given.chains, found, note)
