"""Draws by groups of chains as a reference: where groups that began in different places settled in the same one.

In up to 50 dimensions a mixture about their draws has the last word: it weighs what chains only visit.
"""

from __future__ import annotations

import time

import numpy as np

from guidebench.config.seeds import derive
from guidebench.engine.events import PhaseBegan
from guidebench.engine.gate import Reference
from guidebench.engine.mixed import reference_of
from guidebench.engine.searching import NOWHERE, Asked, Posterior, no_density, posterior
from guidebench.engine.worth import effective
from guidebench.inference.chains.groups import Groups, run_groups
from guidebench.inference.chains.moves import CHAINS, Moves
from guidebench.inference.mixture import MOST_REPEATED, witness
from guidebench.inference.pointwise import Pointwise
from guidebench.plugins.isolation.failures import reason

LABEL = "chains"

#: Gradients of each group, at most.
BUDGET = 400_000

#: Numbers that the draws of all chains may hold.
MOST_NUMBERS = 40_000_000


def by_chains(asked: Asked) -> Reference | str:
    """Return draws by groups of chains, used for nothing where they fail their checks, or why there are none."""
    obstacle = no_density(asked.problem)
    if obstacle is None and asked.by_itself and asked.bench.in_blocks:
        obstacle = f"they take long on {asked.problem.arguments.size():,} numbers of data"
    if obstacle is not None:
        return obstacle
    began = time.perf_counter()
    name = asked.problem.problem.name
    asked.tell(PhaseBegan(name, "reference", LABEL))
    try:
        if (search := posterior(asked)) is None:
            return NOWHERE
        moves = asked.bench.moves if search.target is asked.bench.target else Moves(search.target, search.values)
        groups = run_groups(moves, search.landscape, derive(0, name, LABEL), BUDGET)
    except Exception as error:  # noqa: BLE001 - guides can be trained on what this fails on
        return reason(error)
    if groups.failure:
        return Reference(note=f"Chains are used for nothing: {groups.failure}.")
    if search.target.dim <= MOST_REPEATED:
        return _weighed(name, search, groups, began)
    return _reference(groups, time.perf_counter() - began)


def _weighed(name: str, search: Posterior, groups: Groups, began: float) -> Reference:
    """Return the mixture about the draws of the chains where it is accepted, else the chains."""
    draws = np.concatenate([one.points for one in groups.found])
    found = witness(Pointwise(search.target, search.values), search.landscape, derive(0, name, "mixture"), draws)
    if found.accepted:
        return reference_of(found, search.landscape, time.perf_counter() - began)
    return _reference(groups, time.perf_counter() - began)


def _reference(groups: Groups, seconds: float) -> Reference:
    count, found = len(groups.found), groups.found
    latents = {name: np.concatenate([one.latents[name] for one in found]) for name in found[0].latents}
    length = min(one.latents[name].shape[1] for one in found for name in one.latents)
    return Reference(
        label=LABEL,
        chains=latents,
        effective=effective(latents),
        checks={"chains": float(count * CHAINS), "draws": float(count * CHAINS * length)},
        note=(
            f"{LABEL}: {count} groups of {CHAINS} chains from different places settled in the same one after "
            f"{groups.gradients:,} gradients, in {seconds:.1f} s."
        ),
    )
