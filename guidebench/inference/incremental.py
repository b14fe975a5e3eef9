r"""Mixtures that grow where their weights are large: incremental mixture importance sampling.

Points are weighed against the mixture q that they were drawn from.  Where the weight :math:`w_s \propto \pi / q`, or
what it adds to the variance of some coordinate,

.. math:: w_s \Big( 1 + \max_j \frac{(u_{sj} - \bar u_j)^2}{\sigma_j^2} \Big),

is largest, q is short of mass: a Student t is put there, with the covariance of the points nearest to it, each counted
by its weight (half) and once (half), and points of it are added.  All points are then weighed against the larger
mixture, and so on.  What no single ellipse covers, as a banana, the branches of a hyperbola, or the neck of a funnel,
many small ones do.

In the end a few steps of EM make points likelier that are drawn in proportion to the same, so that tails get what the
variances need: shares, locations and covariances of the components that were added are fitted, while those that the
mixture began with keep theirs, and a tenth of it at least, for what has not been met.  Only the mixture goes on from
here: no point that it was built from is used again.

References
----------
Raftery & Bao (2010), Estimating and projecting trends in HIV/AIDS generalized epidemics using incremental mixture
importance sampling, Biometrics 66(4), doi:10.1111/j.1541-0420.2010.01399.x;
Cappé, Douc, Guillin, Marin & Robert (2008), Adaptive importance sampling in general mixture classes, Statistics and
Computing 18, doi:10.1007/s11222-008-9059-x.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from guidebench.inference.component import Component, log_mixture, log_sum
from guidebench.inference.weighted import moments, normalised, resampled
from guidebench.results.inference_data import pareto_smooth

#: Rounds, at most, components that each adds, and points of each of these.
ROUNDS = 12
ADDED = 4
POINTS_OF_EACH = 1_000

#: Points whose covariance a new component has, at least, and those to a dimension; its degrees of freedom.
NEAREST, NEAREST_OF_EACH = 1_000, 10
FREEDOM = 7.0

#: Nothing is added where the weights are worth such a share of all points, and their tails are no heavier than that.
GOOD, LIGHT = 0.5, 0.5

#: Steps of EM, and the points, drawn by weight, that it fits.
STEPS = 10
FITTED = 6_000

#: For how many independent points to a dimension the covariance counts that a component had before a step of EM.
PRIOR = 5.0

#: What the components of the beginning keep together; one of the others that comes to less is dropped.
KEPT = 0.1
LEAST = 1e-4

Points = Float64[np.ndarray, "S D"]
LogDensity = Callable[[Points], Float64[np.ndarray, " S"]]


class Grown(NamedTuple):
    """A mixture: what it began with, and what was added; the shares of all add up to one."""

    covering: tuple[Component, ...]
    added: tuple[Component, ...] = ()

    @property
    def components(self) -> tuple[Component, ...]:
        """All of them."""
        return (*self.covering, *self.added)


class _Weighed(NamedTuple):
    """Points with their target and the mixture that all of them are weighed against, in nats."""

    points: Points
    log_p: Float64[np.ndarray, " S"]
    log_q: Float64[np.ndarray, " S"]

    def weights(self) -> Float64[np.ndarray, " S"]:
        """Return the weights, which add up to one."""
        return normalised(self.log_p - self.log_q)


def grow(
    mixture: Grown,
    log_density: LogDensity,
    points: Points,
    log_p: Float64[np.ndarray, " S"],
    rng: np.random.Generator,
) -> tuple[Grown, int]:
    """Return a mixture that covers a density better than the one that points were drawn from, and the points it took.

    Parameters
    ----------
    mixture : Grown
        What points were drawn from.
    log_density : callable
        The log density, in nats, at points of shape ``(S, D)``; minus infinity where there is none.
    points : ndarray
        Drawn from the mixture, shape ``(S, D)``.
    log_p : ndarray
        The log density there, in nats, shape ``(S,)``.
    rng : numpy.random.Generator
        Where new points come from.
    """
    start, new = len(points), list[Component]()
    weighed = _Weighed(points, log_p, log_mixture(mixture.components, points))
    for _ in range(ROUNDS):
        added = list(_where_short(weighed.points, weighed.weights()))
        if not added:
            break
        drawn = np.concatenate([one.draw(POINTS_OF_EACH, rng) for one in added])
        weighed = _with(weighed, drawn, log_density(drawn), start, mixture.components, new, added)
        new += added
    total, needed = len(weighed.points), _needed(weighed.points, weighed.weights())
    shares = [one.share * start / total for one in mixture.added] + [POINTS_OF_EACH / total] * len(new)
    added = [replace(one, share=share) for one, share in zip((*mixture.added, *new), shares, strict=True)]
    fitted = weighed.points[resampled(needed, FITTED, rng)]
    return _fitted(mixture.covering, added, fitted, 1 / float(np.sum(needed**2))), total - start


def _needed(points: Points, weights: Float64[np.ndarray, " S"]) -> Float64[np.ndarray, " S"]:
    """Return the part of each point in what the weights and the variances are sums of; they add up to one."""
    mean, sd = moments(points, weights)
    with np.errstate(all="ignore"):
        far = np.max(((points - mean) / sd) ** 2, axis=1)
    needed = weights * (1 + np.where(np.isfinite(far), far, 0.0))
    return np.asarray(needed / needed.sum())


def _with(
    weighed: _Weighed,
    drawn: Points,
    log_p: Float64[np.ndarray, " S"],
    start: int,
    before: Sequence[Component],
    new: Sequence[Component],
    added: Sequence[Component],
) -> _Weighed:
    """Return all points, with those drawn of added components, weighed against the mixture of all by their counts."""
    each = np.log(POINTS_OF_EACH)
    here = np.logaddexp(np.log(start) + log_mixture(before, drawn), each + log_sum(new, drawn))
    counted = np.concatenate([weighed.log_q + np.log(len(weighed.points)), here])
    points = np.concatenate([weighed.points, drawn])
    log_q = np.logaddexp(counted, each + log_sum(added, points)) - np.log(len(points))
    return _Weighed(points, np.concatenate([weighed.log_p, log_p]), log_q)


def _where_short(points: Points, weights: Float64[np.ndarray, " S"]) -> Iterator[Component]:
    """Yield components where there is too little of the mixture, each with the shape of the points about it."""
    needed = _needed(points, weights)
    if 1 / np.sum(weights**2) > GOOD * len(points) and pareto_smooth(np.log(needed[needed > 0]))[1] <= LIGHT:
        return
    sd = moments(points, weights)[1]
    if not (np.isfinite(sd).all() and (sd > 0).all()):
        return
    scaled = points / sd
    size = min(max(NEAREST, NEAREST_OF_EACH * points.shape[1]), len(points))
    for _ in range(ADDED):
        top = int(np.argmax(needed))
        if not needed[top] > 0:
            return
        near = np.argpartition(np.sum((scaled - scaled[top]) ** 2, axis=1), size - 1)[:size]
        needed[near] = 0.0
        own = 0.5 * weights[near] / weights[near].sum() + 0.5 / size
        offsets = points[near] - points[top]
        # A t has more variance than its scale says.
        factor = _factor((FREEDOM - 2) / FREEDOM * (own[:, None] * offsets).T @ offsets)
        if factor is not None:
            yield Component(location=points[top], factor=factor, freedom=FREEDOM, share=0.0)


def _factor(covariance: Float64[np.ndarray, "D D"]) -> Float64[np.ndarray, "D D"] | None:
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return None


def _fitted(covering: tuple[Component, ...], added: Sequence[Component], points: Points, worth: float) -> Grown:
    """Return the mixture under which points are likelier; they are worth so many independent ones."""
    if not added:
        return Grown(covering)
    kept = sum(one.share for one in covering)
    base = log_mixture(covering, points) - np.log(kept)
    kept = 1 - sum(one.share for one in added)
    prior = PRIOR * points.shape[1] / worth * len(points)
    for _ in range(STEPS):
        logs = np.stack([np.log(kept) + base, *(np.log(one.share) + one.log_density(points) for one in added)])
        parts = np.exp(logs - np.logaddexp.reduce(logs, axis=0))
        kept = max(float(parts[0].mean()), KEPT)
        added = [_moved(one, part, points, prior) for one, part in zip(added, parts[1:], strict=True)]
        added = [one for one in added if one.share > LEAST]
        if not added:
            return Grown(_sharing(covering, 1.0))
        added = _sharing(added, 1 - kept)
    return Grown(_sharing(covering, kept), tuple(added))


def _moved(one: Component, part: Float64[np.ndarray, " S"], points: Points, prior: float) -> Component:
    """Return a component after a step of EM: so much of each point is its own."""
    dim, share = points.shape[1], float(part.mean())
    by_scale = part * (one.freedom + dim) / (one.freedom + one.squares(points))
    location = (by_scale @ points + prior * one.location) / (by_scale.sum() + prior)
    offsets = points - location
    scatter = (by_scale[:, None] * offsets).T @ offsets + prior * one.factor @ one.factor.T
    factor = _factor(scatter / (part.sum() + prior))
    return replace(one, share=share) if factor is None else replace(one, location=location, factor=factor, share=share)


def _sharing(components: Sequence[Component], total: float) -> tuple[Component, ...]:
    """Return components whose shares add up to a total."""
    scale = total / sum(one.share for one in components)
    return tuple(replace(one, share=one.share * scale) for one in components)
