"""The metrics that ship with guidebench, declared through the same hook as anybody's.

Their order here is that of the rows of ``metrics.csv`` and of the columns of ``summary.csv``.  Those that decide
whether a run is worse than another are those a user would act on, each about another quality of a guide: the ELBO, the
errors of moments, marginals and correlations, and the calibration and scores on held-out data.  The others are noted:
they are parts or functions of these (a coverage at one level), or lean on few draws (k-hat, the size of the weights).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import import_module

from guidebench.contracts import Evidence, Metric, MetricValue, Quantity, Rule
from guidebench.metrics.parts import NOT_COMPARED, coverages, histogram
from guidebench.plugins.hookspecs import hookimpl

_PSIS = "Vehtari et al. (2024), Pareto Smoothed Importance Sampling, JMLR 25(72), arXiv:1507.02646"
_SCORING = "Gneiting & Raftery (2007), JASA 102(477), doi:10.1198/016214506000001437"


def _lazy(module: str, function: str) -> Callable[[Evidence], Iterable[MetricValue]]:
    """Import the computing module only when the metric is computed: declaring costs nothing."""

    def compute(evidence: Evidence) -> Iterable[MetricValue]:
        found: Iterable[MetricValue] = getattr(import_module(f"guidebench.metrics.{module}"), function)(evidence)
        return found

    return compute


#: What a relative sd moves by, where a mean moves by one sd at the same cost in nats.
_SD = 2**-0.5

#: An error against the reference, in sds of the posterior.
_ERROR = Rule(decides=True, smallest=0.02, per_sd=1.0)

#: Made of importance weights.
_WEIGHTS = Rule(smallest=0.05, per_sd=1.0, weighted=True)
_REPAIRED = Rule(share=0.02, per_sd=1.0, weighted=True)
#: These hang on the single largest weight.
_LARGEST = Rule(smallest=0.5, weighted=True)

#: Of the draws of chains, and the distance of the guide's draws from them.
_REFRESHED = Rule(share=0.02, per_sd=1.0)
_MOVED = Rule(smallest=0.05, per_sd=1.0)

#: The outer quantiles move with the mean and with the sd.
_DISTANCE = Rule(smallest=0.05, per_sd=2.0)


@hookimpl
def guidebench_metrics() -> Iterator[Metric]:
    """Declare each built-in metric."""
    yield Metric(
        name="elbo",
        compute=_lazy("bounds", "elbo"),
        title="ELBO",
        columns=("value", "mcse"),
        heading="ELBO (nat)",
        form="error",
        digits=3,
        rule=Rule(decides=True, smallest=0.02),
        values=(
            Quantity(
                name="elbo_restart_sd",
                title="Sd of the ELBO over restarts",
                unit="nat",
                better="lower",
                columns=("value",),
                rule=Rule(smallest=0.02, share=0.9),
            ),
        ),
        needs=("density",),
        better="higher",
        unit="nat",
        summary="Evidence lower bound, by one estimator for every guide",
        cite="Blei, Kucukelbir & McAuliffe (2017), JASA 112(518), doi:10.1080/01621459.2017.1285773",
    )
    yield Metric(
        name="log_evidence",
        compute=_lazy("bounds", "log_evidence"),
        title="Log evidence",
        columns=("value",),
        rule=_WEIGHTS,
        needs=("weights",),
        unit="nat",
        summary="Importance estimate of log p(y)",
        cite=_PSIS,
    )
    yield Metric(
        name="kl",
        compute=_lazy("bounds", "kl"),
        title="KL divergence",
        rule=_WEIGHTS,
        needs=("weights",),
        better="lower",
        unit="nat",
        summary="Kullback-Leibler divergence from the guide to the posterior",
        cite="Kullback & Leibler (1951), Ann. Math. Statist. 22(1), doi:10.1214/aoms/1177729694",
    )
    yield Metric(
        name="iw_bound",
        compute=_lazy("bounds", "iw_bound"),
        title="Importance-weighted bound",
        rule=_WEIGHTS,
        needs=("weights",),
        better="higher",
        unit="nat",
        summary="Importance-weighted bound on log p(y) of 100 draws",
        cite="Burda, Grosse & Salakhutdinov (2016), ICLR, doi:10.48550/arXiv.1509.00519",
    )
    yield Metric(
        name="khat",
        compute=_lazy("bounds", "khat"),
        title="k-hat",
        floor=0.0,
        note="Tail shape of the importance weights; above 0.7 what is estimated with them settles slowly. "
        "It looks only where the guide has draws.",
        columns=("value",),
        heading="k-hat",
        heat_map=30,
        rule=Rule(smallest=0.2),
        values=(Quantity(name="khat_threshold", columns=("value",), rule=NOT_COMPARED),),
        needs=("weights",),
        better="lower",
        summary="Pareto tail shape of the importance weights, with its threshold",
        cite=_PSIS,
    )
    yield Metric(
        name="ess",
        compute=_lazy("bounds", "effective_sample_size"),
        title="Effective sample size",
        columns=("value",),
        rule=NOT_COMPARED,
        values=(
            Quantity(
                name="ess_share",
                title="Effective sample size over the number of draws",
                unit="share",
                better="higher",
                heading="ESS",
                form="percent",
                rule=_LARGEST,
            ),
        ),
        needs=("weights",),
        better="higher",
        unit="draws",
        summary="Effective sample size of the importance weights",
    )
    yield Metric(
        name="reweighted",
        compute=_lazy("reweighting", "reweighted"),
        values=(
            Quantity(name="smoothed_ess_share", unit="share", better="higher", rule=_LARGEST),
            Quantity(name="smoothed_kl", unit="nat", better="lower", rule=_WEIGHTS),
            *(Quantity(name=f"{name}_reweighted", unit="of the site", rule=_REPAIRED) for name in ("mean", "sd")),
            *(
                Quantity(name=f"{name}_shift", unit=unit, better="lower", rule=_WEIGHTS)
                for name, unit in (("mean", "sd of the posterior"), ("sd", "share"))
            ),
            *(
                Quantity(
                    name=f"reweighted_{name}_error",
                    unit=unit,
                    better="lower",
                    rule=replace(_WEIGHTS, measured_on="reference"),
                )
                for name, unit in (("mean", "sd of the reference"), ("sd", "share"))
            ),
        ),
        needs=("weights",),
        unit="of the site",
        summary="Moments repaired by importance weights, and how far the raw ones are from them",
        cite=_PSIS,
    )
    yield Metric(
        name="refreshed",
        compute=_lazy("refreshed", "refreshed"),
        values=(
            *(Quantity(name=f"{name}_refreshed", unit="of the site", rule=_REFRESHED) for name in ("mean", "sd")),
            *(
                Quantity(name=f"{repaired}{name}_moved", unit=unit, better="lower", rule=rule)
                for repaired, rule in (("", _MOVED), ("reweighted_", _WEIGHTS))
                for name, unit in (("mean", "sd of the chains"), ("sd", "share"))
            ),
            *(
                Quantity(
                    name=f"refreshed_{name}_error",
                    unit=unit,
                    better="lower",
                    rule=replace(_MOVED, measured_on="reference"),
                )
                for name, unit in (("mean", "sd of the reference"), ("sd", "share"))
            ),
        ),
        needs=("density", "refreshed"),
        unit="of the site",
        summary="Moments of the draws of chains that began at the guide's, and how far the guide's are from them",
        cite="Targeted Accuracy Diagnostic for Variational Approximations (2023), AISTATS, arXiv:2302.12419",
    )
    yield Metric(
        name="witness",
        compute=_lazy("witnessed", "witnessed"),
        values=tuple(
            Quantity(
                name=f"witness_{kind}{moment}_error", unit=unit, better="lower", rule=replace(_WEIGHTS, weighted=False)
            )
            for kind in ("", "reweighted_", "refreshed_")
            for moment, unit in (("mean", "sd of the witness"), ("sd", "share"))
        ),
        needs=("density", "witness"),
        unit="sd of the witness",
        summary="Errors against draws that were made to judge by, where there is no reference",
    )
    yield Metric(
        name="dropped_mass",
        compute=_lazy("modes", "dropped_mass"),
        title="Dropped mass",
        rule=Rule(smallest=0.05),
        values=tuple(
            Quantity(name=f"dropped_mass_{name}", unit="share", rule=NOT_COMPARED) for name in ("expected", "given")
        ),
        needs=("density", "modes"),
        better="lower",
        unit="share of the posterior",
        summary="Posterior mass of the modes at which the guide has no draws, of those that a search found",
    )
    yield Metric(
        name="mean",
        compute=_lazy("moments", "mean"),
        unit="of the site",
        rule=Rule(share=0.02, per_sd=1.0, unit="site"),
        summary="Mean of every latent",
    )
    yield Metric(
        name="sd",
        compute=_lazy("moments", "sd"),
        rule=Rule(share=0.02, per_sd=_SD, unit="site"),
        needs=("density",),
        unit="of the site",
        summary="Standard deviation of every latent",
    )
    yield Metric(
        name="correlation",
        compute=_lazy("moments", "correlation"),
        rule=Rule(smallest=0.05, per_sd=1.0),
        summary="Correlation of every pair of latents",
    )
    yield Metric(
        name="mean_error",
        compute=_lazy("errors", "mean_error"),
        needs=("reference",),
        title="Mean error",
        better="lower",
        unit="sd of the reference",
        scale="log",
        floor=0.01,
        note="Largest error of a mean over all latent components; not defined where there is no reference.",
        columns=("value",),
        heat_map=10,
        rule=_ERROR,
        summary="Error of the mean against the reference",
    )
    yield Metric(
        name="sd_error",
        compute=_lazy("errors", "sd_error"),
        needs=("reference spread",),
        title="Sd error",
        better="lower",
        unit="share of the reference's sd",
        scale="log",
        floor=0.01,
        note="Largest relative error of an sd over all latent components; not defined where there is no reference.",
        columns=("value",),
        heat_map=20,
        rule=replace(_ERROR, per_sd=_SD),
        summary="Relative error of the sd against the reference",
    )
    yield Metric(
        name="w1_error",
        compute=_lazy("errors", "w1_error"),
        needs=("reference spread",),
        title="1-Wasserstein distance",
        better="lower",
        unit="sd of the reference",
        columns=("value",),
        # By the duality of Kantorovich and Rubinstein, W1 moves by no more than some 1-Lipschitz mean does.
        rule=replace(_ERROR, errors_of=("mean_error",)),
        summary="1-Wasserstein distance of the marginals",
    )
    yield Metric(
        name="correlation_error",
        compute=_lazy("errors", "correlation_error"),
        needs=("reference spread",),
        title="Error of correlations",
        better="lower",
        columns=("value",),
        rule=_ERROR,
        values=(Quantity(name="correlation_error_frobenius", better="lower", rule=_DISTANCE),),
        summary="Error of the correlations against the reference",
    )
    yield Metric(
        name="sd_ratio",
        compute=_lazy("errors", "sd_ratio"),
        title="Ratio of sds",
        nominal=1.0,
        rule=replace(_DISTANCE, per_sd=_SD),
        needs=("reference spread",),
        better="nominal",
        unit="ratio",
        summary="Sd of every latent over that of the reference",
    )
    yield Metric(
        name="quantile_error",
        compute=_lazy("errors", "quantile_error"),
        title="Quantile error",
        rule=_DISTANCE,
        needs=("reference spread",),
        better="lower",
        unit="sd of the reference",
        summary="Largest error of the 5 to 95 % quantiles against the reference",
        cite="Vehtari et al. (2021), Bayesian Analysis 16(2), doi:10.1214/20-BA1221",
    )
    yield Metric(
        name="sliced_w2",
        compute=_lazy("distances", "sliced_w2"),
        title="Sliced 2-Wasserstein distance",
        rule=_DISTANCE,
        values=(Quantity(name="sliced_w2_floor", unit="sd of the reference", rule=NOT_COMPARED),),
        needs=("reference spread",),
        better="lower",
        unit="sd of the reference",
        summary="Sliced 2-Wasserstein distance of the joint distributions, and its floor",
        cite="Bonneel, Rabin, Peyré & Pfister (2015), J. Math. Imaging Vis. 51, doi:10.1007/s10851-014-0506-3",
    )
    yield Metric(
        name="energy_distance",
        compute=_lazy("distances", "energy_distance"),
        title="Energy distance",
        rule=_DISTANCE,
        needs=("reference spread",),
        better="lower",
        unit="sd of the reference",
        summary="Energy distance of the joint distributions",
        cite="Székely & Rizzo (2013), J. Stat. Plan. Inference 143(8), doi:10.1016/j.jspi.2013.03.018",
    )
    yield Metric(
        name="coverage",
        compute=_lazy("predictive", "coverage"),
        title="Coverage",
        values=tuple(coverages()),
        needs=("heldout",),
        better="nominal",
        unit="probability",
        summary="Coverage of central predictive intervals on held-out data, and the calibration error",
        cite="Brown, Cai & DasGupta (2001), Statistical Science 16(2), doi:10.1214/ss/1009213286",
    )
    yield Metric(
        name="pit",
        compute=_lazy("predictive", "pit"),
        title="Probability integral transform",
        values=tuple(histogram()),
        needs=("heldout",),
        better="nominal",
        unit="probability",
        summary="Probability integral transform of held-out data: histogram and distance from uniform",
        cite="Gneiting, Balabdaoui & Raftery (2007), J. R. Stat. Soc. B 69(2), doi:10.1111/j.1467-9868.2007.00587.x",
    )
    yield Metric(
        name="crps",
        compute=_lazy("predictive", "crps"),
        title="CRPS",
        columns=("value",),
        rule=Rule(decides=True, share=0.02, per_sd=1.0, unit="value"),
        needs=("heldout",),
        better="lower",
        unit="of the data",
        summary="Continuous ranked probability score on held-out data",
        cite=_SCORING,
    )
    yield Metric(
        name="elpd",
        compute=_lazy("predictive", "elpd"),
        title="Log predictive density",
        columns=("value",),
        rule=Rule(decides=True, smallest=0.02, per_sd=1.0),
        needs=("heldout",),
        better="higher",
        unit="nat per point",
        summary="Log predictive density of held-out data",
        cite=_SCORING,
    )
    yield Metric(
        name="gradients",
        compute=_lazy("cost", "gradients"),
        needs=("gradients",),
        title="Gradients",
        better="lower",
        scale="log",
        floor=1_000.0,
        columns=("value",),
        heading="gradients",
        digits=0,
        rule=Rule(share=0.2),
        note="Gradients of the log joint that a guide cost: training, drawing and judging; not what all guides share.",
        summary="Gradients of the log joint that a guide cost, training and judging together",
    )
