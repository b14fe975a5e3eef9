"""Predictive coverage on held-out data: observed against nominal, and where each point falls in its prediction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from guidebench.report.drawing import legend, legend_height, title
from guidebench.report.draws import Array
from guidebench.report.page import Block, Cell, Figure, Number, Page, Table
from guidebench.report.palette import INK, mark
from guidebench.report.sections import summary
from guidebench.report.svg import tell
from guidebench.results import Fit

LEVELS = (50, 80, 90, 95)
_NAME = re.compile(r"coverage_(\d\d)")
_BIN = re.compile(r"pit_(\d\d)")


def build(page: Page) -> Block:
    """Return the table, the curve and the histograms."""
    tables = {fit.guide: frame for fit in page.fits if len(frame := curve(fit))}
    bins = {fit.guide: shares for fit in page.fits if len(shares := histogram(fit))}
    shown = [fit for fit in page.fits if fit.guide in tables]
    binned = [fit for fit in page.fits if fit.guide in bins]
    size = page.problem.heldout_size
    if not shown and not binned:
        reason = "no guide has a coverage" if size else "there are no held-out data"
        return Block(f"Coverage is not known: {reason}.")
    scored = [fit for fit in page.fits if fit.guide in tables or fit.guide in bins]
    return Block(
        table(page, scored, size),
        figure(page, shown, tables, size) if shown else "Coverage is not known: no guide has one.",
        (
            "The band allows for the number of held-out points only. They all meet one posterior, from one data set: "
            "with few training data even the exact posterior may lie outside it. Compare the guides with each other."
        ),
        histograms(page, binned, bins, size) if binned else None,
        page.left_out(scored, "a coverage"),
    )


def table(page: Page, fits: Sequence[Fit], size: int) -> Table:
    """Return coverage with its interval, and the distance of the PIT from uniform where there is one."""
    distances = any(fit.metric("pit_distance") for fit in fits)
    rows: list[list[Cell]] = [
        [
            page.key(fit),
            *(interval(fit, level, size) for level in LEVELS),
            *([Number(fit.value("pit_distance"), digits=2)] if distances else []),
        ]
        for fit in fits
    ]
    points = f"{size} held-out points" if size else "the held-out points"
    caption = f"Share of {points} inside the central interval, with Wilson's 95 % interval."
    if distances:
        chance = f", which for {size} calibrated points is about {0.87 / np.sqrt(size):.2f}" if size else ""
        caption += (
            f" PIT distance: the largest distance of the PIT's distribution function from the uniform one{chance}."
        )
    columns = ["guide", *(f"{level} %" for level in LEVELS), *(["PIT distance"] if distances else [])]
    return Table(columns, rows, caption=caption)


def interval(fit: Fit, level: int, size: int) -> Number | None:
    """Return an observed coverage with Wilson's interval; without one, with its binomial standard error."""
    value, low, high = (fit.value(f"coverage_{level}{side}") for side in ("", "_low", "_high"))
    if value is None or low is None or high is None:
        return summary.coverage(fit, f"coverage_{level}", size)
    return Number(value, digits=3, detail=f"{low:.2f} to {high:.2f}")


def curve(fit: Fit) -> pd.DataFrame:
    """Return nominal and observed coverage of one fit, as shares, in increasing order."""
    rows = [
        (int(found.group(1)) / 100, value.value)
        for value in fit.metrics
        if value.variable == "" and (found := _NAME.fullmatch(value.metric))
    ]
    return pd.DataFrame(sorted(rows), columns=["nominal", "observed"])


def histogram(fit: Fit) -> Array:
    """Return the shares of the probability integral transform in equal bins, empty where there are none."""
    found = {
        int(match.group(1)): value.value
        for value in fit.metrics
        if value.variable == "" and (match := _BIN.fullmatch(value.metric))
    }
    return np.array([found[number] for number in sorted(found)], dtype=float)


def band(size: int, nominal: Array) -> Array:
    """Return two binomial standard errors of a share of `size` points at its nominal value."""
    return np.asarray(2 * np.sqrt(nominal * (1 - nominal) / size))


def uniform_band(size: int, bins: int) -> tuple[float, float]:
    """Return between which shares a bin of `size` uniform values lies with at least 95 % probability."""
    from scipy.stats import binom

    low, high = binom.ppf([0.025, 0.975], size, 1 / bins) / size
    return float(low), float(high)


def figure(page: Page, shown: Sequence[Fit], tables: Mapping[str, pd.DataFrame], size: int) -> Figure:
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
            frame, style = tables[fit.guide], page.style(fit)
            above = frame["observed"] - (frame["nominal"] if ax is right else 0)
            (line,) = ax.plot(frame["nominal"], above, color=style.colour, linestyle=style.dashes, linewidth=1.5,
                              marker="o", markersize=2.6)  # fmt: skip
            each = ", ".join(f"{100 * want:.0f} %: {got:.2f}" for want, got in frame.itertuples(index=False))
            tell(line, f"{fit.guide} {each}")
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


def histograms(page: Page, fits: Sequence[Fit], bins: Mapping[str, Array], size: int) -> Figure:
    """Draw the histogram of the probability integral transform of each guide."""
    columns = min(3, len(fits))
    fig, axes = page.panels(
        len(fits), columns, height=1.35, width=9.4 if columns > 1 else 5.2, gap=(0.3, 0.42),
        margin=(0.6, 0.12, 0.3, 0.48), share=True,
    )  # fmt: skip
    top = 0.0
    for position, (ax, fit) in enumerate(zip(axes, fits, strict=True)):
        shares = bins[fit.guide]
        count = len(shares)
        if size:
            low, high = uniform_band(size, count)
            ax.axhspan(low, high, color="#e3e6eb", linewidth=0)
            top = max(top, high)
        centres = (np.arange(count) + 0.5) / count
        ax.bar(centres, shares, width=0.86 / count, color=page.colour(fit), alpha=0.75, linewidth=0)
        ax.axhline(1 / count, color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
        top = max(top, float(np.max(shares[np.isfinite(shares)], initial=1 / count)))
        title(ax, fit.guide)
        ax.set_gid(mark(page.colour(fit)))
        if position % columns == 0:
            ax.set_ylabel("share")
        if position + columns >= len(fits):
            ax.set_xlabel("PIT")
    axes[0].set(xlim=(0, 1), ylim=(0, 1.06 * top), xticks=(0, 0.25, 0.5, 0.75, 1))
    axes[0].xaxis.set_major_formatter("{x:g}")
    grey = f" Grey: where 95 % of the bars of {size} calibrated points lie." if size else ""
    return page.figure(
        "pit",
        fig,
        alt="Histogram of the probability integral transform of the held-out data for each guide",
        caption="Probability integral transform (PIT): the share of a point's predictive draws that lie below what was "
        "observed. Flat along the dashed line: calibrated. High at both ends: the predictions are too narrow; high in "
        f"the middle: too wide; high on the left: too high; on the right: too low.{grey}",
        min_width=600 if columns > 1 else 420,
    )
