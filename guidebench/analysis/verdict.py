"""How far to trust each guide, in one word and one sentence, and what that rests on.

One rule, stated by error.  Draws are right where no mean is beyond 0.1 posterior sds and no sd beyond 15 %, Monte
Carlo error allowed for (:mod:`guidebench.analysis.limits`).  Each source of evidence says whether the guide's draws
are, these with their weights, and those of the chains that began at them, or that it cannot tell
(:mod:`guidebench.analysis.sources`).  Draws are called right where the reference, settled chains or, where there are no
chains, the weights say so, and none of them says otherwise.  Then

- ``trust``: the guide's draws are right;
- ``refresh``: those of its chains are; or its own are not, nobody vouches for its chains, and a mixture about what a
  search found was accepted, or groups of chains from there, whose draws then stand in their place and owe nothing to
  the guide;
- ``reweight``: its draws are, with their weights;
- ``distrust``: none of these, as far as anybody looked.

What one source alone may decide is what it is best at.  The reference, which is as near to the truth as one can come,
outvotes weights and chains that did not settle; chains that settled outvote nothing, and are outvoted by nothing.  The
weights decide where there is nothing else, and are held to more there: a mean that reweighting shifts by 0.07
posterior sds, or an sd by 10 %, is not trusted, and beyond 0.2 nat by KL(q || p), or without a mean of the weights,
they say nothing.  By Pinsker's inequality 0.2 nat bound the total variation distance by 0.32.  Beside chains that
distance decides nothing, for it adds up over dimensions, which errors do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from guidebench.analysis.sources import DECIDING, Found, look
from guidebench.contracts import Bound, MetricValue
from guidebench.results import Chaining, Finding, Refresher, Status, Verdict

#: Which draws a source speaks of.
Kind = Literal["raw", "reweighted", "refreshed"]

#: The words for draws that are right, from the first choice on.  Refreshed draws come before reweighted ones: all of
#: them count the same, and none hangs on the tail of the weights, which differs with seed and dimension.
_CHOICES: tuple[tuple[Kind, Verdict], ...] = (
    ("raw", Verdict.TRUST),
    ("refreshed", Verdict.REFRESH),
    ("reweighted", Verdict.REWEIGHT),
)

#: What to do, by verdict.
_ADVICE = {
    Verdict.TRUST: "Use its draws as they are.",
    Verdict.REFRESH: "Use the draws of these chains.",
    Verdict.REWEIGHT: "Use its draws with their weights.",
    Verdict.DISTRUST: "How good its draws are cannot be told.",
}

#: What is said where draws of the mixture, or of groups of chains, stand in for those of a guide's chains.
_LENT: dict[Refresher, Finding] = {
    "mixture": Finding(
        source="mixture",
        refreshed=True,
        said="The refreshed draws are those of the mixture about what a search found, and owe nothing to this guide.",
    ),
    "groups": Finding(
        source="groups",
        refreshed=True,
        said="The refreshed draws are those of chains from what a search found, and owe nothing to this guide.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one fit.

    Attributes
    ----------
    verdict : Verdict
        The word.
    reason : str
        Why, in a sentence or two.
    evidence : tuple of Finding
        What each source said; empty where there is nothing to look at.
    sites : mapping of str to Verdict
        The verdict on each latent site, by the same rule on its own components.
    lent : bool
        Whether draws that owe nothing to the guide are to stand in for its own.
    """

    verdict: Verdict
    reason: str
    evidence: tuple[Finding, ...] = ()
    sites: Mapping[str, Verdict] = field(default_factory=dict)
    lent: bool = False


