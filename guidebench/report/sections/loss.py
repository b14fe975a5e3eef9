"""Training loss of every restart of every guide, on a linear and on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from guidebench.report import validation
from guidebench.report.drawing import legend, legend_height, title
from guidebench.report.draws import Array
from guidebench.report.page import Block, Figure, Page, Tabs
from guidebench.report.palette import INK, mark
from guidebench.report.text import listed
from guidebench.results import Fit

#: The least height of an axis of one guide alone, in nats: no conclusion hangs on less, and its labels would be long.
LEAST = 0.002

#: Points of one curve; each is the mean of a block of steps.
BLOCKS = 200
LOG_BLOCKS = 60

#: Steps of such a block where few steps follow on iterations without noise.
NOISY = 25


#: How far from minus the ELBO of its draws the loss of a guide may end that is trained by its ELBO, in nats: at least
#: so much, or so much for every latent.
NEAR = 1.0
NEAR_EACH = 0.5


def build(page: Page) -> Block:
    """Return both axes and a panel per guide, one at a time; the axis that was asked for comes first.

    Where rows were kept from training, both their curve and that of training come before all of these.
    """
    curves = {fit.guide: found for fit in page.fits if (found := losses(page, fit)) is not None}
    shown = [fit for fit in page.fits if fit.guide in curves]
    if not shown:
        return Block("No loss was recorded.", page.left_out([], "a recorded loss"))
    linear = ("linear axis", Block(draw_linear(page, shown, curves)))
    logarithmic = ("log axis", Block(draw_log(page, shown)))
    each = ("each guide", Block(draw_each(page, shown, curves)))
    tabs = [logarithmic, linear, each] if page.log_loss else [linear, logarithmic, each]
    meaning = validation.told(page, shown)
    if meaning is not None:
        tabs.insert(0, ("validation", Block(validation.draw(page, shown, curves))))
    return Block(
        meaning,
        several_rounds(shown),
        under_fixed_noise(shown),
        own_paths(shown),
        Tabs(tuple(tabs)),
        page.left_out(shown, "a recorded loss"),
    )


def round_starts(fit: Fit) -> list[int]:
    """Return after which steps a further round of training began."""
    return [sum(fit.rounds[:count]) for count in range(1, len(fit.rounds))]


def own_paths(shown: Sequence[Fit]) -> str | None:
    """Return whose curves are not those of training, or ``None``."""
    names = [fit.guide for fit in shown if fit.method]
    return f"Steps and losses of {listed(names)} are those of a method of its own." if names else None


def several_rounds(shown: Sequence[Fit]) -> str | None:
    """Return what rounds are and who needed more than one, or ``None`` where nobody did."""
    counts = [f"{fit.guide} ({fit.steps:,} steps)" for fit in shown if round_starts(fit) and not fit.iterations]
    if not counts:
        return None
    return (
        "Training that has not settled after a round goes on for another one: twice the steps, and the learning rate "
        "up again, to a third of what it was before. Dotted lines mark where a round begins; the loss may jump there. "
        f"More than one round: {listed(counts)}."
    )


def under_fixed_noise(shown: Sequence[Fit]) -> str | None:
    """Return whose curves begin with iterations of L-BFGS, or ``None``."""
    told = [f"{fit.guide} ({fit.iterations:,} of {fit.steps:,})" for fit in shown if fit.iterations]
    if not told:
        return None
    return (
        "The first steps are iterations of L-BFGS, whose loss has no noise: that of a fixed sample of draws, which "
        "grows, so that it may jump; those after a dotted line are stochastic ones, of the best start alone. "
        f"Iterations: {listed(told)}."
    )


#: The end of a curve is on the axis if it is at most so many times as far up as the other curves reach.
FARTHEST = 4


def losses(page: Page, fit: Fit, *, log: bool = False) -> pd.DataFrame | None:
    """Return tidy block means of the loss: restart, step, loss, error, best.

    For a logarithmic axis the blocks grow with the step: the first ones show each step, the last
    ones average the noise away.
    """
    training = page.group(fit, "training")
    if training is None or "loss" not in training:
        return None
    loss = training["loss"]
    length = loss.sizes["step"]
    steps = loss.coords["step"].values if "step" in loss.coords else np.arange(1, length + 1)
    values = np.asarray(loss.transpose(..., "step").values, dtype=float).reshape(-1, length)
    cuts = [start for start in round_starts(fit) if start < length]
    edges = block_edges(length, log=log, cuts=cuts, without_noise=min(fit.iterations, length))
    means, errors = block_means(values, edges)
    if not np.isfinite(means).any():
        return None
    centre, _ = block_means(np.asarray(steps, dtype=float)[None, :], edges)
    restarts = np.repeat(np.arange(len(means)), means.shape[1])
    return pd.DataFrame(
        {
            "restart": restarts,
            "step": np.tile(centre[0], len(means)),
            "loss": means.ravel(),
            "error": errors.ravel(),
            "best": restarts == min(fit.best, len(means) - 1),
        }
    )


def block_edges(length: int, *, log: bool = False, cuts: Sequence[int] = (), without_noise: int = 0) -> Array:
    """Return where blocks of steps begin, and the end: even blocks, or blocks that grow with the step.

    No block goes across one of the `cuts`.  Of the first steps, where these are `without_noise`, each may be a block of
    its own; the few after them, whose loss is nearly all noise, are taken together by :data:`NOISY`.
    """
    if without_noise and not log:
        rest = length - without_noise
        first = np.linspace(0, without_noise, min(BLOCKS, without_noise) + 1).astype(int)
        noisy = without_noise + np.linspace(0, rest, min(BLOCKS, -(-rest // NOISY)) + 1).astype(int)
        return np.unique(np.concatenate([first, noisy, np.asarray(cuts, dtype=int)]))
    edges = (
        np.geomspace(1, length + 1, LOG_BLOCKS + 1).round().astype(int) - 1
        if log
        else np.linspace(0, length, min(BLOCKS, length) + 1).astype(int)
    )
    return np.unique(np.concatenate([edges, np.asarray(cuts, dtype=int)]))


def block_means(rows: Array, edges: Array) -> tuple[Array, Array]:
    """Return means of blocks of columns and their standard errors, skipping what is not finite.

    A block without a single finite value is NaN, which leaves a gap in the curve.
    """
    finite = np.isfinite(rows)
    counts = np.add.reduceat(finite.astype(float), edges[:-1], axis=1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        means = np.where(counts > 0, np.add.reduceat(np.where(finite, rows, 0.0), edges[:-1], axis=1) / counts, np.nan)
        about = np.where(finite, rows - np.repeat(means, np.diff(edges), axis=1), 0.0)
        variances = np.add.reduceat(about**2, edges[:-1], axis=1) / np.maximum(counts - 1, 1)
        return means, np.sqrt(variances / counts)


def window(curves: dict[str, pd.DataFrame]) -> tuple[float, float]:
    """Return the range of the linear axis: the last nine tenths of the best restarts, and where each of them ends.

    The first steps may be 20 orders of magnitude away, and so may a guide that went astray; they would
    flatten everything else.
    """
    lows, highs, ends = [], [], []
    for curve in curves.values():
        best = curve.loc[curve["best"], "loss"].dropna().to_numpy()
        tail = best[len(best) // 10 :]
        if tail.size:
            lows.append(tail.min())
            highs.append(np.quantile(tail, 0.98))
            ends.append(np.quantile(tail[-len(tail) // 4 :], 0.98))
    low, high = min(lows, default=0.0), max([float(np.median(highs)), *lows]) if highs else 1.0
    high = max([high, *(end for end in ends if end - low <= FARTHEST * (high - low))])
    pad = 0.06 * (high - low) or 0.5
    return float(low - pad), float(high + 3 * pad)


def gaps(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the loss above what the best restart reached: its lowest block mean less one standard error.

    A logarithm needs a positive number.  Nothing below a thousandth of a nat is shown: no conclusion
    hangs on it.
    """
    best = curve.loc[curve["best"]].dropna(subset=["loss"])
    lowest = best.loc[best["loss"].idxmin()]
    floor = lowest["loss"] - np.nan_to_num(lowest["error"])
    return curve.assign(gap=(curve["loss"] - floor).clip(lower=1e-3))


