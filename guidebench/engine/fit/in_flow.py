"""The stage of a fit for flows whose chains did not settle: chains in the coordinates that the flow draws from.

They begin at fresh draws of the flow, as the others did, and take what is left of the gradients of judging.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from guidebench.config.seeds import derive
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.draw import Judged, ToScore
from guidebench.engine.fit.making import make_guide
from guidebench.engine.fit.refresh import told
from guidebench.engine.fit.train import Trained
from guidebench.inference.chains.in_flow import moves_in_flow
from guidebench.inference.chains.moves import CHAINS
from guidebench.inference.chains.run import LEAST, Settled, run_chains
from guidebench.inference.coordinates import Frame
from guidebench.inference.flow_density import is_flow
from guidebench.inference.train import Params
from guidebench.plugins.isolation.failures import reason

#: Share of the gradients of judging that is kept for these chains, where there are enough for both; they get what the
#: others leave besides.
SHARE = 0.5
ENOUGH_FOR_TWO = int(LEAST / min(SHARE, 1 - SHARE)) + 1

#: Draws of the flow that the first whitening is made of.
WHITENED_BY = 4 * CHAINS

#: What is said of draws that were won so.
SAID = "its chains did not settle, but do in the coordinates that it draws from itself"
_NOT_EITHER = "its chains did not settle in the coordinates that it draws from itself either"


def may_be_a_flow(case: Case, trained: Trained) -> bool:
    """Return whether a fit is of a guide that was trained step by step, on all data, where flows are."""
    return (
        case.declaration.bound == "elbo"
        and case.declaration.draw is None
        and not trained.training.endings
        and trained.frame.to_latents is not None
        and case.prepared.minibatches is None
    )


def of_a_flow(case: Case, params: Params | None) -> bool:
    """Return whether a fit is of a flow; of one that cannot be, there are no parameters."""
    if params is None:
        return False
    frame = frame_of(case)
    return is_flow(make_guide(case.guide, frame.model), frame, params)


def frame_of(case: Case) -> Frame:
    """Return the coordinates that a guide was trained in."""
    return case.bench.frame(case.declaration.family)


def settle_in_flow(case: Case, judged: Judged, drawn: ToScore, most: int) -> Judged:
    """Return what chains in the coordinates of a flow came to, where they settled and others did not.

    Parameters
    ----------
    case : Case
        The guide on its problem.
    judged : Judged
        What chains from its draws came to, which did not settle.
    drawn : ToScore
        Its draws, with its parameters.
    most : int
        Gradients that the chains may take.
    """
    if most < LEAST or drawn.params is None:
        return judged
    began = time.perf_counter()
    case.phase("running chains in its own coordinates")
    try:
        found = _run(case, frame_of(case), drawn.params, most)
    except Exception as error:  # noqa: BLE001 - the fit is sound, whatever chains fail on
        return judged.remarking(f"{_NOT_EITHER}: {reason(error)}")
    work = replace(found.work, seconds=time.perf_counter() - began)
    case.ended("judging", work)
    judged = judged.spending(work)
    if not found.settled:
        return judged.remarking(f"{_NOT_EITHER}: {found.note}")
    refreshed = told(case, found, work)
    refreshed = refreshed._replace(chains=replace(refreshed.chains, in_flow=True))
    return judged._replace(refreshed=refreshed).remarking(SAID)


def _run(case: Case, frame: Frame, params: Params, most: int) -> Settled:
    assert case.bench.target is not None
    moves = moves_in_flow(
        case.bench.target, case.bench.search_values, make_guide(case.guide, frame.model), frame, params
    )
    seed = derive(case.config.seed, *case.names, "chains in flow")
    points = np.random.default_rng(seed).standard_normal((WHITENED_BY, moves.posterior.dim))
    return run_chains(moves, points, seed, most, case.meter.over)
