"""Draws by groups of chains as a reference: where groups that began in different places settled in the same one.

In up to 50 dimensions a mixture about their draws has the last word: it weighs what chains only visit.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from guidebench.config.seeds import derive
from guidebench.engine.disagreeing import disagreement, neither
from guidebench.engine.events import PhaseBegan
from guidebench.engine.gate import MIXTURE, Reference
from guidebench.engine.mixed import reference_of
from guidebench.engine.searching import NOWHERE, Asked, Posterior, no_density, unaffordable
from guidebench.engine.worth import effective
from guidebench.inference.chains.groups import Groups, run_groups
from guidebench.inference.chains.moves import CHAINS, Moves
from guidebench.inference.chains.run import LEAST
from guidebench.inference.mixture import MOST_REPEATED, witness
from guidebench.plugins.isolation.failures import reason
from guidebench.results import Work

LABEL = "chains"

#: Gradients of each group, at most, where nobody says otherwise.
BUDGET = 400_000

#: Of all of them, at least: what two groups take until they may be believed.
OF_TWO = 2 * LEAST


def by_chains(asked: Asked) -> Reference | str:
    """Return draws by groups of chains, used for nothing where they fail their checks, or why there are none."""
    obstacle = no_density(asked.problem)
    if obstacle is None and asked.by_itself and asked.bench.in_blocks:
        obstacle = f"they take long on {asked.problem.arguments.size():,} numbers of data"
    if obstacle is not None:
        return obstacle
    if asked.meter.most(OF_TWO) < OF_TWO:
        return unaffordable("reference by chains", asked.meter)
    began = time.perf_counter()
    name = asked.problem.problem.name
    asked.tell(PhaseBegan(name, "reference", LABEL))
    try:
        if (search := asked.posterior) is None:
            return NOWHERE
        moves = asked.bench.moves if search.target is asked.bench.target else Moves(search.target, search.values)
        seed, most = derive(0, name, LABEL), asked.of_group or BUDGET
        groups = run_groups(
            moves,
            search.landscape,
            seed,
            most,
            lambda work: asked.meter.most(most + work.gradients) - work.gradients,
        )
        asked.meter.charge(groups.work)
        if groups.failure:
            work = {LABEL: replace(groups.work, seconds=time.perf_counter() - began)}
            if asked.meter.over():
                return unaffordable("reference by chains", asked.meter, work, "ended")
            return Reference(note=f"Chains are used for nothing: {groups.failure}.", work=work)
        own, spent = reference_of_groups(groups, time.perf_counter() - began), groups.work
        if search.target.dim <= MOST_REPEATED:
            own, weighing = _weighed(name, search, groups, own, began)
            spent += weighing
        return replace(own, work={LABEL: replace(spent, seconds=time.perf_counter() - began)})
    except Exception as error:  # noqa: BLE001 - guides can be trained on what this fails on
        return reason(error)


def _weighed(name: str, search: Posterior, groups: Groups, own: Reference, began: float) -> tuple[Reference, Work]:
    """Return the mixture about the draws of the chains, or these where its weights are refused.

    Where the weights are good and contradict the chains, neither is taken for the truth.  With it comes what weighing
    computed.
    """
    draws = np.concatenate([one.points for one in groups.found])
    found = witness(search.pointwise, search.landscape, derive(0, name, "mixture"), draws)
    if found.accepted:
        return reference_of(found, search.landscape, time.perf_counter() - began), found.work
    if found.contradicts:
        other = Reference(
            label=MIXTURE, chains={key: value[None] for key, value in found.draws.items()}, effective=found.effective
        )
        apart = disagreement(own, other)
        return own if apart is None else neither(apart), found.work
    return own, found.work


def reference_of_groups(groups: Groups, seconds: float) -> Reference:
    """Return groups of chains that are to be believed as a reference."""
    count, found = len(groups.found), groups.found
    # One group may have run for longer than another: as many of each, the last ones.
    length = min(value.shape[1] for one in found for value in one.latents.values())
    latents = {name: np.concatenate([one.latents[name][:, -length:] for one in found]) for name in found[0].latents}
    return Reference(
        label=LABEL,
        chains=latents,
        effective=effective(latents),
        checks={"chains": float(count * CHAINS), "draws": float(count * CHAINS * length)},
        lends="groups",
        note=(
            f"{LABEL}: {count} groups of {CHAINS} chains from different places settled in the same one after "
            f"{groups.gradients:,} gradients, in {seconds:.1f} s."
        ),
    )
