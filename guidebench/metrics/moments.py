"""Means, standard deviations and correlations of the latents under a guide."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped

from guidebench.contracts import MetricValue
from guidebench.metrics.blocks import blocks
from guidebench.metrics.evidence import Evidence

#: Beyond this many scalar components their pairwise correlations are not listed.
MOST_CORRELATED = 30


class Moments(NamedTuple):
    """Mean and sd of one component, and the Monte Carlo errors of both."""

    mean: float
    sd: float
    mean_error: float
    sd_error: float


def moments_of(
    sites: Mapping[str, Shaped[np.ndarray, "S ..."]],
    effective: Mapping[str, float] | None = None,
    *,
    varying: bool = False,
) -> dict[str, Moments]:
    r"""Return the moments of every scalar component.

    The error of a mean is :math:`s / \sqrt{S}`, that of an sd :math:`\sqrt{(m_4 - s^4) / S} / (2 s)`, with the S
    independent draws that the component's are worth.

    Parameters
    ----------
    sites : mapping of str to ndarray
        Draws by site, shape ``(S, ...)``.
    effective : mapping, optional
        How many independent draws those of a component are worth; all of them by default.
    varying : bool
        Leave out components that are the same in every draw.
    """
    known, found = effective or {}, {}
    for names, draws in blocks(sites):
        count = draws.shape[1]
        means = draws.mean(axis=1)
        squares = (draws - means[:, None]) ** 2
        variances = squares.sum(axis=1) / (count - 1)
        sds = np.sqrt(variances)
        excess = np.maximum((squares**2).mean(axis=1) - variances**2, 0.0)
        spread = sds > 0
        errors = np.where(spread, np.sqrt(excess / count) / (2 * np.where(spread, sds, 1.0)), 0.0)
        chosen = np.ptp(draws, axis=1) > 0 if varying else np.ones(len(names), bool)
        for at in np.flatnonzero(chosen):
            worth = float(known.get(names[at], count))
            sd = float(sds[at]) if spread[at] else 0.0
            found[names[at]] = Moments(
                float(means[at]), sd, sd / math.sqrt(worth), float(errors[at]) * math.sqrt(count / worth)
            )
    return found


def mean(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Mean of every scalar component, with its Monte Carlo standard error.

    .. math:: \mu = \frac1S \sum_s \theta_s, \qquad \mathrm{MCSE} = \sigma / \sqrt{S}
    """
    for name, one in moments_of(evidence.latents).items():
        yield MetricValue(value=one.mean, mcse=one.mean_error, variable=name)


def correlation_matrix(components: Sequence[Shaped[np.ndarray, " S"]]) -> Float64[np.ndarray, "d d"]:
    """Return the Pearson correlations of at least two components, in float64."""
    return np.asarray(np.corrcoef(np.stack([draws.astype(np.float64) for draws in components])))


def sd(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Standard deviation of every scalar component, with the error of :func:`moments_of`.

    .. math:: \sigma^2 = \frac{1}{S - 1} \sum_s (\theta_s - \mu)^2
    """
    for name, one in moments_of(evidence.latents).items():
        yield MetricValue(value=one.sd, mcse=one.sd_error, variable=name)


def correlation(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Pearson correlation of every pair of scalar components; error :math:`(1-r^2)/\sqrt{S}`.

    A component that does not vary has no correlation and is left out.
    """
    varying = ((name, draws) for name, draws in evidence.scalars() if np.ptp(draws) > 0)
    components = dict(islice(varying, MOST_CORRELATED + 1))
    if not 2 <= len(components) <= MOST_CORRELATED:
        return
    matrix = correlation_matrix(list(components.values()))
    count = len(next(iter(components.values())))
    for (i, first), (j, second) in combinations(enumerate(components), 2):
        value = float(matrix[i, j])
        yield MetricValue(value=value, mcse=(1 - value**2) / np.sqrt(count), variable=f"{first},{second}")
