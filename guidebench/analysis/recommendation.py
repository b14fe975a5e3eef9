"""Which draws to use on a problem, or what to try where there are none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from guidebench.results import LENDERS, Fit, ProblemRecord, Status, Verdict

#: What is said first where no draws of any guide can be used.
NONE = "None of these guides can be used on this problem."


def recommend(fits: Sequence[Fit], record: ProblemRecord | None = None) -> str:
    """Return a few sentences that say which guide to use, from the fits of one problem and what is known of it."""
    return " ".join(sentences(fits, record))


def sentences(fits: Sequence[Fit], record: ProblemRecord | None = None) -> list[str]:
    """Return what :func:`recommend` says, sentence by sentence."""
    if not fits:
        return ["No guide was trained."]
    if not any(fit.status.has_draws for fit in fits):
        reasons = list(dict.fromkeys(fit.message for fit in fits if fit.message))
        return ["No guide could be trained: " + ("; ".join(reasons[:3]) or "see their messages") + "."]
    trusted, refreshed, reweighted, distrusted, lent = by_word(fits)
    if not (trusted or refreshed or reweighted):
        instead = _lent(lent) if lent and not (record and record.reference) else _instead(fits, record)
        return [NONE, *instead]
    return [
        _first(trusted, refreshed, reweighted),
        *_others(trusted, refreshed, reweighted),
        *_not_to_use(distrusted),
    ]


class ByWord(NamedTuple):
    """Fits of one problem by what they are worth themselves, the first choice first.

    `lent` are those of the distrusted beside whose draws others are kept, which owe nothing to them.
    """

    trusted: list[Fit]
    refreshed: list[Fit]
    reweighted: list[Fit]
    distrusted: list[Fit]
    lent: list[Fit]

    @property
    def usable(self) -> list[Fit]:
        """Those whose draws can be used, as they are or repaired."""
        return [*self.trusted, *self.refreshed, *self.reweighted]

    @property
    def with_densities(self) -> list[Fit]:
        """The same, those first whose draws have densities of the observations beside them: chains' have none."""
        return [*self.trusted, *self.reweighted, *self.refreshed]


def by_word(fits: Sequence[Fit]) -> ByWord:
    """Return fits by their words: the quickest first, of those to be reweighted the one with the best ELBO."""
    quickest = sorted(fits, key=_cost)
    trusted, refreshed, reweighted, distrusted = (
        [fit for fit in quickest if fit.own_verdict is verdict]
        for verdict in (Verdict.TRUST, Verdict.REFRESH, Verdict.REWEIGHT, Verdict.DISTRUST)
    )
    lent = [fit for fit in distrusted if fit.verdict is Verdict.REFRESH]
    return ByWord(trusted, refreshed, sorted(reweighted, key=lambda fit: -_elbo(fit)), distrusted, lent)


def _first(trusted: Sequence[Fit], refreshed: Sequence[Fit], reweighted: Sequence[Fit]) -> str:
    if trusted:
        why = "the only guide" if len(trusted) == 1 else f"the quickest of {len(trusted)} guides"
        return f"Use {trusted[0].guide}: {why} whose draws can be taken as they are."
    if refreshed:
        one = "which settled" if len(refreshed) == 1 else f"the quickest of {len(refreshed)} that were repaired so"
        return (
            "No guide can be taken as it is; use the refreshed draws, those of the chains that began at "
            f"{refreshed[0].guide}, {one}."
        )
    return f"No guide can be taken as it is; {reweighted[0].guide} comes closest: use its draws with their weights."


def _others(trusted: Sequence[Fit], refreshed: Sequence[Fit], reweighted: Sequence[Fit]) -> Iterator[str]:
    """Yield how to use the draws of the guides that are not the first choice, and have to be repaired."""
    if trusted and refreshed:
        yield f"Of {_names(refreshed)} use only the refreshed draws."
    if (trusted or refreshed) and reweighted:
        yield f"Use the draws of {_names(reweighted)} only with their weights."


def _not_to_use(distrusted: Sequence[Fit]) -> Iterator[str]:
    unchecked = [fit for fit in distrusted if _cannot_be_checked(fit)]
    far = [fit for fit in distrusted if fit not in unchecked]
    if far:
        yield f"Do not use the intervals of {_names(far)}."
    if lent := [fit for fit in far if fit.verdict is Verdict.REFRESH]:
        yield f"What is kept as refreshed draws of {_names(lent)} are those of {LENDERS[lent[0].refreshed_by]}."
    if unchecked:
        yield f"How good the draws of {_names(unchecked)} are cannot be told without a reference."


def _lent(lent: Sequence[Fit]) -> Iterator[str]:
    """Yield what to do where only what was made of the search has draws that are right."""
    yield (
        f"Use the refreshed draws that are kept beside those of {_names(lent)}: they are those of "
        f"{LENDERS[lent[0].refreshed_by]} about what the search found, passed their checks, and owe nothing to any "
        "guide."
    )


def _instead(fits: Sequence[Fit], record: ProblemRecord | None) -> Iterator[str]:
    """Yield what to do where no draws of any guide can be used: first what is known already, then what was seen."""
    if record is not None and record.reference:
        yield f"You need none of them here: the reference ({record.reference}) is known, use its draws."
        return
    failed = record is not None and "rhat" in record.reference_checks
    hints = list(_hints(fits))
    if failed:
        hints.insert(0, "NUTS failed its checks: write the model in other coordinates, or run NUTS for longer.")
    yield from hints
    if record is not None and record.disagreement is not None:
        first, second = record.disagreement.between
        yield f"{first} and {second} disagree here: run NUTS for longer, from more starting points, and compare again."
        return
    if not failed:
        yield f"{'If that does not help' if hints else 'Instead'}, use NUTS, and see that its chains agree."


def _hints(fits: Sequence[Fit]) -> Iterator[str]:
    """Yield what to try, from what was seen."""
    judged = [fit for fit in fits if fit.verdict is Verdict.DISTRUST]
    if not judged:
        yield "Try a guide that has intervals, such as auto_normal."
        return
    if any((fit.value("dropped_mass") or 0.0) > 0 for fit in judged):
        yield "There are several modes: try a guide that can have draws in all of them, such as a flow."
    moving = [
        (math.inf if fit.chains.drift is None else fit.chains.drift, fit.guide)
        for fit in judged
        if fit.chains is not None and fit.chains.chains and not fit.chains.settled
    ]
    if moving:
        drift, nearest = min(moving)
        still = f" (a moment still moved by {drift:.2f} sd)" if math.isfinite(drift) else ""
        yield (
            f"Chains from {nearest} came nearest, but did not settle{still}: write the model in other coordinates, "
            "for example non-centred, or try a guide that is closer, such as a flow."
        )
    if late := [fit for fit in judged if fit.status is Status.MAX_STEPS and not fit.stopped and not fit.method]:
        yield f"Train {_names(late)} longer (more steps): they had not settled."


def _names(chosen: Sequence[Fit]) -> str:
    listed = [fit.guide for fit in chosen]
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def _cost(fit: Fit) -> float:
    return fit.seconds or 0.0


def _elbo(fit: Fit) -> float:
    value = fit.value("elbo")
    return -math.inf if value is None else value


def _cannot_be_checked(fit: Fit) -> bool:
    """Return whether nothing is known against a fit, nor for it: no weights, no chains, no reference, no lost mode."""
    chained = fit.chains is not None and fit.chains.chains > 0
    return (
        fit.bound == "augmented" and not chained and fit.metric("mean_error") is None and not fit.value("dropped_mass")
    )
