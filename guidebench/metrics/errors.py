"""Errors against a reference: how far a guide's moments and marginals are from the true posterior's.

All are in units of the reference's standard deviation.  Each metric yields one value per scalar
component (or pair), and the largest of them without a component name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

import numpy as np

from guidebench.contracts import MetricValue
from guidebench.metrics.evidence import Evidence
from guidebench.metrics.moments import MOST_CORRELATED, correlation_matrix, spread_error

#: Draws that enter a Wasserstein distance, of either side.
MOST_SORTED = 20_000


def _worst(found: Iterable[MetricValue]) -> Iterator[MetricValue]:
    values = list(found)
    yield from values
    if values:
        worst = max(values, key=lambda one: one.value)
        yield MetricValue(value=worst.value, mcse=worst.mcse)


def _pairs(evidence: Evidence) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    reference = dict(evidence.reference_scalars())
    for name, draws in evidence.scalars():
        if name in reference and np.ptp(reference[name]) > 0:
            yield name, draws.astype(np.float64), reference[name].astype(np.float64)


def mean_error(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Absolute error of the mean, :math:`|\mu_q - \mu_p| / \sigma_p`."""

    def each() -> Iterator[MetricValue]:
        for name, draws, reference in _pairs(evidence):
            sd = float(np.std(reference))
            error = np.hypot(np.std(draws) / np.sqrt(len(draws)), sd / np.sqrt(len(reference))) / sd
            yield MetricValue(value=abs(float(draws.mean() - reference.mean())) / sd, mcse=float(error), variable=name)

    yield from _worst(each())


def sd_error(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Relative error of the standard deviation, :math:`|\sigma_q / \sigma_p - 1|`."""

    def each() -> Iterator[MetricValue]:
        for name, draws, reference in _pairs(evidence):
            (sd, error), (true, true_error) = spread_error(draws), spread_error(reference)
            ratio = sd / true
            mcse = float(np.hypot(error, ratio * true_error) / true)
            yield MetricValue(value=abs(ratio - 1), mcse=mcse, variable=name)

    yield from _worst(each())


def w1_error(evidence: Evidence) -> Iterator[MetricValue]:
    r"""1-Wasserstein distance of the marginals over the reference's sd.

    .. math:: W_1 = \int_0^1 |F_q^{-1}(u) - F_p^{-1}(u)|\, du \,/\, \sigma_p

    Two samples of one distribution are a distance of about :math:`1/\sqrt{S}` apart: it is never zero.
    """
    from scipy.stats import wasserstein_distance

    def each() -> Iterator[MetricValue]:
        for name, draws, reference in _pairs(evidence):
            distance = wasserstein_distance(draws[:MOST_SORTED], reference[:MOST_SORTED])
            yield MetricValue(value=float(distance / np.std(reference)), variable=name)

    yield from _worst(each())


def correlation_error(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Absolute error of every pairwise correlation, :math:`|r_q - r_p|`."""

    def each() -> Iterator[MetricValue]:
        pairs = [(name, q, p) for name, q, p in _pairs(evidence) if np.ptp(q) > 0]
        if not 2 <= len(pairs) <= MOST_CORRELATED:
            return
        guide = correlation_matrix([q for _, q, _ in pairs])
        truth = correlation_matrix([p for _, _, p in pairs])
        for (i, (first, q, p)), (j, (second, _, _)) in combinations(enumerate(pairs), 2):
            errors = ((1 - guide[i, j] ** 2) / np.sqrt(len(q)), (1 - truth[i, j] ** 2) / np.sqrt(len(p)))
            value = abs(float(guide[i, j] - truth[i, j]))
            yield MetricValue(value=value, mcse=float(np.hypot(*errors)), variable=f"{first},{second}")

    yield from _worst(each())
