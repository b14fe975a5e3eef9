"""What guides are compared by: a number per fit, with a direction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from guidebench.config.errors import RequestError
from guidebench.contracts import Direction, Metric, MetricValue
from guidebench.results import Fit

#: A number of one fit, from it and all fits of its problem.
Read = Callable[[Fit, Sequence[Fit]], MetricValue | None]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number per fit that guides are compared by.

    Attributes
    ----------
    name, title, unit : str
        What it is called, in code and in words, and its unit.
    better : {"higher", "lower", "nominal", "none"}
        Which direction is better.
    read : callable
        ``read(fit, fits)`` takes a fit and all fits of its problem, and returns the number with its
        Monte Carlo error, or ``None`` where it is not defined.
    scale : {"log", "linear"}
        On which axis it is shown.
    floor : float
        Differences below it do not count; a logarithmic axis begins there.
    note : str
        What a reader should know of it.
    """

    name: str
    title: str
    read: Read
    unit: str = ""
    better: Direction = "lower"
    scale: Literal["log", "linear"] = "linear"
    floor: float = 0.01
    note: str = ""

    def of(self, fit: Fit, fits: Sequence[Fit]) -> MetricValue | None:
        """Return the number of one fit; one that is not a number is not defined."""
        found = self.read(fit, fits)
        return None if found is None or math.isnan(found.value) else found


def total_seconds(fit: Fit) -> float | None:
    """Return the wall time of a fit: compiling, training and scoring; ``None`` for one without draws."""
    parts = [part for part in (fit.compile_s, fit.train_s, fit.evaluate_s) if part is not None]
    return sum(parts) if parts and fit.status.has_draws else None


def elbo_gap(fit: Fit, fits: Sequence[Fit]) -> MetricValue | None:
    r"""Return by how many nats the ELBO of a fit is below the best one of its problem.

    .. math:: \Delta = \max_g \mathrm{ELBO}_g - \mathrm{ELBO}

    which is the difference of the divergences KL(q || p) to the posterior.  Bounds over a larger space
    take no part: they pay for auxiliary variables, too.  The error is that of both ELBOs, and that of
    the best one is zero by construction.
    """
    scored = [(one, found) for one in fits if one.bound == "elbo" and (found := one.metric("elbo")) is not None]
    scored = [(one, found) for one, found in scored if not math.isnan(found.value) and found.value != math.inf]
    own = next((found for one, found in scored if one is fit), None)
    if own is None:
        return None
    best = max((found for _, found in scored), key=lambda found: found.value)
    if best is own or not math.isfinite(best.value):
        return MetricValue(value=0.0, mcse=0.0) if math.isfinite(own.value) else None
    return MetricValue(value=best.value - own.value, mcse=math.hypot(best.mcse or 0.0, own.mcse or 0.0))


def moment_error(fit: Fit, fits: Sequence[Fit] = ()) -> MetricValue | None:
    r"""Return the larger of the largest errors of a mean and of an sd against the reference.

    .. math:: e = \max_j \max\left(\frac{|\mu_{qj} - \mu_{pj}|}{\sigma_{pj}},
              \left|\frac{\sigma_{qj}}{\sigma_{pj}} - 1\right|\right)

    in standard deviations of the reference.  A point estimate has no sd, and no error of this kind.
    """
    mean, sd = fit.metric("mean_error"), fit.metric("sd_error")
    if mean is None or sd is None or math.isnan(mean.value) or math.isnan(sd.value):
        return None
    worst = max(mean, sd, key=lambda one: one.value)
    return MetricValue(value=worst.value, mcse=worst.mcse)


def _metric(name: str) -> Read:
    return lambda fit, fits: fit.metric(name)


def _seconds(fit: Fit, fits: Sequence[Fit]) -> MetricValue | None:
    found = total_seconds(fit)
    return None if found is None else MetricValue(value=found)


#: The larger of the errors of mean and sd, by which guides are ranked where there is a reference.
ERROR = Measure(
    name="error",
    title="Error of mean and sd",
    unit="sd of the reference",
    read=moment_error,
    scale="log",
    note="The larger of the largest errors of a mean and of an sd. A point estimate has no sd, hence none.",
)

#: The measures that are shown as heat maps.
MAIN = (
    Measure(
        name="elbo_gap",
        title="ELBO gap",
        unit="nat",
        read=elbo_gap,
        scale="log",
        note="How far the ELBO is below the best one of the same problem: zero says best of these, not good. "
        "Point estimates have no ELBO, and bounds over a larger space are not compared with it.",
    ),
    Measure(
        name="mean_error",
        title="Mean error",
        unit="sd of the reference",
        read=_metric("mean_error"),
        scale="log",
        note="Largest error of a mean over all latent components; not defined where there is no reference.",
    ),
    Measure(
        name="sd_error",
        title="Sd error",
        unit="share of the reference's sd",
        read=_metric("sd_error"),
        scale="log",
        note="Largest relative error of an sd over all latent components; not defined where there is no reference.",
    ),
    Measure(
        name="khat",
        title="k-hat",
        read=_metric("khat"),
        note="Tail shape of the importance weights; above 0.7 what is estimated with them settles slowly. "
        "It looks only where the guide has draws.",
    ),
    Measure(
        name="calibration_error",
        title="Coverage error",
        unit="probability",
        read=_metric("calibration_error"),
        note="Mean distance between observed and nominal coverage of held-out data; not defined without them.",
    ),
    Measure(
        name="seconds",
        title="Total time",
        unit="s",
        read=_seconds,
        scale="log",
        note="Compiling, training and scoring, as measured in this run; other work on the machine is in it.",
    ),
)


def of_metric(metric: Metric) -> Measure:
    """Return the measure of a declared metric: its value for all variables together, or else the worst of them."""

    def read(fit: Fit, fits: Sequence[Fit]) -> MetricValue | None:
        found = fit.metric(metric.name)
        if found is not None or metric.better not in ("higher", "lower"):
            return found
        single = [one for one in fit.metrics if one.metric == metric.name and not math.isnan(one.value)]
        worst = max if metric.better == "lower" else min
        return worst(single, key=lambda one: one.value) if single else None

    return Measure(name=metric.name, title=metric.name, unit=metric.unit, better=metric.better, read=read)


def of_metrics(metrics: Iterable[Metric]) -> list[Measure]:
    """Return a measure for each metric that says which direction is better and has no heat map of its own."""
    known = {measure.name for measure in MAIN}
    return [of_metric(one) for one in metrics if one.better in ("higher", "lower") and one.name not in known]


def find_measure(name: str, better: Direction | None = None, *, otherwise: Direction | None = None) -> Measure:
    """Return a measure by its name: one of ours, or any metric that a fit may hold.

    Parameters
    ----------
    name : str
        ``error``, ``elbo_gap``, ``seconds``, or the name of a metric.
    better : {"higher", "lower"}, optional
        Which direction is better, whatever the plugin of the metric says; ours keep theirs.
    otherwise : {"higher", "lower", "none"}, optional
        The same for a metric that no installed plugin declares.

    Raises
    ------
    RequestError
        Where nothing says which direction is better.
    """
    for measure in (ERROR, *MAIN):
        if measure.name == name:
            return measure
    if better is None:
        from guidebench.request.find_plugins import find_plugins

        declared = {one.name: one.declaration for one in find_plugins(running=True).metrics}
        if name in declared:
            return of_metric(declared[name])
    if (direction := better or otherwise) is None:
        raise RequestError(
            f"no installed plugin declares a metric {name!r}: say which direction is better, better='lower' or 'higher'"
        )
    return of_metric(Metric(name=name, compute=lambda evidence: (), better=direction))
