"""What importance weights make of the draws: repaired moments, and how far the raw ones are off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from guidebench.contracts import MetricValue
from guidebench.metrics.errors import pairs
from guidebench.metrics.evidence import Evidence
from guidebench.metrics.moments import spread_error
from guidebench.results.inference_data import pareto_smooth


class Repaired(NamedTuple):
    """Repaired moments of one component and the errors of the weights in them, zero where these are not known."""

    mean: float
    sd: float
    mean_error: float
    sd_error: float


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
    ``smoothed_kl`` is log evidence minus ELBO in nats, with the log evidence from the smoothed weights: where
    their tail is heavy its spread over fresh draws is less than half of that of ``kl``, for a bias that is
    small beside it.  ``reweighted_mean_error`` and ``reweighted_sd_error`` are the errors of the repaired
    moments against a reference, in its sds and as a share, where there is one; the errors of these are the
    reference's and, up to k-hat 0.7, that of the weights.
    """
    assert evidence.log_weights is not None
    smoothed, khat = pareto_smooth(evidence.log_weights)
    weights = np.exp(smoothed - smoothed.max())
    weights /= weights.sum()
    count = len(weights)
    settled = khat <= 0.7
    yield MetricValue(value=float(1 / np.sum(weights**2) / count), metric="smoothed_ess_share")
    yield MetricValue(value=smoothed_kl(evidence.log_weights, smoothed), metric="smoothed_kl")

    worst: dict[str, MetricValue] = {}
    repaired: dict[str, Repaired] = {}
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
        influence = weights * (centred**2 - sd**2) / (2 * sd)
        repaired[name] = Repaired(
            mean, sd, _norm(weights * centred) if settled else 0.0, _norm(influence) if settled else 0.0
        )
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


def smoothed_kl(log_weights: Float[np.ndarray, " S"], smoothed: Float[np.ndarray, " S"]) -> float:
    """Return the estimate of KL(q || p) that smoothed weights give, in nats.

    Parameters
    ----------
    log_weights : ndarray
        Unnormalised, shape ``(S,)``.
    smoothed : ndarray
        The same smoothed and normalised, as by :func:`~guidebench.results.inference_data.pareto_smooth`.
    """
    # Only the largest weights are smoothed, so the smallest one tells what they were divided by.
    lowest = int(np.argmin(log_weights))
    log_evidence = float(log_weights[lowest] - smoothed[lowest] - np.log(len(log_weights)))
    return log_evidence - float(np.mean(log_weights))


def _errors(evidence: Evidence, repaired: Mapping[str, Repaired]) -> Iterator[MetricValue]:
    """Yield the errors of repaired moments against the reference, of each component and the largest."""
    worst: dict[str, MetricValue] = {}
    for pair in pairs(evidence):
        if pair.name not in repaired:
            continue
        own = repaired[pair.name]
        true_mean, (true_sd, sd_mcse) = float(pair.reference.mean()), spread_error(pair.reference)
        inflated = np.sqrt(len(pair.reference) / pair.effective)
        found = {
            "reweighted_mean_error": (
                abs(own.mean - true_mean) / true_sd,
                np.hypot(1 / np.sqrt(pair.effective), own.mean_error / true_sd),
            ),
            "reweighted_sd_error": (
                abs(own.sd / true_sd - 1),
                np.hypot(sd_mcse * inflated, own.sd_error) / true_sd,
            ),
        }
        for metric, (value, mcse) in found.items():
            one = MetricValue(value=value, mcse=float(mcse), variable=pair.name, metric=metric)
            yield one
            if metric not in worst or value > worst[metric].value:
                worst[metric] = one
    yield from (replace(one, variable="") for one in worst.values())


def _norm(values: Float64[np.ndarray, " S"]) -> float:
    return float(np.sqrt(np.sum(values**2)))
