"""Predictive bands over the prediction grid, per guide, with the data.

Without a predictor rows are in the order of what is predicted of them, but for few ones and those of a series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from guidebench.analysis.problems.winners import ORDER
from guidebench.report.drawing import title
from guidebench.report.draws import Array, flat, thin
from guidebench.report.page import Block, Figure, Page
from guidebench.report.palette import INK, mark
from guidebench.report.sections.data import NUMERIC, observed, predictor
from guidebench.report.text import listed
from guidebench.results import Fit

QUANTILES = (0.01, 0.5, 0.99)

#: Points along a band, at most, and dots of data.
MAX_POINTS = 2_000
MAX_DOTS = 400

#: Rows up to which each can be found by its number; the rank correlation of rows so many steps apart beyond which they
#: are a series: neighbours, quarters, days of a week, months, hours.
FEW_ROWS = 30
SERIES = 0.5
LAGS = (1, 4, 7, 12, 24)


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is drawn: a site of a group, over the predictor where there is one."""

    group: str
    site: str
    size: int
    deterministic: bool


class Along(NamedTuple):
    """Where each entry of what is predicted lies, what that axis is, and whose predictions have ordered it."""

    x: Array
    called: str
    by: str = ""


def build(page: Page) -> Block:
    """Return one panel per guide on shared axes."""
    target = find_target(page)
    if target is None:
        return Block("The results hold no one-dimensional prediction to draw.")
    along = places(page, target)
    bands = {fit.guide: band for fit in page.drawn if (band := quantiles(page, fit, target, along.x)) is not None}
    shown = [fit for fit in page.drawn if fit.guide in bands]
    return Block(figure(page, shown, target, bands, along), page.left_out(shown, "predictions"))


def find_target(page: Page) -> Target | None:
    """Return what to draw: a deterministic of the predictions, else an observed site, else in-sample."""
    for group, constants in (("predictions", "predictions_constant_data"), ("posterior_predictive", "constant_data")):
        for fit in page.drawn:
            dataset = page.group(fit, group)
            if dataset is None:
                continue
            targets = [
                Target(group=group, site=str(name), size=shape[1], deterministic=name not in page.problem.observed)
                for name in dataset.data_vars
                if dataset[name].dtype.kind in NUMERIC and len(shape := flat(dataset, str(name)).shape) == 2
            ]
            # What lies along the predictor comes before what merely has one dimension.
            targets.sort(key=lambda t: (predictor(page, t.size, constants) is None, not t.deterministic))
            if targets and targets[0].size > 1:
                return targets[0]
    return None


def places(page: Page, target: Target) -> Along:
    """Return the predictor, or else the order of the rows: their own, or that of the best guide's means."""
    grid = "predictions_constant_data" if target.group == "predictions" else "constant_data"
    found = predictor(page, target.size, grid)
    if found is not None:
        return Along(found, page.problem.predictor or "index")
    index = np.arange(target.size)
    y = _beside(page, target)
    if target.size <= FEW_ROWS or (y is not None and _series(y)):
        return Along(index, "index")
    for fit in sorted(page.drawn, key=lambda fit: ORDER.index(fit.verdict)):
        drawn = _drawn(page, fit, target, target.site)
        if drawn is not None and np.isfinite(means := drawn.mean(axis=0)).all():
            ranks = np.empty(target.size, int)
            ranks[np.argsort(means, kind="stable")] = index
            return Along(ranks, "rows, by what is predicted", fit.guide)
    return Along(index, "index")


def _beside(page: Page, target: Target) -> Array | None:
    """Return the observations that the entries of a target are predictions of, where that is known."""
    if target.group != "posterior_predictive":
        return None
    known = page.problem.observed
    site = target.site if target.site in known else known[0] if len(known) == 1 else None
    y = observed(page, site) if site is not None else None
    return y if y is not None and y.size == target.size else None


def _series(y: Array) -> bool:
    """Return whether values some steps apart are alike, as in a series, so that rows have an order of their own."""
    for lag in LAGS:
        pair = np.stack([y[lag:], y[:-lag]])
        pair = pair[:, np.isfinite(pair).all(axis=0)]
        if pair.shape[1] <= FEW_ROWS:
            continue
        ranks = rankdata(pair, axis=1)  # one that is far off is no more than the largest
        if (np.ptp(ranks, axis=1) > 0).all() and np.corrcoef(ranks)[0, 1] > SERIES:
            return True
    return False


def _drawn(page: Page, fit: Fit, target: Target, site: str) -> Array | None:
    """Return draws of a site, shape ``(S, N)``, or ``None`` where the guide has none."""
    dataset = page.group(fit, target.group)
    if dataset is None or site not in dataset:
        return None
    drawn = flat(dataset, site)
    return drawn if drawn.ndim == 2 and drawn.shape[1] == target.size else None


