"""The draws of chains that began at a guide's draws: their moments, and how far the guide's own are from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from guidebench.contracts import MetricValue
from guidebench.metrics.errors import Moments, moments_of, off, pairs
from guidebench.metrics.evidence import Evidence
from guidebench.metrics.reweighting import smoothed_weights, weighted_moments


def refreshed(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Moments of the chains' draws, and the errors against them of the guide's own.

    Per scalar component, with the moments :math:`\mu, \sigma` of the guide's draws and :math:`\mu', \sigma'` of the
    chains', ``mean_moved`` is :math:`|\mu - \mu'| / \sigma'` and ``sd_moved`` is :math:`|\sigma / \sigma' - 1|`, each
    without a component name for the largest one.  Where the guide has weights, ``reweighted_mean_moved`` and
    ``reweighted_sd_moved`` are the same of the moments that weights have repaired; where there is a reference,
    ``refreshed_mean_error`` and ``refreshed_sd_error`` are the errors of the chains' moments against it.  Errors are
    those of both sides: the chains' draws count for as many as they are worth.
    """
    own = dict(_moments(evidence))
    for name, one in own.items():
        yield MetricValue(value=one.mean, mcse=one.mean_error, variable=name, metric="mean_refreshed")
        yield MetricValue(value=one.sd, mcse=one.sd_error, variable=name, metric="sd_refreshed")
    shared = [(name, draws) for name, draws in evidence.scalars() if name in own]
    yield from off("{}_moved", ((name, moments_of(draws), own[name]) for name, draws in shared))
    if evidence.has("weights") and evidence.log_weights is not None:
        weights = smoothed_weights(evidence.log_weights)
        repaired = ((name, weighted_moments(draws, weights)) for name, draws in shared)
        yield from off("reweighted_{}_moved", ((name, one, own[name]) for name, one in repaired))
    yield from _errors(evidence, own)


def _moments(evidence: Evidence) -> Iterator[tuple[str, Moments]]:
    """Yield every component that varies over the chains, and its moments."""
    for name, draws in evidence.refreshed_scalars():
        if np.ptp(draws) > 0:
            yield name, moments_of(draws, float(evidence.refreshed_ess.get(name, len(draws))))


def _errors(evidence: Evidence, own: Mapping[str, Moments]) -> Iterator[MetricValue]:
    """Yield the errors of the chains' moments against the reference."""
    true = ((one.name, moments_of(one.reference, one.effective)) for one in pairs(evidence) if one.name in own)
    yield from off("refreshed_{}_error", ((name, own[name], one) for name, one in true))
