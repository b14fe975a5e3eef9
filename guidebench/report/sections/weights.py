"""Where importance weights are large: how heavy their tail is, and what the draws that carry them have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from guidebench.report.drawing import title
from guidebench.report.draws import SAMPLE_DIMS, Array, Component, components, flat, thin, values, weights
from guidebench.report.page import Block, Cell, Figure, Number, Page, Table
from guidebench.report.palette import INK, mark
from guidebench.report.svg import tell
from guidebench.results import Fit

#: k-hat up to which weights are as good as any, and up to which they can be used (Vehtari et al. 2024, JMLR 25(72)).
GOOD, USABLE = 0.5, 0.7

#: Share of the draws that are looked at because their weights are the largest.
LARGEST = 0.01

#: Points of a panel, and orders of magnitude below the mean weight that are shown.
MOST_POINTS = 300
LOWEST = -4.0


class Weighed(NamedTuple):
    """A guide's draws with their weights, and where the largest of these are.

    `heaviest` is the share of the weight that the largest have, `at` the component in which the draws that have them
    are farthest from the mean of all, and `distance` how far, as the root of the mean square in sds: 1 if they are as
    the others.
    """

    fit: Fit
    weights: Array
    heaviest: float
    at: Component
    distance: float


def build(page: Page) -> Block | None:
    """Return k-hat of every guide, weights against the quantity in which they are largest, and the modes.

    A report over several problems has the numbers alone: all pictures are inside one file.
    """
    found = [one for fit in page.spread if (one := _weighed(page, fit)) is not None]
    modes = _modes(page)
    if not found:
        return Block(modes) if modes is not None else None
    pictures = () if page.several else (_khats(page, [one.fit for one in found]), _clouds(page, found))
    return Block(
        *pictures,
        Table(
            ["guide", "k-hat", "weight ESS (%)", "share of the largest 1 % (%)", "which lie at", "sds from the mean"],
            [_row(page, one) for one in found],
            caption="The 1 % of the draws with the largest weights: which share of all weight they carry (1 % where "
            "all weights are alike), and the quantity in which they are farthest from the guide's mean, in its sds "
            "(root mean square, so 1 where they are as all others).",
        ),
        page.left_out([one.fit for one in found], "weights"),
        modes,
    )


def _row(page: Page, one: Weighed) -> list[Cell]:
    return [
        page.key(one.fit),
        None if (khat := one.fit.value("khat")) is None else Number(khat, digits=3),
        None if (share := one.fit.value("ess_share")) is None else Number(100 * share, digits=2),
        Number(100 * one.heaviest, digits=2),
        one.at.name,
        Number(one.distance, digits=2),
    ]


def _weighed(page: Page, fit: Fit) -> Weighed | None:
    stats, posterior = page.group(fit, "sample_stats"), page.group(fit, "posterior")
    if stats is None or posterior is None or "log_weight" not in stats:
        return None
    found = weights(stats["log_weight"].transpose(*SAMPLE_DIMS).to_numpy())
    if not np.isfinite(found).all():
        return None
    top = np.argsort(found)[-max(round(LARGEST * len(found)), 1) :]
    farthest, distance = Component(""), 0.0
    for site in page.problem.latents:
        if site not in posterior or len(own := flat(posterior, site)) != len(found):
            continue
        columns = own.astype(float).reshape(len(found), -1)
        with np.errstate(all="ignore"):
            squares = ((columns[top] - columns.mean(axis=0)) / columns.std(axis=0)) ** 2
        away = np.nan_to_num(np.sqrt(squares.mean(axis=0)), nan=0.0, posinf=0.0)
        number = int(np.argmax(away))
        if away[number] > distance or not farthest.site:
            farthest, distance = list(components(posterior, [site]))[number], float(away[number])
    return Weighed(fit, found, float(found[top].sum()), farthest, distance) if farthest.site else None


def _khats(page: Page, fits: Sequence[Fit]) -> Figure | None:
    """Draw k-hat of every guide with its error, and the limits up to which weights can be used."""
    known = [(fit, one) for fit in fits if (one := fit.metric("khat")) is not None and np.isfinite(one.value)]
    if not known:
        return None
    fig, (ax,) = page.panels(1, 1, height=0.24 * len(known) + 0.1, width=7.0, margin=(2.2, 0.2, 0.1, 0.5))
    low = min(0.0, *(one.value - 2 * (one.mcse or 0) for _, one in known))
    high = max(1.0, *(one.value + 2 * (one.mcse or 0) for _, one in known))
    for start, end, shade in ((low - 1, GOOD, "#e6f2ea"), (GOOD, USABLE, "#fbf3dc"), (USABLE, high + 1, "#fbe6e4")):
        ax.axvspan(start, end, color=shade, linewidth=0, zorder=0)
    for row, (fit, one) in enumerate(known):
        error = one.mcse or 0.0
        (line,) = ax.plot([one.value - error, one.value + error], [row, row], color=page.colour(fit), linewidth=1.5)
        (dot,) = ax.plot([one.value], [row], "o", color=page.colour(fit), markersize=5)
        for drawn in (line, dot):
            tell(drawn, f"{fit.guide}: k-hat {one.value:.2f}, with an error of {error:.2f}")
    ax.set(ylim=(len(known) - 0.5, -0.5), xlim=(low - 0.05, high + 0.05), yticks=range(len(known)), xlabel="k-hat")
    ax.set_yticklabels([fit.guide for fit, _ in known])
    ax.tick_params(axis="y", length=0)
    return page.figure(
        "khat",
        fig,
        alt=f"k-hat of the weights of {', '.join(fit.guide for fit, _ in known)}",
        caption=f"Tail shape of the importance weights with one standard error. Up to {GOOD:g} (green) weights have a "
        f"variance; up to {USABLE:g} (yellow) what is computed with them can be relied on; beyond, it cannot. Weights "
        "see only where the guide has draws: a small k-hat is no proof.",
        min_width=420,
    )


def _clouds(page: Page, found: Sequence[Weighed]) -> Figure:
    """Draw log weights against the quantity in which the largest of them lie, a panel for each guide."""
    columns = min(3, len(found))
    fig, axes = page.panels(
        len(found),
        columns,
        height=1.7,
        gap=(0.45, 0.75),
        margin=(0.8, 0.15, 0.3, 0.5),
        width=9.4 if columns > 1 else 5.0,
    )
    for position, (ax, one) in enumerate(zip(axes, found, strict=True)):
        _cloud(page, ax, one)
        if position % columns == 0:
            ax.set_ylabel("weight (mean = 1)")
    return page.figure(
        "weights",
        fig,
        alt=f"Importance weights of {', '.join(one.fit.guide for one in found)} against a quantity",
        caption="Each point is a draw, of the largest weights more than of the others: its weight against the quantity "
        "in which the draws with the largest weights are farthest from the others. A level cloud: the guide has the "
        "right shape there. Where it rises towards an edge, the posterior has more mass there, and beyond it, than the "
        "guide; where it falls, less.",
        min_width=600 if columns > 1 else 380,
    )


def _cloud(page: Page, ax: Axes, one: Weighed) -> None:
    posterior = page.group(one.fit, "posterior")
    assert posterior is not None
    order = np.argsort(one.weights)
    # The largest of them all, for they are what counts, and as many of the others as can be drawn.
    top = order[-min(MOST_POINTS // 10, len(order)) :]
    chosen = np.unique(np.concatenate([top, thin(len(order), MOST_POINTS)]))
    x = values(posterior, one.at)[chosen]
    y = np.maximum(one.weights[chosen] * len(order), 10.0**LOWEST)
    ax.axhline(1.0, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
    ax.plot(x, y, ".", color=page.colour(one.fit), markersize=3, alpha=0.6)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(one.at.name)
    title(ax, one.fit.guide)
    ax.set_gid(mark(page.colour(one.fit)))


def _modes(page: Page) -> Table | None:
    """Return the modes that a search has met, with their shares, where there are several."""
    modes = page.problem.modes
    if len(modes) < 2:
        return None
    names = list(dict.fromkeys(name for one in modes for name in one.values))
    rows: list[list[Cell]] = [
        [str(number), Number(100 * one.share, digits=2), *(Number(one.values[name], digits=3) for name in names)]
        for number, one in enumerate(modes, 1)
    ]
    return Table(
        ["mode", "share (%)", *names],
        rows,
        caption=f"Modes that the search before training met ({page.problem.search}): the share of the posterior about "
        "each by Laplace's estimate, which may be off by much, and where it is in the quantities in which they differ "
        "most.",
    )
