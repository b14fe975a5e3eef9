"""Predictive coverage on held-out data: observed against nominal."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from guidebench.report.drawing import legend, legend_height
from guidebench.report.draws import Array
from guidebench.report.page import Block, Figure, Page, Table
from guidebench.report.palette import INK
from guidebench.report.sections.summary import coverage
from guidebench.results import Fit

LEVELS = (50, 80, 90, 95)
_NAME = re.compile(r"coverage_(\d\d)")


def build(page: Page) -> Block:
    """Return the table and the curve."""
    tables = {fit.guide: table for fit in page.fits if len(table := curve(fit))}
    shown = [fit for fit in page.fits if fit.guide in tables]
    size = page.problem.heldout_size
    if not shown:
        reason = "no guide has a coverage" if size else "there are no held-out data"
        return Block(f"Coverage is not known: {reason}.")
    columns = ["guide", *(f"{level} %" for level in LEVELS)]
    rows = [[page.key(fit), *(coverage(fit, f"coverage_{level}", size) for level in LEVELS)] for fit in shown]
    points = f"{size} held-out points" if size else "the held-out points"
    return Block(
        Table(columns, rows, caption=f"Share of {points} inside the central interval, ± binomial standard error."),
        figure(page, shown, tables, size),
        (
            "The band allows for the number of held-out points only. They all meet one posterior, from one data set: "
            "with few training data even the exact posterior may lie outside it. Compare the guides with each other."
        ),
        page.left_out(shown, "a coverage"),
    )


def curve(fit: Fit) -> pd.DataFrame:
    """Return nominal and observed coverage of one fit, as shares, in increasing order."""
    rows = [
        (int(found.group(1)) / 100, value.value)
        for value in fit.metrics
        if value.variable == "" and (found := _NAME.fullmatch(value.metric))
    ]
    return pd.DataFrame(sorted(rows), columns=["nominal", "observed"])


def band(size: int, nominal: Array) -> Array:
    """Return two binomial standard errors of a share of `size` points at its nominal value."""
    return np.asarray(2 * np.sqrt(nominal * (1 - nominal) / size))


def figure(page: Page, shown: Sequence[Fit], tables: dict[str, pd.DataFrame], size: int) -> Figure:
    """Draw observed against nominal coverage, and their difference."""
    entries = page.legend(shown)
    head = legend_height([guide for guide, _ in entries])
    fig, (left, right) = page.panels(2, 2, height=3.3, gap=(0.8, 0.5), margin=(0.6, 0.15, 0.15 + head, 0.5))
    nominal = np.linspace(0, 1, 101)
    for ax, diagonal in ((left, nominal), (right, np.zeros_like(nominal))):
        if size:
            ax.fill_between(
                nominal, diagonal - band(size, nominal), diagonal + band(size, nominal), color="#e3e6eb", lw=0
            )
        ax.plot(nominal, diagonal, color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
        for fit in shown:
            table, style = tables[fit.guide], page.style(fit)
            above = table["observed"] - (table["nominal"] if ax is right else 0)
            ax.plot(table["nominal"], above, color=style.colour, linestyle=style.dashes, linewidth=1.5, marker="o",
                    markersize=2.6)  # fmt: skip
        ax.set(xlabel="nominal coverage", xlim=(0, 1))
        ax.grid()
    left.set(ylabel="observed coverage", ylim=(0, 1.02))
    right.set(ylabel="observed - nominal")
    legend(fig, entries)
    grey = f" Grey: two binomial standard errors of {size} points." if size else ""
    return page.figure(
        "coverage",
        fig,
        alt="Observed against nominal predictive coverage for each guide",
        caption="Left: on the diagonal the intervals hold as many points as they promise. Right: the difference; below "
        f"zero the intervals are too narrow, above it too wide.{grey}",
        min_width=600,
    )
