"""How far to trust each guide, in one word and one sentence.

The verdict looks at two things: whether the importance weights can repair the draws at all (the
tail shape k-hat, against its threshold and within its own error), and how far the guide is from the
posterior (the estimate of KL(q || p) as log evidence minus ELBO).  An error of 30 % in a single
standard deviation costs only a tenth of a nat, so "close" means a few hundredths.
"""

from __future__ import annotations

from collections.abc import Sequence

from guidebench.contracts import Bound, MetricValue
from guidebench.results import Fit, Status, Verdict

#: Largest estimate of KL(q || p), in nats, at which draws are used as they are.
CLOSE = 0.05


def judge(metrics: Sequence[MetricValue], bound: Bound, status: Status) -> tuple[Verdict, str]:
    """Return the verdict on one fit and the reason for it, in one sentence.

    Parameters
    ----------
    metrics : sequence of MetricValue
        At least ``elbo``, ``log_evidence``, ``khat`` and ``khat_threshold`` where they are defined.
    bound : {"elbo", "augmented", "none"}
        What the guide's ELBO is.
    status : Status
        How training ended.
    """
    if not status.has_draws:
        return Verdict.FAILED, "There are no draws to judge."
    unsettled = " Training ran out of steps before it settled." if status is Status.MAX_STEPS else ""
    if bound == "none":
        return Verdict.POINT, "A point estimate: it has no spread, so no intervals and no ELBO." + unsettled
    found = {one.metric: one for one in metrics if not one.variable}
    if not {"elbo", "log_evidence", "khat", "khat_threshold"} <= found.keys():
        return (
            Verdict.DISTRUST,
            "Its density is known only on a larger space, so its draws cannot be checked." + unsettled,
        )

    khat, threshold = found["khat"], found["khat_threshold"].value
    margin = 2 * (khat.mcse or 0.0)
    gap = max(found["log_evidence"].value - found["elbo"].value, 0.0)
    if not khat.value <= threshold + margin:
        return Verdict.DISTRUST, (
            f"Its tails miss part of the posterior: k-hat {khat.value:.2f} is above {threshold:.2f}, "
            "so not even reweighting repairs the draws." + unsettled
        )
    if gap <= CLOSE:
        reason = f"Within {max(gap, 0.001):.3f} nat of the posterior by KL(q||p); use its draws as they are."
        return Verdict.TRUST, reason + unsettled
    return Verdict.REWEIGHT, (
        f"It is {gap:.2f} nat from the posterior by KL(q||p), but its importance weights are usable "
        f"(k-hat {khat.value:.2f}): reweight the draws before using its intervals." + unsettled
    )


def recommend(fits: Sequence[Fit]) -> str:
    """Return one or two sentences that say which guide to use, from the fits of one problem."""
    if not fits:
        return "No guide was trained."

    def cost(fit: Fit) -> float:
        return (fit.compile_s or 0) + (fit.train_s or 0) + (fit.evaluate_s or 0)

    def names(chosen: Sequence[Fit]) -> str:
        listed = [fit.guide for fit in chosen]
        return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"

    trusted = sorted((fit for fit in fits if fit.verdict is Verdict.TRUST), key=cost)
    usable = [fit for fit in fits if fit.verdict is Verdict.REWEIGHT]
    if trusted:
        first = f"Use {trusted[0].guide}: "
        first += (
            "the only guide whose draws can be taken as they are."
            if len(trusted) == 1
            else f"the quickest of {len(trusted)} guides whose draws can be taken as they are."
        )
    elif usable:
        best = max(usable, key=lambda fit: fit.value("elbo") or float("-inf"))
        first = f"No guide can be taken as it is; {best.guide} comes closest, and its draws need reweighting."
    else:
        return "None of these guides can be trusted on this problem; use NUTS."
    if trusted and usable:
        verb = "misses" if len(usable) == 1 else "miss"
        first += f" The intervals of {names(usable)} {verb} some of the posterior's spread or shape unless reweighted."
    return first
