"""What noise may do to a look at many numbers at once."""

from __future__ import annotations

import math

import numpy as np

#: Monte Carlo errors that are allowed to noise, however few numbers there are.
LEAST_ALLOWED = 2.0

#: Numbers of many that noise alone takes farther than what is allowed to it, in expectation.
BEYOND = 0.2


def allowance(count: int) -> float:
    r"""Return how many of its Monte Carlo errors the worst of so many numbers may be off by noise alone.

    It is :math:`\max(2, \sqrt{2 \log n})`, the second the expected maximum of n normals.
    """
    return max(LEAST_ALLOWED, math.sqrt(2 * math.log(max(count, 1))))


def worst(errors: np.ndarray) -> float:
    r"""Return how far the worst of numbers may be off by noise alone, where each has a Monte Carlo error of its own.

    It is the smallest :math:`t \ge 2 \max_i e_i` that hardly any of them is beyond,

    .. math:: \sum_i 2 \Phi(-t / e_i) \le 0.2,

    as many as are beyond :math:`\sqrt{2 \log n}` errors where a thousand have the same.  A few numbers that are known
    badly among many that are known well are few, however many there are in all.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    if not np.isfinite(errors).all():
        return math.inf
    unsure = errors[errors > 0]
    if not len(unsure):
        return 0.0
    largest = float(unsure.max())

    def beyond(times: float) -> float:
        return float(2 * ndtr(-times * largest / unsure).sum()) - BEYOND

    if beyond(LEAST_ALLOWED) <= 0:
        return LEAST_ALLOWED * largest
    return float(brentq(beyond, LEAST_ALLOWED, math.sqrt(2 * math.log(len(unsure) / BEYOND)), xtol=1e-3)) * largest


def added(count: int) -> float:
    r"""Return how many Monte Carlo errors more the worst of so many numbers is off than a single one.

    It is :math:`\max(0, \sqrt{2 \log n} - 1)`.
    """
    return max(0.0, math.sqrt(2 * math.log(max(count, 1))) - 1)
