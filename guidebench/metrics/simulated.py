r"""Calibration by simulation: what the ranks of true values among a guide's draws say.

Parameters are drawn from the prior, data from the model, and the guide is fitted to each data set.
If it were the exact posterior, the rank of the true value among its draws would be uniform (Cook,
Gelman & Rubin 2006, doi:10.1198/106186006X136976; Talts et al. 2018, arXiv:1804.06788).  So the share
of data sets in which a central interval holds the true value is the interval's true coverage, averaged
over the prior.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float, Float64, Real

from guidebench.contracts import MetricValue
from guidebench.metrics.parts import INTERVAL_LEVELS

#: Nominal levels of the intervals, in per cent.
LEVELS = INTERVAL_LEVELS


def probabilities(ranks: Real[np.ndarray, "*shape"], draws: int) -> Float64[np.ndarray, "*shape"]:
    """Return ranks 0 to `draws` as probabilities in (0, 1), at the middle of their step."""
    return (np.asarray(ranks, np.float64) + 0.5) / (draws + 1)


def holm(p_values: Float[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Return p-values corrected for their number by Holm's step-down rule (1979, Scand. J. Statist. 6(2))."""
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def bias_p_value(p: Float[np.ndarray, " N"]) -> float:
    r"""Return the p-value of the test that the ranks are symmetric about the middle.

    VSBC (Yao et al. 2018, Yes, but Did It Work?, arXiv:1802.02538) looks at the asymmetry of the ranks,
    since an approximation can be unbiased without being exact.  The paper compares the ranks with their
    mirror images by a Kolmogorov-Smirnov test, whose null distribution does not hold for two samples of
    which one is made of the other; Wilcoxon's signed-rank test has the right size.
    """
    from scipy.stats import wilcoxon

    centred = p - 0.5
    return float(wilcoxon(centred).pvalue) if np.any(centred != 0) else 1.0


def calibration(ranks: Mapping[str, Real[np.ndarray, " N"]], draws: int) -> Iterator[MetricValue]:
    """Yield coverage, bias and uniformity of every component.

    ``simulated_coverage_50`` and so on are shares of data sets whose central interval holds the true
    value, with the binomial standard error and, as ``..._low`` and ``..._high``, Wilson's 95 % interval.
    ``simulated_bias`` is twice the mean of the ranks' distance from the middle, -1 to 1: positive where
    true values lie above the draws.  ``simulated_bias_p`` and ``simulated_uniformity_p`` are p-values,
    corrected for the number of components; without a component name, the smallest.

    Parameters
    ----------
    ranks : mapping of str to ndarray
        Number of draws below the true value, per component, shape ``(N,)``; without any there are no metrics.
    draws : int
        Draws per data set.
    """
    from scipy.stats import binomtest, kstest

    found = {name: probabilities(values, draws) for name, values in ranks.items() if len(values)}
    if not found:
        return
    for name, p in found.items():
        for level in LEVELS:
            inside = int(np.sum(np.abs(p - 0.5) <= level / 200))
            share = inside / len(p)
            interval = binomtest(inside, len(p)).proportion_ci(0.95, method="wilson")
            metric = f"simulated_coverage_{level}"
            error = float(np.sqrt(share * (1 - share) / len(p)))
            yield MetricValue(value=share, mcse=error, variable=name, metric=metric)
            yield MetricValue(value=float(interval.low), variable=name, metric=f"{metric}_low")
            yield MetricValue(value=float(interval.high), variable=name, metric=f"{metric}_high")
        bias = float(2 * np.mean(p - 0.5))
        error = float(2 * np.std(p) / np.sqrt(len(p)))
        yield MetricValue(value=bias, mcse=error, variable=name, metric="simulated_bias")
    tests = {
        "simulated_bias_p": [bias_p_value(p) for p in found.values()],
        "simulated_uniformity_p": [float(kstest(p, "uniform").pvalue) for p in found.values()],
    }
    for metric, p_values in tests.items():
        corrected = holm(np.array(p_values))
        for name, value in zip(found, corrected, strict=True):
            yield MetricValue(value=float(value), variable=name, metric=metric)
        yield MetricValue(value=float(np.min(corrected)), metric=metric)


def band(
    count: int, *, probability: float = 0.95, points: int = 100, trials: int = 4000
) -> Float64[np.ndarray, "3 {points}"]:
    r"""Return a simultaneous band for the empirical distribution function of uniform values.

    The pointwise binomial band is widened until it holds the whole curve with the wanted probability,
    found by simulation (Saeilynoja, Buerkner & Vehtari 2022, Stat. Comput. 32, doi:10.1007/s11222-022-10090-6).

    Returns
    -------
    ndarray
        Shape ``(3, points)``: the points z, and the lower and upper limit of F(z) - z.
    """
    from scipy.stats import binom

    z = np.arange(1, points + 1) / (points + 1)
    rng = np.random.default_rng(0)
    reached = np.empty(trials)
    for trial in range(trials):
        counts = np.searchsorted(np.sort(rng.uniform(size=count)), z, side="right")
        tail = 2 * np.minimum(binom.cdf(counts, count, z), binom.sf(counts - 1, count, z))
        reached[trial] = tail.min()
    level = float(np.quantile(reached, 1 - probability))
    low, high = binom.ppf(level / 2, count, z) / count, binom.isf(level / 2, count, z) / count
    return np.stack([z, low - z, high - z])
