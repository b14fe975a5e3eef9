"""Means, standard deviations and correlations of the latents under a guide."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from guidebench.contracts import MetricValue
from guidebench.metrics.evidence import Evidence

#: Beyond this many scalar components their pairwise correlations are not listed.
MOST_CORRELATED = 30


def mean(evidence: Evidence) -> Iterator[MetricValue]:
    """Mean of every scalar component, with its Monte Carlo standard error."""
    for name, draws in evidence.scalars():
        error = float(np.std(draws, ddof=1, dtype=np.float64) / np.sqrt(len(draws)))
        yield MetricValue(value=float(np.mean(draws, dtype=np.float64)), mcse=error, variable=name)


def sd(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Standard deviation of every scalar component.

    Its error is :math:`\sqrt{(m_4 - s^4) / S} / (2 s)` with the fourth central moment :math:`m_4`.
    """
    for name, draws in evidence.scalars():
        centred = draws.astype(np.float64) - np.mean(draws, dtype=np.float64)
        variance = float(np.sum(centred**2) / (len(draws) - 1))
        value = float(np.sqrt(variance))
        error = 0.0
        if value > 0:
            excess = max(float(np.mean(centred**4)) - variance**2, 0.0)
            error = float(np.sqrt(excess / len(draws))) / (2 * value)
        yield MetricValue(value=value, mcse=error, variable=name)


def correlation(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Pearson correlation of every pair of scalar components; error :math:`(1-r^2)/\sqrt{S}`.

    A component that does not vary has no correlation and is left out.
    """
    components = dict(evidence.scalars())
    varying = [name for name, draws in components.items() if np.ptp(draws) > 0]
    if not 2 <= len(varying) <= MOST_CORRELATED:
        return
    matrix = np.asarray(np.corrcoef(np.stack([components[name].astype(np.float64) for name in varying])))
    count = len(components[varying[0]])
    for (i, first), (j, second) in combinations(enumerate(varying), 2):
        value = float(matrix[i, j])
        yield MetricValue(value=value, mcse=(1 - value**2) / np.sqrt(count), variable=f"{first},{second}")
