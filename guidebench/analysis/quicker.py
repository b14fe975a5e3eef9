"""Whether sampling would have been the quicker way to draws that are right."""

from __future__ import annotations

from collections.abc import Sequence

from guidebench.results import Fit, ProblemRecord, Verdict

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
