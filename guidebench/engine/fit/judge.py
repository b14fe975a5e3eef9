"""The stage of a fit that puts its draws to the test, once it is known what else there is to judge them by.

Where draws of the posterior were made of what the search found and were accepted, by a mixture or by groups of chains,
every guide is judged by these, at no further cost.  Where there are none, chains begin at the guide's own draws; where
those of a flow do not settle, they are run in its coordinates, and it is weighed against wide tails.
"""

from __future__ import annotations

from guidebench.engine.fit.case import Case
from guidebench.engine.fit.defend import defend
from guidebench.engine.fit.draw import Judged, Refreshed, ToScore
from guidebench.engine.fit.in_flow import ENOUGH_FOR_TWO, SHARE, of_a_flow, settle_in_flow
from guidebench.engine.fit.refresh import refresh
from guidebench.engine.gate import Reference
from guidebench.results import Chaining

#: How a reader is told of draws that make a guide's own chains needless.
_SAID = {"mixture": "a mixture about what the search found", "groups": "groups of chains from what the search found"}


def judge_draws(case: Case, drawn: ToScore, reference: Reference) -> Judged:
    """Return what putting the draws of a fit to the test came to.

    Whatever goes wrong here, or takes longer than the time limit, leaves the fit as sound as it was: it is a remark.

    Parameters
    ----------
    case : Case
        The guide on its problem.
    drawn : ToScore
        Its draws.
    reference : Reference
        What it will be measured against.
    """
    if case.declaration.bound == "none":
        return Judged()
    lender = reference.lender
    if lender is not None:
        note = f"not needed, for the posterior is known by {_SAID[lender.lends]}"
        return Judged(Refreshed(Chaining(settled=False, note=note, instead=lender.lends)))
    with case.boundary("draw") as at:
        return _by_chains(case, drawn)
    assert at.failure is not None  # for every other way out returns
    return Judged(Refreshed(Chaining(settled=False, note=at.failure.message)))


def _by_chains(case: Case, drawn: ToScore) -> Judged:
    """Return what chains from the draws came to, and where those of a flow did not settle, what its density tells."""
    flow = of_a_flow(case, drawn.params)
    share = SHARE if flow and drawn.most >= ENOUGH_FOR_TWO else 0.0
    found = refresh(case, drawn, int((1 - share) * drawn.most))
    if found is None:
        return Judged()
    judged = Judged.of(found)
    if not flow or found.chains.settled or not found.chains.chains:
        return judged
    judged = settle_in_flow(case, judged, drawn, drawn.most - found.chains.gradients)
    return defend(case, judged, drawn)
