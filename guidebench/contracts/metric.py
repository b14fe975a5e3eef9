"""A metric: numbers that are computed from the draws of one fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace

from guidebench.contracts.evidence import Evidence
from guidebench.contracts.names import check_callable, check_each, check_names
from guidebench.contracts.quantity import MeasuredOn, Quantity, Rule


@dataclass(frozen=True, kw_only=True)
class MetricValue:
    """One number: of which variable, and with which Monte Carlo standard error."""

    value: float
    mcse: float | None = None
    variable: str = ""
    metric: str = ""


@dataclass(frozen=True, kw_only=True)
class Metric(Quantity):
    """A number, or several, computed from the draws of one fit.

    What the number of its own name means (title, unit, direction, scale, columns, ...) is declared as of any
    :class:`Quantity`.

    Parameters
    ----------
    compute : callable
        ``compute(evidence)`` takes an :class:`~guidebench.contracts.Evidence` and yields :class:`MetricValue`
        records; it must be pure.  A record's ``metric`` defaults to `name`.
    needs : tuple of str
        Parts of the evidence it cannot do without: ``"density"`` (not a point estimate), ``"weights"``
        (a density over the model's own latents), ``"modes"`` (several modes), ``"heldout"``,
        ``"reference"``, ``"reference spread"`` (both a reference and a density), ``"refreshed"`` (draws of
        settled chains that began at the guide's), ``"gradients"`` (they were counted); where one is
        missing the metric is left out, which the tables show as an empty cell.
    values : tuple of Quantity
        What the numbers of other names mean that it yields; one that is not described here is only listed.
    """

    compute: Callable[[Evidence], Iterable[MetricValue]]
    needs: tuple[str, ...] = ()
    values: tuple[Quantity, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names("metric", self.name, "needs", self.needs)
        check_callable("metric", self.name, "compute", self.compute)
        check_each("metric", self.name, "values", self.values, Quantity)

    def quantities(self, plugin: str = "") -> tuple[Quantity, ...]:
        """Return what the numbers of this metric mean, as plain data: that of its own name first.

        Parameters
        ----------
        plugin : str
            The distribution that declared it.
        """
        own = Quantity(**{part.name: getattr(self, part.name) for part in fields(Quantity)})
        parts = (replace(one, part_of=self.name) for one in self.values)
        return tuple(replace(one, plugin=plugin, rule=self._measured(one)) for one in (own, *parts))

    def _measured(self, one: Quantity) -> Rule:
        on: MeasuredOn = one.rule.measured_on
        if any(need.startswith("reference") for need in self.needs):
            on = "reference"
        elif "heldout" in self.needs:
            on = "heldout"
        return replace(one.rule, measured_on=on)
