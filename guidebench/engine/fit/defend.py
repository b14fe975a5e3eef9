"""The stage of a fit for flows whose chains from their draws did not settle: importance sampling, with wide tails.

Where its weights pass, they stand in for a reference that the run does not have: this fit is judged by them.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from guidebench.config.seeds import derive
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.draw import Judged, ToScore
from guidebench.engine.fit.in_flow import frame_of
from guidebench.engine.fit.making import make_guide
from guidebench.inference.coordinates import Frame
from guidebench.inference.defended import MOST_DRAWN, OfGuide, defended
from guidebench.inference.flow_density import FlowDensity
from guidebench.inference.mixture import MOST_DIMENSIONS
from guidebench.inference.modes import Landscape
from guidebench.inference.train import Params
from guidebench.inference.unconstrained import MOST
from guidebench.inference.weighing import Mixture


def defend(case: Case, judged: Judged, drawn: ToScore) -> Judged:
    """Return draws of the posterior to judge a flow by, where its chains tell nothing and its density may.

    Parameters
    ----------
    case : Case
        The guide on its problem.
    judged : Judged
        What chains from its draws came to.
    drawn : ToScore
        Its draws, with its parameters.
    """
    landscape = case.prepared.landscape
    if landscape is None or drawn.params is None or case.prepared.structure.latent_dim > MOST_DIMENSIONS:
        return judged
    began = time.perf_counter()
    case.phase("weighing it against wide tails")
    try:
        found = _found(case, drawn, landscape, frame_of(case), drawn.params)
    except Exception:  # noqa: BLE001 - no flow, or one that cannot be inverted: the fit is sound without a witness
        return judged
    judged = judged.spending(replace(found.work, seconds=time.perf_counter() - began)).remarking(_said(found))
    return judged._replace(witness=found.draws, effective=found.effective) if found.accepted else judged


def _found(case: Case, drawn: ToScore, landscape: Landscape, frame: Frame, params: Params) -> Mixture:
    draws = _unconstrained(case, drawn)
    density = FlowDensity(make_guide(case.guide, frame.model), frame, params)
    seed = derive(case.config.seed, *case.names, "defended")
    return defended(case.bench.pointwise, landscape, OfGuide(draws=draws, density=density), seed)


def _unconstrained(case: Case, drawn: ToScore) -> np.ndarray:
    """Return the draws that are scored, as far as they are weighed, in unconstrained coordinates, shape ``(S, D)``."""
    latents = drawn.evidence.latents
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
