"""Time against accuracy: what each guide costs, and what it gives for it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from guidebench.analysis.problems import ERROR, MAIN, Cost, Measure, cost_points, costs
from guidebench.analysis.problems.costs import Costs
from guidebench.report.content import Block, Cell, Number, Table
from guidebench.report.drawing import legend, legend_height, panels
from guidebench.report.overview.seen import Overview
from guidebench.report.text import listed


def build(overview: Overview) -> Block | None:
    """Return a figure of all fits and of the medians, and a table of the latter; ``None`` without any."""
    for measure in (ERROR, next(one for one in MAIN if one.name == "elbo_gap")):
        found = costs(overview.comparison, measure)
        if len(found.guides) > 1:
            return shown(overview, measure, found)
    return None


def shown(overview: Overview, measure: Measure, found: Costs) -> Block:
    """Return figure and table for one measure of accuracy."""
    points = cost_points(overview.comparison, measure)
    guides = [guide for guide in overview.guides if guide in set(points["guide"])]
    top = legend_height(guides) + 0.35
    figure, axes = panels(2, 2, height=3.2, margin=(0.7, 0.15, top, 0.55), gap=(0.75, 0.6), share=True)
    axes[1].tick_params(labelleft=True)
    for guide in guides:
        own = points[points["guide"] == guide]
        values = np.maximum(own[measure.name].to_numpy(dtype=float), measure.floor)
        colour = overview.styles[guide].colour
        axes[0].scatter(own["seconds"], values, s=16, color=colour, alpha=0.75, linewidths=0, clip_on=False)
    for one in found.guides:
        median(axes[1], one, overview.styles[one.guide].colour, measure.floor)
    unit = f" ({measure.unit})" if measure.unit else ""
    for ax, title in zip(axes, ("every fit", "medians and quartiles"), strict=True):
        ax.set(xscale="log", yscale="log", title=title, xlabel="compiling, training and scoring (s)")
        ax.set_ylabel(f"{words(measure)}{unit}")
        ax.grid(which="major")
        ax.minorticks_off()
        plain(ax)
    legend(figure, overview.legend(guides))
    count = len(found.over.table)
    caption = (
        f"Left below is better. The medians are over the {count} problems on which all compared guides have both "
        f"numbers; crosses reach from the lower to the upper quartile. Values below {measure.floor:g} are drawn there."
    )
    alt = f"Scatter of {measure.title} against seconds, {len(points)} fits of {len(guides)} guides"
    return Block(
        overview.figure("time", figure, alt=alt, caption=caption),
        table(overview, measure, found),
        told(found),
        "Times are wall times of this run: other work on the machine, and programs that were compiled before, are in "
        "them. What a guide shares with the others (data, search, reference) is not.",
    )


def words(measure: Measure) -> str:
    """Return what a measure is called inside a sentence."""
    return measure.title.lower() if measure is ERROR else measure.title


def plain(ax: Axes) -> None:
    """Label a logarithmic axis with 0.1, 1, 10 in place of powers, and with 2 and 5 where it is short."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        steps = (1.0,) if high / low > 300 else (1.0, 3.0) if high / low > 30 else (1.0, 2.0, 5.0)
        ticks = [step * 10.0**power for power in range(-6, 9) for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        axis.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])


def median(ax: Axes, one: Cost, colour: str, floor: float) -> None:
    """Draw the medians of one guide with their quartiles."""
    x, y = one.seconds, tuple(max(value, floor) for value in one.error)
    if not np.isfinite([*x, y[1]]).all():
        return
    high = y[2] if np.isfinite(y[2]) else y[1]
    ax.plot([x[0], x[2]], [y[1], y[1]], color=colour, linewidth=1.3)
    ax.plot([x[1], x[1]], [y[0], high], color=colour, linewidth=1.3)
    ax.scatter([x[1]], [y[1]], s=46, color=colour, zorder=4, edgecolors="white", linewidths=0.8)


def table(overview: Overview, measure: Measure, found: Costs) -> Table:
    """Return the medians, the quickest guide first."""
    unit = f" ({measure.unit})" if measure.unit else ""
    rows: list[list[Cell]] = [
        [
            overview.key(one.guide),
            Number(one.seconds[1], digits=2),
            Number(one.error[1], digits=2),
            listed(one.dominated_by) if one.dominated_by else "",
        ]
        for one in sorted(found.guides, key=lambda one: one.seconds[1])
    ]
    columns = ["guide", "median time (s)", f"median {words(measure)}{unit}", "quicker and better in the median"]
    return Table(columns, rows)


def told(found: Costs) -> str | None:
    """Return which guides are worth their time, and which are not in the comparison."""
    front = [one.guide for one in found.guides if not one.dominated_by]
    text = f"No other guide is both quicker and better in the median than {listed(front)}." if front else ""
    absent = [f"{guide} ({count})" for guide, count in found.over.guides.items()]
    if absent:
        text += f" Not compared, because defined on too few problems: {listed(absent)}."
    if found.over.problems:
        text += f" {len(found.over.problems)} problems are left out, where a compared guide has no value."
    return text.strip() or None
