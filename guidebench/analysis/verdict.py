"""How far to trust each guide, in one word and one sentence.

The importance weights p/q measure how far a guide is from the posterior, and may repair it:

- ``trust``: reweighting changes no mean by more than 0.07 posterior sds and no sd by more than
  10 %, Monte Carlo error included.
- ``reweight``: it changes more, but the guide is within 0.2 nat of the posterior (the estimate of
  KL(q || p) is log evidence minus ELBO, the log evidence from smoothed weights, which spreads half as
  much over fresh draws), so the weights are even enough to use the repaired draws.
- ``distrust``: the guide is farther away, or the tail shape k-hat says that its weights have no mean,
  unless the guide is within 0.02 nat: the shape of the tail of weights that are all but equal says little.

By Pinsker's inequality 0.2 nat bound the total variation distance by 0.32.  k-hat alone makes a
poor verdict: it has a standard deviation of about 0.1 over seeds, and a posterior with heavier tails
than the guide puts it near one however close the two are elsewhere.  The effective sample size hangs
on the single largest weight in the same way; the KL does not.

All of this looks where the guide has draws: it is blind to a mode in which the guide has none.  Two
things are not, and can only make a verdict worse:

- the modes that a search found before training: a guide without draws at one of them gets ``distrust``,
  unless a reference finds nothing wrong with it;
- the reference, where there is one: beyond 0.1 posterior sds on a mean or 15 % on an sd, Monte Carlo
  error allowed for, nothing is trusted; and where the repaired draws are as wrong, nothing helps.

A guide whose ELBO is over a larger space has no weights of its own latents.  The reference alone judges its
draws: they are trusted where all errors, with their Monte Carlo errors added, are within these limits.  Without a
reference nothing can tell how good they are, and what cannot be told is not trusted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from guidebench.contracts import Bound, MetricValue
from guidebench.results import Fit, ProblemRecord, Status, Verdict

#: Largest shift of a mean, in posterior sds, and of an sd, as a share, in draws that are trusted.
MEAN_SHIFT = 0.07
SD_SHIFT = 0.10

#: Largest estimate of KL(q || p), in nats, at which weights repair the draws.
REPAIRABLE = 0.2

#: KL(q || p), in nats, below which the tail shape of the weights decides nothing.
NEGLIGIBLE = 0.02

#: Largest errors of a mean, in sds of the reference, and of an sd, as a share, in draws that are right.
MEAN_ERROR = 0.10
SD_ERROR = 0.15

_NEEDED = ("smoothed_kl", "khat", "mean_shift", "sd_shift")


def judge(
    metrics: Sequence[MetricValue], bound: Bound, status: Status, *, stopped: bool = False, trained: bool = True
) -> tuple[Verdict, str]:
    """Return the verdict on one fit and the reason for it, in one sentence.

    Parameters
    ----------
    metrics : sequence of MetricValue
        Those of the fit; ``smoothed_kl``, ``khat``, ``mean_shift`` and ``sd_shift`` decide, and
        ``dropped_mass`` and the errors against a reference where they are there.
    bound : {"elbo", "augmented", "none"}
        What the guide's ELBO is.
    status : Status
        How training ended.
    stopped : bool
        Whether data that were held back stopped it early.
    trained : bool
        Whether it was trained by the recipe of the run, not fitted by a method of its own.
    """
    if not status.has_draws:
        return Verdict.FAILED, "There are no draws to judge."
    why = "was stopped early, by the data held back," if stopped else "ran out of steps"
    unsettled = f" Training {why} before it settled." if trained else " Its own method of fitting did not converge."
    unsettled = unsettled if status is Status.MAX_STEPS else ""
    if bound == "none":
        return Verdict.POINT, "A point estimate: it has no spread, so no intervals and no ELBO." + unsettled
    found = {one.metric: one for one in metrics if not one.variable}
    wrong, repaired_wrong = (
        _wrong(metrics, "mean_error", "sd_error"),
        _wrong(metrics, "reweighted_mean_error", "reweighted_sd_error"),
    )
    dropped = found.get("dropped_mass")
    # The masses of modes are estimates; a reference that finds nothing wrong knows better.
    if dropped is not None and dropped.value > 0 and (wrong or "mean_error" not in found):
        reason = (
            f"It has hardly any draws at modes that hold about {dropped.value:.0%} of what a search found of the "
            f"posterior{'; its weights cannot see them' if 'khat' in found else ''}."
        )
        return Verdict.DISTRUST, reason + unsettled
    if any(name not in found for name in _NEEDED):
        verdict, reason = _by_reference(metrics, wrong)
        return verdict, reason + unsettled

    khat, gap = found["khat"], found["smoothed_kl"].value
    even = math.isfinite(khat.value) and gap <= NEGLIGIBLE
    if not even and not khat.value - 2 * (khat.mcse or 0.0) <= 1:
        reason = f"Its weights have no mean (k-hat {khat.value:.2f}): it misses part of the posterior, beyond repair."
        return Verdict.DISTRUST, reason + unsettled
    if not gap <= REPAIRABLE:
        reason = f"It is {gap:.2f} nat from the posterior by KL(q||p), too far for weights to repair its intervals."
        return Verdict.DISTRUST, reason + unsettled
    if wrong and repaired_wrong:
        reason = f"Against the reference {wrong}, which its weights do not see: repaired by them, {repaired_wrong}."
        return Verdict.DISTRUST, reason + unsettled
    mean, sd = found["mean_shift"], found["sd_shift"]
    if not wrong and _largest(metrics, "mean_shift") <= MEAN_SHIFT and _largest(metrics, "sd_shift") <= SD_SHIFT:
        reason = (
            f"Reweighting hardly changes it (means by {mean.value:.2f} sd, sds by {sd.value:.0%} at most): "
            "use its draws as they are."
        )
        return Verdict.TRUST, reason + unsettled
    if repaired_wrong:
        reason = f"Its draws would have to be reweighted, but repaired, {repaired_wrong} against the reference."
        return Verdict.DISTRUST, reason + unsettled
    reason = (
        f"It is {gap:.2f} nat from the posterior by KL(q||p): reweighting moves a mean by up to {mean.value:.2f} sd "
        f"and an sd by up to {sd.value:.0%}, so use its draws with their weights."
    )
    return Verdict.REWEIGHT, reason + unsettled


def _by_reference(metrics: Sequence[MetricValue], wrong: str) -> tuple[Verdict, str]:
    """Return the verdict on draws without weights, of which `wrong` is what is surely wrong."""
    unknown = "The density of its draws is not known, so no weights can check or repair them"
    if not all(any(one.metric == name for one in metrics) for name in ("mean_error", "sd_error")):
        return Verdict.DISTRUST, f"{unknown}, and there is no reference: how good they are cannot be told."
    if wrong:
        return Verdict.DISTRUST, f"Against the reference {wrong}. {unknown}."
    mean, sd = _largest(metrics, "mean_error"), _largest(metrics, "sd_error")
    if not (mean <= MEAN_ERROR and sd <= SD_ERROR):
        return Verdict.DISTRUST, (
            f"{unknown}, and the reference leaves room for an error of {mean:.2f} sd of a mean and {sd:.0%} of an sd."
        )
    return Verdict.TRUST, (
        f"No mean is off from the reference by more than {mean:.2f} sd and no sd by more than {sd:.0%}, which is all "
        "that can be checked without weights: use its draws as they are."
    )


def _wrong(metrics: Sequence[MetricValue], mean_error: str, sd_error: str) -> str:
    """Return what is wrong against the reference beyond its error, or nothing.

    Every component counts with its own error: one that is known badly must not hide one that is known well.
    """
    said = []
    for name, limit, text in (
        (mean_error, MEAN_ERROR, "a mean is off by {:.2f} sd"),
        (sd_error, SD_ERROR, "an sd is off by {:.0%}"),
    ):
        beyond = [one for one in metrics if one.metric == name and not one.value - 2 * (one.mcse or 0.0) <= limit]
        if beyond:
            worst = max(beyond, key=lambda one: one.value)
            said.append(text.format(worst.value) + (f" ({worst.variable})" if worst.variable else ""))
    return " and ".join(said)


def _largest(metrics: Sequence[MetricValue], name: str) -> float:
    """Return the largest value of a metric over all components, each with its error added."""
    return max(one.value + (one.mcse or 0.0) for one in metrics if one.metric == name)


def _cannot_be_checked(fit: Fit) -> bool:
    """Return whether nothing is known against a fit, nor for it: no weights, no reference, no dropped mode."""
    return fit.bound == "augmented" and fit.metric("mean_error") is None and not fit.value("dropped_mass")


def _elbo(fit: Fit) -> float:
    value = fit.value("elbo")
    return -math.inf if value is None else value


def recommend(fits: Sequence[Fit], record: ProblemRecord | None = None) -> str:
    """Return one or two sentences that say which guide to use, from the fits of one problem and what is known of it."""
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
        best = max(usable, key=_elbo)
        first = f"No guide can be taken as it is; {best.guide} comes closest: use its draws with their weights."
    elif not any(fit.status.has_draws for fit in fits):
        reasons = list(dict.fromkeys(fit.message for fit in fits if fit.message))
        return "No guide could be trained: " + ("; ".join(reasons[:3]) or "see their messages") + "."
    else:
        if record is not None and record.reference_checks and not record.reference:
            return (
                "None of these guides can be trusted on this problem, and NUTS failed its checks: "
                "write the model in other coordinates, or run NUTS for longer."
            )
        return "None of these guides can be trusted on this problem; use NUTS, and see that its chains agree."
    if trusted and usable:
        first += f" Use the draws of {names(usable)} only with their weights."
    unchecked = [fit for fit in fits if fit.verdict is Verdict.DISTRUST and _cannot_be_checked(fit)]
    far = [fit for fit in fits if fit.verdict is Verdict.DISTRUST and fit not in unchecked]
    if far:
        first += f" Do not use the intervals of {names(far)}."
    if unchecked:
        first += f" How good the draws of {names(unchecked)} are cannot be told without a reference."
    return first
