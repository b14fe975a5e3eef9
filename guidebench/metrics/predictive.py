"""How a guide predicts data it has not seen: coverage, calibration, PIT, CRPS, log density."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped
from scipy.special import logsumexp

from guidebench.config.seeds import derive
from guidebench.contracts import MetricValue
from guidebench.metrics.evidence import Evidence, Heldout
from guidebench.metrics.parts import INTERVAL_LEVELS, LEVELS, PIT_BINS


def _pooled(heldout: Heldout, sites: Iterable[str]) -> tuple[Shaped[np.ndarray, " N"], Shaped[np.ndarray, "S N"]]:
    """Return held-out values, shape ``(N,)``, and predictive draws, ``(S, N)``, of `sites` together."""
    values, draws = [], []
    for site in sites:
        observed = heldout.observed[site]
        values.append(np.ravel(observed))
        draws.append(heldout.predicted[site].reshape(len(heldout.predicted[site]), -1))
    return np.concatenate(values), np.concatenate(draws, axis=1)


def covered(values: Shaped[np.ndarray, " N"], draws: Shaped[np.ndarray, "S N"], level: float) -> Bool[np.ndarray, " N"]:
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

    The levels 50, 80, 90 and 95 have a 95 % interval, ``coverage_50_low`` to ``coverage_50_high``, by
    Wilson's method for N independent observations.  It allows for the number of observations only: all
    of them meet one posterior from one data set, so even the exact posterior may be outside more often.

    References
    ----------
    Brown, Cai & DasGupta (2001), Statistical Science 16(2), doi:10.1214/ss/1009213286.
    """
    assert evidence.heldout is not None
    from scipy.stats import binomtest

    sites = [site for site in evidence.heldout.observed if site not in evidence.heldout.discrete]
    if not sites:
        return
    values, draws = _pooled(evidence.heldout, sites)
    nominal = np.asarray(LEVELS) / 100
    edges = np.quantile(draws, np.concatenate([(1 - nominal) / 2, (1 + nominal) / 2]), axis=0)
    low, high = np.split(edges, 2)
    hits = np.count_nonzero((low <= values) & (values <= high), axis=1)
    shares = hits / len(values)
    for level, share in zip(LEVELS, shares, strict=True):
        yield MetricValue(value=float(share), mcse=_share_error(share, len(values)), metric=f"coverage_{level:02d}")
    for level, hit in zip(LEVELS, hits, strict=True):
        if level in INTERVAL_LEVELS:
            interval = binomtest(int(hit), len(values)).proportion_ci(0.95, method="wilson")
            yield MetricValue(value=float(interval.low), metric=f"coverage_{level}_low")
            yield MetricValue(value=float(interval.high), metric=f"coverage_{level}_high")
    yield MetricValue(value=float(np.mean(np.abs(shares - nominal))), metric="calibration_error")


def pit_values(
    values: Shaped[np.ndarray, " N"], draws: Shaped[np.ndarray, "S N"], uniform: Float[np.ndarray, " N"]
) -> Float64[np.ndarray, " N"]:
    r"""Return the randomised probability integral transform of each value, shape ``(N,)``.

    .. math:: \frac{\#\{s: x_s < y\} + U (\#\{s: x_s = y\} + 1)}{S + 1}

    is exactly uniform where y is one more draw of the predictive distribution, discrete or not.

    Parameters
    ----------
    values : ndarray
        Shape ``(N,)``.
    draws : ndarray
        Shape ``(S, N)``.
    uniform : ndarray
        U, independent and uniform on [0, 1), shape ``(N,)``.
    """
    below = np.count_nonzero(draws < values, axis=0)
    ties = np.count_nonzero(draws == values, axis=0)
    return np.asarray((below + uniform * (ties + 1)) / (len(draws) + 1))


def pit(evidence: Evidence) -> Iterator[MetricValue]:
    """Probability integral transform of the held-out observations: its histogram and distance from uniform.

    ``pit_01`` to ``pit_10`` are the shares of it in ten equal bins, a tenth each for a calibrated
    predictive distribution: more in the outer bins where it is too narrow, in the inner ones where it is
    too wide, to one side where it is biased.  The errors are binomial.  ``pit_distance`` is the
    Kolmogorov-Smirnov distance from the uniform distribution; of N calibrated independent points it is
    about 0.87 / sqrt(N), so it is never zero.

    Ties are broken by random numbers that are the same for every guide, which makes discrete data uniform
    too.  As with coverage, all observations meet one posterior, so they are not quite independent.

    References
    ----------
    Gneiting, Balabdaoui & Raftery (2007), J. R. Stat. Soc. B 69(2), doi:10.1111/j.1467-9868.2007.00587.x.
    Czado, Gneiting & Held (2009), Biometrics 65(4), doi:10.1111/j.1541-0420.2009.01191.x, for counts.
    """
    assert evidence.heldout is not None
    from scipy.stats import kstest

    values, draws = _pooled(evidence.heldout, evidence.heldout.observed)
    found = pit_values(values, draws, np.random.default_rng(derive(0, "pit")).random(len(values)))
    counts, _ = np.histogram(found, bins=PIT_BINS, range=(0, 1))
    for position, share in enumerate(counts / len(values), start=1):
        yield MetricValue(value=float(share), mcse=_share_error(share, len(values)), metric=f"pit_{position:02d}")
    yield MetricValue(value=float(kstest(found, "uniform", method="asymp").statistic), metric="pit_distance")


def crps(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Mean continuous ranked probability score, in the unit of the data; smaller is better.

    .. math:: \mathrm{CRPS}(F, y) = \mathrm{E}|X - y| - \tfrac12 \mathrm{E}|X - X'|

    with the second term from order statistics: :math:`\frac{1}{S(S-1)} \sum_i (2i - S - 1) x_{(i)}`.
    The error is over held-out points.
    """
    assert evidence.heldout is not None
    scores = crps_of(*_pooled(evidence.heldout, evidence.heldout.observed))
    yield MetricValue(value=float(np.mean(scores)), mcse=_standard_error(scores))


def crps_of(values: Shaped[np.ndarray, " N"], draws: Shaped[np.ndarray, "S N"]) -> Float64[np.ndarray, " N"]:
    """Return the continuous ranked probability score of each value, shape ``(N,)``, as :func:`crps` has it."""
    count = len(draws)
    order = np.sort(draws.astype(np.float64), axis=0)
    ranks = 2 * np.arange(1, count + 1) - count - 1
    spread = np.tensordot(ranks, order, axes=1) / (count * (count - 1))
    return np.asarray(np.mean(np.abs(order - values), axis=0) - spread)


def elpd(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Mean log predictive density of the held-out points, in nats per point; larger is better.

    .. math:: \frac1N \sum_n \log \frac1S \sum_s p(\tilde y_n \mid \theta_s)

    The error is over held-out points.
    """
    assert evidence.heldout is not None
    if not evidence.heldout.log_likelihood:  # of a model whose discrete latents are summed out
        return
    parts = [
        (logsumexp(draws.astype(np.float64), axis=0) - np.log(len(draws))).ravel()
        for draws in evidence.heldout.log_likelihood.values()
    ]
    densities = np.concatenate(parts)
    yield MetricValue(value=float(np.mean(densities)), mcse=_standard_error(densities))


def _share_error(share: float, count: int) -> float:
    return float(np.sqrt(share * (1 - share) / count))


def _standard_error(values: Float64[np.ndarray, " N"]) -> float | None:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
