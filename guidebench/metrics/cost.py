"""What a guide cost."""

from __future__ import annotations

from collections.abc import Iterator

from guidebench.contracts import MetricValue
from guidebench.metrics.evidence import Evidence


def gradients(evidence: Evidence) -> Iterator[MetricValue]:
    """Gradients of the log joint in all phases of the fit: training, drawing and scoring, judging.

    A Hessian counts as D of them, one on a part of the data for that part; what all guides of a problem share is not
    in it (:mod:`guidebench.results.work`).
    """
    if evidence.gradients is not None:
        yield MetricValue(value=float(evidence.gradients))
