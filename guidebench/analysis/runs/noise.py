"""How far two runs of the same code may differ: draws, training, and how many numbers are looked at.

References
----------
Welch (1947), Biometrika 34(1-2), doi:10.1093/biomet/34.1-2.28; Satterthwaite (1946), Biometrics Bulletin 2(6),
doi:10.2307/3002019, for variances of different freedom.  Holm (1979), Scand. J. Statist. 6(2).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from guidebench.analysis.differences import BROKEN
from guidebench.analysis.runs.rules import Rule
from guidebench.contracts import MetricValue
from guidebench.results import Fit

#: Corrected p-values below this are called changes.  Two runs of the same code are to be called different in one case
#: of twenty at most; half of that is left for Monte Carlo errors that are estimates themselves.
LEVEL = 0.025


class Variance(NamedTuple):
    """A variance and how well it is known: infinite degrees of freedom where it is as good as exact."""

    value: float
    freedom: float = math.inf


class Spread(NamedTuple):
    """Standard deviation of the ELBO over starting points, in nats, and its degrees of freedom."""

    sd: float
    freedom: int


def spread(fit: Fit) -> Spread | None:
    """Return how far the ELBOs of a fit's restarts lie apart, or ``None`` where one start is all there is.

    Restarts that ended more than 10 nats below the best are left out, as in the report.  A point estimate has no
    ELBO; the log density at its point, minus its loss, takes that place.
    """
    found = [one.elbo for one in fit.restarts if one.elbo is not None] or [-one.loss for one in fit.restarts]
    values = [value for value in found if math.isfinite(value)]
    kept = [value for value in values if value > max(values) - BROKEN]
    return Spread(float(np.std(kept, ddof=1)), len(kept) - 1) if len(kept) > 1 else None


def training(rule: Rule, found: MetricValue, fit: Fit, between: Spread | None) -> Variance:
    r"""Return the variance that training adds to a metric, of which the spread s of the restarts' ELBOs tells.

    To the ELBO of the best restart it adds at most :math:`s^2`.  Any other metric moves with the draws.  Training that
    moves k of their moments by :math:`\tau` posterior sds each costs the ELBO
    :math:`\tfrac12 \tau^2 \chi^2_k` nats, which spread by :math:`\tau^2 \sqrt{k / 2}`; with no more than the
    two moments that every guide has,

    .. math:: \tau^2 = s

    and a metric that moves by c for every posterior sd has the variance :math:`c^2 s`.  Half the relative error of
    :math:`s^2` is that of s, hence four times its degrees of freedom.
    """
    if between is None:
        return Variance(0.0)
    if found.metric == "elbo":
        return Variance(between.sd**2, between.freedom)
    unit = 1.0
    if rule.unit == "value":
        unit = abs(found.value)
    elif rule.unit == "site":
        unit = fit.value("sd", found.variable) or 0.0
    return Variance((rule.per_sd * unit) ** 2 * between.sd, 4 * between.freedom)


def drawing(rule: Rule, found: MetricValue, fit: Fit) -> float | None:
    """Return the Monte Carlo error of a metric, a bound on it, or ``None`` where there is neither."""
    errors = [found.mcse]
    if found.mcse is None and rule.errors_of:
        errors = [one.mcse for one in fit.metrics if re.fullmatch(rule.errors_of, one.metric)]
    known = [error for error in errors if error is not None and math.isfinite(error) and error >= 0]
    return max(known, default=None)


def combined(variances: Sequence[Variance]) -> Variance:
    r"""Return the sum of independent variances, with the degrees of freedom of Welch and Satterthwaite.

    .. math:: \nu = \Big( \sum_i v_i \Big)^2 \Big/ \sum_i v_i^2 / \nu_i
    """
    total = sum(one.value for one in variances)
    shaky = sum(one.value**2 / one.freedom for one in variances)
    return Variance(total, total**2 / shaky if shaky > 0 else math.inf)


def p_values(changes: Sequence[float], variances: Sequence[Variance]) -> np.ndarray:
    """Return two-sided p-values of changes by the t distribution, corrected for their number by Holm's rule.

    Holm's rule bounds the probability of any false alarm however the numbers of a fit hang together, and they
    do: an alarm in a CI says that something broke, so one in twenty of all runs is to be the most.  A
    rule for the false discovery rate would raise more of them.
    """
    from scipy.stats import norm, t

    from guidebench.metrics.simulated import holm

    if not changes:
        return np.empty(0)
    change = np.abs(np.asarray(changes, np.float64))
    error = np.sqrt([one.value for one in variances])
    freedom = np.array([one.freedom for one in variances])
    # What has no noise at all differs for certain, or not at all.
    z = np.divide(change, error, out=np.where(change > 0, np.inf, 0.0), where=error > 0)
    tail = norm.sf(z)
    few = np.isfinite(freedom)
    tail[few] = t.sf(z[few], freedom[few])
    return holm(2 * tail)
