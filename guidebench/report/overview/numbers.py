"""The main numbers of every guide on every problem as heat maps, and all others as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from guidebench.analysis.problems import MAIN, Measure, errors, ranking, table
from guidebench.report.content import Block, Cell, Details, Figure, Number, Table, Tabs
from guidebench.report.overview.grids import Grid, draw, norm_of, short
from guidebench.report.overview.seen import Overview

#: Problems in one figure.
MOST_ROWS = 60

#: Where the colours of a measure begin, if not at the smallest value.
LOW = {"khat": 0.0, "calibration_error": 0.0}


def build(overview: Overview) -> Block | None:
    """Return the heat maps, one behind each tab, or ``None`` where nothing is defined anywhere."""
    tabs = []
    for measure in MAIN:
        values = table(overview.comparison, measure)
        if values.notna().to_numpy().any():
            tabs.append((measure.title, Block(*maps(overview, measure, values))))
    others = [found for measure in overview.others if (found := other(overview, measure)) is not None]
    if not tabs and not others:
        return None
    return Block(
        "One square for each guide on each problem; darker is worse. A hatched one means that the number is not "
        "defined there, or that the fit has no draws: it never stands for zero.",
        Tabs(tabs) if tabs else None,
        Details("Every other metric with a direction, those of plugins included", Block(*others)) if others else None,
    )


def maps(overview: Overview, measure: Measure, values: pd.DataFrame) -> list[Figure]:
    """Return the heat map of one measure, in parts where there are many problems."""
    unit = f" ({measure.unit})" if measure.unit else ""
    norm = norm_of(values.to_numpy(dtype=float), measure.scale, measure.floor, LOW.get(measure.name))
    shown = values.loc[:, values.notna().any()]
    absent = [str(guide) for guide in values.columns if guide not in shown.columns]
    caption = measure.note + (f" Defined nowhere, and left out: {', '.join(absent)}." if absent else "")
    if measure.scale == "log":
        caption += f" Logarithmic colours; below {norm.vmin:.2g} all are the same."
    found = []
    for begin in range(0, len(shown), MOST_ROWS):
        part = shown.iloc[begin : begin + MOST_ROWS]
        numbers = part.to_numpy(dtype=float)
        grid = Grid(
            values=numbers,
            texts=[[short(value) for value in row] for row in numbers],
            rows=[overview.problem(str(name)) for name in part.index],
            columns=[str(name) for name in part.columns],
            label=f"{measure.title}{unit}",
            norm=norm,
        )
        alt = f"Heat map of {measure.title}{unit}: {len(part)} problems by {part.shape[1]} guides"
        last = begin + MOST_ROWS >= len(shown)
        found.append(overview.figure(measure.name, draw(grid), alt=alt, caption=caption if last else ""))
    return found


def other(overview: Overview, measure: Measure) -> Table | None:
    """Return a measure as a table with the average ranks in its last row, or ``None`` where no fit has it."""
    values = table(overview.comparison, measure)
    if not values.notna().to_numpy().any():
        return None
    noise = errors(overview.comparison, measure)
    guides = [guide for guide in values.columns if values[guide].notna().any()]
    rows: list[list[Cell]] = [
        [overview.problem(problem), *(_cell(values.loc[problem, guide], noise.loc[problem, guide]) for guide in guides)]
        for problem in map(str, values.index)
        if values.loc[problem].notna().any()
    ]
    found = ranking(values, measure.better)
    known = len(found.problems)
    if known > 1:
        ranks = [Number(float(found.ranks[guide]), digits=3) if guide in found.ranks else None for guide in guides]
        rows.append([f"average rank over {known} problems", *ranks])
    unit = f" ({measure.unit})" if measure.unit else ""
    caption = f"{measure.title}{unit}: {measure.better} is better. Where it has no value for all variables together, "
    return Table([overview.heading, *map(str, guides)], rows, caption=f"{caption}that of the worst variable.")


def _cell(value: float, error: float) -> Number | None:
    if np.isnan(value):
        return None
    return Number(float(value), None if np.isnan(error) else float(error), digits=3)