def quantiles(page: Page, fit: Fit, target: Target, x: Array, site: str | None = None) -> pd.DataFrame | None:
    """Return columns x, low, middle, high (1 %, 50 %, 99 %), sorted by x, at no more points than can be told apart."""
    drawn = _drawn(page, fit, target, target.site if site is None else site)
    if drawn is None:
        return None
    shown = np.argsort(x, kind="stable")[thin(target.size, MAX_POINTS)]
    draws = drawn[:, shown].astype(float)
    if not np.isfinite(draws).any():
        return None
    # Along contiguous memory, and without NaN handling unless there is need: both count on a fine grid.
    across = np.ascontiguousarray(draws.T)
    finite = np.isfinite(across)
    if finite.all():
        low, middle, high = np.quantile(across, QUANTILES, axis=1)
    else:
        low, middle, high = np.nanquantile(np.where(finite, across, np.nan), QUANTILES, axis=1)
    return pd.DataFrame({"x": x[shown], "low": low, "middle": middle, "high": high})


def figure(page: Page, shown: Sequence[Fit], target: Target, bands: dict[str, pd.DataFrame], along: Along) -> Figure:
    """Draw band, median and data."""
    columns = min(3, len(shown))
    fig, axes = page.panels(
        len(shown), columns, height=2.15, width=9.4 if columns > 1 else 7.2, gap=(0.18, 0.4),
        margin=(0.6, 0.12, 0.3, 0.48), share=True,
    )  # fmt: skip
    site = page.problem.observed[0] if len(page.problem.observed) == 1 else None
    data = _data(page, target, site, along)
    dots = None if data is None else data.iloc[thin(len(data), MAX_DOTS)]
    outer = False
    for position, (ax, fit) in enumerate(zip(axes, shown, strict=True)):
        band, colour = bands[fit.guide], page.colour(fit)
        new = quantiles(page, fit, target, along.x, site) if target.deterministic and site is not None else None
        if new is not None:
            outer = True
            for edge in ("low", "high"):
                ax.plot(new["x"], new[edge], color=colour, linewidth=0.9, linestyle=(0, (1.5, 1.5)))
        ax.fill_between(band["x"], band["low"], band["high"], color=colour, alpha=0.28, linewidth=0)
        ax.plot(band["x"], band["middle"], color=colour, linewidth=1.6)
        if dots is not None:
            ax.plot(dots["x"], dots["y"], "o", color=INK, markersize=3.2 if len(dots) <= 100 else 1.5, zorder=4)
        title(ax, fit.guide)
        ax.set_gid(mark(page.colour(fit)))
        ax.grid(axis="y")
        if position % columns == 0:
            ax.set_ylabel(target.site)
        if position + columns >= len(shown):
            ax.set_xlabel(along.called)
    axes[0].set_ylim(*window(list(bands.values()), data))
    return page.figure(
        "prediction",
        fig,
        alt=f"Predictive bands of {target.site} for each guide, with the data",
        caption=caption(page, target, outer, 0 if data is None else len(data), along),
    )


def _data(page: Page, target: Target, site: str | None, along: Along) -> pd.DataFrame | None:
    """Return the observations in their order along the axis, where they can be placed on that of the predictions."""
    y = observed(page, site) if site is not None else None
    if y is None:
        return None
    x = predictor(page, y.size)
    if x is None:
        # Without a predictor only predictions of the observations themselves share their place.
        if _beside(page, target) is None:
            return None
        x = along.x
    return pd.DataFrame({"x": x, "y": y}).sort_values("x", kind="stable")


def window(bands: Sequence[pd.DataFrame], data: pd.DataFrame | None) -> tuple[float, float]:
    """Return the common vertical range; a band five times wider than the median one is cut."""
    lows, highs = [band["low"].min() for band in bands], [band["high"].max() for band in bands]
    middle, width = float(np.median([*lows, *highs])), float(np.median(np.subtract(highs, lows)))
    low, high = max(min(lows), middle - 5 * width), min(max(highs), middle + 5 * width)
    if data is not None:
        low, high = min(low, data["y"].min()), max(high, data["y"].max())
    pad = 0.05 * (high - low) or 1.0
    return float(low - pad), float(high + pad)


def caption(page: Page, target: Target, outer: bool, data: int, along: Along) -> str:
    """Return what the figure shows."""
    where = "on the prediction grid" if target.group == "predictions" else "at the observations"
    parts = [f"Band: 1 % to 99 % of {target.site} {where}; line: its median."]
    if outer:
        parts.append("Dotted: 1 % and 99 % of a new observation, noise included.")
    some = f"{MAX_DOTS} of the {data:,} observations" if data > MAX_DOTS else "the data"
    parts.append(f"Dots: {some}." if data else "")
    parts.append(f"Rows are in the order of the means that {along.by} predicts." if along.by else "")
    points = [fit.guide for fit in page.drawn if fit.bound == "none"]
    if points and target.deterministic:
        parts.append(f"A point estimate ({listed(points)}) has no band.")
    return " ".join(part for part in parts if part)
