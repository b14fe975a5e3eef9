"""What guides are compared by: a number per fit, with a direction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace

from guidebench.config.errors import RequestError
from guidebench.contracts import Direction, MetricValue, Quantity
from guidebench.results import Fit

#: A number of one fit, from it and all fits of its problem.
Read = Callable[[Fit, Sequence[Fit]], MetricValue | None]


@dataclass(frozen=True, kw_only=True)
class Measure(Quantity):
    """A number per fit that guides are compared by, and what it means.

    Attributes
    ----------
    read : callable
        ``read(fit, fits)`` takes a fit and all fits of its problem, and returns the number with its
        Monte Carlo error, or ``None`` where it is not defined.
    """

    read: Read

    def of(self, fit: Fit, fits: Sequence[Fit]) -> MetricValue | None:
        """Return the number of one fit; one that is not a number is not defined."""
        found = self.read(fit, fits)
        return None if found is None or math.isnan(found.value) else found


def total_seconds(fit: Fit) -> float | None:
    """Return the wall time of a fit; ``None`` for one without draws."""
    return fit.seconds if fit.status.has_draws else None


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


def _seconds(fit: Fit, fits: Sequence[Fit]) -> MetricValue | None:
    found = total_seconds(fit)
    return None if found is None else MetricValue(value=found)


#: The larger of the errors of mean and sd, by which guides are ranked where there is a reference.
ERROR = Measure(
    name="error",
    title="Error of mean and sd",
    unit="sd of the reference",
    better="lower",
    read=moment_error,
    scale="log",
    floor=0.01,
    heading="error",
    note="The larger of the largest errors of a mean and of an sd. A point estimate has no sd, hence none.",
)

#: What :data:`ERROR` is made of.
PARTS_OF_ERROR = ("mean_error", "sd_error")

ELBO_GAP = Measure(
    name="elbo_gap",
    title="ELBO gap",
    unit="nat",
    better="lower",
    read=elbo_gap,
    scale="log",
    floor=0.01,
    heading="ELBO",
    heat_map=0,
    note="How far the ELBO is below the best one of the same problem: zero says best of these, not good. "
    "Point estimates have no ELBO, and bounds over a larger space are not compared with it.",
)

SECONDS = Measure(
    name="seconds",
    title="Total time",
    unit="s",
    better="lower",
    read=_seconds,
    scale="log",
    floor=0.01,
    heading="time\n(s)",
    digits=1,
    heat_map=1000,
    note="Compiling, training and scoring, as measured in this run; other work on the machine is in it.",
)


def mapped(quantities: Iterable[Quantity]) -> list[Measure]:
    """Return the measures that are shown as heat maps, in order: ours, and the metrics that are declared so."""
    found = [ELBO_GAP, *(measure_of(one) for one in quantities if one.heat_map is not None), SECONDS]
    return sorted(found, key=lambda one: one.heat_map or 0)


def others(quantities: Iterable[Quantity]) -> list[Measure]:
    """Return a measure for each metric that says which direction is better and has no heat map of its own."""
    return [
        measure_of(one)
        for one in quantities
        if one.better in ("higher", "lower") and one.heat_map is None and not one.part_of
    ]


def measure_of(quantity: Quantity) -> Measure:
    """Return the measure of a metric: its value for all variables together, or else the worst of them."""

    def read(fit: Fit, fits: Sequence[Fit]) -> MetricValue | None:
        found = fit.metric(quantity.name)
        if found is not None or quantity.better not in ("higher", "lower"):
            return found
        single = [one for one in fit.metrics if one.metric == quantity.name and not math.isnan(one.value)]
        worst = max if quantity.better == "lower" else min
        return worst(single, key=lambda one: one.value) if single else None

    return Measure(**{part.name: getattr(quantity, part.name) for part in fields(Quantity)}, read=read)


def find_measure(
    quantities: Iterable[Quantity], name: str, better: Direction | None = None, *, otherwise: Direction | None = None
) -> Measure:
    """Return a measure by its name: one of ours, or any metric that a fit may hold.

    Parameters
    ----------
    quantities : iterable of Quantity
        What the numbers of a run mean.
    name : str
        ``error``, ``elbo_gap``, ``seconds``, or the name of a metric.
    better : {"higher", "lower"}, optional
        Which direction is better, whatever the run says of the metric; ours keep theirs.
    otherwise : {"higher", "lower", "none"}, optional
        The same for a metric of which the run says nothing.

    Raises
    ------
    RequestError
        Where nothing says which direction is better.
    """
    for measure in (ERROR, ELBO_GAP, SECONDS):
        if measure.name == name:
            return measure
    known = next((one for one in quantities if one.name == name), None)
    if known is not None:
        return measure_of(known if better is None else replace(known, better=better))
    if (direction := better or otherwise) is None:
        raise RequestError(
            f"the run does not declare a metric {name!r}: say which direction is better, better='lower' or 'higher'"
        )
    return measure_of(Quantity(name=name, better=direction))
