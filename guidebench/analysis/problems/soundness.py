"""Verdicts against the truth: was what guidebench said of a guide right, where the posterior is known?

With a reference the verdict looks at it, and a guide that is wrong by it is never trusted: to check that
against the same reference would prove nothing.  So every fit is judged once more as if there were none,
by its weights, the modes and its chains, which is what a user has whose posterior is not known.  That verdict is held
against the reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from guidebench.analysis.limits import MEAN_ERROR, SD_ERROR
from guidebench.analysis.sources import FROM_REFERENCE
from guidebench.analysis.verdict import judge
from guidebench.results import Comparison, Fit, Verdict


class Off(NamedTuple):
    """The largest error of a mean, in sds of the reference, and of an sd, as a share."""

    mean: float
    sd: float

    @property
    def right(self) -> bool:
        """Whether means are within 0.1 sd, and sds within 15 %."""
        return self.mean <= MEAN_ERROR and self.sd <= SD_ERROR


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One fit, what is said of it, and what is true.

    Attributes
    ----------
    fit : Fit
        The fit; its own verdict knows the reference.
    blind : Verdict
        The verdict without a reference.
    raw : Off
        The errors of its draws.
    reweighted, refreshed : Off or None
        Those of its draws with their weights, and of the draws of its chains; ``None`` where there are none.
    """

    fit: Fit
    blind: Verdict
    raw: Off
    reweighted: Off | None = None
    refreshed: Off | None = None

    @property
    def right(self) -> bool:
        """Whether the draws are right as they are."""
        return self.raw.right

    @property
    def repairable(self) -> bool:
        """Whether they are right once reweighted or refreshed."""
        return any(one is not None and one.right for one in (self.reweighted, self.refreshed))

    @property
    def sound(self) -> bool:
        """Whether a user who follows the blind verdict gets right moments, or is told to stay away."""
        used = {Verdict.TRUST: self.raw, Verdict.REWEIGHT: self.reweighted, Verdict.REFRESH: self.refreshed}
        if self.blind not in used:
            return True
        found = used[self.blind]
        return found is not None and found.right

    @property
    def timid(self) -> bool:
        """Whether draws that are right are distrusted."""
        return self.right and not self.blind.usable


def blind_verdict(fit: Fit) -> Verdict:
    """Return the verdict on a fit as if there were no reference."""
    known = [one for one in fit.metrics if one.metric not in FROM_REFERENCE]
    trained = not fit.method
    return judge(known, fit.bound, fit.status, stopped=fit.stopped, trained=trained, chains=fit.chains).verdict


def judged(comparison: Comparison) -> list[Judged]:
    """Return every fit whose draws are held against a reference, and that weights or chains tell of, in order."""
    found = []
    for fit in comparison:
        raw, reweighted, refreshed = (_off(fit, prefix) for prefix in ("", "reweighted_", "refreshed_"))
        told = reweighted is not None or fit.chains is not None
        if fit.bound != "none" and fit.status.has_draws and raw is not None and told:
            blind = blind_verdict(fit)
            found.append(Judged(fit=fit, blind=blind, raw=raw, reweighted=reweighted, refreshed=refreshed))
    return found


def _off(fit: Fit, prefix: str) -> Off | None:
    mean, sd = (fit.value(f"{prefix}{name}_error") for name in ("mean", "sd"))
    return None if mean is None or sd is None else Off(mean, sd)


def counts(fits: Iterable[Judged]) -> dict[Verdict, Counter[str]]:
    """Return, by blind verdict, how many fits are ``right``, only ``repairable``, or ``wrong`` either way."""
    words = (Verdict.TRUST, Verdict.REWEIGHT, Verdict.REFRESH, Verdict.DISTRUST)
    table: dict[Verdict, Counter[str]] = {one: Counter() for one in words}
    for one in fits:
        table[one.blind]["right" if one.right else "repairable" if one.repairable else "wrong"] += 1
    return table
