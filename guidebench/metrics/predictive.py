"""How a guide predicts data it has not seen: coverage, calibration, CRPS, log density."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.special import logsumexp

from guidebench.contracts import MetricValue
from guidebench.metrics.evidence import Evidence, Heldout

#: Nominal levels, in per cent, of the observed-against-nominal curve.
LEVELS = tuple(range(5, 100, 5))


def _pooled(heldout: Heldout, sites: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return held-out values, shape ``(N,)``, and predictive draws, ``(S, N)``, of `sites` together."""
    values, draws = [], []
    for site in sites:
        observed = heldout.observed[site]
        values.append(np.ravel(observed))
        draws.append(heldout.predicted[site].reshape(len(heldout.predicted[site]), -1))
    return np.concatenate(values), np.concatenate(draws, axis=1)


def covered(values: np.ndarray, draws: np.ndarray, level: float) -> np.ndarray:
    """Return whether each value lies in the central interval of its draws.

    Parameters
    ----------
    values : ndarray
        Shape ``(N,)``.
    draws : ndarray
        Shape ``(S, N)``.
    level : float
        Nominal probability of the interval.
    """
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.asarray((low <= values) & (values <= high))


def coverage(evidence: Evidence) -> Iterator[MetricValue]:
    """Share of held-out observations inside the central predictive intervals, and their mean misfit.

    One value ``coverage_05`` to ``coverage_95`` per nominal level, with the binomial standard error
    sqrt(c (1 - c) / N); ``calibration_error`` is the mean over levels of the absolute difference
    between observed and nominal coverage.  Discrete data are left out: their intervals jump from one
    coverage to the next.
    """
    assert evidence.heldout is not None
    sites = [site for site in evidence.heldout.observed if site not in evidence.heldout.discrete]
    if not sites:
        return
    values, draws = _pooled(evidence.heldout, sites)
    nominal = np.asarray(LEVELS) / 100
    edges = np.quantile(draws, np.concatenate([(1 - nominal) / 2, (1 + nominal) / 2]), axis=0)
    low, high = np.split(edges, 2)
    shares = np.mean((low <= values) & (values <= high), axis=1)
    for level, share in zip(LEVELS, shares, strict=True):
        error = float(np.sqrt(share * (1 - share) / len(values)))
        yield MetricValue(value=float(share), mcse=error, metric=f"coverage_{level:02d}")
    yield MetricValue(value=float(np.mean(np.abs(shares - nominal))), metric="calibration_error")


def crps(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Mean continuous ranked probability score, in the unit of the data; smaller is better.

    .. math:: \mathrm{CRPS}(F, y) = \mathrm{E}|X - y| - \tfrac12 \mathrm{E}|X - X'|

    with the second term from order statistics: :math:`\frac{1}{S(S-1)} \sum_i (2i - S - 1) x_{(i)}`.
    The error is over held-out points.
    """
    assert evidence.heldout is not None
    values, draws = _pooled(evidence.heldout, evidence.heldout.observed)
    count = len(draws)
    order = np.sort(draws.astype(np.float64), axis=0)
    ranks = 2 * np.arange(1, count + 1) - count - 1
    spread = np.tensordot(ranks, order, axes=1) / (count * (count - 1))
    scores = np.mean(np.abs(order - values), axis=0) - spread
    yield MetricValue(value=float(np.mean(scores)), mcse=_standard_error(scores))


def elpd(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Mean log predictive density of the held-out points, in nats per point; larger is better.

    .. math:: \frac1N \sum_n \log \frac1S \sum_s p(\tilde y_n \mid \theta_s)

    The error is over held-out points.
    """
    assert evidence.heldout is not None
    parts = [
        (logsumexp(draws.astype(np.float64), axis=0) - np.log(len(draws))).ravel()
        for draws in evidence.heldout.log_likelihood.values()
    ]
    densities = np.concatenate(parts)
    yield MetricValue(value=float(np.mean(densities)), mcse=_standard_error(densities))


def _standard_error(values: np.ndarray) -> float | None:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
