"""Every number of the comparison, folded."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from guidebench.report.page import Block, Cell, Details, Number, Page, Table
from guidebench.report.sections.summary import coverage
from guidebench.report.text import listed
from guidebench.results import Fit

#: Variables of one metric that are shown; metrics.csv holds all of them.
MAX_VARIABLES = 30


def build(page: Page) -> Block:
    """Return metrics, restarts and times, each in a fold."""
    scored = [fit for fit in page.fits if fit.metrics]
    pooled = metric_rows(scored, pooled=True, size=page.problem.heldout_size)
    single, cut = limited(metric_rows(scored, pooled=False))
    columns = ["metric", *(fit.guide for fit in scored)]
    return Block(
        "Everything below is also in metrics.csv and summary.csv. ± is one standard error where there is one.",
        Details("Metrics", Block(Table(columns, [cells for _, cells in pooled]))) if pooled else None,
        Details(
            "Metrics of each variable",
            Block(
                f"The first {MAX_VARIABLES} variables of {listed(cut)}; the others are in metrics.csv."
                if cut
                else None,
                Table(columns, [cells for _, cells in single]),
            ),
        )
        if single
        else None,
        Details("Restarts", restarts(page)) if any(fit.restarts for fit in page.fits) else None,
        Details("Times", times(page)),
    )


def metric_rows(fits: Sequence[Fit], *, pooled: bool, size: int = 0) -> list[tuple[str, list[Cell]]]:
    """Return (metric, cells) for each metric and variable; pooled metrics have no variable.

    `size` is the number of held-out points, for the error of a coverage.
    """
    found = {fit.guide: {(value.metric, value.variable): value for value in fit.metrics} for fit in fits}
    keys = dict.fromkeys(key for values in found.values() for key in values if (key[1] == "") is pooled)
    # Metrics stay together even where a guide lacks some of them.
    order = {name: position for position, name in enumerate(dict.fromkeys(name for name, _ in keys))}
    rows = []
    for name, variable in sorted(keys, key=lambda key: order[key[0]]):
        cells: list[Cell] = [f"{name} {variable}".strip()]
        for fit in fits:
            value = found[fit.guide].get((name, variable))
            if value is not None and re.fullmatch(r"coverage_\d\d", name):
                cells.append(coverage(fit, name, size) if pooled else Number(value.value, value.mcse, digits=3))
            else:
                cells.append(None if value is None else Number(value.value, value.mcse))
        rows.append((name, cells))
    return rows


def limited(rows: Sequence[tuple[str, list[Cell]]]) -> tuple[list[tuple[str, list[Cell]]], list[str]]:
    """Return the first rows of each metric, and the names of those that were cut."""
    counts: dict[str, int] = {}
    kept = []
    for name, cells in rows:
        counts[name] = counts.get(name, 0) + 1
        if counts[name] <= MAX_VARIABLES:
            kept.append((name, cells))
    return kept, [name for name, count in counts.items() if count > MAX_VARIABLES]


def restarts(page: Page) -> Block:
    """Return a row per restart; the one whose draws are used is marked."""
    rows: list[list[Cell]] = [
        [
            fit.guide,
            f"{restart.index}{' (used)' if position == fit.best else ''}",
            str(restart.status),
            Number(restart.elbo, restart.elbo_mcse),
            None if math.isnan(restart.loss) else Number(restart.loss),
            restart.skipped,
        ]
        for fit in page.fits
        for position, restart in enumerate(fit.restarts)
    ]
    columns = ["guide", "restart", "status", "ELBO (nat)", "final loss", "skipped steps"]
    return Block(
        Table(columns, rows),
        "Restarts are ranked by their ELBO. The loss is a mean over the last tenth of the steps (of those of the last "
        "round, where there were several); skipped steps had a loss or a gradient that was not finite.",
    )


def times(page: Page) -> Block:
    """Return wall times per guide."""
    columns = ["guide", "steps", "restarts", "compiling (s)", "training (s)", "scoring (s)"]
    simulated = any(fit.simulate_s is not None for fit in page.fits)
    rows: list[list[Cell]] = [
        [
            page.key(fit),
            fit.steps or None,
            len(fit.restarts) or None,
            *(Number(value, digits=2) for value in (fit.compile_s, fit.train_s, fit.evaluate_s)),
            *([Number(fit.simulate_s, digits=2)] if simulated else []),
        ]
        for fit in page.fits
    ]
    own = [fit.guide for fit in page.fits if fit.method]
    return Block(
        Table([*columns, "simulations (s)"] if simulated else columns, rows),
        f"What {listed(own)} compiled for a method of its own is part of the time of its training." if own else None,
    )
