"""Whether sampling would have been the quicker way to draws that are right, and what it takes beside the guides."""

from __future__ import annotations

from collections.abc import Sequence

from guidebench.results import Fit, ProblemRecord, Verdict, Work

#: Verdicts on draws that are right in no way.
_OF_NO_USE = {Verdict.DISTRUST, Verdict.POINT, Verdict.FAILED}


def quicker(fits: Sequence[Fit], record: ProblemRecord) -> str:
    """Return a sentence where NUTS, which passed its checks, took less time than any guide that is of use.

    The time of a guide is that of compiling, training and scoring it; that of NUTS includes compiling, too.
    """
    timed = [(fit.seconds, fit.guide) for fit in fits if fit.own_verdict not in _OF_NO_USE and fit.seconds is not None]
    if record.reference != "NUTS" or record.reference_s is None or not timed:
        return ""
    seconds, guide = min(timed)
    if record.reference_s >= seconds:
        return ""
    return (
        f"NUTS was quicker than any guide that is of use here: {record.reference_s:.1f} s against {seconds:.1f} s of "
        f"{guide}, and its draws passed their checks."
    )


def beside_nuts(fits: Sequence[Fit], record: ProblemRecord) -> str:
    """Return a sentence on what NUTS took, warm-up included, beside the guides; or that it was not run here."""
    nuts = record.work.get("nuts")
    if nuts is None:
        return (
            "NUTS was not run here, so that there is nothing to hold these against; --reference nuts runs it and "
            "counts its leapfrog steps."
        )
    passed = "" if record.reference == "NUTS" else ", and its draws failed their checks"
    steps = f"{nuts.gradients:,} leapfrog steps with warm-up, each one gradient"
    text = f"NUTS took {steps}, and {nuts.seconds:.1f} s{passed}."
    counted = [(fit.gradients, fit.guide) for fit in fits if fit.gradients and fit.verdict not in _OF_NO_USE]
    if not counted or not nuts.gradients:
        return text
    few, guide = min(counted)
    shared = record.work.get("search", Work()).gradients
    return (
        f"{text} The guide of use that cost least, {guide}, took {few / nuts.gradients:.2f} times as many "
        f"({(few + shared) / nuts.gradients:.2f} with the search, which all guides share)."
    )
