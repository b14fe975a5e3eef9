"""The ELBO and what the importance weights say: evidence, divergence, effective sample size, tail shape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from guidebench.contracts import MetricValue
from guidebench.metrics.evidence import Evidence
from guidebench.results.inference_data import pareto_smooth

#: Draws that share one term of the importance-weighted bound.
BOUND_DRAWS = 100


def mean_log_weight(log_weights: Float[np.ndarray, " S"]) -> tuple[float, float]:
    r"""Return the ELBO and its Monte Carlo standard error, in nats.

    .. math:: \mathrm{ELBO} = \frac1S \sum_s \log w_s, \qquad
              \mathrm{MCSE} = \mathrm{sd}(\log w) / \sqrt{S}
    """
    return float(np.mean(log_weights)), float(np.std(log_weights, ddof=1) / np.sqrt(len(log_weights)))


def elbo(evidence: Evidence) -> Iterator[MetricValue]:
    r"""The evidence lower bound of the best restart, and how far the restarts lie apart.

    .. math:: \mathrm{ELBO} = \frac1S \sum_s \log w_s, \qquad w_s = p(y, \theta_s) / q(\theta_s), \qquad
              \mathrm{MCSE} = \mathrm{sd}(\log w) / \sqrt{S}
    """
    assert evidence.log_weights is not None
    value, mcse = mean_log_weight(evidence.log_weights)
    yield MetricValue(value=value, mcse=mcse)
    if len(evidence.restart_elbos) > 1:
        yield MetricValue(value=float(np.std(evidence.restart_elbos, ddof=1)), metric="elbo_restart_sd")


def log_evidence(evidence: Evidence) -> Iterator[MetricValue]:
    r"""The importance estimate of log p(y), with its delta-method error.

    .. math:: \log \hat p(y) = \log \frac1S \sum_s w_s, \qquad
              \mathrm{MCSE} \approx \mathrm{sd}(w) / (\bar w \sqrt{S})

    Its mean lies below log p(y); with heavy-tailed weights it is low by more than its error says.
    """
    assert evidence.log_weights is not None
    count = len(evidence.log_weights)
    value = float(logsumexp(evidence.log_weights) - np.log(count))
    relative = np.exp(evidence.log_weights - value)
    yield MetricValue(value=value, mcse=float(np.std(relative, ddof=1) / np.sqrt(count)))


def kl(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Kullback-Leibler divergence from the guide to the posterior, in nats.

    .. math:: \widehat{\mathrm{KL}}(q \,\|\, p) = \log \frac1S \sum_s w_s - \frac1S \sum_s \log w_s, \qquad
              \mathrm{MCSE} \approx \mathrm{sd}(w / \bar w - \log w) / \sqrt{S}

    Both terms come from the same draws, so what they share cancels in the error.  The estimate is
    never negative.  It is biased low, by the bias of the log evidence: about
    :math:`\mathrm{var}(w) / (2 S \bar w^2)` where the weights have a variance.  Where they are heavy
    tailed (k-hat above 0.7) it is low by more than its error says.
    """
    assert evidence.log_weights is not None
    count = len(evidence.log_weights)
    bound = float(np.mean(evidence.log_weights))
    centred = evidence.log_weights - bound
    value = float(logsumexp(centred) - np.log(count))
    influence = np.exp(centred - value) - centred
    # Equal weights leave a value of minus a rounding error.
    yield MetricValue(value=max(value, 0.0), mcse=float(np.std(influence, ddof=1) / np.sqrt(count)))


def mean_log_group_weight(log_weights: Float[np.ndarray, " S"], size: int) -> tuple[float, float | None]:
    r"""Return the importance-weighted bound of `size` draws and its Monte Carlo standard error, in nats.

    .. math:: \mathcal{L}_K = \frac1G \sum_{g=1}^G \log \frac1K \sum_{k=1}^K w_{gk}, \qquad
              G = \lfloor S / K \rfloor

    Draws beyond the last whole group are left out.  The error is over groups: one group has none.
    """
    groups = len(log_weights) // size
    terms = logsumexp(log_weights[: groups * size].reshape(groups, size), axis=1) - np.log(size)
    return float(np.mean(terms)), float(np.std(terms, ddof=1) / np.sqrt(groups)) if groups > 1 else None


def iw_bound(evidence: Evidence) -> Iterator[MetricValue]:
    r"""The importance-weighted bound on log p(y), with 100 draws in a group.

    .. math:: \frac1G \sum_g \log \frac1K \sum_k w_{gk}, \qquad K = 100

    Its mean lies between the ELBO (one draw in a group) and log p(y), and increases with the number of
    draws.  Unlike the log evidence it is a mean of independent terms, so its error holds even where
    the weights are heavy tailed.
    """
    assert evidence.log_weights is not None
    if len(evidence.log_weights) < BOUND_DRAWS:
        return
    value, mcse = mean_log_group_weight(evidence.log_weights, BOUND_DRAWS)
    yield MetricValue(value=value, mcse=mcse)


def effective_sample_size(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Kish's effective sample size of the weights, :math:`(\sum w)^2 / \sum w^2`, and its share of S."""
    assert evidence.log_weights is not None
    weights = np.exp(evidence.log_weights - evidence.log_weights.max())
    size = float(weights.sum() ** 2 / np.sum(weights**2))
    yield MetricValue(value=size)
    yield MetricValue(value=size / len(weights), metric="ess_share")


def khat(evidence: Evidence) -> Iterator[MetricValue]:
    r"""Pareto tail shape of the weights, and the value up to which S draws can be reweighted.

    The threshold is :math:`\min(1 - 1/\log_{10} S, 0.7)` (Vehtari et al. 2024).  The error is the
    asymptotic one of a generalised Pareto shape, :math:`(1 + k) / \sqrt{M}` with the tail length
    :math:`M = \min(S / 5, 3 \sqrt{S})` (Smith 1987, Ann. Statist. 15(3), doi:10.1214/aos/1176350499).
    """
    assert evidence.log_weights is not None
    count = len(evidence.log_weights)
    _, value = pareto_smooth(evidence.log_weights)
    mcse = float((1 + value) / np.sqrt(min(count / 5, 3 * np.sqrt(count)))) if np.isfinite(value) else None
    yield MetricValue(value=value, mcse=mcse)
    yield MetricValue(value=min(1 - 1 / np.log10(count), 0.7), metric="khat_threshold")
