"""What a section gets: the results of one problem, a colour per guide, and a place for figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from guidebench.report import draws
from guidebench.report.content import (
    Block,
    Cell,
    Code,
    Details,
    Figure,
    Heading,
    Item,
    Key,
    Lead,
    Link,
    Listing,
    Note,
    Number,
    Pill,
    Table,
    Tabs,
)
from guidebench.report.finish import compact_dpi, finish, seen, unique, with_levels
from guidebench.report.off import Off, off, standard
from guidebench.report.palette import Style, styles
from guidebench.report.text import listed, slug
from guidebench.results import Comparison, Fit, ProblemRecord
from guidebench.results.inference_data import group

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

__all__ = [
    "Block",
    "Cell",
    "Code",
    "Details",
    "Figure",
    "Heading",
    "Item",
    "Key",
    "Lead",
    "Link",
    "Listing",
    "Note",
    "Number",
    "Page",
    "Pill",
    "Table",
    "Tabs",
]


@dataclass(frozen=True, kw_only=True)
class Page:
    """One problem of a comparison, as a section sees it.

    Attributes
    ----------
    comparison : Comparison
        The whole run.
    problem : ProblemRecord
        The problem that this part of the report is about.
    log_loss : bool
        Whether the loss is shown on a logarithmic axis first.

    Examples
    --------
    A whole section of a third party::

        from guidebench.contracts import Section
        from guidebench.plugins.hookspecs import hookimpl
        from guidebench.report.page import Block, Number, Table


        def build(page):
            rows = [[page.key(fit), Number(fit.value("ess"))] for fit in page.fits]
            fig, axes = page.panels(1, 1)
            axes[0].bar([fit.guide for fit in page.drawn], [fit.value("ess") or 0 for fit in page.drawn])
            return Block(
                "How many independent draws the weighted draws are worth.",
                Table(["guide", "weight ESS"], rows),
                page.figure("ess", fig, alt="Bars of the weight ESS per guide", caption="Weight ESS."),
            )


        @hookimpl
        def guidebench_sections():
            yield Section(name="ess", title="Effective sample size", build=build)
    """

    comparison: Comparison
    problem: ProblemRecord
    log_loss: bool = False
    _names: set[str] = field(default_factory=set, repr=False, compare=False)

    @cached_property
    def fits(self) -> tuple[Fit, ...]:
        """Every fit of the problem, failed ones included, in the order of the run."""
        return self.comparison.of(self.problem.name)

    @cached_property
    def drawn(self) -> tuple[Fit, ...]:
        """The fits that have posterior draws, point estimates included."""
        return tuple(fit for fit in self.fits if self.group(fit, "posterior") is not None)

    @cached_property
    def spread(self) -> tuple[Fit, ...]:
        """The fits whose draws vary: all that have draws but the point estimates."""
        return tuple(fit for fit in self.drawn if fit.bound != "none")

    @property
    def several(self) -> bool:
        """Whether the run is about more than one problem."""
        return len(self.comparison.problems) > 1

    @cached_property
    def _styles(self) -> dict[str, Style]:
        return styles(fit.guide for fit in self.comparison.fits)

    def style(self, fit: Fit) -> Style:
        """Return colour and dash pattern of a guide, the same in every figure of the report."""
        return self._styles[fit.guide]

    def colour(self, fit: Fit) -> str:
        """Return the colour of a guide as ``#rrggbb``."""
        return self.style(fit).colour

    def key(self, fit: Fit) -> Key:
        """Return a table cell with the guide's name and colour."""
        return Key(fit.guide, self.colour(fit))

    def legend(self, fits: Sequence[Fit]) -> list[tuple[str, Style]]:
        """Return the legend entries of fits."""
        return [(fit.guide, self.style(fit)) for fit in fits]

    def group(self, fit: Fit, name: str) -> xr.Dataset | None:
        """Return one group of a fit's InferenceData, or ``None`` where there is none."""
        return group(fit.inference_data, name)

    def components(self, limit: int) -> tuple[list[draws.Component], int]:
        """Return scalar components of the latents, and how many there are in all.

        Of more than `limit` they are those whose means and sds are farthest off in any guide, the worst first; or the
        first, where no errors are known.
        """
        for fit in self.drawn:
            found, total = draws.first(self._posterior(fit), self.problem.latents, limit)
            return (self.worst[:limit] or found) if total > limit else found, total
        return [], 0

    def shown_of(self, count: int, total: int) -> str:
        """Return which components :meth:`components` has chosen, as the subject of a sentence."""
        if self.worst:
            return f"the {count} of {total:,} components whose means and sds are farthest off in any guide"
        return f"the first {count} of {total:,} components"

    @cached_property
    def off(self) -> list[Off]:
        """The components with a known error, each in the guide that has it worst; points, which have no sd, aside."""
        return off(self.spread, self.problem.latents)

    @cached_property
    def worst(self) -> list[draws.Component]:
        """The components with a known error, the largest in any guide first; by weights that say nothing if need be."""
        known = [one.component for one in self.off]
        return known or draws.worst((one for fit in self.spread for one in fit.metrics), self.problem.latents)

    @cached_property
    def standard(self) -> tuple[str, xr.Dataset] | None:
        """Whose draws pictures hold others against, the reference's or those of chains, and these draws."""
        return standard(
            self.fits, group(self.comparison.references.get(self.problem.name), "posterior"), self.problem.reference
        )

    def values(self, fit: Fit, component: draws.Component) -> draws.Array:
        """Return the finite posterior draws of one component (empty where the fit has none)."""
        posterior = self._posterior(fit)
        if component.site not in posterior:
            return np.empty(0)
        try:
            found = draws.values(posterior, component)
        except IndexError:  # a guide that gives a site another shape is shown where it can be
            return np.empty(0)
        return np.asarray(found[np.isfinite(found)])

    def refreshed(self, fit: Fit, component: draws.Component) -> draws.Array:
        """Return the refreshed draws of one component (empty where there are none)."""
        found = self.group(fit, "refreshed")
        if found is None or component.site not in found:
            return np.empty(0)
        return np.asarray(draws.values(found, component))

    def reference(self, component: draws.Component) -> draws.Array:
        """Return the reference's draws of one component (empty where there is no reference)."""
        posterior = group(self.comparison.references.get(self.problem.name), "posterior")
        if posterior is None or component.site not in posterior:
            return np.empty(0)
        return np.asarray(draws.values(posterior, component))

    def truth(self, component: draws.Component) -> float | None:
        """Return the true value of a component, or ``None`` where it is not known."""
        return draws.truth_of(self.problem.truth, component)

    def _posterior(self, fit: Fit) -> xr.Dataset:
        posterior = self.group(fit, "posterior")
        if posterior is None:
            raise ValueError(f"the fit of {fit.guide} has no posterior draws; page.drawn holds those that have")
        return posterior

    def left_out(self, shown: Sequence[Fit], lacking: str = "draws") -> Note | None:
        """Return a note that names the fits which a figure does not show, or ``None``."""
        guides = {fit.guide for fit in shown}
        missing = [f"{fit.guide} ({fit.status})" for fit in self.fits if fit.guide not in guides]
        return Note(f"Not shown, for lack of {lacking}: {listed(missing)}.") if missing else None

    def panels(self, count: int, columns: int, **layout: Any) -> tuple[MatplotlibFigure, list[Axes]]:
        """Return a figure with `count` panels; see :func:`guidebench.report.drawing.panels`."""
        from guidebench.report.drawing import panels

        return panels(count, columns, **layout)

    def figure(
        self, name: str, fig: MatplotlibFigure, *, alt: str, caption: str = "", min_width: int | None = None
    ) -> Figure:
        """Turn a Matplotlib figure into an item of the report, and let go of it.

        Parameters
        ----------
        name : str
            File name without ending; made unique within the report.
        fig : matplotlib.figure.Figure
            The drawing.
        alt : str
            What the figure shows, for those who cannot see it.
        caption : str
            The text below it.
        min_width : int, optional
            Width in CSS pixels below which the figure scrolls instead of shrinking; by default wide
            figures stop at 640 pixels.
        """
        dpi = compact_dpi(len(self.comparison.problems))
        fig = seen(with_levels(fig, self.problem.levels), self.comparison)
        return finish(self._unique(name), fig, alt=alt, caption=caption, min_width=min_width, dpi=dpi)

    def _unique(self, name: str) -> str:
        stem = slug(f"{self.problem.name}-{name}" if self.several else name)
        name = unique(stem, self._names)
        self._names.add(name)
        return name
