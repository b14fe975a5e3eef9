"""The stage of a fit that puts its draws to the test: chains that begin at them, and stay or leave.

They are run for as many gradients as training took, at most; where that does not suffice the verdict says so.  On data
that training saw in parts a gradient of the chains counts for as many as it is worth.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from guidebench.config.seeds import derive
from guidebench.engine import datasets
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.draw import Drawn
from guidebench.engine.worth import effective
from guidebench.inference.chains.moves import BLOCK, CHAINS
from guidebench.inference.chains.run import FIRST, Settled, run_chains
from guidebench.inference.train import Training
from guidebench.plugins.isolation.failures import reason
from guidebench.results import Chaining

#: Leapfrog steps of a transition, at least: for fewer gradients no program is compiled.
FEWEST_STEPS = 4


def refresh(case: Case, drawn: Drawn, training: Training) -> Drawn:
    """Return a fit with what chains from its draws came to.

    Parameters
    ----------
    case : Case
        The guide on its problem.
    drawn : Drawn
        Its draws.
    training : Training
        How it was trained, or found its parameters by itself.
    """
    if case.declaration.bound == "none":
        return drawn
    budget = budget_of_judging(case, training)
    obstacle = _obstacle(case, budget)
    if obstacle:
        return _with(drawn, Chaining(settled=False, note=obstacle))
    began = time.perf_counter()
    case.phase("running chains from its draws")
    try:
        found = _run(case, drawn, budget)
    except Exception as error:  # noqa: BLE001 - the fit is sound, whatever chains fail on
        return _with(drawn, Chaining(settled=False, note=reason(error)))
    seconds = time.perf_counter() - began
    chained = _with(drawn, _told(found))
    if found.settled:
        chained = _with_draws(case, chained, found)
    return replace(chained, fit=replace(chained.fit, evaluate_s=(chained.fit.evaluate_s or 0) + seconds))


def budget_of_judging(case: Case, training: Training) -> int:
    """Return how many gradients on all data training by steps takes; any other counts as one round of it.

    Training that ends early must not be judged by less.
    """
    steps = 0 if training.endings else sum(training.rounds)
    found = (steps or case.recipe.steps) * case.recipe.particles * case.recipe.restarts
    minibatches = case.prepared.minibatches
    if minibatches is None:
        return found
    size, part = minibatches.plates[minibatches.main][:2]
    return found * part // max(size, 1)


def _obstacle(case: Case, budget: int) -> str:
    """Return why no chains can be run, or nothing."""
    if case.bench.target is None:
        if case.prepared.structure.params:
            return "the model has parameters of its own, so its posterior is another one for every guide"
        return "this recipe does not look at the posterior itself"
    least = FIRST * BLOCK * CHAINS * FEWEST_STEPS
    if budget < least:
        return f"training took {budget:,} gradients on all data, and chains take {least:,} at least"
    return ""


def _run(case: Case, drawn: Drawn, budget: int) -> Settled:
    """Run chains from the draws of which all coordinates are finite."""
    points = case.bench.unconstrain(drawn.to_score.evidence.latents)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < CHAINS // 2:
        raise ValueError("hardly any of its draws is inside the support")

    return run_chains(case.bench.moves, points, derive(case.config.seed, *case.names, "chains"), budget)


def _told(found: Settled) -> Chaining:
    return Chaining(
        settled=found.settled,
        note=found.note,
        chains=CHAINS,
        transitions=found.transitions,
        gradients=found.gradients,
        acceptance=found.acceptance,
        remembered=found.remembered,
        drift=found.drift,
    )


def _with(drawn: Drawn, chains: Chaining) -> Drawn:
    return replace(drawn, to_score=drawn.to_score._replace(chains=chains))


def _with_draws(case: Case, drawn: Drawn, found: Settled) -> Drawn:
    """Return a fit with the draws of settled chains beside its own."""
    sites = {site.name: site for site in case.prepared.structure.latents}
    draws = {name: value.reshape(-1, *value.shape[2:]) for name, value in found.latents.items()}
    evidence = replace(drawn.to_score.evidence, refreshed=draws, refreshed_ess=effective(found.latents))
    return replace(
        drawn,
        to_score=drawn.to_score._replace(evidence=evidence),
        groups={**drawn.groups, "refreshed": datasets.of_draws(draws, sites)},
    )
