"""What noise may do to a look at many numbers at once."""

from __future__ import annotations

import math

import numpy as np

#: Monte Carlo errors that are allowed to noise, however few numbers there are.
LEAST_ALLOWED = 2.0

#: Numbers of many that noise alone takes farther than what is allowed to it, in expectation.
BEYOND = 0.2

#: How many sds of what is left to doubt are added to what a number is without its noise.
DOUBT = 2.5

#: A number that is so many of its errors farther away than what is allowed to noise is none of the others.
APART = 1.0

#: Numbers without a sign whose median is within so many of their errors may be noise about zero.
ABOUT_ZERO = 1.5


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

    The largest of many is large by its noise where all differ no more than their Monte Carlo errors :math:`e_i` let
    them, and by itself where they differ more.  About a centre m, with the k numbers :math:`x_i \ge m` and the relative
    error of such a variance,

    .. math:: \tau^2 = \max\Big(0, \big(1 + \sqrt{2 / k}\big)
                  \frac1k \sum_{x_i \ge m} (x_i - m)^2 - \frac1k \sum_{x_i \ge m} e_i^2\Big), \quad
              b_i = \frac{\tau^2}{\tau^2 + e_i^2}, \quad
              u_i = m + b_i (x_i - m) + 2.5 \sqrt{b_i} \, e_i,

    the mean and 2.5 sds of a normal that is known to be one of :math:`N(m, \tau^2)` and was seen with an error (the
    estimate of James and Stein, with the variance of what it estimates, doi:10.1080/01621459.1973.10481350).  A number
    that is no noise, with :math:`e_i = 0`, is what it is.  One with

    .. math:: x_i - m > (z_n + 1) \sqrt{\tau^2 + e_i^2},

    where :math:`z_n` is :func:`allowance`, is none of them: others tell nothing of it, and :math:`u_i = x_i + 2.5 e_i`.

    The centre is the median.  Numbers are sizes of errors, without their signs; where the median is no more than 1.5
    times the root mean square of :math:`e_i` they may be errors about zero, half of which were turned over.  There the
    larger of two bounds is returned, one about the median and one about zero, where k is n and a second moment is the
    same with signs and without.

    Parameters
    ----------
    values, errors : ndarray
        Numbers that are not negative, and their Monte Carlo errors, shape ``(n,)``.
    """
    if not np.isfinite(values).all() or not np.isfinite(errors).all():
        return np.full(values.shape, math.inf)
    median = float(np.median(values))
    found = _about(median, values, errors)
    if median > ABOUT_ZERO * math.sqrt(float(np.mean(errors**2))):
        return found
    return np.asarray(np.maximum(found, _about(0.0, values, errors)))


def _about(centre: float, values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    square, upper = errors**2, values >= centre
    spread = (1 + math.sqrt(2 / upper.sum())) * float(np.mean((values[upper] - centre) ** 2))
    own = max(0.0, spread - float(np.mean(square[upper])))
    kept = np.divide(own, own + square, out=np.ones_like(square), where=square > 0)
    shrunk = centre + kept * (values - centre) + DOUBT * np.sqrt(kept) * errors
    far = values - centre > (allowance(len(values)) + APART) * np.sqrt(own + square)
    return np.asarray(np.where(far, values + DOUBT * errors, shrunk))
