"""What is off: the intervals of the worst quantities beside those they should be, and the errors of all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from guidebench.config.text import without_middle
from guidebench.report.drawing import legend, legend_height
from guidebench.report.draws import Array, Component, moments, values
from guidebench.report.off import Off
from guidebench.report.page import Block, Cell, Details, Figure, Number, Page, Table
from guidebench.report.palette import REFERENCE
from guidebench.report.svg import tell

#: Most rows of the figure, its greatest height in inches, and the height of a guide's interval.
MOST_ROWS = 12
TALLEST = 9.0
APART = 0.085

#: The interval that is drawn, and the sds of the standard beyond which nothing is.
INTERVAL = (0.05, 0.5, 0.95)
REACH = 6.0

#: Rows of the table: of one problem, and of each of several, for all of them are inside one file.
MOST_QUANTITIES = 1000
MOST_OF_EACH = 100


def build(page: Page) -> Block | None:
    """Return the forest and a table of all quantities, or ``None`` where no error of any is known."""
    if not page.off:
        return None
    return Block(_forest(page), _table(page))


def _table(page: Page) -> Details:
    limit = MOST_OF_EACH if page.several else MOST_QUANTITIES
    rows = [_row(page, one) for one in page.off[:limit]]
    which = f"The {limit:,} worst of {len(page.off):,} quantities" if len(page.off) > limit else "Every quantity"
    caption = (
        f"{which} in the guide that has it worst: error of its mean in sds, error of its sd in per cent, and the mean "
        "and sd that they should be, as far as draws of these are at hand."
    )
    columns = ["quantity", "guide", "mean off (sd)", "sd off (%)", "should be"]
    return Details(f"{which}, the worst first", Block(Table(columns, rows, caption=caption)))


def _row(page: Page, one: Off) -> list[Cell]:
    mean, sd = one.error
    errors = (None if mean is None else Number(mean, digits=2), None if sd is None else Number(100 * sd, digits=2))
    should = "" if (found := _standard(page, one.component)) is None else "{:.4g} ({:.3g})".format(*moments(found))
    return [one.component.name, page.key(one.fit), *errors, should]


def _standard(page: Page, component: Component) -> Array | None:
    """Return the draws of a component that it is held against, or ``None`` where there are none that vary."""
    if page.standard is None or component.site not in page.standard[1]:
        return None
    found = values(page.standard[1], component)
    return found if found.size > 1 and np.ptp(found) > 0 else None


def rows(page: Page) -> list[tuple[Component, Array]]:
    """Return the components that are drawn, with the draws that they are held against."""
    height = 0.12 + APART * len(page.spread)
    most = max(3, min(MOST_ROWS, int(TALLEST / height)))
    found = ((one.component, _standard(page, one.component)) for one in page.off[: 3 * most])
    return [(component, draws) for component, draws in found if draws is not None][:most]


def intervals(page: Page, component: Component, should: Array) -> dict[str, Array]:
    """Return low end, middle and high end of each guide's interval, in sds of the standard from its mean."""
    mean, sd = moments(should)
    found = {fit.guide: page.values(fit, component) for fit in page.spread}
    return {guide: (np.quantile(draws, INTERVAL) - mean) / sd for guide, draws in found.items() if draws.size}


def _forest(page: Page) -> Figure | str:
    drawn = rows(page)
    if not drawn or page.standard is None:
        return "There are no draws at hand that these could be drawn against."
    fits = page.spread
    entries = page.legend(fits)
    head = legend_height([guide for guide, _ in entries])
    row = 0.12 + APART * len(fits)
    fig, (ax,) = page.panels(1, 1, height=row * len(drawn), margin=(1.6, 0.2, 0.1 + head, 0.5))
    for at, (component, should) in enumerate(drawn):
        mean, sd = moments(should)
        low, middle, high = (np.quantile(should, INTERVAL) - mean) / sd
        ax.fill_betweenx([at - 0.45, at + 0.45], low, high, color=REFERENCE, linewidth=0, zorder=1)
        ax.plot([middle, middle], [at - 0.45, at + 0.45], color="#8a8f98", linewidth=0.9, zorder=2)
        found = intervals(page, component, should)
        for number, fit in enumerate(fits):
            if fit.guide in found:
                place = at + 0.8 * ((number + 0.5) / len(fits) - 0.5)
                ends, right = mean + sd * found[fit.guide], np.quantile(should, INTERVAL)
                said = f"{fit.guide}: {component.name} {_range(ends)}; it should be {_range(right)}"
                _interval(ax, found[fit.guide], place, page.colour(fit), said)
    ax.set(ylim=(len(drawn) - 0.5, -0.5), xlim=_window(page, drawn), yticks=range(len(drawn)))
    ax.set_yticklabels([without_middle(component.name, 22) for component, _ in drawn])
    ax.set_xlabel("distance from the mean that it should have, in sds")
    ax.tick_params(axis="y", length=0)
    legend(fig, entries)
    return page.figure(
        "off",
        fig,
        alt=f"Intervals of {', '.join(component.name for component, _ in drawn)} in each guide beside what they should "
        "be",
        caption="The quantities that are farthest off in any guide, the worst first: central 90 % intervals of each "
        f"guide's own draws, with the median as a dot. Grey: the interval of {page.standard[0]}. What lies beyond the "
        "frame is a triangle at its edge.",
        min_width=520,
    )


def _window(page: Page, drawn: Sequence[tuple[Component, Array]]) -> tuple[float, float]:
    """Return the range to show: every interval, as far as :data:`REACH`."""
    ends = [end for component, should in drawn for one in intervals(page, component, should).values() for end in one]
    low, high = min([-2.2, *ends]), max([2.2, *ends])
    return max(low, -REACH) * 1.04, min(high, REACH) * 1.04


def _range(ends: Array) -> str:
    return f"{ends[0]:.4g} to {ends[-1]:.4g}"


def _interval(ax: Axes, ends: Array, place: float, colour: str, said: str) -> None:
    low, middle, high = ends
    if low > REACH or high < -REACH:
        side = REACH if low > REACH else -REACH
        drawn = ax.plot([side], [place], marker=">" if side > 0 else "<", color=colour, markersize=4, zorder=4)
    else:
        drawn = ax.plot([low, high], [place, place], color=colour, linewidth=1.5, solid_capstyle="butt", zorder=3)
        drawn += ax.plot([middle], [place], "o", color=colour, markersize=3, zorder=4)
    for line in drawn:
        tell(line, said)
