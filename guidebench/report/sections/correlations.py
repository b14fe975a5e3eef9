"""Correlation matrices of the latents, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure

from guidebench.config.text import without_middle
from guidebench.report.drawing import WIDTH, title
from guidebench.report.draws import Array, Component, correlation, values
from guidebench.report.page import Block, Figure, Page, Tabs
from guidebench.report.palette import INK, REFERENCE, mark
from guidebench.report.sections.joints import MAX_COMPONENTS, strongest_pairs
from guidebench.results import Fit
from guidebench.results.levels import Levels, abbreviated, named

#: Larger matrices have numbers too small to read; so have smaller squares, in inches.
MAX_SHOWN = 8
SMALLEST = 1.8

#: Letters of a label.
MOST_LETTERS = 18
#: seaborn's diverging map from blue to red, whose middle is near white.
PALETTE = sns.color_palette("vlag", as_cmap=True)


def build(page: Page) -> Block:
    """Return one heat map per guide whose draws vary, beside that of the right draws where these are known."""
    components, total = page.components(MAX_COMPONENTS)
    if total < 2:
        return Block("The model has fewer than two latent components." if total else "No guide has draws.")
    shown = chosen(page, components)
    tables = {fit.guide: table for fit in page.spread if (table := matrix(page, fit, shown)) is not None}
    fits = [fit for fit in page.spread if fit.guide in tables]
    if not fits:
        return Block("No guide has draws that vary.", page.left_out([]))
    intro = None
    if total > len(shown):
        intro = f"The {len(shown)} of {total:,} components with the strongest correlations"
        intro += f", among {page.shown_of(len(components), total)}." if total > len(components) else "."
    right = of_standard(page, shown)
    drawn: Figure | Tabs = figure(page, fits, shown, tables, right)
    if right is not None:
        off = {guide: table - right[1] for guide, table in tables.items()}
        drawn = Tabs(
            (("correlations", Block(drawn)), ("what is off", Block(difference(page, fits, shown, off, right[0]))))
        )
    return Block(intro, drawn, page.left_out(fits, "draws that vary"))


def chosen(page: Page, components: Sequence[Component]) -> list[Component]:
    """Return what is shown: all components, or those of the strongest pairs, in the model's order."""
    if len(components) <= MAX_SHOWN:
        return list(components)
    kept: dict[Component, None] = {}
    for pair in strongest_pairs(page, components, count=len(components) ** 2):
        for component in pair:
            if len(kept) < MAX_SHOWN:
                kept[component] = None
    return [component for component in components if component in kept]


def matrix(page: Page, fit: Fit, components: Sequence[Component]) -> Array | None:
    """Return the correlation matrix of one guide's draws, or ``None`` where it has none."""
    columns = [page.values(fit, component) for component in components]
    if len({column.size for column in columns}) != 1 or columns[0].size < 2:
        return None
    found = correlation(columns)
    return None if np.isnan(found).all() else found


def of_standard(page: Page, components: Sequence[Component]) -> tuple[str, Array] | None:
    """Return whose draws are held to be right, and their correlation matrix; ``None`` where nobody's are."""
    if page.standard is None or not all(one.site in page.standard[1] for one in components):
        return None
    name, dataset = page.standard
    found = correlation([values(dataset, one) for one in components])
    return None if np.isnan(found).all() else (name, found)


def figure(
    page: Page,
    fits: Sequence[Fit],
    shown: Sequence[Component],
    tables: dict[str, Array],
    right: tuple[str, Array] | None,
) -> Figure:
    """Draw the matrices, that of the right draws first."""
    panels = [(fit.guide, tables[fit.guide], page.colour(fit)) for fit in fits]
    first = [] if right is None else [(right[0].removeprefix("the "), right[1], REFERENCE)]
    beside = f", and of {right[0]} first" if right is not None else ""
    return _maps(
        page,
        "correlations",
        shown,
        [*first, *panels],
        alt="Correlation matrices of {} for each guide" + beside,
        caption="Pearson correlation of the draws in the model's own (constrained) space.",
    )


