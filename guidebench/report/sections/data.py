"""The observations with their error bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from guidebench.report.draws import Array, flat, thin
from guidebench.report.page import Block, Figure, Page
from guidebench.report.palette import INK

#: More error bars than this cannot be told apart.
MAX_POINTS = 400
MAX_SITES = 4
#: NumPy's kinds of data that can be put on an axis: truth values, integers, floats.
NUMERIC = "biuf"


def build(page: Page) -> Block | None:
    """Return one panel per observed site."""
    panels = [observations(page, site) for site in page.problem.observed[:MAX_SITES]]
    panels = [panel for panel in panels if len(panel)]
    if not panels:
        return Block("The results hold no numeric observations to draw.")
    return Block(figure(page, panels))


def observed(page: Page, site: str) -> Array | None:
    """Return the observations of one site as a flat array, from the first fit that has them."""
    for fit in page.fits:
        dataset = page.group(fit, "observed_data")
        if dataset is not None and site in dataset and dataset[site].dtype.kind in NUMERIC:
            return np.asarray(dataset[site].values, dtype=float).ravel()
    return None


def predictor(page: Page, length: int, group: str = "constant_data") -> Array | None:
    """Return the predictor's values where they match `length` observations."""
    for fit in page.fits:
        dataset = page.group(fit, group)
        if dataset is not None and page.problem.predictor in dataset:
            found = np.asarray(dataset[page.problem.predictor].values)
            if found.shape == (length,) and found.dtype.kind in NUMERIC:
                return found.astype(float)
    return None


def observations(page: Page, site: str) -> pd.DataFrame:
    """Return columns x, y, sd, site, over, source: what is drawn, thinned where there is much of it.

    The error bar is the noise sd at the true values where it is known, else the sd of the posterior
    predictive of the first guide with draws (`source` says which).
    """
    y = observed(page, site)
    if y is None or not y.size:
        return pd.DataFrame(columns=["x", "y", "sd", "site", "over", "source"])
    x = predictor(page, y.size)
    sd, source = noise(page, site, y.size)
    keep = thin(y.size, MAX_POINTS)
    return pd.DataFrame(
        {
            "x": (np.arange(y.size) if x is None else x)[keep],
            "y": y[keep],
            "sd": sd[keep],
            "site": site,
            "over": "index of the observation" if x is None else page.problem.predictor,
            "source": source,
        }
    ).assign(total=y.size)


def noise(page: Page, site: str, size: int) -> tuple[Array, str]:
    """Return the sd of each observation and where it comes from ("" where it is not known)."""
    if site in page.problem.noise_sd:
        known = np.asarray(page.problem.noise_sd[site], dtype=float)
        if known.size in (1, size):
            return np.broadcast_to(known.ravel(), size).copy(), "noise sd at the true values"
    for fit in page.spread:
        predictive = page.group(fit, "posterior_predictive")
        if predictive is not None and site in predictive:
            if predictive[site].dtype.kind in "biu":  # of counts and classes an sd says little
                return np.full(size, np.nan), ""
            draws = flat(predictive, site).reshape(-1, max(size, 1))
            return draws[thin(len(draws), 1000)].astype(float).std(axis=0), f"predictive sd of {fit.guide}"
    return np.full(size, np.nan), ""


def figure(page: Page, panels: Sequence[pd.DataFrame]) -> Figure:
    """Draw the observations of each site."""
    columns = 1 if len(panels) == 1 else 2
    fig, axes = page.panels(
        len(panels), columns, height=2.9 if columns == 1 else 2.3, width=7.2 if columns == 1 else 9.4
    )
    for ax, panel in zip(axes, panels, strict=True):
        bars = panel["sd"].notna().all()
        ax.errorbar(
            panel["x"],
            panel["y"],
            yerr=panel["sd"] if bars else None,
            fmt="o",
            color=INK,
            markersize=4 if len(panel) <= 100 else 2,
            elinewidth=1,
            ecolor="#9aa1ac",
            capsize=2 if len(panel) <= 60 else 0,
        )
        ax.set(xlabel=panel["over"].iloc[0], ylabel=panel["site"].iloc[0])
        ax.grid(axis="y")
    return page.figure(
        "data",
        fig,
        alt=f"Observations of {', '.join(panel['site'].iloc[0] for panel in panels)} with error bars",
        caption=" ".join(caption(panel) for panel in panels),
        min_width=420 if columns == 1 else 640,
    )


def caption(panel: pd.DataFrame) -> str:
    """Return what one panel shows."""
    site, total, source = panel["site"].iloc[0], int(panel["total"].iloc[0]), panel["source"].iloc[0]
    shown = (
        f"{total} observations of {site}" if len(panel) == total else f"{len(panel)} of {total} observations of {site}"
    )
    bars = f"error bars are one sd ({source})" if source else "there are no error bars"
    return f"{shown}; {bars}."
