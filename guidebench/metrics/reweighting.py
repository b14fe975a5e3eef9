"""What importance weights make of the draws: repaired moments, and how far the raw ones are off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from guidebench.contracts import MetricValue
from guidebench.metrics.errors import Moments, moments_of, off, pairs, with_worst
from guidebench.metrics.evidence import Evidence
from guidebench.results.inference_data import pareto_smooth


class Weights(NamedTuple):
    """Smoothed weights, normalised, and whether what is estimated with them settles.

    Attributes
    ----------
    log : ndarray
        Their logarithms as they were smoothed, shape ``(S,)``.
    values : ndarray
        The weights, which sum to one, shape ``(S,)``.
    settled : bool
        Whether k-hat is at most 0.7.
    """

    log: Float64[np.ndarray, " S"]
    values: Float64[np.ndarray, " S"]
    settled: bool


def smoothed_weights(log_weights: Float[np.ndarray, " S"]) -> Weights:
    """Return Pareto-smoothed weights."""
    smoothed, khat = pareto_smooth(log_weights)
    weights = np.exp(smoothed - smoothed.max())
    return Weights(smoothed, weights / weights.sum(), khat <= 0.7)


def weighted_moments(draws: Float[np.ndarray, " S"], weights: Weights) -> Moments:
    """Return repaired moments and the errors of the weights in them, zero where these are not known."""
    x = draws.astype(np.float64)
    mean = float(weights.values @ x)
    centred = x - mean
    sd = float(np.sqrt(weights.values @ centred**2))
    if not (weights.settled and sd > 0):
        return Moments(mean, sd, 0.0, 0.0)
    influence = weights.values * (centred**2 - sd**2) / (2 * sd)
    return Moments(mean, sd, _norm(weights.values * centred), _norm(influence))


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
    found = smoothed_weights(evidence.log_weights)
    weights, count = found.values, len(found.values)
    yield MetricValue(value=float(1 / np.sum(weights**2) / count), metric="smoothed_ess_share")
    yield MetricValue(value=smoothed_kl(evidence.log_weights, found.log), metric="smoothed_kl")
    raw = ((name, draws.astype(np.float64)) for name, draws in evidence.scalars())
    own = [(name, x, weighted_moments(x, found)) for name, x in raw]
    varying = [one for one in own if one[2].sd > 0]
    for name, _, one in varying:
        errors = (one.mean_error, one.sd_error) if found.settled else (None, None)
        yield MetricValue(value=one.mean, mcse=errors[0], variable=name, metric="mean_reweighted")
        yield MetricValue(value=one.sd, mcse=errors[1], variable=name, metric="sd_reweighted")
    yield from with_worst(shift for name, x, one in varying for shift in _shifts(name, x, one, weights))
    yield from _errors(evidence, {name: one for name, _, one in varying})


def _shifts(
    name: str, x: Float64[np.ndarray, " S"], own: Moments, weights: Float64[np.ndarray, " S"]
) -> Iterator[MetricValue]:
    """Yield how far the raw moments of a component are from the repaired ones, with the errors of the differences."""
    count, mean, sd = len(x), own.mean, own.sd
    raw_mean, raw_sd = float(np.mean(x)), float(np.std(x))
    centred, raw_centred = x - mean, x - raw_mean
    error = _norm(raw_centred / count - weights * centred) / sd
    yield MetricValue(value=abs(raw_mean - mean) / sd, mcse=error, variable=name, metric="mean_shift")
    error = 0.0
    if raw_sd > 0:
        influence = weights * (centred**2 - sd**2) / (2 * sd)
        error = _norm((raw_centred**2 - raw_sd**2) / (2 * count * raw_sd**2) - influence / sd) * raw_sd / sd
    yield MetricValue(value=abs(raw_sd / sd - 1), mcse=error, variable=name, metric="sd_shift")


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


def _errors(evidence: Evidence, repaired: Mapping[str, Moments]) -> Iterator[MetricValue]:
    """Yield the errors of repaired moments against the reference, of each component and the largest."""
    true = ((one.name, moments_of(one.reference, one.effective)) for one in pairs(evidence) if one.name in repaired)
    yield from off("reweighted_{}_error", ((name, repaired[name], one) for name, one in true))


def _norm(values: Float64[np.ndarray, " S"]) -> float:
    return float(np.sqrt(np.sum(values**2)))