def judge(
    metrics: Sequence[MetricValue],
    bound: Bound,
    status: Status,
    *,
    stopped: bool = False,
    trained: bool = True,
    chains: Chaining | None = None,
    doubts: Sequence[str] = (),
    apart: str = "",
    unchecked: Sequence[str] = (),
    lender: Refresher = "",
) -> Judgement:
    """Return the verdict on one fit, the reason for it and what it rests on.

    Parameters
    ----------
    metrics : sequence of MetricValue
        Those of the fit; its k-hat, KL and shifts by weights, dropped modes, shifts by chains and errors against the
        reference decide, as far as they are there.
    bound : {"elbo", "augmented", "none"}
        What the guide's ELBO is.
    status : Status
        How training ended.
    stopped : bool
        Whether data that were held back stopped it early.
    trained : bool
        Whether it was trained by the recipe of the run, not fitted by a method of its own.
    chains : Chaining, optional
        What chains from the guide's draws did; ``None`` where none were run.
    doubts : sequence of str
        Sites about which chains that were to be the reference contradict each other.
    apart : str
        How two kinds of reference contradict each other, so that there is none.
    unchecked : sequence of str
        Sites of which the reference has no draws: what it does not see it does not vouch for.
    lender : {"", "mixture", "groups"}
        Whose accepted draws there are to stand in where the guide has none to go on with.
    """
    if not status.has_draws:
        return Judgement(verdict=Verdict.FAILED, reason="There are no draws to judge.")
    if bound == "none":
        reason = "A point estimate: it has no spread, so no intervals and no ELBO."
        return Judgement(verdict=Verdict.POINT, reason=reason + _unsettled(status, stopped=stopped, trained=trained))
    numbers: defaultdict[str, list[MetricValue]] = defaultdict(list)
    for one in metrics:
        numbers[one.metric].append(one)
    found = look(numbers, chains, doubts, apart, unchecked)
    own = _word(found)
    # Chains that settled and are vouched for contradict a lender that finds them wrong: then neither is the truth.
    # Lent draws come before reweighted ones, as those of chains do.
    lent = bool(lender) and own not in (Verdict.TRUST, Verdict.REFRESH) and found.chains.refreshed is None
    verdict = Verdict.REFRESH if lent else own
    unsettled = _unsettled(status, stopped=stopped, trained=trained, longer=verdict is not Verdict.TRUST)
    return Judgement(
        verdict=verdict,
        reason=(_reason_to_lend(found, _LENT[lender]) if lent else _reason(verdict, found)) + unsettled,
        evidence=(found.weights, found.modes, found.chains, found.reference, *((_LENT[lender],) if lent else ())),
        lent=lent,
        sites={
            site: _word_or_lent(look(own, chains, [one for one in doubts if one == site]), lent=lent)
            for site, own in _by_site(numbers).items()
        },
    )


def _word(found: Found) -> Verdict:
    return next((word for kind, word in _CHOICES if _right(found, kind)), Verdict.DISTRUST)


def _word_or_lent(found: Found, *, lent: bool) -> Verdict:
    """Return the verdict on one site of a fit; `lent` where draws that owe nothing to it are kept beside it."""
    word = _word(found)
    return Verdict.REFRESH if lent and word is not Verdict.TRUST else word


def _right(found: Found, kind: Kind) -> bool:
    """Return whether some source that may decide calls draws right, and none that has a say calls them wrong."""
    by_reference = getattr(found.reference, kind)
    settled = found.chains.refreshed is not None
    weighty = [found.reference, found.modes, *([found.chains] if settled else [])]
    if not by_reference:
        weighty += [found.weights, found.chains]
    if any(getattr(one, kind) is False for one in weighty):
        return False
    deciding = [found.reference, *([found.chains] if settled else []), *([found.weights] if found.alone else [])]
    return any(getattr(one, kind) for one in deciding)


def _reason(verdict: Verdict, found: Found) -> str:
    """Return what the source said that decided, and what to do; where nothing can be done, what all of them said."""
    in_order = (found.modes, found.reference, found.chains, found.weights)
    against = [one for one in in_order if one.raw is False]
    said = {
        Verdict.TRUST: [one for one in in_order if one.raw][:1],
        Verdict.REFRESH: [found.chains, *against[:1]] if found.chains.raw is not False else [found.chains],
        Verdict.REWEIGHT: against[:1] or [found.weights],
        Verdict.DISTRUST: against or [found.chains, found.weights, found.reference],
    }[verdict]
    advice = _ADVICE[verdict]
    if verdict is Verdict.DISTRUST and against:
        advice = "Nothing that was tried repairs it."
    return " ".join(dict.fromkeys([*(one.said for one in said), advice]))


def _reason_to_lend(found: Found, lent: Finding) -> str:
    """Return why draws that owe nothing to the guide stand in for its own."""
    against = [one for one in (found.modes, found.reference, found.chains, found.weights) if one.raw is False]
    # Chains cannot see a dropped mode, and where none were needed nothing is to be told of them.
    silent = found.needless or (against and against[0] is found.modes)
    seen = [*(against[:1] or [found.reference]), *([] if silent else [found.chains])]
    return " ".join(dict.fromkeys([*(one.said for one in (*seen, lent)), "Use these."]))


def _unsettled(status: Status, *, stopped: bool, trained: bool, longer: bool = False) -> str:
    """Return what is to be said of training that did not settle."""
    if status is not Status.MAX_STEPS:
        return ""
    if not trained:
        return " Its own method of fitting did not converge."
    if stopped:
        return " Training was stopped early, by the data held back, before it settled."
    return " Training ran out of steps before it settled" + (": train longer." if longer else ".")


def _by_site(numbers: Mapping[str, Sequence[MetricValue]]) -> dict[str, dict[str, list[MetricValue]]]:
    """Return the numbers of each site, with those that are of the whole fit."""
    whole = {name: list(found) for name, found in numbers.items() if name not in DECIDING}
    sites: dict[str, dict[str, list[MetricValue]]] = {}
    for name in DECIDING & numbers.keys():
        for one in numbers[name]:
            if one.variable:
                own = sites.setdefault(one.variable.partition("[")[0], dict(whole))
                own.setdefault(name, []).append(one)
    return sites
