"""The ELBO on rows kept from training, beside the training loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from guidebench.report.drawing import legend, legend_height, title
from guidebench.report.page import Figure, Page
from guidebench.report.palette import INK
from guidebench.report.text import listed
from guidebench.results import Fit

MEANING = (
    "Some rows were kept from training, to stop it before it learns the others by heart. After every stretch of steps "
    "the guide's ELBO is evaluated with these rows in the place of those of training, each weighted so that together "
    "they count as much; the prior counts once, as in training. So both curves are in nats and on one level, and what "
    "lies between them beyond the chance of the split is what the guide has learnt of the rows of training alone. "
    "Every restart keeps the parameters of its best evaluation."
)


def evaluations(page: Page, fit: Fit) -> pd.DataFrame | None:
    """Return the negative ELBO on the rows kept from training, tidy: restart, step, loss, best, kept."""
    training = page.group(fit, "training")
    if training is None or "validation_loss" not in training:
        return None
    found = training["validation_loss"].transpose("restart", "evaluation")
    restarts, count = found.shape
    restart = np.repeat(np.arange(restarts), count)
    step = np.tile(np.asarray(training["evaluation_step"].values), restarts)
    return pd.DataFrame(
        {
            "restart": restart,
            "step": step,
            "loss": np.asarray(found.values, dtype=float).ravel(),
            "best": restart == min(fit.best, restarts - 1),
            "kept": step == np.repeat(np.asarray(training["kept_step"].values), count),
        }
    )


def told(page: Page, shown: Sequence[Fit]) -> str | None:
    """Return what the curves mean and who stopped early, or ``None`` where no rows were kept from training."""
    watched = [fit for fit in shown if evaluations(page, fit) is not None]
    if not watched:
        return None
    early = [f"{fit.guide} (at step {fit.steps:,})" for fit in watched if _patience(page, fit)]
    stopped = f"Stopped early: {listed(early)}." if early else "No guide was stopped early."
    return f"{MEANING} {stopped}"


def _patience(page: Page, fit: Fit) -> int:
    training = page.group(fit, "training")
    return int(training.attrs.get("patience", 0)) if training is not None else 0


def window(training: pd.DataFrame, validation: pd.DataFrame) -> tuple[float, float]:
    """Return the range of a panel: both curves of the best restart without their first tenths."""
    parts = []
    for curve in (training, validation):
        values = curve.loc[curve["best"], "loss"].to_numpy()
        parts.append(values[len(values) // 10 :])
    values = np.concatenate(parts)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    pad = 0.06 * (high - low) or 0.5
    return low - pad, high + pad


def draw(page: Page, shown: Sequence[Fit], curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw both losses of every guide on one axis, and where the parameters are from."""
    found = {fit.guide: one for fit in shown if (one := evaluations(page, fit)) is not None}
    watched = [fit for fit in shown if fit.guide in found]
    handles = [
        Line2D([], [], color="#777777", linewidth=2.6, label="rows of training (in the guide's colour)"),
        Line2D([], [], color=INK, linewidth=1.4, label="rows kept from training"),
        _mark([], [], "parameters that are kept"),
    ]
    head = legend_height([str(handle.get_label()) for handle in handles])
    columns = min(3, len(watched))
    fig, axes = page.panels(len(watched), columns, height=1.9, gap=(0.6, 0.55), margin=(0.6, 0.12, 0.3 + head, 0.48))
    for position, (ax, fit) in enumerate(zip(axes, watched, strict=True)):
        _panel(ax, page.style(fit).colour, curves[fit.guide], found[fit.guide])
        title(ax, fit.guide)
        if position % columns == 0:
            ax.set_ylabel("negative ELBO (nat)")
        if position + columns >= len(watched):
            ax.set_xlabel("step")
    legend(fig, [], extra=handles)
    return page.figure(
        "loss-validation",
        fig,
        alt="Training loss and negative ELBO on the rows kept from training against step, one panel per guide",
        caption="Mean training loss per block of steps, and the negative ELBO with the rows kept from training in the "
        "place of those of training, weighted to count as much. Strong: the restart whose draws are used; faint: the "
        "others. A guide that trains another objective than the ELBO has its training loss on another scale.",
    )


def _mark(steps: Sequence[float], losses: Sequence[float], label: str = "") -> Line2D:
    """Return the mark of an evaluation whose parameters are kept."""
    return Line2D(
        list(steps),
        list(losses),
        linestyle="",
        marker="o",
        color=INK,
        markerfacecolor="white",
        markeredgewidth=1.4,
        markersize=6.5,
        label=label,
        zorder=6,
    )


def _panel(ax: Axes, colour: str, training: pd.DataFrame, validation: pd.DataFrame) -> None:
    for curve, ink, strong, below in ((training, colour, 2.2, 0), (validation, INK, 1.2, 2)):
        for (_, best), run in curve.groupby(["restart", "best"]):
            (line,) = ax.plot(run["step"], run["loss"], color=ink)
            line.set(linewidth=strong if best else 0.6, alpha=1.0 if best else 0.3, zorder=2 + below + bool(best))
    kept = validation.loc[validation["best"] & validation["kept"]]
    ax.add_line(_mark(kept["step"].tolist(), kept["loss"].tolist())).set_clip_on(False)
    ax.set_ylim(*window(training, validation))
    ax.set_xlim(left=0)
    ax.grid(axis="y")
