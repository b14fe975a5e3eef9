"""Which guide is best on each problem, and who is no worse."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from guidebench.analysis.differences import difference
from guidebench.analysis.problems.measures import moment_error
from guidebench.contracts import MetricValue
from guidebench.results import Comparison, Fit, ProblemRecord, Verdict

#: From best to worst.
ORDER = (Verdict.TRUST, Verdict.REFRESH, Verdict.REWEIGHT, Verdict.DISTRUST, Verdict.POINT, Verdict.FAILED)

#: Standard errors of the difference of two errors within which they are called tied.
WITHIN = 2.0


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The best guide of one problem.

    Attributes
    ----------
    problem : ProblemRecord
        The problem.
    guides : tuple of str
        The best guide, and after it those of the same verdict that are no worse beyond noise; empty where every
        fit failed.
    verdict : Verdict
        Of all of them; where the draws of the mixture stand in for those of a guide, that is no merit of the guide's.
    by : {"error", "elbo", "verdict"}
        What decided among guides of that verdict: the error against the reference, the ELBO where there is no
        reference, or nothing but the verdict.
    value : MetricValue or None
        The error, or the ELBO, of the best.
    """

    problem: ProblemRecord
    guides: tuple[str, ...]
    verdict: Verdict
    by: Literal["error", "elbo", "verdict"]
    value: MetricValue | None = field(default=None)

    @property
    def usable(self) -> bool:
        """Whether its draws can be used, as they are, reweighted or refreshed."""
        return self.verdict.usable


def winners(comparison: Comparison) -> list[Winner]:
    """Return the best guide of each problem: by verdict first, then by error, ties within noise.

    Among the guides with the best verdict the one with the smallest
    :func:`~guidebench.analysis.problems.measures.moment_error` wins; others tie with it where the difference is
    within two of its Monte Carlo standard errors, taken as independent, which is generous as both share the noise
    of the reference.  Without a reference the largest ELBO wins, and guides tie as in
    :func:`guidebench.analysis.differences.difference`.
    """
    return [_winner(problem, comparison.of(problem.name)) for problem in comparison.problems]


def usable_in_words(found: Sequence[Winner]) -> str:
    """Return on how many problems some guide can be used, and how: a clause."""
    counts = {verdict: sum(one.verdict is verdict for one in found) for verdict in ORDER}
    text = f"Some guide can be trusted as it is on {counts[Verdict.TRUST]} of {len(found)} problems"
    repaired = [
        f"{word} on {counts[verdict]} more"
        for verdict, word in ((Verdict.REWEIGHT, "reweighted"), (Verdict.REFRESH, "refreshed"))
        if counts[verdict]
    ]
    return text + (f", and {' and '.join(repaired)}" if repaired else "")


def _winner(problem: ProblemRecord, fits: Sequence[Fit]) -> Winner:
    best = min((ORDER.index(fit.own_verdict) for fit in fits), default=len(ORDER) - 1)
    verdict = ORDER[best]
    leading = [fit for fit in fits if fit.own_verdict is verdict]
    if verdict is Verdict.FAILED:
        return Winner(problem=problem, guides=(), verdict=verdict, by="verdict")
    measured = [(fit, found) for fit in leading if (found := _error(fit)) is not None]
    if measured:
        return _of(problem, verdict, "error", sorted(measured, key=lambda pair: pair[1].value), _near)
    scored = [(fit, found) for fit in leading if fit.bound == "elbo" and (found := fit.metric("elbo")) is not None]
    scored = [pair for pair in scored if math.isfinite(pair[1].value)]
    if scored:
        return _of(problem, verdict, "elbo", sorted(scored, key=lambda pair: -pair[1].value), _level)
    return Winner(problem=problem, guides=tuple(fit.guide for fit in leading), verdict=verdict, by="verdict")


#: A fit and the number by which it is compared.
Scored = tuple[Fit, MetricValue]


def _of(
    problem: ProblemRecord,
    verdict: Verdict,
    by: Literal["error", "elbo"],
    ordered: Sequence[Scored],
    tied: Callable[[Scored, Scored], bool],
) -> Winner:
    first = ordered[0]
    names = [first[0].guide, *(other[0].guide for other in ordered[1:] if tied(first, other))]
    return Winner(problem=problem, guides=tuple(names), verdict=verdict, by=by, value=first[1])


def _error(fit: Fit) -> MetricValue | None:
    """Return the error that decides: of a point estimate, which has no sd, that of the mean."""
    found = moment_error(fit) if fit.verdict is not Verdict.POINT else fit.metric("mean_error")
    return None if found is None or math.isnan(found.value) else found


def _near(first: Scored, other: Scored) -> bool:
    one, two = first[1], other[1]
    if one.value == two.value:
        return True
    return two.value - one.value <= WITHIN * math.hypot(one.mcse or 0.0, two.mcse or 0.0)


def _level(first: Scored, other: Scored) -> bool:
    found = difference(first[0], other[0])
    # From a single start nothing is known of the noise of training, and nobody is called different.
    return found is not None and not found.different
