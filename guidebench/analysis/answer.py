"""What a run says of a problem at a glance: one sentence, and one line for each guide, the best first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from guidebench.analysis.held import Held, held, standard_of
from guidebench.analysis.recommendation import NONE, by_word, sentences
from guidebench.analysis.short import why
from guidebench.results import Fit, ProblemRecord, Verdict

#: Whose draws are to be used; see :func:`guidebench.analysis.usable.usable`.
Source = Literal["guide", "chains", "weights", "reference", "mixture", "groups", ""]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One guide.

    Attributes
    ----------
    guide, verdict : str, Verdict
        Its name, and how far to trust it.
    why : str
        The reason, in ten words at the most.
    mean_error, sd_error : float or None
        The largest error of a mean of its own draws, in posterior sds, and of an sd, as a share; ``None`` where it is
        not known.
    against : str
        What these are measured against: the ``reference``, a ``witness``, its own ``chains``, those of ``others``, or
        its ``weights``; nothing without any.
    against_nuts : float or None
        Its gradients over those of NUTS, warm-up included; ``None`` where either is not known.
    gradients : int or None
        How many gradients it took.
    seconds : float or None
        Wall time of compiling, training and scoring.
    """

    guide: str
    verdict: Verdict
    why: str
    mean_error: float | None
    sd_error: float | None
    against: str
    against_nuts: float | None
    gradients: int | None
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to do about one problem.

    Attributes
    ----------
    problem : str
        Its name.
    headline : str
        The recommendation in one sentence.
    more : str
        What else is to be said of the guides; nothing where that is all.
    source : {"guide", "chains", "weights", "reference", "mixture", "groups", ""}
        Whose draws are to be used: those of a guide, of chains that began at its draws, of a guide by its weights, of
        the reference, or of the mixture or groups of chains; nothing where there are none.
    guide : str
        Which guide, where the draws come from one.
    standard : str
        The guide whose chains others are held against that have nothing better; nothing where there is none.
    lines : tuple of Line
        Every guide, the best first.
    """

    problem: str
    headline: str
    more: str
    source: Source
    guide: str
    standard: str
    lines: tuple[Line, ...]


def answer(fits: Sequence[Fit], record: ProblemRecord) -> Answer:
    """Return what to do about a problem, from its fits and what is known of it."""
    first, *rest = sentences(fits, record)
    if first == NONE and rest:
        first, rest = f"{first.removesuffix('.')}; {_lowered(rest[0])}", rest[1:]
    source, guide = chosen(fits, record)
    ordered = ranked(fits)
    standard = standard_of(ordered)
    nuts = record.work["nuts"].gradients if "nuts" in record.work else 0
    return Answer(
        problem=record.name,
        headline=first,
        more=" ".join(rest),
        source=source,
        guide=guide,
        standard="" if standard is None else standard.guide,
        lines=tuple(_line(fit, held(fit, standard), nuts) for fit in ordered),
    )


def chosen(fits: Sequence[Fit], record: ProblemRecord) -> tuple[Source, str]:
    """Return whose draws are to be used, and of which guide, in the order of the recommendation."""
    words = by_word([fit for fit in fits if fit.status.has_draws])
    for source, found in (("guide", words.trusted), ("chains", words.refreshed), ("weights", words.reweighted)):
        if found:
            return source, found[0].guide  # type: ignore[return-value]
    if record.reference:
        return "reference", ""
    return (words.lent[0].refreshed_by, "") if words.lent else ("", "")


def ranked(fits: Sequence[Fit]) -> list[Fit]:
    """Return fits with the one to use first, those next that can be used, and those without draws last.

    Within a verdict they are in the order of the recommendation; those that are not to be used by their largest error.
    """
    words = by_word(fits)
    standard = standard_of(words.usable)

    def farthest(fit: Fit) -> float:
        found = held(fit, standard)
        return math.inf if found is None else found.largest.over

    lent = {id(fit) for fit in words.lent}
    rest = [fit for fit in words.distrusted if id(fit) not in lent]
    points = [fit for fit in fits if fit.verdict is Verdict.POINT]
    order = [
        *words.usable,
        *sorted(words.lent, key=farthest),
        *sorted(rest, key=farthest),
        *points,
    ]
    there = {id(fit) for fit in order}
    return [*order, *(fit for fit in fits if id(fit) not in there)]


def _line(fit: Fit, found: Held | None, nuts: int) -> Line:
    return Line(
        guide=fit.guide,
        verdict=Verdict(fit.verdict),
        why=why(fit),
        mean_error=None if found is None else found.largest.mean,
        sd_error=None if found is None else found.largest.sd,
        against="" if found is None else found.source,
        against_nuts=fit.gradients / nuts if nuts and fit.gradients else None,
        gradients=fit.gradients,
        seconds=fit.seconds,
    )


def _lowered(sentence: str) -> str:
    """Return a sentence as it stands after a semicolon: names and abbreviations keep their capital."""
    head = sentence[:2]
    return sentence[:1].lower() + sentence[1:] if head[1:].islower() else sentence
