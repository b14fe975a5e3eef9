"""The metrics that ship with guidebench, declared through the same hook as anybody's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from guidebench.contracts import Metric, MetricValue
from guidebench.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from guidebench.metrics.evidence import Evidence

_PSIS = "Vehtari et al. (2024), Pareto Smoothed Importance Sampling, JMLR 25(72), arXiv:1507.02646"
_SCORING = "Gneiting & Raftery (2007), JASA 102(477), doi:10.1198/016214506000001437"


def _lazy(module: str, function: str) -> Callable[[Evidence], Iterable[MetricValue]]:
    """Import the computing module only when the metric is computed: declaring costs nothing."""

    def compute(evidence: Evidence) -> Iterable[MetricValue]:
        found: Iterable[MetricValue] = getattr(import_module(f"guidebench.metrics.{module}"), function)(evidence)
        return found

    return compute


@hookimpl
def guidebench_metrics() -> Iterator[Metric]:
    """Declare each built-in metric."""
    yield Metric(
        name="elbo",
        compute=_lazy("bounds", "elbo"),
        needs=("density",),
        better="higher",
        unit="nat",
        summary="Evidence lower bound, by one estimator for every guide",
        cite="Blei, Kucukelbir & McAuliffe (2017), JASA 112(518), doi:10.1080/01621459.2017.1285773",
    )
    yield Metric(
        name="log_evidence",
        compute=_lazy("bounds", "log_evidence"),
        needs=("weights",),
        unit="nat",
        summary="Importance estimate of log p(y)",
        cite=_PSIS,
    )
    yield Metric(
        name="kl",
        compute=_lazy("bounds", "kl"),
        needs=("weights",),
        better="lower",
        unit="nat",
        summary="Kullback-Leibler divergence from the guide to the posterior",
        cite="Kullback & Leibler (1951), Ann. Math. Statist. 22(1), doi:10.1214/aoms/1177729694",
    )
    yield Metric(
        name="iw_bound",
        compute=_lazy("bounds", "iw_bound"),
        needs=("weights",),
        better="higher",
        unit="nat",
        summary="Importance-weighted bound on log p(y) of 100 draws",
        cite="Burda, Grosse & Salakhutdinov (2016), ICLR, doi:10.48550/arXiv.1509.00519",
    )
    yield Metric(
        name="khat",
        compute=_lazy("bounds", "khat"),
        needs=("weights",),
        better="lower",
        summary="Pareto tail shape of the importance weights, with its threshold",
        cite=_PSIS,
    )
    yield Metric(
        name="ess",
        compute=_lazy("bounds", "effective_sample_size"),
        needs=("weights",),
        better="higher",
        unit="draws",
        summary="Effective sample size of the importance weights",
    )
    yield Metric(
        name="reweighted",
        compute=_lazy("reweighting", "reweighted"),
        needs=("weights",),
        unit="of the site",
        summary="Moments repaired by importance weights, and how far the raw ones are from them",
        cite=_PSIS,
    )
    yield Metric(
        name="dropped_mass",
        compute=_lazy("modes", "dropped_mass"),
        needs=("density", "modes"),
        better="lower",
        unit="share of the posterior",
        summary="Posterior mass of the modes at which the guide has no draws, of those that a search found",
    )
    yield Metric(name="mean", compute=_lazy("moments", "mean"), unit="of the site", summary="Mean of every latent")
    yield Metric(
        name="sd",
        compute=_lazy("moments", "sd"),
        needs=("density",),
        unit="of the site",
        summary="Standard deviation of every latent",
    )
    yield Metric(
        name="correlation", compute=_lazy("moments", "correlation"), summary="Correlation of every pair of latents"
    )
    for name, needs, unit, summary in (
        ("mean_error", ("reference",), "sd of the reference", "Error of the mean against the reference"),
        ("sd_error", ("reference spread",), "share", "Relative error of the sd against the reference"),
        ("w1_error", ("reference spread",), "sd of the reference", "1-Wasserstein distance of the marginals"),
        ("correlation_error", ("reference spread",), "", "Error of the correlations against the reference"),
    ):
        yield Metric(name=name, compute=_lazy("errors", name), needs=needs, better="lower", unit=unit, summary=summary)
    yield Metric(
        name="sd_ratio",
        compute=_lazy("errors", "sd_ratio"),
        needs=("reference spread",),
        better="nominal",
        unit="ratio",
        summary="Sd of every latent over that of the reference",
    )
    yield Metric(
        name="quantile_error",
        compute=_lazy("errors", "quantile_error"),
        needs=("reference spread",),
        better="lower",
        unit="sd of the reference",
        summary="Largest error of the 5 to 95 % quantiles against the reference",
        cite="Vehtari et al. (2021), Bayesian Analysis 16(2), doi:10.1214/20-BA1221",
    )
    yield Metric(
        name="sliced_w2",
        compute=_lazy("distances", "sliced_w2"),
        needs=("reference spread",),
        better="lower",
        unit="sd of the reference",
        summary="Sliced 2-Wasserstein distance of the joint distributions, and its floor",
        cite="Bonneel, Rabin, Peyré & Pfister (2015), J. Math. Imaging Vis. 51, doi:10.1007/s10851-014-0506-3",
    )
    yield Metric(
        name="energy_distance",
        compute=_lazy("distances", "energy_distance"),
        needs=("reference spread",),
        better="lower",
        unit="sd of the reference",
        summary="Energy distance of the joint distributions",
        cite="Székely & Rizzo (2013), J. Stat. Plan. Inference 143(8), doi:10.1016/j.jspi.2013.03.018",
    )
    yield Metric(
        name="coverage",
        compute=_lazy("predictive", "coverage"),
        needs=("heldout",),
        better="nominal",
        unit="probability",
        summary="Coverage of central predictive intervals on held-out data, and the calibration error",
        cite="Brown, Cai & DasGupta (2001), Statistical Science 16(2), doi:10.1214/ss/1009213286",
    )
    yield Metric(
        name="pit",
        compute=_lazy("predictive", "pit"),
        needs=("heldout",),
        better="nominal",
        unit="probability",
        summary="Probability integral transform of held-out data: histogram and distance from uniform",
        cite="Gneiting, Balabdaoui & Raftery (2007), J. R. Stat. Soc. B 69(2), doi:10.1111/j.1467-9868.2007.00587.x",
    )
    yield Metric(
        name="crps",
        compute=_lazy("predictive", "crps"),
        needs=("heldout",),
        better="lower",
        unit="of the data",
        summary="Continuous ranked probability score on held-out data",
        cite=_SCORING,
    )
    yield Metric(
        name="elpd",
        compute=_lazy("predictive", "elpd"),
        needs=("heldout",),
        better="higher",
        unit="nat per point",
        summary="Log predictive density of held-out data",
        cite=_SCORING,
    )
