"""Drawing helpers: panels of fixed size, one style, one legend.

Figures are :class:`matplotlib.figure.Figure` objects, never pyplot's: nothing global is left behind
and no display is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from guidebench.config.text import without_middle
from guidebench.report.palette import INK, REFERENCE, Style

#: Dots per inch of the files, and the width of a full-width figure in inches.
DPI = 150
WIDTH = 9.4


@contextmanager
def style() -> Iterator[None]:
    """Apply the look of the report to what is drawn inside, and take it back afterwards."""
    import seaborn as sns

    own: dict[str, Any] = {
        "font.size": 9.0,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlepad": 5.0,
        "axes.titley": 1.0,  # looking for what a title could collide with is a twelfth of drawing
        "axes.labelsize": 9.0,
        "xtick.labelsize": 8.0,
        "ytick.labelsize": 8.0,
        "legend.fontsize": 8.5,
        "axes.edgecolor": "#8a8f98",
        "axes.labelcolor": INK,
        "xtick.color": "#5a5f68",
        "ytick.color": "#5a5f68",
        "axes.linewidth": 0.8,
        "xtick.major.width": 0.8,
        "ytick.major.width": 0.8,
        "xtick.major.size": 3.0,
        "ytick.major.size": 3.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": "#e8eaee",
        "legend.frameon": False,
        # A name such as "$x^" must not be read as a formula.
        "text.parse_math": False,
        "axes.formatter.useoffset": False,
        "axes.formatter.use_mathtext": False,
    }
    look: dict[Any, Any] = {**sns.axes_style("ticks"), **sns.plotting_context("paper"), **own}
    with rc_context(look):
        yield


def panels(
    count: int,
    columns: int,
    *,
    height: float = 2.1,
    width: float = WIDTH,
    gap: tuple[float, float] = (0.55, 0.62),
    margin: tuple[float, float, float, float] = (0.65, 0.12, 0.30, 0.50),
    share: bool | str = False,
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels in rows of `columns`, laid out in inches.

    A fixed layout is an order of magnitude faster than a constrained one and keeps panels of
    different figures the same size.

    Parameters
    ----------
    count, columns : int
        Number of panels, and of panels in a row.
    height, width : float
        Of one panel, and of the whole figure.
    gap : (float, float)
        Between panels, horizontally and vertically.
    margin : (float, float, float, float)
        Left, right, top, bottom.
    share : bool or {"x", "y", "row", "col"}
        Which axes move together; inner tick labels are dropped where both are shared.
    """
    rows = math.ceil(count / columns)
    left, right, top, bottom = margin
    panel = (width - left - right - gap[0] * (columns - 1)) / columns
    total = top + bottom + rows * height + gap[1] * (rows - 1)
    figure = Figure(figsize=(width, total), dpi=DPI)
    FigureCanvasAgg(figure)
    axes: list[Axes] = []
    for index in range(count):
        row, column = divmod(index, columns)
        across = axes[0] if axes and share in (True, "x") else axes[column] if row and share == "col" else None
        along = axes[0] if axes and share in (True, "y") else axes[row * columns] if column and share == "row" else None
        corner = (left + column * (panel + gap[0])) / width, 1 - (top + row * (height + gap[1]) + height) / total
        axes.append(figure.add_axes((*corner, panel / width, height / total), sharex=across, sharey=along))
        if share in (True, "x", "col"):
            axes[-1].tick_params(labelbottom=index + columns >= count)
        if share in (True, "y", "row"):
            axes[-1].tick_params(labelleft=column == 0)
        # Laying out tick labels is most of the time that a figure takes.
        axes[-1].locator_params(nbins=5)
    return figure, axes


def legend(
    figure: Figure, entries: Sequence[tuple[str, Style]], *, extra: Sequence[Line2D] = (), y: float = 0.0
) -> None:
    """Put one legend for the whole figure along its top edge, `y` inches below it."""
    handles: list[Any] = [Line2D([], [], color=s.colour, linestyle=s.dashes, linewidth=2, label=n) for n, s in entries]
    handles += list(extra)
    height = figure.get_size_inches()[1]
    figure.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - y / height),
        ncols=legend_columns([str(handle.get_label()) for handle in handles], figure.get_size_inches()[0]),
        columnspacing=1.4,
        handlelength=2.4,  # so that dashes repeat in it
        borderaxespad=0.2,
    )


def legend_columns(labels: Sequence[str], width: float = WIDTH) -> int:
    """Return how many entries of a legend fit beside each other."""
    longest = max((len(label) for label in labels), default=1)
    return max(1, min(len(labels), int((width - 0.3) / (0.52 + 0.068 * longest))))


def legend_height(labels: Sequence[str], width: float = WIDTH) -> float:
    """Return the inches that :func:`legend` takes for these labels."""
    return 0.1 + 0.19 * math.ceil(len(labels) / legend_columns(labels, width))


def title(ax: Axes, name: str, overhang: float = 0.1) -> None:
    """Title a panel with a name, shortened in its middle where the panel and `overhang` inches are too narrow."""
    whole = ax.get_figure(root=True)
    inches = ax.get_position().width * whole.get_size_inches()[0] if whole is not None else 0.0
    # A bold character is about 0.009 inches wide per point of size.
    room = int((inches + overhang) / (0.009 * float(rcParams["axes.titlesize"])))
    ax.set_title(without_middle(name, room) if room > 2 else name)


def truth_handle(label: str = "true value") -> Line2D:
    """Return the legend entry of the true value."""
    return Line2D([], [], color=INK, linestyle=(0, (3, 2)), linewidth=1.2, label=label)


def reference_handle(label: str) -> Line2D:
    """Return the legend entry of the reference."""
    return Line2D([], [], color=REFERENCE, linewidth=7, solid_capstyle="butt", label=label)


def spread_labels(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return label positions as near as possible to where they belong, at least `gap` apart."""
    order = np.argsort(positions, kind="stable")
    placed = np.clip(np.asarray(positions, dtype=float)[order], low, high)
    for index in range(1, placed.size):
        placed[index] = max(placed[index], placed[index - 1] + gap)
    if placed.size and placed[-1] > high:
        placed[-1] = high
        for index in range(placed.size - 2, -1, -1):
            placed[index] = min(placed[index], placed[index + 1] - gap)
    result = np.empty_like(placed)
    result[order] = placed
    return [float(value) for value in result]
