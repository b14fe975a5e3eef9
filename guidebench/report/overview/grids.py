"""Heat maps with a number in each cell, and grey hatching where there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from guidebench.config.text import without_middle
from guidebench.contracts import Quantity
from guidebench.report.drawing import WIDTH, panels
from guidebench.report.palette import INK

#: Inches of a row, and of a letter of its label.
ROW = 0.235
LETTER = 0.066

#: A colour bar on a logarithmic axis spans so many decades at most: one absurd value must not make all others equal.
DECADES = 4

#: A logarithmic scale begins here at the earliest, where the quantity does not say.
FLOOR = 1e-6

GREY = "#e3e5e9"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A heat map before it is drawn.

    Attributes
    ----------
    values : ndarray
        Shape ``(rows, columns)``; not a number where it is not defined.
    texts : sequence of sequence of str
        What is written into the cells.
    rows, columns : sequence of str
        Labels.
    label : str
        What the colour means.
    norm : Normalize
        From values to colours.
    colours : str
        Name of a Matplotlib colour map.
    """

    values: np.ndarray
    texts: Sequence[Sequence[str]]
    rows: Sequence[str]
    columns: Sequence[str]
    label: str
    norm: Normalize
    colours: str = "YlGnBu"


def short(value: float) -> str:
    """Return a number of two significant digits in at most six characters."""
    if not math.isfinite(value):
        return "" if math.isnan(value) else str(value)
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 9_999.5:
        return re.sub(r"e([+-])0*(\d)", lambda found: f"e{found[1].strip('+')}{found[2]}", f"{value:.0e}")
    rounded = float(f"{value:.2g}") if abs(value) < 100 else round(value)
    return f"{rounded:.{max(1 - math.floor(math.log10(abs(rounded))), 0)}f}"


def norm_of(values: np.ndarray, quantity: Quantity) -> Normalize:
    """Return the colour scale of values: on a logarithmic one all below the floor have the first colour."""
    finite = values[np.isfinite(values)]
    top = float(finite.max()) if finite.size else 1.0
    if quantity.scale == "log":
        floor = FLOOR if quantity.floor is None else quantity.floor
        bottom = max(float(finite.min()) if finite.size else floor, floor)
        return LogNorm(bottom, max(min(top, bottom * 10**DECADES), bottom * 10), clip=True)
    if quantity.scale == "nominal" and quantity.nominal is not None:
        far = float(np.abs(finite - quantity.nominal).max(initial=0.0)) or 1.0
        return Normalize(quantity.nominal - far, quantity.nominal + far, clip=True)
    bottom = min(float(finite.min()) if finite.size else 0.0, math.inf if quantity.floor is None else quantity.floor)
    return Normalize(bottom, top if top > bottom else bottom + 1.0, clip=True)


def colours_of(quantity: Quantity) -> str:
    """Return the name of the colour map of a quantity: darker is worse."""
    if quantity.scale == "nominal":
        return "RdBu_r"
    return "YlGnBu_r" if quantity.better == "higher" else "YlGnBu"


def wrapped(name: str, letters: int) -> str:
    """Return a name in lines of so many letters, broken after an underscore, a colon or a comma where there is one."""
    lines = [""]
    for piece in re.findall(r"[^_:,\s]*[_:,\s]?", name):
        if lines[-1] and len(lines[-1]) + len(piece) > letters:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1]) > letters + 1:
            lines[-1:] = [lines[-1][:letters], lines[-1][letters:]]
    return "\n".join(line for line in lines if line)


def draw(grid: Grid, *, row: float = ROW) -> Figure:
    """Return the figure: labels of columns on top, those of rows on the left, the colour bar below."""
    longest = min(max(map(len, grid.rows), default=1), 40)
    left = 0.15 + LETTER * longest
    column = (WIDTH - left - 0.12) / max(len(grid.columns), 1)
    width = WIDTH if column <= 1.35 else left + 1.35 * len(grid.columns) + 0.12
    column = min(column, 1.35)
    upright = column >= 0.62
    labels = [wrapped(name, int(column / LETTER)) if upright else without_middle(name, 24) for name in grid.columns]
    lines = max((label.count("\n") + 1 for label in labels), default=1)
    tallest = max((len(label) for label in labels), default=1)
    top = 0.1 + (0.15 * lines if upright else 0.75 * LETTER * tallest)
    height = row * max(len(grid.rows), 1)
    figure, (ax,) = panels(1, 1, height=height, width=width, margin=(left, 0.12, top, 0.75))
    cells(ax, grid, labels, column, upright)
    total = figure.get_size_inches()[1]
    across = left / width
    bar = figure.add_axes((across, 0.40 / total, min(0.45, 0.9 - across), 0.11 / total))
    mappable = ScalarMappable(norm=grid.norm, cmap=colormaps[grid.colours])
    figure.colorbar(mappable, cax=bar, orientation="horizontal", label=grid.label)
    bar.minorticks_off()
    if isinstance(grid.norm, LogNorm):
        low, high = float(grid.norm.vmin or 0), float(grid.norm.vmax or 1)
        steps = (1.0,) if high / low > 100 else (1.0, 2.0, 5.0)
        ticks = [step * 10.0**power for power in range(-6, 12) for step in steps]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        bar.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    if np.isnan(grid.values).any():
        hatched = Patch(facecolor=GREY, edgecolor="#a9aeb8", hatch="////", linewidth=0, label="not defined, or failed")
        place = (across + min(0.45, 0.9 - across) + 0.02, 0.40 / total)
        figure.legend(handles=[hatched], loc="lower left", bbox_to_anchor=place, borderaxespad=0)
    return figure


def cells(ax: Axes, grid: Grid, labels: Sequence[str], column: float, upright: bool) -> None:
    """Draw the cells with their numbers, and the labels around them."""
    colours = colormaps[grid.colours]
    count, size = grid.values.shape
    ax.set(xlim=(0, size), ylim=(count, 0))
    points = min(8.0, 72 * column / 4.2)
    for (at, to), value in np.ndenumerate(grid.values):
        missing = bool(np.isnan(value))
        colour: Any = GREY if missing else colours(float(grid.norm(value)) if np.isfinite(value) else 1.0)
        own: dict[str, Any] = {"hatch": "////", "edgecolor": "#a9aeb8"} if missing else {"edgecolor": "white"}
        ax.add_patch(Rectangle((to, at), 1, 1, facecolor=colour, linewidth=0 if missing else 1.2, **own))
        if not missing:
            dark = np.dot(colour[:3], (0.299, 0.587, 0.114)) < 0.52
            ink = "white" if dark else INK
            ax.text(to + 0.5, at + 0.52, grid.texts[at][to], ha="center", va="center", color=ink, fontsize=points)
    letters = 40
    ax.set_yticks(np.arange(count) + 0.5, [without_middle(name, letters) for name in grid.rows])
    ax.set_xticks(np.arange(size) + 0.5, labels)
    ax.tick_params(length=0, labeltop=True, labelbottom=False, labelsize=8)
    if not upright:
        for tick in ax.get_xticklabels():
            tick.set(rotation=50, ha="left", rotation_mode="anchor")
    for spine in ax.spines.values():
        spine.set_visible(False)
