"""What weighted points are worth, and draws made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Integer, Shaped

from guidebench.results.inference_data import pareto_smooth

#: Points that have a tail.
FEWEST_OF_A_TAIL = 1_000


def moments(
    points: Float64[np.ndarray, "S D"], weights: Float64[np.ndarray, " S"]
) -> tuple[Float64[np.ndarray, " D"], Float64[np.ndarray, " D"]]:
    """Return means and standard deviations of points under weights that add up to one."""
    mean = weights @ points
    sd: Float64[np.ndarray, " D"] = np.sqrt(weights @ (points - mean) ** 2)
    return mean, sd


def normalised(log_weights: Float64[np.ndarray, " S"]) -> Float64[np.ndarray, " S"]:
    """Return weights that add up to one; of what is no number, none."""
    usable = np.isfinite(log_weights)
    weights = np.where(usable, np.exp(np.where(usable, log_weights - log_weights[usable].max(), -np.inf)), 0.0)
    return np.asarray(weights / weights.sum())


def effective(
    values: Mapping[str, Shaped[np.ndarray, "S ..."]], weights: Float64[np.ndarray, " S"], resampled: int
) -> dict[str, float]:
    r"""Return per scalar component how many independent draws of the posterior resampled points are worth.

    The variance of a self-normalised estimate of E[f] is :math:`\sum_s w_s^2 (f_s - \bar f)^2` to first order, that
    of a mean over n independent draws :math:`\mathrm{Var}(f) / n`.  Their ratio is n for f the component
    itself, and for its squared distance from the mean; the smaller one counts.  Drawing M points of the weighted
    ones adds the variance of M draws.

    Parameters
    ----------
    values : mapping
        By site, shape ``(S, ...)``.
    weights : ndarray
        They add up to one, shape ``(S,)``.
    resampled : int
        M.

    References
    ----------
    Owen (2013), Monte Carlo theory, methods and examples, equation 9.13, https://artowen.su.domains/mc/.
    """
    found: dict[str, float] = {}
    squared = weights**2
    for name, value in values.items():
        columns = value.reshape(len(value), -1).astype(np.float64)
        with np.errstate(all="ignore"):  # points of a very wide mixture are far out, and what is not finite is left out
            centred = columns - weights @ columns
            variance = weights @ centred**2
            of_variance = weights @ centred**4 - variance**2
            for_mean = variance / (squared @ centred**2)
            for_sd = of_variance / (squared @ (centred**2 - variance) ** 2)
        worth = np.fmin(for_mean, for_sd)
        varies = np.ptp(columns, axis=0) > 0
        for index, where in enumerate(np.ndindex(value.shape[1:])):
            if varies[index] and np.isfinite(worth[index]):
                label = f"{name}[{','.join(map(str, where))}]" if where else name
                found[label] = float(1 / (1 / worth[index] + 1 / resampled))
    return found


class Tail(NamedTuple):
    r"""What the largest M of N positive summands tell of those that were not met.

    Attributes
    ----------
    khat : float
        Shape k of the generalised Pareto distribution of the largest M.
    lacking : float
        About what share of the sum is not there: the largest of M Pareto variables is near :math:`M^k` times their
        scale, and of their mean a part :math:`M^{k - 1}` is beyond that, so that it is this part of what the M come to;
        all that they come to where they have no mean.
    """

    khat: float
    lacking: float


def tail(log_summands: Float64[np.ndarray, " S"]) -> Tail:
    """Return the tail of positive summands, given by their logs."""
    khat = pareto_smooth(log_summands)[1]
    return Tail(khat, lacking(log_summands, khat))


def lacking(log_summands: Float64[np.ndarray, " S"], khat: float) -> float:
    """Return what is lacking beyond a tail of that shape, of which PSIS takes as many summands as it smooths."""
    total = len(log_summands)
    count = max(int(np.ceil(min(0.2 * total, 3 * np.sqrt(total)))), 1)
    sizes = np.sort(np.exp(log_summands - log_summands.max()))
    share = float(sizes[-count:].sum() / sizes.sum())
    return float(share * count ** (min(khat, 1.0) - 1.0))


def tails(values: Mapping[str, Shaped[np.ndarray, "S ..."]], weights: Float64[np.ndarray, " S"]) -> dict[str, Tail]:
    r"""Return per scalar component the tail of :math:`w_s (x_s - \bar x)^2`, the summands of its variance.

    Where it is heavy, few points decide the sd, and farther ones that were not met would decide it otherwise, however
    even the weights themselves are.

    Parameters
    ----------
    values : mapping
        By site, shape ``(S, ...)``.
    weights : ndarray
        They add up to one, shape ``(S,)``.
    """
    found: dict[str, Tail] = {}
    for name, value in values.items():
        columns = value.reshape(len(value), -1).astype(np.float64)
        squares = weights[:, None] * (columns - weights @ columns) ** 2
        for index, where in enumerate(np.ndindex(value.shape[1:])):
            some = squares[squares[:, index] > 0, index]
            if len(some) > FEWEST_OF_A_TAIL:
                label = f"{name}[{','.join(map(str, where))}]" if where else name
                found[label] = tail(np.log(some))
    return found


def resampled(weights: Float64[np.ndarray, " S"], count: int, rng: np.random.Generator) -> Integer[np.ndarray, " M"]:
    """Return the numbers of `count` points drawn in proportion to their weights, in random order.

    Systematic resampling: a point of weight w comes up count * w times, rounded up or down (Douc, Cappé &
    Moulines 2005, doi:10.1109/ISPA.2005.195385).
    """
    places = (rng.uniform() + np.arange(count)) / count
    sums = np.cumsum(weights)
    chosen = np.searchsorted(sums / sums[-1], places, side="right")
    return rng.permutation(np.minimum(chosen, len(weights) - 1))
