"""Errors against a reference: how far a guide's moments and marginals are from the true posterior's.

All are in units of the reference's standard deviation.  Each metric yields one
value per scalar component (or pair), and the largest of them without a component name.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from itertools import combinations, islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Real

from guidebench.contracts import MetricValue
from guidebench.metrics.evidence import Evidence
from guidebench.metrics.moments import MOST_CORRELATED, Moments, correlation_matrix, moments_of

#: Draws that enter a Wasserstein distance, of either side.
MOST_SORTED = 20_000

#: Components whose whole marginals are compared: of more, those whose moments are farthest off.
MOST_MARGINALS = 1_000

#: Probabilities of the quantiles that are compared.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Pair(NamedTuple):
    """One scalar component under the guide and in the reference, in float64.

    Attributes
    ----------
    name : str
        Its name.
    draws : ndarray
        Under the guide, shape ``(S,)``.
    reference : ndarray
        From the true posterior, shape ``(M,)``.
    effective : float
        How many independent draws the reference is worth.
    """

    name: str
    draws: Float64[np.ndarray, " S"]
    reference: Float64[np.ndarray, " M"]
    effective: float


def pairs(evidence: Evidence, names: Container[str] | None = None) -> Iterator[Pair]:
    """Yield every component, or those of these names, that both sides have and that varies in the reference."""
    reference = dict(evidence.reference_scalars())
    for name, draws in evidence.scalars():
        if name in reference and (names is None or name in names) and np.ptp(reference[name]) > 0:
            true = reference[name].astype(np.float64)
            effective = float(evidence.reference_ess.get(name, len(true)))
            yield Pair(name=name, draws=draws.astype(np.float64), reference=true, effective=effective)


def farthest(evidence: Evidence, most: int = MOST_MARGINALS) -> frozenset[str] | None:
    """Return the components whose means and sds are farthest off, half for each; ``None`` where all are few enough."""
    if sum(draws[0].size for draws in evidence.latents.values() if len(draws)) <= most:
        return None
    found = list(_both(evidence))
    by_mean = sorted(found, key=lambda one: -mean_off(one[1], one[2]).value)
    by_sd = sorted(found, key=lambda one: -sd_off(one[1], one[2]).value)
    return frozenset(name for name, *_ in (*by_mean[: most // 2], *by_sd[: most // 2]))


def thinned(draws: Real[np.ndarray, "*rows S"], count: int) -> Real[np.ndarray, "*rows _"]:
    """Return `count` evenly spaced draws, along the last axis: some of every chain."""
    size = draws.shape[-1]
    return draws if count >= size else draws[..., np.arange(count) * size // count]


def mean_off(own: Moments, true: Moments) -> MetricValue:
    """Return how far a mean is from the true one, in true sds; that sd is an estimate, too."""
    value = abs(own.mean - true.mean) / true.sd
    errors = (own.mean_error / true.sd, true.mean_error / true.sd, value * true.sd_error / true.sd)
    return MetricValue(value=value, mcse=float(np.linalg.norm(errors)))


def sd_over(own: Moments, true: Moments) -> MetricValue:
    """Return an sd over the true one, with the error of a ratio of independent estimates."""
    ratio = own.sd / true.sd
    return MetricValue(value=ratio, mcse=float(np.hypot(own.sd_error, ratio * true.sd_error) / true.sd))


def sd_off(own: Moments, true: Moments) -> MetricValue:
    """Return by which share an sd is off from the true one."""
    found = sd_over(own, true)
    return MetricValue(value=abs(found.value - 1), mcse=found.mcse)


def with_worst(found: Iterable[MetricValue]) -> Iterator[MetricValue]:
    """Yield values of components and, after them, the largest of each metric without a component's name."""
    worst: dict[str, MetricValue] = {}
    for one in found:
        yield one
        if one.metric not in worst or one.value > worst[one.metric].value:
            worst[one.metric] = one
    yield from (replace(one, variable="") for one in worst.values())


