"""What importance weights make of the draws: repaired moments, and how far the raw ones are off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from guidebench.contracts import MetricValue
from guidebench.inference_data import pareto_smooth
from guidebench.metrics.errors import pairs
from guidebench.metrics.evidence import Evidence
from guidebench.metrics.moments import spread_error


def reweighted(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Pareto-smoothed importance estimates of the posterior's moments, and the guide's distance from them.

    With smoothed normalised weights :math:`\bar w_s`, per scalar component,

    .. math:: \tilde\mu = \sum_s \bar w_s x_s, \qquad
              \tilde\sigma^2 = \sum_s \bar w_s (x_s - \tilde\mu)^2,

    ``mean_shift`` is :math:`|\mu - \tilde\mu| / \tilde\sigma` and ``sd_shift`` is
    :math:`|\sigma / \tilde\sigma - 1|`, each without a component name for the largest one.  The
    errors are those of the paired differences, to first order.  ``smoothed_ess_share`` is the
    effective sample size of the smoothed weights over the number of draws: where it is small, the
    repaired moments rest on few draws.  Where k-hat is above 0.7 the repaired moments are given without
    an error: heavy tails make them converge too slowly for one, and biased towards the guide.
    ``reweighted_mean_error`` and ``reweighted_sd_error`` are their largest errors against a reference,
    in its sds and as a share, where there is one; their error is the reference's alone.
    """
    assert evidence.log_weights is not None
    smoothed, khat = pareto_smooth(evidence.log_weights)
    weights = np.exp(smoothed - smoothed.max())
    weights /= weights.sum()
    count = len(weights)
    settled = khat <= 0.7
    yield MetricValue(value=float(1 / np.sum(weights**2) / count), metric="smoothed_ess_share")

    worst: dict[str, MetricValue] = {}
    repaired: dict[str, tuple[float, float]] = {}
    for name, draws in evidence.scalars():
        x = draws.astype(np.float64)
        mean = float(weights @ x)
        centred = x - mean
        sd = float(np.sqrt(weights @ centred**2))
        raw_mean, raw_sd = float(np.mean(x)), float(np.std(x))
        if not sd > 0:
            continue
        yield MetricValue(
            value=mean, mcse=_norm(weights * centred) if settled else None, variable=name, metric="mean_reweighted"
        )
        repaired[name] = mean, sd
        influence = weights * (centred**2 - sd**2) / (2 * sd)
        yield MetricValue(value=sd, mcse=_norm(influence) if settled else None, variable=name, metric="sd_reweighted")
        raw_centred = x - raw_mean
        shifts = {
            "mean_shift": (
                abs(raw_mean - mean) / sd,
                _norm(raw_centred / count - weights * centred) / sd,
            ),
            "sd_shift": (
                abs(raw_sd / sd - 1),
                _norm((raw_centred**2 - raw_sd**2) / (2 * count * raw_sd**2) - influence / sd) * raw_sd / sd
                if raw_sd > 0
                else 0.0,
            ),
        }
        for metric, (value, mcse) in shifts.items():
            yield MetricValue(value=value, mcse=mcse, variable=name, metric=metric)
            if metric not in worst or value > worst[metric].value:
                worst[metric] = MetricValue(value=value, mcse=mcse, metric=metric)
    yield from worst.values()
    yield from _errors(evidence, repaired)


def _errors(evidence: Evidence, repaired: Mapping[str, tuple[float, float]]) -> Iterator[MetricValue]:
    """Yield the largest errors of repaired moments against the reference, with the reference's own error."""
    mean_errors, sd_errors = [], []
    for pair in pairs(evidence):
        if pair.name in repaired:
            true_mean, (true_sd, sd_mcse) = float(pair.reference.mean()), spread_error(pair.reference)
            mean, sd = repaired[pair.name]
            inflated = np.sqrt(len(pair.reference) / pair.effective)
            mean_errors.append((abs(mean - true_mean) / true_sd, float(1 / np.sqrt(pair.effective))))
            sd_errors.append((abs(sd / true_sd - 1), float(sd_mcse / true_sd * inflated)))
    for name, errors in (("reweighted_mean_error", mean_errors), ("reweighted_sd_error", sd_errors)):
        if errors:
            value, mcse = max(errors)
            yield MetricValue(value=value, mcse=mcse, metric=name)


def _norm(values: np.ndarray) -> float:
    return float(np.sqrt(np.sum(values**2)))
