"""The stage of a fit that puts its draws to the test: chains that begin at them, and stay or leave.

They are run for as many gradients as training by steps takes, at most; where that does not suffice the verdict says
so.  On data
that training saw in parts a gradient of the chains counts for as many as it is worth.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from guidebench.config.seeds import derive
from guidebench.engine import datasets
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.draw import Refreshed, ToScore
from guidebench.engine.fit.subset import marked
from guidebench.engine.worth import effective
from guidebench.inference.chains.moves import CHAINS
from guidebench.inference.chains.run import LEAST, Settled, run_chains
from guidebench.inference.train import Training
from guidebench.plugins.isolation.failures import reason
from guidebench.results import Chaining, Work


def refresh(case: Case, drawn: ToScore, most: int) -> Refreshed | None:
    """Return what chains from the draws of a fit come to; ``None`` where there is nothing to begin from.

    Parameters
    ----------
    case : Case
        The guide on its problem.
    drawn : ToScore
        Its draws.
    most : int
        Gradients that the chains may take.
    """
    if case.declaration.bound == "none":
        return None
    obstacle = _obstacle(case, most)
    if obstacle:
        return Refreshed(Chaining(settled=False, note=obstacle))
    began = time.perf_counter()
    case.phase("running chains from its draws")
    try:
        found = _run(case, drawn, most)
    except Exception as error:  # noqa: BLE001 - the fit is sound, whatever chains fail on
        return Refreshed(Chaining(settled=False, note=reason(error)))
    work = replace(found.work, seconds=time.perf_counter() - began)
    case.ended("judging", work)
    return told(case, found, work)


def budget_of_judging(case: Case, training: Training) -> int:
    """Return how many gradients on all data training by steps took, or would take where there was none.

    Training under fixed noise ends early, and is not to be judged by less: it counts as two rounds, where there may be
    as many.  A method of a guide's own counts as one.
    """
    if not training.endings:
        return of_steps(case, sum(training.rounds))
    return of_steps(case, case.recipe.steps * (3 if case.recipe.rounds > 1 else 1))


def of_steps(case: Case, steps: int = 0) -> int:
    """Return how many gradients on all data so many steps from all starts take; those of one round by default."""
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
    if budget < LEAST:
        return f"training took {budget:,} gradients on all data, and chains take {LEAST:,} at least"
    return ""


def _run(case: Case, drawn: ToScore, budget: int) -> Settled:
    """Run chains from the draws of which all coordinates are finite."""
    points = case.bench.unconstrain(drawn.evidence.latents)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < CHAINS // 2:
        raise ValueError("hardly any of its draws is inside the support")

    seed = derive(case.config.seed, *case.names, "chains")
    return run_chains(case.bench.moves, points, seed, budget, case.meter.over)


def told(case: Case, found: Settled, work: Work) -> Refreshed:
    """Return what chains came to as a fit is told of it."""
    chains = Chaining(
        settled=found.settled,
        note=found.note,
        chains=CHAINS,
        transitions=found.transitions,
        gradients=found.gradients,
        acceptance=found.acceptance,
        remembered=found.remembered,
        drift=found.drift,
        unknown=found.unknown,
    )
    if not found.settled:
        return Refreshed(chains, work)
    sites = {site.name: site for site in case.prepared.structure.latents}
    # What is judged is what is kept.
    draws = datasets.fitting({name: value.reshape(-1, *value.shape[2:]) for name, value in found.latents.items()})
    group = marked(datasets.of_draws(draws, sites), draws).assign_attrs(source="chains")
    return Refreshed(chains, work, draws, effective(found.latents), group)
