"""How each guide moved during training: its draws in the model's units, and its location and scale parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from guidebench.report.drawing import spread_labels
from guidebench.report.draws import Array, Component, thin
from guidebench.report.page import Block, Figure, Listing, Page
from guidebench.report.palette import mark
from guidebench.report.sections import course
from guidebench.report.text import listed
from guidebench.results import Fit

MAX_LINES = 12
MAX_SNAPSHOTS = 200
KINDS = ("loc", "scale")
CALLED = {"loc": "locations", "scale": "scales"}

#: What the coordinates are in which a guide was trained.
COORDINATES = {
    "own": "the model as it is written, in whatever coordinates the guide gives its parameters",
    "unconstrained": "the model's unconstrained coordinates u (the logarithm of a positive latent, for example)",
    "diagonal": "standardised coordinates z, each for itself: u = m + f z. A location of 0 and a scale of 1 are those "
    "of the Gaussian that a search fitted before training",
    "affine": "standardised coordinates z: u = m + F z with a triangular matrix F, which mixes latents, so that no "
    "entry is one latent alone. Locations of 0 and the identity as scale are the Gaussian that a search fitted before "
    "training",
}


def build(page: Page) -> Block:
    """Return how the sites moved, and one row per guide: its locations on the left, its scales on the right."""
    found = {(fit.guide, kind): paths(page, fit, kind) for fit in page.fits for kind in KINDS}
    tables = {which: table for which, (table, _) in found.items() if len(table)}
    shown = [fit for fit in page.fits if any((fit.guide, kind) in tables for kind in KINDS)]
    moved = course.figure(page)
    if not shown:
        return Block(
            moved, "No guide of this run has a recorded path of a parameter that is named as a location or a scale."
        )
    cut = [
        f"{CALLED[kind]} of {fit.guide} ({MAX_LINES} of {total})"
        for fit in shown
        for kind in KINDS
        if (total := found[fit.guide, kind][1]) > MAX_LINES
    ]
    return Block(
        moved,
        coordinates(shown),
        figure(page, shown, tables),
        f"The {MAX_LINES} entries that moved farthest are lines, and the range of the others is a band: {listed(cut)}."
        if cut
        else None,
        page.left_out(shown, "a recorded path of a parameter named as a location or a scale"),
    )


def coordinates(fits: Sequence[Fit]) -> Listing | None:
    """Return which guides have their parameters in which coordinates, or ``None`` where that was not recorded."""
    lines = [
        f"{listed(names)}: {text}."
        for kind, text in COORDINATES.items()
        if (names := [fit.guide for fit in fits if fit.coordinates == kind])
    ]
    return Listing(lines) if lines else None


def paths(page: Page, fit: Fit, kind: str) -> tuple[pd.DataFrame, int]:
    """Return tidy paths (parameter, step, value) of one kind of parameter, and how many there are.

    Of more than :data:`MAX_LINES` they are those that moved farthest, in the order of the model.  Entries that are zero
    throughout are left out: the upper triangle of a Cholesky factor.
    """
    labels, steps, values = entries(page, fit, kind)
    if not labels:
        return pd.DataFrame(columns=["parameter", "step", "value"]), 0
    return pd.DataFrame(
        {
            "parameter": np.repeat([labels[at] for at in farthest(values)], len(steps)),
            "step": np.tile(steps, min(len(labels), MAX_LINES)),
            "value": values[farthest(values)].ravel(),
        }
    ), len(labels)


def farthest(values: Array) -> Array:
    """Return which rows are drawn as lines: those that moved farthest, in their order."""
    moved = np.nan_to_num(np.ptp(values, axis=1), nan=np.inf)
    return np.sort(np.argsort(-moved, kind="stable")[:MAX_LINES])


def band(page: Page, fit: Fit, kind: str) -> tuple[Array, Array, Array] | None:
    """Return steps, and the lowest and highest value of the entries that are no line; ``None`` without any."""
    labels, steps, values = entries(page, fit, kind)
    if len(labels) <= MAX_LINES:
        return None
    rest = np.delete(values, farthest(values), axis=0)
    return steps, rest.min(axis=0), rest.max(axis=0)


def entries(page: Page, fit: Fit, kind: str) -> tuple[list[str], Array, Array]:
    """Return the names of the entries of one kind of parameter, the steps, and a row of values for each entry."""
    dataset = page.group(fit, "training_parameters")
    if dataset is None or "snapshot" not in dataset.dims:
        return [], np.empty(0), np.empty((0, 0))
    steps = dataset["snapshot"].values if "snapshot" in dataset.coords else np.arange(dataset.sizes["snapshot"])
    keep = thin(len(steps), MAX_SNAPSHOTS)
    labels: list[str] = []
    rows: list[Array] = []
    for name in dataset.data_vars:
        if kind_of(str(name)) != kind or "snapshot" not in dataset[name].dims:
            continue
        values = np.asarray(dataset[name].transpose("snapshot", ...).values, dtype=float)
        for index in np.argwhere((values != 0).any(axis=0)):
            labels.append(Component(str(name), tuple(int(i) for i in index)).name)
            rows.append(values[(keep, *index)])
    return labels, steps[keep], np.stack(rows) if rows else np.empty((0, len(keep)))


def kind_of(name: str) -> str | None:
    """Return whether a parameter is a location or a scale, by its name."""
    # "scale" is looked for first: "local_scale" is a scale.
    return "scale" if "scale" in name else "loc" if "loc" in name else None


def figure(page: Page, shown: Sequence[Fit], tables: dict[tuple[str, str], pd.DataFrame]) -> Figure:
    """Draw the paths, each labelled at its end."""
    height = 1.45
    # Guides may train for different numbers of steps, so each row has its own axis.
    fig, axes = page.panels(2 * len(shown), 2, height=height, gap=(1.7, 0.58), margin=(0.6, 1.2, 0.3, 0.48))
    for position, ax in enumerate(axes):
        fit, kind = shown[position // 2], KINDS[position % 2]
        table = tables.get((fit.guide, kind))
        ax.set_title(f"{fit.guide}: {CALLED[kind]}", loc="left")
        ax.set_gid(mark(page.colour(fit)))
        if table is None:
            ax.set_axis_off()
            ax.text(0.0, 0.8, "(none recorded)", transform=ax.transAxes, color="#5a5f68")
            continue
        if position >= len(axes) - 2:
            ax.set_xlabel("step")
        ax.grid(axis="y")
        if (rest := band(page, fit, kind)) is not None:
            ax.fill_between(*rest, color=page.colour(fit), alpha=0.15, linewidth=0)
        _lines(ax, table, page.colour(fit), height)
    return page.figure(
        "parameters",
        fig,
        alt="Location and scale parameters of each guide against the training step",
        caption="Parameters of the restart whose draws are used, in the coordinates in which the guide was trained. A "
        "guide has settled when its lines are level. Arrays of more than 64 numbers and the weights of networks are "
        "not recorded.",
        min_width=700,
    )


def _short(label: str, limit: int = 19) -> str:
    """Shorten a parameter's name from the front of its site's name, where autoguides put their prefix."""
    label = label.removeprefix("auto_")
    return label if len(label) <= limit else f"…{label[1 - limit :]}"


def _lines(ax: Axes, table: pd.DataFrame, colour: str, height: float) -> None:
    ends = []
    for label, path in table.groupby("parameter", sort=False):
        ax.plot(path["step"], path["value"], color=colour, linewidth=1.1, alpha=0.9)
        ends.append((str(label), float(path["step"].iloc[-1]), float(path["value"].iloc[-1])))
    low, high = ax.get_ylim()
    finite = [end for end in ends if np.isfinite(end[2])]
    size = 7.0 if len(finite) <= 8 else 6.0
    # Labels are moved apart by their own height, converted from points to data.
    gap = 1.12 * size / 72 / height * (high - low)
    places = spread_labels([end[2] for end in finite], gap, low, high)
    across: list[float] = []
    along: list[float] = []
    for (label, _, value), place in zip(finite, places, strict=True):
        at, to = (value - low) / (high - low), (place - low) / (high - low)
        across += [1.0, 1.03, np.nan]
        along += [at, to, np.nan]
        ax.text(1.04, to, _short(label), transform=ax.transAxes, fontsize=size, va="center")
    # One line for all: an arrow of its own for each label takes half of the time of the figure.
    leading = Line2D(across, along, transform=ax.transAxes, clip_on=False, linewidth=0.5, color="#9aa1ac")
    ax.add_line(leading)
    ax.set_ylim(low, high)