def on_scale(page: Page, fit: Fit, curve: pd.DataFrame) -> bool:
    """Return whether a loss is one of minus ELBOs, and not that of a point on another scale.

    The loss of a guide that is trained by its ELBO ends near minus the ELBO of its draws; that of a point, from which
    a Laplace approximation draws, lacks the entropy, about a nat and a half for every latent.
    """
    elbo = None if fit.bound == "none" else fit.value("elbo")
    if elbo is None or not np.isfinite(elbo):
        return False
    best = curve.loc[curve["best"], "loss"].dropna().to_numpy()
    end = float(np.median(best[-max(1, len(best) // 10) :])) if best.size else np.nan
    return bool(abs(end + elbo) <= max(NEAR, NEAR_EACH * page.components(1)[1]))


def of_elbos(page: Page, shown: Sequence[Fit], curves: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the curves that the axis has to hold: those on the scale of the ELBO, or all where there are none."""
    found = {fit.guide: curves[fit.guide] for fit in shown if on_scale(page, fit, curves[fit.guide])}
    return found or curves


def draw_linear(page: Page, shown: list[Fit], curves: dict[str, pd.DataFrame]) -> Figure:
    """Draw the losses themselves."""
    held = of_elbos(page, shown, curves)
    others = [fit.guide for fit in shown if fit.guide not in held]
    left = (
        f" The axis is that of the losses which are minus an ELBO; those of {listed(others)} are on another scale and "
        "may leave it."
        if others
        else ""
    )
    return _draw(
        page,
        shown,
        curves,
        "loss",
        "loss (nat)",
        window(held),
        name="loss",
        alt="Training loss against step for every guide, linear axis",
        caption="Mean loss per block of steps. Strong: the restart whose draws are used; faint: the others. Early "
        "losses above the axis are cut off. A guide that trains a point (a point estimate, the Laplace approximation) "
        f"has a loss without entropy, which is on another scale: compare the ELBO, not the loss.{left}",
    )


def draw_log(page: Page, shown: list[Fit]) -> Figure:
    """Draw each guide's distance from its own lowest loss."""
    curves = {fit.guide: gaps(found) for fit in shown if (found := losses(page, fit, log=True)) is not None}
    highest = max(float(curve["gap"].max()) for curve in curves.values())
    return _draw(
        page,
        shown,
        curves,
        "gap",
        "loss above the guide's lowest (nat)",
        (7e-4, min(highest, 1e6) * 2),
        name="loss-log",
        alt="Training loss above each guide's own lowest loss against step, both on logarithmic axes",
        caption="Loss of each guide above the lowest that it reached (its lowest block mean less one standard error; "
        "cut at 0.001 nat), in blocks of steps that grow with the step. Strong: the restart whose draws are used; "
        "faint: the others. A curve is level where what is left is noise.",
        log=True,
    )


def draw_each(page: Page, shown: list[Fit], curves: dict[str, pd.DataFrame]) -> Figure:
    """Draw each guide on its own axis, with the level that its loss should reach."""
    columns = min(3, len(shown))
    fig, axes = page.panels(len(shown), columns, height=1.8, gap=(0.6, 0.55), margin=(0.6, 0.12, 0.3, 0.48))
    for position, (ax, fit) in enumerate(zip(axes, shown, strict=True)):
        _runs(ax, page, fit, curves[fit.guide], "loss", alone=True)
        low, high = window({fit.guide: curves[fit.guide]})
        spare = max(LEAST - (high - low), 0.0) / 2
        low, high = low - spare, high + spare
        elbo = fit.value("elbo") if fit.bound != "none" else None
        if elbo is not None and low < -elbo < high:
            ax.axhline(-elbo, color=INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=4)
        ax.set_ylim(low, high)
        _rounds(ax, round_starts(fit))
        title(ax, fit.guide)
        ax.set_gid(mark(page.colour(fit)))
        ax.grid(axis="y")
        if position % columns == 0:
            ax.set_ylabel("loss (nat)")
        if position + columns >= len(shown):
            ax.set_xlabel("step")
    return page.figure(
        "loss-each",
        fig,
        alt="Training loss against step, one panel per guide",
        caption="Mean loss per block of steps, each guide on its own axis. Strong: the restart whose draws are used; "
        "faint: the others. Dashed: minus the ELBO of the draws, where it is in view.",
    )


def _rounds(ax: Axes, starts: Sequence[int]) -> None:
    for start in starts:
        ax.axvline(start, color="#8a8f98", linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)


def _runs(ax: Axes, page: Page, fit: Fit, curve: pd.DataFrame, column: str, *, alone: bool = False) -> None:
    """Draw every restart; a guide that has a panel to itself needs no dashes, in which noise is hard to read."""
    style = page.style(fit)
    for (_, best), run in curve.groupby(["restart", "best"]):
        (line,) = ax.plot(run["step"], run[column], color=style.colour, linestyle="-" if alone else style.dashes)
        line.set(linewidth=1.7 if best else 0.7, alpha=1.0 if best else 0.35, zorder=3 if best else 2)


def _draw(
    page: Page,
    shown: list[Fit],
    curves: dict[str, pd.DataFrame],
    column: str,
    label: str,
    limits: tuple[float, float],
    *,
    name: str,
    alt: str,
    caption: str,
    log: bool = False,
) -> Figure:
    entries = page.legend(shown)
    head = legend_height([guide for guide, _ in entries])
    fig, (ax,) = page.panels(1, 1, height=3.4, margin=(0.75, 0.15, 0.1 + head, 0.5))
    for fit in shown:
        _runs(ax, page, fit, curves[fit.guide], column)
    _rounds(ax, sorted({start for fit in shown for start in round_starts(fit)}))
    ax.set(xlabel="step", ylabel=label, ylim=limits, yscale="log" if log else "linear")
    if log:
        # Plain numbers: the usual "10^-2" is a formula, and formulas are off (names hold dollars and underscores).
        ax.set_xscale("log")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(base=10, numticks=8))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_locator(NullLocator())
    ax.margins(x=0.01)
    ax.grid(axis="y")
    legend(fig, entries)
    return page.figure(name, fig, alt=alt, caption=caption, min_width=560)
