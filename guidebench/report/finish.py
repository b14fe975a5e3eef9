"""From a drawing to an item of the report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from guidebench.config.text import shown
from guidebench.report.content import Figure
from guidebench.results.levels import Levels, abbreviated, named

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

    from guidebench.results import Comparison

#: Problems beyond which the figures of each are made smaller, for all of them are inside one file, and colours of such
#: a figure.
FEW = 4
FEW_COLOURS = 64

#: Bytes up to which a figure is in the page as SVG; one with very many points is smaller as a picture of them.
MOST_SVG = 600_000

#: Dots per inch beyond so many problems: 25 of them with ten latents and six guides are a file of 12 MB.
COMPACT_DPI = ((FEW, 100), (12, 80))


def compact_dpi(problems: int) -> int | None:
    """Return the dots per inch of the figures of each of so many problems, or ``None`` for the usual ones."""
    return next((dpi for more_than, dpi in reversed(COMPACT_DPI) if problems > more_than), None)


def finish(
    name: str,
    fig: MatplotlibFigure,
    *,
    alt: str,
    caption: str = "",
    min_width: int | None = None,
    dpi: int | None = None,
) -> Figure:
    """Turn a Matplotlib figure into an item of the report, and let go of it; see ``Page.figure``.

    With `dpi` it has so many dots per inch and fewer colours.
    """
    from guidebench.report.png import to_png
    from guidebench.report.svg import to_svg

    natural = round((115 if dpi is None else 105) * fig.get_size_inches()[0])
    if dpi is not None:
        fig.set_dpi(dpi)
    png, width, height = to_png(fig) if dpi is None else to_png(fig, FEW_COLOURS)
    svg = to_svg(fig, name) if dpi is None else ""
    if "matplotlib.pyplot" in sys.modules:  # a section may have used pyplot, which keeps figures alive
        sys.modules["matplotlib.pyplot"].close(fig)
    return Figure(
        name=name,
        png=png,
        alt=alt,
        caption=caption,
        width=width,
        height=height,
        min_width=min(natural, 640) if min_width is None else min_width,
        max_width=natural,
        svg=svg if len(svg) <= MOST_SVG else "",
    )


def with_levels(fig: MatplotlibFigure, levels: Levels) -> MatplotlibFigure:
    """Return a figure in which components are called by their levels."""
    if levels:
        short = abbreviated(levels)
        _change(fig, lambda text: named(text, short))
    return fig


def seen(fig: MatplotlibFigure, comparison: Comparison) -> MatplotlibFigure:
    """Return a figure with what cannot be seen in its texts as escapes, where names of the comparison have any."""
    names = {name for one in comparison.problems for name in (one.name, *one.latents, *one.observed)}
    names |= {fit.guide for fit in comparison.fits}
    if any(shown(name) != name for name in names):
        _change(fig, shown)
    return fig


def _change(fig: MatplotlibFigure, change: Callable[[str], str]) -> None:
    """Change all texts of a figure, and what is told of what is drawn."""
    from matplotlib.text import Text
    from matplotlib.ticker import FixedLocator

    from guidebench.report.svg import is_told

    ticks = [
        (axis, [change(label.get_text()) for label in axis.get_ticklabels()])
        for ax in fig.axes
        for axis in (ax.xaxis, ax.yaxis)
        if isinstance(axis.get_major_locator(), FixedLocator)  # its labels are written anew as they are drawn
    ]
    for artist in fig.findobj():
        if isinstance(artist, Text):
            artist.set_text(change(artist.get_text()))
        if is_told(artist):
            artist.set_gid(change(str(artist.get_gid())))
    for axis, labels in ticks:
        axis.set_ticklabels(labels)


def unique(stem: str, taken: Collection[str]) -> str:
    """Return `stem`, with a number where it is taken."""
    name, count = stem, 1
    while name in taken:
        count += 1
        name = f"{stem}-{count}"
    return name
