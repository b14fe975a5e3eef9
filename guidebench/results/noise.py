"""What noise may do to a look at many numbers at once."""

from __future__ import annotations

import math

import numpy as np

#: Monte Carlo errors that are allowed to noise, however few numbers there are.
LEAST_ALLOWED = 2.0

#: Numbers of many that noise alone takes farther than what is allowed to it, in expectation.
BEYOND = 0.2

#: How many sds of what is left to doubt are added to what a number is without its noise; and by how many Monte Carlo
#: errors, beyond what is allowed to noise, a number has to be away from the others to be none of them.
DOUBT = 2.5
APART = 0.5


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


def without_noise(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    r"""Return what each of many numbers is at most without its noise, as far as the others tell.

    The largest of many is large by its noise where all vary no more than their Monte Carlo errors :math:`e_i`, and by
    itself where they vary more.  So with the median m, the variance about it of the upper half of k numbers, and the
    relative error of such a variance,

    .. math:: \tau^2 = \max\Big(0, \big(1 + \sqrt{2 / k}\big)
                  \frac1k \sum_{x_i \ge m} (x_i - m)^2 - \frac1k \sum_{x_i \ge m} e_i^2\Big), \quad
              b_i = \frac{\tau^2}{\tau^2 + e_i^2}, \quad
              u_i = m + b_i (x_i - m) + 2.5 \sqrt{b_i} \, e_i,

    the mean and 2.5 sds of a normal that is known to be one of :math:`N(m, \tau^2)` and was seen with an error (the
    estimate of James and Stein, with the variance of what it estimates, doi:10.1080/01621459.1973.10481350).  A number
    that even so is too far from m to be one of them, by half an error more than :func:`allowance`, has nothing to do
    with the others: :math:`x_i + 2.5 e_i`.

    Parameters
    ----------
    values, errors : ndarray
        Numbers and their Monte Carlo errors, shape ``(n,)``.
    """
    if not np.isfinite(values).all():
        return np.full(values.shape, math.inf)
    centre, square = float(np.median(values)), errors**2
    upper = values >= centre
    spread = (1 + math.sqrt(2 / upper.sum())) * float(np.mean((values[upper] - centre) ** 2))
    own = max(0.0, spread - float(np.mean(square[upper])))
    kept = np.divide(own, own + square, out=np.ones_like(square), where=square > 0)
    shrunk = centre + kept * (values - centre) + DOUBT * np.sqrt(kept) * errors
    far = values - centre > (allowance(len(values)) + APART) * np.sqrt(own + square)
    return np.where(far, values + DOUBT * errors, shrunk)
