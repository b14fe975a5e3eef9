"""A metric: numbers that are computed from the draws of one fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from guidebench.config.errors import PluginError
from guidebench.contracts.names import check_callable, check_name, check_names, check_text

if TYPE_CHECKING:
    from guidebench.metrics.evidence import Evidence


Direction = Literal["higher", "lower", "nominal", "none"]


@dataclass(frozen=True, kw_only=True)
class MetricValue:
    """One number: of which variable, and with which Monte Carlo standard error."""

    value: float
    mcse: float | None = None
    variable: str = ""
    metric: str = ""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number, or several, computed from the draws of one fit.

    Parameters
    ----------
    name : str
        Public name; what ``metrics.csv`` calls it.
    compute : callable
        ``compute(evidence)`` takes an :class:`~guidebench.metrics.evidence.Evidence` and yields
        :class:`MetricValue` records; it must be pure.  A record's ``metric`` defaults to `name`.
    needs : tuple of str
        Parts of the evidence it cannot do without: ``"density"`` (not a point estimate), ``"weights"``
        (a density over the model's own latents), ``"modes"`` (several modes), ``"heldout"``,
        ``"reference"``, ``"reference spread"`` (both a reference and a density); where one is missing
        the metric is left out, which the tables show as an empty cell.
    better : {"higher", "lower", "nominal", "none"}
        Which direction is better; "nominal" for a coverage, best at its nominal value.
    unit : str
        Unit of the value ("nat", "sd of the site", "probability").
    summary, cite : str
        One line, and the source.
    """

    name: str
    compute: Callable[[Evidence], Iterable[MetricValue]]
    needs: tuple[str, ...] = ()
    better: Direction = "none"
    unit: str = ""
    summary: str = ""
    cite: str = ""

    def __post_init__(self) -> None:
        check_name("metric", self.name)
        check_text("metric", self.name, unit=self.unit, summary=self.summary, cite=self.cite)
        check_names("metric", self.name, "needs", self.needs)
        if self.better not in ("higher", "lower", "nominal", "none"):
            raise PluginError(
                f"metric {self.name!r}: better {self.better!r} is not one of higher, lower, nominal, none"
            )
        check_callable("metric", self.name, "compute", self.compute)
