"""Verdicts against the truth: was what guidebench said of a guide right, where the posterior is known?

With a reference the verdict looks at it, and a guide that is wrong by it is never trusted: to check that
against the same reference would prove nothing.  So every fit is judged once more as if there were none,
by its weights alone, which is what a user has whose posterior is not known.  That verdict is held
against the reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from guidebench.analysis.verdict import MEAN_ERROR, SD_ERROR, judge
from guidebench.results import Comparison, Fit, Verdict

#: What a verdict knows from the reference alone.
_FROM_REFERENCE = frozenset({"mean_error", "sd_error", "reweighted_mean_error", "reweighted_sd_error"})


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One fit, what is said of it, and what is true.

    Attributes
    ----------
    fit : Fit
        The fit; its own verdict knows the reference.
    blind : Verdict
        The verdict without a reference.
    mean_error, sd_error : float
        The largest error of a mean, in sds of the reference, and of an sd, as a share.
    repaired_mean_error, repaired_sd_error : float
        The same once the draws are reweighted.
    """

    fit: Fit
    blind: Verdict
    mean_error: float
    sd_error: float
    repaired_mean_error: float
    repaired_sd_error: float

    @property
    def right(self) -> bool:
        """Whether the draws are right as they are: means within 0.1 sd, and sds within 15 %."""
        return self.mean_error <= MEAN_ERROR and self.sd_error <= SD_ERROR

    @property
    def repairable(self) -> bool:
        """Whether they are right once reweighted."""
        return self.repaired_mean_error <= MEAN_ERROR and self.repaired_sd_error <= SD_ERROR

    @property
    def sound(self) -> bool:
        """Whether a user who follows the blind verdict gets right moments, or is told to stay away."""
        if self.blind is Verdict.TRUST:
            return self.right
        return self.repairable if self.blind is Verdict.REWEIGHT else True

    @property
    def timid(self) -> bool:
        """Whether draws that are right are distrusted."""
        return self.right and self.blind not in (Verdict.TRUST, Verdict.REWEIGHT)


def blind_verdict(fit: Fit) -> Verdict:
    """Return the verdict on a fit as if there were no reference."""
    known = [one for one in fit.metrics if one.metric not in _FROM_REFERENCE]
    verdict, _ = judge(known, fit.bound, fit.status, stopped=fit.stopped, trained=not fit.method)
    return verdict


def judged(comparison: Comparison) -> list[Judged]:
    """Return every fit that has weights and a reference, in the order of the run."""
    found = []
    for fit in comparison:
        names = ("mean_error", "sd_error", "reweighted_mean_error", "reweighted_sd_error")
        errors = [fit.value(name) for name in names]
        if fit.bound != "elbo" or not fit.status.has_draws or any(one is None for one in errors):
            continue
        mean, sd, repaired_mean, repaired_sd = (float(one) for one in errors if one is not None)
        found.append(
            Judged(
                fit=fit,
                blind=blind_verdict(fit),
                mean_error=mean,
                sd_error=sd,
                repaired_mean_error=repaired_mean,
                repaired_sd_error=repaired_sd,
            )
        )
    return found


def counts(fits: Iterable[Judged]) -> dict[Verdict, Counter[str]]:
    """Return, by blind verdict, how many fits are ``right``, only ``repairable``, or ``wrong`` either way."""
    table: dict[Verdict, Counter[str]] = {one: Counter() for one in (Verdict.TRUST, Verdict.REWEIGHT, Verdict.DISTRUST)}
    for one in fits:
        table[one.blind]["right" if one.right else "repairable" if one.repairable else "wrong"] += 1
    return table
