"""What a section of the report gets: the results of one problem, a colour per guide, and a place for figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Page(Protocol):
    """One problem of a comparison, as a section sees it.

    Examples
    --------
    A whole section of a third party::

        from guidebench import Block, Number, Section, Table, hookimpl


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

    @property
    def comparison(self) -> Any:
        """The whole run."""

    @property
    def problem(self) -> Any:
        """The problem that this part of the report is about."""

    @property
    def log_loss(self) -> bool:
        """Whether the loss is shown on a logarithmic axis first."""

    @property
    def fits(self) -> Sequence[Any]:
        """Every fit of the problem, failed ones included, in the order of the run."""

    @property
    def drawn(self) -> Sequence[Any]:
        """The fits that have posterior draws, point estimates included."""

    @property
    def spread(self) -> Sequence[Any]:
        """The fits whose draws vary: all that have draws but the point estimates."""

    @property
    def several(self) -> bool:
        """Whether the run is about more than one problem."""

    def style(self, fit: Any) -> Any:
        """Return colour and dash pattern of a guide, the same in every figure of the report."""

    def colour(self, fit: Any) -> str:
        """Return the colour of a guide as ``#rrggbb``."""

    def key(self, fit: Any) -> Any:
        """Return a table cell with the guide's name and colour."""

    def legend(self, fits: Sequence[Any]) -> Sequence[tuple[str, Any]]:
        """Return the legend entries of fits."""

    def group(self, fit: Any, name: str) -> Any:
        """Return one group of a fit's InferenceData, or ``None`` where there is none."""

    def components(self, limit: int) -> tuple[Sequence[Any], int]:
        """Return the first scalar components of the latents, and how many there are in all."""

    def values(self, fit: Any, component: Any) -> Any:
        """Return the finite posterior draws of one component (empty where the fit has none)."""

    def refreshed(self, fit: Any, component: Any) -> Any:
        """Return the refreshed draws of one component, those of chains or of the mixture (empty without any)."""

    def reference(self, component: Any) -> Any:
        """Return the reference's draws of one component (empty where there is no reference)."""

    def truth(self, component: Any) -> float | None:
        """Return the true value of a component, or ``None`` where it is not known."""

    def left_out(self, shown: Sequence[Any], lacking: str = "draws") -> Any:
        """Return a note that names the fits which a figure does not show, or ``None``."""

    def panels(self, count: int, columns: int, **layout: Any) -> tuple[Any, Sequence[Any]]:
        """Return a figure with `count` panels, and their axes."""

    def figure(self, name: str, fig: Any, *, alt: str, caption: str = "", min_width: int | None = None) -> Any:
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
