"""Means, standard deviations and correlations of the latents under a guide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float64, Shaped

from guidebench.contracts import MetricValue
from guidebench.metrics.evidence import Evidence

#: Beyond this many scalar components their pairwise correlations are not listed.
MOST_CORRELATED = 30


def mean(evidence: Evidence) -> Iterator[MetricValue]:
    """Mean of every scalar component, with its Monte Carlo standard error."""
    for name, draws in evidence.scalars():
        error = float(np.std(draws, ddof=1, dtype=np.float64) / np.sqrt(len(draws)))
        yield MetricValue(value=float(np.mean(draws, dtype=np.float64)), mcse=error, variable=name)


def spread_error(draws: Shaped[np.ndarray, " S"]) -> tuple[float, float]:
    r"""Return the standard deviation of draws and its error, :math:`\sqrt{(m_4 - s^4) / S} / (2 s)`."""
    squared = (draws.astype(np.float64) - np.mean(draws, dtype=np.float64)) ** 2
    variance = float(np.sum(squared) / (len(draws) - 1))
    value = float(np.sqrt(variance))
    if not value > 0:
        return 0.0, 0.0
    excess = max(float(np.mean(squared**2)) - variance**2, 0.0)
    return value, float(np.sqrt(excess / len(draws))) / (2 * value)


def correlation_matrix(components: Sequence[Shaped[np.ndarray, " S"]]) -> Float64[np.ndarray, "d d"]:
    """Return the Pearson correlations of at least two components, in float64."""
    return np.asarray(np.corrcoef(np.stack([draws.astype(np.float64) for draws in components])))


def sd(evidence: Evidence) -> Iterator[MetricValue]:
    """Standard deviation of every scalar component, with the error of :func:`spread_error`."""
    for name, draws in evidence.scalars():
        value, error = spread_error(draws)
        yield MetricValue(value=value, mcse=error, variable=name)


def correlation(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Pearson correlation of every pair of scalar components; error :math:`(1-r^2)/\sqrt{S}`.

    A component that does not vary has no correlation and is left out.
    """
    components = {name: draws for name, draws in evidence.scalars() if np.ptp(draws) > 0}
    if not 2 <= len(components) <= MOST_CORRELATED:
        return
    matrix = correlation_matrix(list(components.values()))
    count = len(next(iter(components.values())))
    for (i, first), (j, second) in combinations(enumerate(components), 2):
        value = float(matrix[i, j])
        yield MetricValue(value=value, mcse=(1 - value**2) / np.sqrt(count), variable=f"{first},{second}")
