r"""Leave-one-out predictive densities from a guide's draws, weighted for being no posterior and for what is left out.

Of draws :math:`\theta_s \sim q`, the weight that makes them draws of the posterior without observation i is

.. math:: w_{is} \propto \frac{p(y, \theta_s)}{q(\theta_s)} \, \frac{1}{p(y_i \mid \theta_s)}

smoothed by Pareto for each observation (PSIS).  It is what ArviZ 1.x calls ``loo_approximate_posterior``.  The ratio
p/q has heavy tails even under guides that are right in every moment; the draws of one that is trusted are then taken
as those of the posterior, and weighted for what is left out alone.

References
----------
Magnusson, Andersen, Jonasson & Vehtari (2019), Bayesian leave-one-out cross-validation for large data, ICML,
arXiv:1904.10679.  Vehtari, Gelman & Gabry (2017), Statistics and Computing 27, doi:10.1007/s11222-016-9696-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import logsumexp

from guidebench.analysis.recommendation import by_word
from guidebench.config.errors import RequestError
from guidebench.results import Fit, Verdict
from guidebench.results import inference_data as idata

#: Largest shape of the tail of an observation's weights whose density is still taken.
MOST_KHAT = 0.7


@dataclass(frozen=True, kw_only=True)
class Loo:
    """PSIS-LOO of one guide.

    Attributes
    ----------
    guide : str
        Whose draws it is from.
    elpd, se : float
        Sum over observations of the log density of each given the others, in nats, and its standard error, the root of
        N times the sample variance of the terms (with N - 1, where ArviZ has N).
    p_loo : float
        Effective number of parameters.
    pointwise : ndarray
        The terms of the sum, in the order of the observed sites, shape ``(N,)``.
    khat : ndarray
        Shape of the tail of the weights of each, shape ``(N,)``.
    draws : int
        How many draws it is from.
    weighted : bool
        Whether these have the weights of the guide; those of a guide that is trusted count alike where its weights do
        not settle.
    """

    guide: str
    elpd: float
    se: float
    p_loo: float
    pointwise: np.ndarray = field(repr=False)
    khat: np.ndarray = field(repr=False)
    draws: int
    weighted: bool = True

    @property
    def settles(self) -> bool:
        """Whether the weights of every observation can be believed."""
        return bool((self.khat <= MOST_KHAT).all())

    def __str__(self) -> str:
        return (
            f"elpd_loo {self.elpd:.2f} ± {self.se:.2f}, p_loo {self.p_loo:.2f}, largest k-hat {self.khat.max():.2f}, "
            f"from {self.draws:,} draws of {self.guide}{'' if self.weighted else ', all alike'}"
        )


def loo(fits: Sequence[Fit], guide: str | None = None) -> Loo:
    """Return PSIS-LOO of a guide, or of the one that the fits of a problem recommend.

    Raises
    ------
    RequestError
        Where there is no such guide, its verdict forbids it, its densities are not there, or a k-hat is too large.
    """
    fit = _chosen(fits, guide)
    log_likelihood, log_weights = _log_likelihood(fit), _log_weights(fit)
    if not np.isfinite(log_likelihood).all():
        raise RequestError(f"LOO of {fit.guide} cannot be told: densities of its observations are not finite")
    found = _weighed(fit, log_likelihood, log_weights)
    if not found.settles and fit.own_verdict is Verdict.TRUST:
        plain = _weighed(fit, log_likelihood, np.zeros_like(log_weights))
        found = plain if plain.settles else found
    if not found.settles:
        worst = int(np.argmax(found.khat))  # which is one that is not a number, where there is any
        raise RequestError(
            f"LOO of {fit.guide} cannot be told: the weights of observation {worst} have the tail shape k-hat "
            f"{found.khat[worst]:.2f}, more than {MOST_KHAT:g}; another guide may come closer, or leave that row out "
            "itself"
        )
    return found


def _weighed(fit: Fit, log_likelihood: np.ndarray, log_weights: np.ndarray) -> Loo:
    """Return PSIS-LOO of draws with weights, believed or not."""
    count, total = log_likelihood.shape
    pointwise, khat = np.empty(total), np.empty(total)
    for at, column in enumerate(log_likelihood.T):
        smoothed, khat[at] = idata.pareto_smooth(log_weights - column)
        pointwise[at] = logsumexp(smoothed - logsumexp(smoothed) + column)
    weighted = bool(log_weights.any())
    posterior = idata.pareto_smooth(log_weights)[0] if weighted else log_weights
    lppd = logsumexp(log_likelihood + (posterior - logsumexp(posterior))[:, None], axis=0)
    return Loo(
        guide=fit.guide,
        elpd=float(pointwise.sum()),
        se=float(np.sqrt(total) * pointwise.std(ddof=1)) if total > 1 else float("nan"),
        p_loo=float((lppd - pointwise).sum()),
        pointwise=pointwise,
        khat=khat,
        draws=count,
        weighted=weighted,
    )


def repaired_by_weights(fit: Fit) -> bool:
    """Return whether the weights of a guide make its draws right, where others were lent in their place.

    These come first for use, but only a guide's own draws have densities of the observations beside them.
    """
    said = [one.reweighted for one in fit.evidence if one.source in ("reference", "witness")]
    return fit.verdict is Verdict.REFRESH and True in said and False not in said


def _chosen(fits: Sequence[Fit], guide: str | None) -> Fit:
    if guide is None:
        words = by_word([fit for fit in fits if idata.group(fit.inference_data, "log_likelihood") is not None])
        usable = [*words.with_densities, *filter(repaired_by_weights, words.lent)]
        if not usable:
            raise RequestError("LOO cannot be told: no guide of the run has draws that can be used, with densities")
        return usable[0]
    found = next((fit for fit in fits if fit.guide == guide), None)
    if found is None:
        raise RequestError(f"there is no guide {guide!r}; those of the run are {', '.join(fit.guide for fit in fits)}")
    if not found.own_verdict.usable and not repaired_by_weights(found):
        raise RequestError(f"LOO of {guide} cannot be told: it is {found.own_verdict}. {found.reason}")
    return found


def _log_likelihood(fit: Fit) -> np.ndarray:
    """Return log p of each observation given each draw, shape ``(S, N)``."""
    dataset = idata.group(fit.inference_data, "log_likelihood")
    if dataset is None:
        raise RequestError(f"LOO of {fit.guide} cannot be told: the densities of single observations are not there")
    parts = []
    for name in dataset.data_vars:
        values = dataset[name].to_numpy()
        parts.append(values.reshape(values.shape[0] * values.shape[1], -1).astype(np.float64))
    return np.concatenate(parts, axis=1)


def _log_weights(fit: Fit) -> np.ndarray:
    """Return log p - log q of each draw; zeros of a guide without weights whose draws are trusted."""
    stats, density = idata.group(fit.inference_data, "sample_stats"), idata.group(fit.inference_data, "log_likelihood")
    assert density is not None
    count = density.sizes["chain"] * density.sizes["draw"]
    if stats is not None and "log_weight" in stats:
        return np.asarray(stats["log_weight"].to_numpy().ravel()[:count], np.float64)
    if fit.own_verdict is Verdict.TRUST:
        return np.zeros(count)
    raise RequestError(f"LOO of {fit.guide} cannot be told: its draws have no weights")
