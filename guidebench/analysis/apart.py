"""By how much two estimates of one component's mean and sd contradict each other."""

from __future__ import annotations

from math import hypot
from typing import NamedTuple

from guidebench.analysis.limits import MEAN_ERROR, SD_ERROR
from guidebench.metrics.moments import Moments


class Apart(NamedTuple):
    """How far beyond its limit and noise the larger of two differences is, and that difference in words."""

    beyond: float
    said: str


def apart(own: Moments, other: Moments, noise: float) -> Apart | None:
    """Return how two estimates contradict each other, or ``None``.

    They do where the means differ by more than 0.1 sd or the sds by more than 15 %, of the smaller sd, and by more than
    so many of their Monte Carlo errors.
    """
    scale = min(own.sd, other.sd)
    if not scale > 0:
        return None
    found = [
        Apart((value - noise * error) / scale - limit, text.format(value / scale))
        for value, error, limit, text in (
            (abs(own.mean - other.mean), hypot(own.mean_error, other.mean_error), MEAN_ERROR, "{:.2f} sd in the mean"),
            (abs(own.sd - other.sd), hypot(own.sd_error, other.sd_error), SD_ERROR, "{:.0%} in the sd"),
        )
    ]
    worst = max(found)
    return worst if worst.beyond > 0 else None
