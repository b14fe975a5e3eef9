"""The metrics that ship with guidebench, declared through the same hook as anybody's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from guidebench.contracts import Metric, MetricValue
from guidebench.hookspecs import hookimpl

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
        name="coverage",
        compute=_lazy("predictive", "coverage"),
        needs=("heldout",),
        better="nominal",
        unit="probability",
        summary="Coverage of central predictive intervals on held-out data, and the calibration error",
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
