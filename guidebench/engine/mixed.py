"""Draws by importance sampling as a reference: in few dimensions, where the weights pass their checks.

They take a second or two, and are the same in every run: nothing is kept between runs.
"""

from __future__ import annotations

import time
from dataclasses import replace

from guidebench.config.seeds import derive
from guidebench.engine.events import PhaseBegan
from guidebench.engine.gate import MIXTURE as LABEL
from guidebench.engine.gate import Reference
from guidebench.engine.searching import NOWHERE, Asked, no_density, unaffordable
from guidebench.inference.mixture import MOST_DIMENSIONS, witness
from guidebench.inference.modes import Landscape
from guidebench.inference.weighing import Mixture
from guidebench.plugins.isolation.failures import reason


def by_mixture(asked: Asked) -> Reference | str:
    """Return draws by importance sampling, used for nothing where they fail their checks, or why there are none."""
    obstacle = _obstacle(asked)
    if obstacle is not None:
        return obstacle
    if asked.meter.timed and asked.meter.over():  # in gradients it costs nothing
        return unaffordable("a mixture", asked.meter)
    began = time.perf_counter()
    name = asked.problem.problem.name
    asked.tell(PhaseBegan(name, "reference", LABEL))
    try:
        if (search := asked.posterior) is None:
            return NOWHERE
        # The same for every seed of a run, as every reference is.
        found = witness(search.pointwise, search.landscape, derive(0, name, LABEL))
    except Exception as error:  # noqa: BLE001 - guides can be trained on what this fails on
        return reason(error)
    return reference_of(found, search.landscape, time.perf_counter() - began)


def _obstacle(asked: Asked) -> str | None:
    """Return why there is no mixture for a model, or ``None``."""
    obstacle = no_density(asked.problem)
    if obstacle is not None:
        return obstacle
    if asked.problem.structure.latent_dim > MOST_DIMENSIONS:
        return f"it reaches {MOST_DIMENSIONS} coordinates, and there are {asked.problem.structure.latent_dim:,}"
    if asked.by_itself and asked.bench.in_blocks:
        return f"it takes long on {asked.problem.arguments.size():,} numbers of data"
    return None


def reference_of(found: Mixture, landscape: Landscape, seconds: float) -> Reference:
    """Return a mixture as a reference; one that was refused is used for nothing, and says why."""
    work = {LABEL: replace(found.work, seconds=seconds)}
    if not found.accepted:
        note = f"The mixture about what the search found is used for nothing: {found.reason}."
        return Reference(checks=_checks(found), note=note, work=work)
    places = f"{len(landscape.modes)} modes" if len(landscape.modes) > 1 else "the posterior"
    note = (
        f"{LABEL}: importance sampling from {found.points:,} points about {places}, k-hat {found.khat:.2f}, worth "
        f"{found.ess:,.0f} draws, in {seconds:.1f} s; log evidence {found.log_evidence:.3f} ± "
        f"{found.log_evidence_mcse:.3f} by its points: mass that none reaches is not in it."
    )
    chains = {name: value[None] for name, value in found.draws.items()}
    return Reference(
        label=LABEL,
        chains=chains,
        effective=found.effective,
        checks=_checks(found),
        note=note,
        lends="mixture",
        work=work,
    )


def _checks(found: Mixture) -> dict[str, float]:
    """Return what was checked; `draws` are those that are kept, some of them more than once."""
    count = len(next(iter(found.draws.values()), ()))
    return {"draws": float(count), "khat": found.khat, "ess": found.ess}
