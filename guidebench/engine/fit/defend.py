"""The stage of a fit for flows whose chains from their draws did not settle: importance sampling, with wide tails.

Where its weights pass, they stand in for a reference that the run does not have: this fit is judged by them.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from guidebench.config.seeds import derive
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.draw import Drawn
from guidebench.engine.fit.making import make_guide
from guidebench.engine.fit.train import Trained
from guidebench.inference.coordinates import Frame
from guidebench.inference.defended import MOST_DRAWN, OfGuide, defended
from guidebench.inference.flow_density import FlowDensity
from guidebench.inference.mixture import MOST_DIMENSIONS, Mixture
from guidebench.inference.modes import Landscape
from guidebench.inference.train import Params
from guidebench.inference.unconstrained import MOST


def defend(case: Case, drawn: Drawn, trained: Trained, params: Params) -> Drawn:
    """Return a fit with draws of the posterior to judge it by, where its chains tell nothing and its density may.

    Parameters
    ----------
    case : Case
        The guide on its problem.
    drawn : Drawn
        Its draws, after chains were run from them.
    trained : Trained
        What it was trained on.
    params : dict
        Of the chosen restart.
    """
    landscape = case.prepared.landscape
    if landscape is None or case.prepared.structure.latent_dim > MOST_DIMENSIONS:
        return drawn
    began = time.perf_counter()
    case.phase("weighing it against wide tails")
    try:
        found = _found(case, drawn, landscape, trained.frame, params)
    except Exception:  # noqa: BLE001 - no flow, or one that cannot be inverted: the fit is sound without a witness
        return drawn
    drawn = drawn.having_judged(replace(found.work, seconds=time.perf_counter() - began))
    drawn = replace(drawn, remarks=(*drawn.remarks, _said(found)))
    if not found.accepted:
        return drawn
    evidence = replace(drawn.to_score.evidence, witness=found.draws, witness_ess=found.effective)
    return replace(drawn, to_score=drawn.to_score._replace(evidence=evidence))


def _found(case: Case, drawn: Drawn, landscape: Landscape, frame: Frame, params: Params) -> Mixture:
    draws = _unconstrained(case, drawn)
    density = FlowDensity(make_guide(case.guide, frame.model), frame, params)
    seed = derive(case.config.seed, *case.names, "defended")
    return defended(case.bench.pointwise, landscape, OfGuide(draws=draws, density=density), seed)


def _unconstrained(case: Case, drawn: Drawn) -> np.ndarray:
    """Return the draws that are scored, as far as they are weighed, in unconstrained coordinates, shape ``(S, D)``."""
    latents = drawn.to_score.evidence.latents
    count = min(MOST_DRAWN, *map(len, latents.values()))
    parts = [
        case.bench.unconstrain({name: value[first : first + MOST] for name, value in latents.items()})
        for first in range(0, count, MOST)
    ]
    points = np.concatenate(parts)
    if not np.isfinite(points).all():
        raise ValueError("some of its draws round to the edge of their support")
    return points


def _said(found: Mixture) -> str:
    outcome = "passed" if found.accepted else f"was refused: {found.reason}"
    return (
        f"importance sampling from it and from wide tails about what the search found, {found.points:,} points, k-hat "
        f"{found.khat:.2f}, worth {found.ess:,.0f} draws, {outcome}"
    )
