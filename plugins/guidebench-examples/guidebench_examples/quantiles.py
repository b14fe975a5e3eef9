"""Quantile-quantile plots: where a guide's quantiles are, against those of the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from guidebench import Block, Number, Page, Table

if TYPE_CHECKING:
    from guidebench import Cell

#: Components that are shown.
SHOWN = 6

#: Probabilities of the quantiles in the figure, and of those that the table calls tails.
PROBABILITIES = np.linspace(0.01, 0.99, 99)
TAIL = 0.01


def outside(values: np.ndarray, reference: np.ndarray) -> float:
    """Return the share of draws beyond the reference's outer quantiles: 2 % where the tails are right."""
    low, high = np.quantile(reference, [TAIL, 1 - TAIL])
    return float(np.mean((values < low) | (values > high)))


def build(page: Page) -> Block | None:
    """Return the figure and a table of the tails; nothing without a reference."""
    components, total = page.components(SHOWN)
    known = [one for one in components if np.ptp(page.reference(one)) > 0] if page.problem.reference else []
    if not known or not page.spread:
        return None
    columns = min(3, len(known))
    fig, axes = page.panels(len(known), columns)
    for position, (ax, component) in enumerate(zip(axes, known, strict=True)):
        reference = np.quantile(page.reference(component), PROBABILITIES)
        ax.axline((reference[0], reference[0]), slope=1, color="#8a8f98", linewidth=0.8)
        for fit in page.spread:
            style = page.style(fit)
            quantiles = np.quantile(page.values(fit, component), PROBABILITIES)
            ax.plot(reference, quantiles, color=style.colour, linestyle=style.dashes, label=fit.guide)
        ax.set_title(component.name)
        ax.set_ylabel("guide" if position % columns == 0 else "")
    axes[0].legend(fontsize="x-small")
    rows: list[list[Cell]] = [
        [page.key(fit), *(Number(100 * outside(page.values(fit, one), page.reference(one)), digits=2) for one in known)]
        for fit in page.spread
    ]
    return Block(
        f"Quantiles from 1 % to 99 % of {len(known)} of {total} components. On the grey line a guide has the "
        "reference's quantiles; flatter than the line, its tails are too short.",
        page.figure(
            "quantiles",
            fig,
            alt="Quantiles of every guide against those of the reference, one panel per component",
            caption="Horizontal: quantiles of the reference; vertical: those of the guides.",
        ),
        Table(
            ["draws in the outer 2 % (%)", *(one.name for one in known)],
            rows,
            caption="Share of a guide's draws beyond the reference's quantiles of 1 % and 99 %. 2 is right.",
        ),
    )
