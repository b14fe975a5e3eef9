"""The draws of chains that began at a guide's draws: their moments, and how far the guide's own are from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from guidebench.contracts import MetricValue
from guidebench.metrics.errors import off
from guidebench.metrics.evidence import Evidence
from guidebench.metrics.moments import Moments, moments_of
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
    own = moments_of(evidence.refreshed, evidence.refreshed_ess, varying=True)
    for name, one in own.items():
        yield MetricValue(value=one.mean, mcse=one.mean_error, variable=name, metric="mean_refreshed")
        yield MetricValue(value=one.sd, mcse=one.sd_error, variable=name, metric="sd_refreshed")
    yield from off("{}_moved", _beside(moments_of(evidence.latents), own))
    if evidence.has("weights") and evidence.log_weights is not None:
        repaired = weighted_moments(evidence.latents, smoothed_weights(evidence.log_weights))
        yield from off("reweighted_{}_moved", _beside(repaired, own))
    if evidence.reference:
        true = moments_of(evidence.reference, evidence.reference_ess, varying=True)
        yield from off("refreshed_{}_error", _beside({name: own[name] for name in true if name in own}, true))


def _beside(found: Mapping[str, Moments], true: Mapping[str, Moments]) -> Iterator[tuple[str, Moments, Moments]]:
    """Yield the components that both sides have."""
    yield from ((name, one, true[name]) for name, one in found.items() if name in true)