def difference(
    page: Page, fits: Sequence[Fit], shown: Sequence[Component], tables: dict[str, Array], right: str
) -> Figure:
    """Draw how far each guide's correlations are from the right ones."""
    return _maps(
        page,
        "correlations-off",
        shown,
        [(fit.guide, tables[fit.guide], page.colour(fit)) for fit in fits],
        alt="Correlations of {} in each guide, minus those of " + right,
        caption=f"Correlation in the guide minus that of {right}: red is too high, blue too low.",
    )


def layout(panels: int, shown: int, longest: int) -> tuple[int, float, float, float]:
    """Return columns, and in inches the sides of maps, their left margin and gap, for labels of so many letters."""
    left, gap, right = 0.25 + 0.075 * longest, 0.3 + 0.075 * longest, 1.0
    columns = min(panels, 3 if shown <= 5 else 2)
    while True:
        side = (WIDTH - left - right - gap * (columns - 1)) / columns
        if side >= SMALLEST or columns == 1:
            return columns, min(max(side, SMALLEST), 2.3 if columns == 3 else 3.6), left, gap
        columns -= 1


def _maps(
    page: Page,
    name: str,
    shown: Sequence[Component],
    panels: Sequence[tuple[str, Array, str]],
    *,
    alt: str,
    caption: str,
) -> Figure:
    """Draw heat maps (heading, matrix, whose colour), with the numbers and one colour bar."""
    names = [component.name for component in shown]
    levels = abbreviated(page.problem.levels)
    labels = [_label(name, levels) for name in names]
    longest = max(len(named(label, levels)) for label in labels)
    columns, side, left, gap = layout(len(panels), len(shown), longest)
    right = 1.0
    width = left + right + side * columns + gap * (columns - 1)
    slanted = longest * len(names) > 26
    top, bottom = 0.32, 0.25 + 0.04 * longest
    below = top + bottom if slanted else 0.62
    fig, axes = page.panels(
        len(panels), columns, height=side, width=width, gap=(gap, below), margin=(left, right, top, bottom)
    )
    for ax, (heading, table, colour) in zip(axes, panels, strict=True):
        _heat(ax, table, labels)
        ax.tick_params(axis="x", rotation=45 if slanted else 0)
        title(ax, heading, overhang=gap - 0.15)
        ax.set_gid(mark(colour))
    _bar(fig, axes[0], width)
    return page.figure(
        name,
        fig,
        alt=alt.format(", ".join(names)),
        caption=caption,
        min_width=min(620, round(width * 70)),
    )


def _label(name: str, levels: Levels) -> str:
    """Return a name short enough, with its levels; one that reads as another's is named in the end."""
    read = without_middle(named(name, levels), MOST_LETTERS)
    return read if named(read, levels) == read else name


def _heat(ax: Axes, table: Array, labels: Sequence[str]) -> None:
    """Draw one matrix as seaborn would, without drawing the whole figure once per matrix to place the numbers."""
    count = len(labels)
    ax.pcolormesh(table, vmin=-1, vmax=1, cmap=PALETTE, edgecolors="white", linewidth=1)
    for row, column in np.ndindex(table.shape):
        value = table[row, column]
        if np.isfinite(value):
            ink = "white" if abs(value) > 0.7 else INK
            size = 9.0 if count <= 5 else 7.0
            ax.text(column + 0.5, row + 0.5, f"{value:z.2f}", ha="center", va="center", color=ink, fontsize=size)
    ax.set(xlim=(0, count), ylim=(count, 0), xticks=np.arange(count) + 0.5, yticks=np.arange(count) + 0.5)
    ax.set_xticklabels(labels)
    ax.set_yticklabels(labels)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _bar(fig: MatplotlibFigure, ax: Axes, width: float) -> None:
    """Add the one colour bar, beside the first row."""
    place = ax.get_position()
    cax = fig.add_axes((1 - 0.72 / width, place.y0, 0.14 / width, place.height))
    bar = fig.colorbar(ax.collections[0], cax=cax, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.outline.set_visible(False)
    cax.tick_params(length=0)
