"""What noise may do to a look at many numbers at once."""

from __future__ import annotations

import math

#: Monte Carlo errors that are allowed to noise, however few numbers there are.
LEAST_ALLOWED = 2.0


def allowance(count: int) -> float:
    r"""Return how many of its Monte Carlo errors the worst of so many numbers may be off by noise alone.

    It is :math:`\max(2, \sqrt{2 \log n})`, the second the expected maximum of n normals.
    """
    return max(LEAST_ALLOWED, math.sqrt(2 * math.log(max(count, 1))))


def added(count: int) -> float:
    r"""Return how many Monte Carlo errors more the worst of so many numbers is off than a single one.

    It is :math:`\max(0, \sqrt{2 \log n} - 1)`.
    """
    return max(0.0, math.sqrt(2 * math.log(max(count, 1))) - 1)