def off(metric: str, found: Iterable[tuple[str, Moments, Moments]]) -> Iterator[MetricValue]:
    """Yield the errors of both moments of components, and the largest of each.

    Parameters
    ----------
    metric : str
        What they are called; ``{}`` stands for the moment.
    found : iterable of (str, Moments, Moments)
        A component, its moments, and the true ones.
    """

    def each() -> Iterator[MetricValue]:
        for name, own, true in found:
            yield replace(mean_off(own, true), variable=name, metric=metric.format("mean"))
            yield replace(sd_off(own, true), variable=name, metric=metric.format("sd"))

    return with_worst(each())


def _both(evidence: Evidence) -> Iterator[tuple[str, Moments, Moments]]:
    """Yield the moments under the guide and in the reference of every component that both have."""
    true = moments_of(evidence.reference, evidence.reference_ess, varying=True)
    shared = {name: value for name, value in evidence.deterministics.items() if name in evidence.reference}
    own = {**moments_of(evidence.latents), **moments_of(shared)}
    yield from ((name, one, true[name]) for name, one in own.items() if name in true)


def mean_error(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Absolute error of the mean, :math:`|\mu_q - \mu_p| / \sigma_p`."""

    def each() -> Iterator[MetricValue]:
        count = max(map(len, evidence.reference.values()), default=1)
        share = float(np.sqrt((count - 1) / count))
        for name, own, true in _both(evidence):
            # The plain sd of the reference's draws is the unit of all distances here.
            yield replace(mean_off(own, true._replace(sd=share * true.sd)), variable=name)

    yield from with_worst(each())


def sd_ratio(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Standard deviation over that of the reference, :math:`\sigma_q / \sigma_p`; below one is too narrow.

    The error is that of a ratio of independent estimates, each by
    :func:`~guidebench.metrics.moments.moments_of`.
    """
    for name, own, true in _both(evidence):
        yield replace(sd_over(own, true), variable=name)


def sd_error(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Relative error of the standard deviation, :math:`|\sigma_q / \sigma_p - 1|`."""
    yield from with_worst(replace(sd_off(own, true), variable=name) for name, own, true in _both(evidence))


def w1_error(evidence: Evidence) -> Iterator[MetricValue]:
    r"""1-Wasserstein distance of the marginals over the reference's sd.

    .. math:: W_1 = \int_0^1 |F_q^{-1}(u) - F_p^{-1}(u)|\, du \,/\, \sigma_p

    Two samples of one distribution are a distance of about :math:`1/\sqrt{S}` apart: it is never zero.  Of more than
    1,000 components it is that of those whose means and sds are farthest off.
    """
    from scipy.stats import wasserstein_distance

    def each() -> Iterator[MetricValue]:
        for name, draws, reference, _ in pairs(evidence, farthest(evidence)):
            distance = wasserstein_distance(thinned(draws, MOST_SORTED), thinned(reference, MOST_SORTED))
            yield MetricValue(value=float(distance / np.std(reference)), variable=name)

    yield from with_worst(each())


def quantiles_with_errors(
    draws: Float[np.ndarray, " S"], effective: float
) -> tuple[Float64[np.ndarray, " Q"], Float64[np.ndarray, " Q"]]:
    r"""Return the quantiles of draws at :data:`QUANTILES` and their Monte Carlo standard errors.

    The error is half the distance between the quantiles at :math:`u \pm \sqrt{u (1 - u) / S}`, so it
    takes no estimate of a density.

    Parameters
    ----------
    draws : ndarray
        Shape ``(S,)``.
    effective : float
        How many independent draws they are worth.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), Bayesian Analysis 16(2), sec. 4.4,
    doi:10.1214/20-BA1221.
    """
    levels = np.asarray(QUANTILES)
    widths = np.sqrt(levels * (1 - levels) / effective)
    wanted = np.clip([levels, levels - widths, levels + widths], 0, 1)
    values, low, high = np.quantile(np.sort(draws), wanted)
    return values, (high - low) / 2


def quantile_error(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Largest error of the 5, 25, 50, 75 and 95 % quantiles.

    .. math:: \max_u |F_q^{-1}(u) - F_p^{-1}(u)| \,/\, \sigma_p

    The error is that of the quantile which is farthest off; choosing the largest of five makes the
    value itself high by about one error where the marginals are equal.  Of more than 1,000 components it is that of
    those whose means and sds are farthest off.
    """

    def each() -> Iterator[MetricValue]:
        for name, draws, reference, effective in pairs(evidence, farthest(evidence)):
            found, error = quantiles_with_errors(draws, len(draws))
            true, true_error = quantiles_with_errors(reference, effective)
            difference = np.abs(found - true)
            worst = int(np.argmax(difference))
            sd = float(np.std(reference))
            mcse = float(np.hypot(error[worst], true_error[worst])) / sd
            yield MetricValue(value=float(difference[worst]) / sd, mcse=mcse, variable=name)

    yield from with_worst(each())


def correlation_error(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Absolute error of every pairwise correlation, and the distance of the correlation matrices.

    ``correlation_error`` is :math:`|r_q - r_p|` of each pair; ``correlation_error_frobenius`` is

    .. math:: \Big( \sum_{i,j} (R_q - R_p)_{ij}^2 \Big)^{1/2},

    each pair counted twice, with the error of its first-order expansion.  Where the matrices are equal
    it is still about :math:`\sqrt{d (d - 1) (1/S + 1/M)}`: the errors of the pairs add up.
    """
    found = list(islice((pair for pair in pairs(evidence) if np.ptp(pair.draws) > 0), MOST_CORRELATED + 1))
    if not 2 <= len(found) <= MOST_CORRELATED:
        return
    draws, reference = np.stack([one.draws for one in found]), np.stack([one.reference for one in found])
    guide, truth = correlation_matrix(list(draws)), correlation_matrix(list(reference))

    def each() -> Iterator[MetricValue]:
        for (i, first), (j, second) in combinations(enumerate(found), 2):
            errors = (
                (1 - guide[i, j] ** 2) / np.sqrt(draws.shape[1]),
                (1 - truth[i, j] ** 2) / np.sqrt(min(first.effective, second.effective)),
            )
            value = abs(float(guide[i, j] - truth[i, j]))
            yield MetricValue(value=value, mcse=float(np.hypot(*errors)), variable=f"{first.name},{second.name}")

    yield from with_worst(each())
    difference = guide - truth
    norm = float(np.linalg.norm(difference))
    mcse = None
    if norm > 0:
        spread = np.std(correlation_influence(draws, guide, difference / norm)) / np.sqrt(draws.shape[1])
        true_spread = np.std(correlation_influence(reference, truth, difference / norm))
        mcse = float(np.hypot(spread, true_spread / np.sqrt(min(one.effective for one in found))))
    yield MetricValue(value=norm, mcse=mcse, metric="correlation_error_frobenius")


def correlation_influence(
    draws: Float[np.ndarray, "d S"], matrix: Float[np.ndarray, "d d"], weights: Float[np.ndarray, "d d"]
) -> Float64[np.ndarray, " S"]:
    r"""Return the influence of each draw on a weighted sum of correlations, shape ``(S,)``.

    .. math:: \sum_{i,j} a_{ij} \big( z_i z_j - \tfrac12 r_{ij} (z_i^2 + z_j^2) \big)

    for standardised draws :math:`z` and symmetric weights :math:`a`.

    Parameters
    ----------
    draws : ndarray
        Shape ``(d, S)``.
    matrix : ndarray
        Their correlations, shape ``(d, d)``.
    weights : ndarray
        Symmetric, shape ``(d, d)``.
    """
    z = (draws - draws.mean(axis=1, keepdims=True)) / draws.std(axis=1, keepdims=True)
    return np.asarray(np.sum(z * (weights @ z), axis=0) - np.sum(weights * matrix, axis=1) @ z**2)
