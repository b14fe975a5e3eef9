"""What importance weights make of the draws: repaired moments, and how far the raw ones are off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Shaped

from guidebench.contracts import MetricValue
from guidebench.metrics.blocks import blocks
from guidebench.metrics.errors import off, with_worst
from guidebench.metrics.evidence import Evidence
from guidebench.metrics.moments import Moments, moments_of
from guidebench.results.inference_data import log_mean_of_smoothed, pareto_smooth


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


def weighted_moments(sites: Mapping[str, Shaped[np.ndarray, "S ..."]], weights: Weights) -> dict[str, Moments]:
    """Return the repaired moments of every component with the errors of the weights in them, zero if not known."""
    found: dict[str, Moments] = {}
    for names, draws in blocks(sites):
        one = _repaired(draws, weights)
        found |= {name: Moments(*row) for name, row in zip(names, np.stack(one, axis=1).tolist(), strict=True)}
    return found


class _Repaired(NamedTuple):
    """What :class:`Moments` has, of K components: each of shape ``(K,)``."""

    mean: Float64[np.ndarray, " K"]
    sd: Float64[np.ndarray, " K"]
    mean_error: Float64[np.ndarray, " K"]
    sd_error: Float64[np.ndarray, " K"]


def _repaired(draws: Float64[np.ndarray, "K S"], weights: Weights) -> _Repaired:
    values = weights.values[None]
    mean = np.sum(draws * values, axis=1)
    centred = draws - mean[:, None]
    sd = np.sqrt(np.sum(centred**2 * values, axis=1))
    if not weights.settled:
        return _Repaired(mean, sd, np.zeros_like(mean), np.zeros_like(mean))
    spread = sd > 0
    influence = values * (centred**2 - sd[:, None] ** 2) / (2 * np.where(spread, sd, 1.0)[:, None])
    errors = (np.where(spread, _norms(part), 0.0) for part in (values * centred, influence))
    return _Repaired(mean, sd, *errors)


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
    own: dict[str, Moments] = {}
    shifts: list[MetricValue] = []
    for names, draws in blocks(evidence.latents):
        one = _repaired(draws, found)
        rows = zip(names, np.stack(one, axis=1).tolist(), one.sd > 0, strict=True)
        own |= {name: Moments(*row) for name, row, varies in rows if varies}
        shifts += _shifts(names, draws, one, weights)
    for name, each in own.items():
        errors = (each.mean_error, each.sd_error) if found.settled else (None, None)
        yield MetricValue(value=each.mean, mcse=errors[0], variable=name, metric="mean_reweighted")
        yield MetricValue(value=each.sd, mcse=errors[1], variable=name, metric="sd_reweighted")
    yield from with_worst(shifts)
    yield from _errors(evidence, own)


def _shifts(
    names: list[str], draws: Float64[np.ndarray, "K S"], own: _Repaired, weights: Float64[np.ndarray, " S"]
) -> Iterator[MetricValue]:
    """Yield how far raw moments are from the repaired ones, with the errors of the differences."""
    count, values, sd = draws.shape[1], weights[None], np.where(own.sd > 0, own.sd, 1.0)
    raw_mean, raw_sd = draws.mean(axis=1), draws.std(axis=1)
    centred, raw_centred = draws - own.mean[:, None], draws - raw_mean[:, None]
    mean_errors = _norms(raw_centred / count - values * centred) / sd
    raw = np.where(raw_sd > 0, raw_sd, 1.0)
    influence = values * (centred**2 - sd[:, None] ** 2) / (2 * sd[:, None])
    own_part = (raw_centred**2 - raw[:, None] ** 2) / (2 * count * raw[:, None] ** 2)
    sd_errors = np.where(raw_sd > 0, _norms(own_part - influence / sd[:, None]) * raw / sd, 0.0)
    means, sds = np.abs(raw_mean - own.mean) / sd, np.abs(raw_sd / sd - 1)
    for at in np.flatnonzero(own.sd > 0):
        name = names[at]
        yield MetricValue(value=float(means[at]), mcse=float(mean_errors[at]), variable=name, metric="mean_shift")
        yield MetricValue(value=float(sds[at]), mcse=float(sd_errors[at]), variable=name, metric="sd_shift")


def smoothed_kl(log_weights: Float[np.ndarray, " S"], smoothed: Float[np.ndarray, " S"]) -> float:
    """Return the estimate of KL(q || p) that smoothed weights give, in nats.

    Parameters
    ----------
    log_weights : ndarray
        Unnormalised, shape ``(S,)``.
    smoothed : ndarray
        The same smoothed and normalised, as by :func:`~guidebench.results.inference_data.pareto_smooth`.
    """
    return log_mean_of_smoothed(log_weights, smoothed) - float(np.mean(log_weights))


def _errors(evidence: Evidence, repaired: Mapping[str, Moments]) -> Iterator[MetricValue]:
    """Yield the errors of repaired moments against the reference, of each component and the largest."""
    if not evidence.reference:
        return
    true = moments_of(evidence.reference, evidence.reference_ess, varying=True)
    shared = ((name, one, true[name]) for name, one in repaired.items() if name in true)
    yield from off("reweighted_{}_error", shared)


def _norms(values: Float64[np.ndarray, "K S"]) -> Float64[np.ndarray, " K"]:
    return np.asarray(np.sqrt(np.sum(values**2, axis=1)))
