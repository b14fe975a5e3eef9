"""How the latent sites moved in training: median and interval over the steps, in the model's own units."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from guidebench.report.drawing import legend, legend_height, title
from guidebench.report.draws import Component, values
from guidebench.report.page import Figure, Page
from guidebench.report.palette import REFERENCE, Style
from guidebench.report.svg import tell

#: Panels, at most: the quantities that are farthest off.
MOST = 6

#: The ends of the interval of whose draws guides are held against.
INTERVAL = (0.05, 0.95)


def figure(page: Page) -> Figure | None:
    """Draw a panel for each of the worst components, or return ``None`` where the course of no guide is known."""
    courses = {fit.guide: found for fit in page.fits if (found := page.group(fit, "training_course")) is not None}
    fits = [fit for fit in page.fits if fit.guide in courses]
    chosen = page.components(MOST)[0]
    if not fits or not chosen:
        return None
    entries = page.legend(fits)
    columns = min(3, len(chosen))
    head = legend_height([guide for guide, _ in entries])
    fig, axes = page.panels(len(chosen), columns, height=1.9, gap=(0.5, 0.6), margin=(0.5, 0.15, 0.3 + head, 0.5))
    for position, (ax, component) in enumerate(zip(axes, chosen, strict=True)):
        if page.standard is not None and component.site in page.standard[1]:
            should = np.quantile(values(page.standard[1], component), INTERVAL)
            ax.axhspan(*should, color=REFERENCE, linewidth=0, zorder=0)
        for fit in fits:
            if component.site in courses[fit.guide]:
                _path(ax, fit.guide, page.style(fit), courses[fit.guide], component)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        title(ax, component.name)
        if position + columns >= len(chosen):
            ax.set_xlabel("step")
    legend(fig, entries)
    grey = "" if page.standard is None else f" Grey: the same interval of {page.standard[0]}."
    return page.figure(
        "course",
        fig,
        alt=f"Median and interval of {', '.join(one.name for one in chosen)} over the steps of training",
        caption="Medians (thick) and central 90 % intervals (thin) of each guide's draws under the parameters that it "
        f"had at a step, with the same noise at all of them. A step of L-BFGS takes many draws.{grey}",
        min_width=600,
    )


def _path(ax: Axes, guide: str, style: Style, course: xr.Dataset, component: Component) -> None:
    """Draw the median and the ends of the interval of one component in one guide."""
    index: Any = (..., *component.index)
    paths = course[component.site].transpose("quantile", "step", ...).to_numpy()[index]
    steps, count = course["step"].to_numpy(), len(paths)
    last = " to ".join(f"{end:.4g}" for end in (paths[0, -1], paths[-1, -1]))
    for number, path in enumerate(paths):
        width = 1.8 if number == count // 2 else 0.8
        (line,) = ax.plot(steps, path, color=style.colour, linestyle=style.dashes, linewidth=width)
        tell(line, f"{guide}: {component.name} {last} in the end")
