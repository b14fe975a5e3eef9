"""Calibration by simulation: whether a guide's intervals hold what they promise, over data drawn from the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from guidebench.metrics.simulated import LEVELS
from guidebench.report.drawing import legend, legend_height, title
from guidebench.report.page import Block, Cell, Details, Figure, Note, Number, Page, Table
from guidebench.report.palette import INK
from guidebench.report.ranks import Ranked, above, limits, ranked
from guidebench.report.text import listed, p_value
from guidebench.results import Fit

MAX_COMPONENTS = 12
#: Components that a note names before it only counts.
MAX_NAMED = 40
#: A p-value below this is put into words.
SIGNIFICANT = 0.05


def build(page: Page) -> Block | None:
    """Return the figure and tables, or ``None`` where no data were simulated."""
    found = {fit.guide: one for fit in page.fits if (one := ranked(page.group(fit, "simulations"))) is not None}
    fits = [fit for fit in page.fits if fit.guide in found]
    if not fits:
        return None
    names = list(dict.fromkeys(name for one in found.values() for name in one.positions))
    shown = chosen(found, names)
    return Block(
        explanation(found),
        overview(page, fits, found, names),
        trouble(found),
        figure(page, fits, found, shown) if any(one.count for one in found.values()) else None,
        rest(names, shown),
        coverages(page, fits, shown),
        tested(page, fits, shown),
        page.left_out(fits, "simulated fits"),
    )


def explanation(found: Mapping[str, Ranked]) -> str:
    """Return what was done, and what the answer is worth."""
    sets = max(one.count + one.broken for one in found.values())
    draws = max(one.draws for one in found.values())
    steps = sorted({one.steps for one in found.values()})
    return (
        f"Parameters were drawn from the prior and data from the model, {sets:,} times, and every guide was fitted to "
        f"each of these data sets, in {listed([f'{count:,}' for count in steps])} steps from one starting point. The "
        f"true value of each latent is then ranked among {draws:,} draws of the guide. If that were the posterior, its "
        "90 % intervals would hold the true value in 90 % of the data sets. This is an average over all data that "
        "the prior makes: it does not say how good a guide is for the data at hand. The verdict does not use it."
    )


def overview(page: Page, fits: Sequence[Fit], found: Mapping[str, Ranked], names: Sequence[str]) -> Table:
    """Return a row per guide: how its fits went, and what was found."""
    rows: list[list[Cell]] = [
        [
            page.key(fit),
            one.count + one.broken,
            one.broken,
            one.unsettled,
            coverage_range(fit),
            findings(fit, names),
        ]
        for fit in fits
        for one in (found[fit.guide],)
    ]
    return Table(
        ["guide", "data sets", "broke down", "did not settle", "true coverage of 90 % intervals", "in words"],
        rows,
        caption="True coverage: the smallest and the largest over all latent components. In words: what is wrong with "
        "the 90 % intervals (each judged by its own 95 % interval: one in twenty is called wrong by chance), with the "
        "centre and with the shape (corrected for the number of components).",
    )


def coverage_range(fit: Fit, level: int = 90) -> str | None:
    """Return the smallest and largest true coverage over components, or ``None`` where there is none."""
    values = [
        one.value for one in fit.metrics if one.metric == f"simulated_coverage_{level}" and np.isfinite(one.value)
    ]
    if not values:
        return None
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def width(fit: Fit, name: str, level: int) -> str:
    """Return "too narrow" or "too wide" where the interval of a true coverage misses its nominal level."""
    low, high = (fit.value(f"simulated_coverage_{level}_{side}", name) for side in ("low", "high"))
    if low is None or high is None:
        return ""
    return "too narrow" if high < level / 100 else "too wide" if low > level / 100 else ""


def offset(fit: Fit, name: str) -> str:
    """Return "too low" or "too high" where the ranks lean to one side by more than chance."""
    bias, p = fit.value("simulated_bias", name), fit.value("simulated_bias_p", name)
    if bias is None or p is None or not p < SIGNIFICANT:
        return ""
    # Positive where the true values lie above the draws.
    return "too low" if bias > 0 else "too high"


def uneven(fit: Fit, name: str) -> bool:
    """Return whether the ranks are not uniform, beyond chance."""
    p = fit.value("simulated_uniformity_p", name)
    return p is not None and p < SIGNIFICANT


def findings(fit: Fit, names: Sequence[str], most: int = 6) -> str:
    """Return what is wrong with a guide, and for which latents."""
    groups: dict[str, list[str]] = {}
    for name in names:
        said = {"intervals": width(fit, name, 90), "draws": offset(fit, name)}
        for what, how in said.items():
            if how:
                groups.setdefault(f"{what} {how}", []).append(name)
        if not any(said.values()) and uneven(fit, name):
            groups.setdefault("ranks not uniform", []).append(name)
    if not groups:
        return "nothing found" if any(fit.value("simulated_coverage_90", name) is not None for name in names) else ""

    def some(found: Sequence[str]) -> str:
        return listed(found) if len(found) <= most else f"{', '.join(found[:most])} and {len(found) - most} more"

    return "; ".join(f"{part}: {some(found)}" for part, found in groups.items())


def trouble(found: Mapping[str, Ranked]) -> Note | None:
    """Return a word of caution where fits broke down or did not settle, or ``None``."""
    broken = [f"{guide} ({one.broken} of {one.count + one.broken})" for guide, one in found.items() if one.broken]
    # A few in a hundred are within the noise of the rule that judges them.
    unsettled = [
        f"{guide} ({one.unsettled} of {one.count})" for guide, one in found.items() if one.unsettled > 0.05 * one.count
    ]
    parts = []
    if broken:
        parts.append(
            f"Fits that broke down have no draws and are left out, which can make a guide look better than it is: "
            f"{listed(broken)}."
        )
    if unsettled:
        parts.append(
            f"Fits that did not settle are part of the numbers: {listed(unsettled)}. What is wrong there may be the "
            "short training and not the guide."
        )
    return Note(" ".join(parts), "warning") if parts else None


def chosen(found: Mapping[str, Ranked], names: Sequence[str]) -> list[str]:
    """Return the components that are shown, in the model's order: all, or those farthest from uniform in any guide."""
    if len(names) <= MAX_COMPONENTS:
        return list(names)
    worst = {
        name: max(
            (
                float(np.max(np.abs(above(one.positions[name])[1])))
                for one in found.values()
                if name in one.positions and one.count
            ),
            default=0.0,
        )
        for name in names
    }
    kept = sorted(names, key=lambda name: -worst[name])[:MAX_COMPONENTS]
    return [name for name in names if name in kept]


def rest(names: Sequence[str], shown: Sequence[str]) -> Note | None:
    """Return a note that names the components which are not shown, or ``None``."""
    left = [name for name in names if name not in shown]
    if not left:
        return None
    said = listed(left) if len(left) <= MAX_NAMED else f"{', '.join(left[:MAX_NAMED])} and {len(left) - MAX_NAMED} more"
    return Note(
        f"Below are the {len(shown)} of {len(names)} components whose ranks are farthest from uniform in any guide. "
        f"Not shown, but in metrics.csv: {said}."
    )


def figure(page: Page, fits: Sequence[Fit], found: Mapping[str, Ranked], shown: Sequence[str]) -> Figure:
    """Draw F(z) - z of the ranks, one panel per component and one line per guide."""
    entries = page.legend(fits)
    columns = min(3, len(shown))
    wide = 9.4 if columns > 1 else 6.4
    head = legend_height([guide for guide, _ in entries], wide)
    fig, axes = page.panels(
        len(shown), columns, height=1.9, width=wide, gap=(0.3, 0.45), margin=(0.65, 0.15, 0.3 + head, 0.5), share=True
    )
    count = max(one.count for one in found.values())
    z, low, high = limits(count)
    reach = float(max(high.max(), -low.min()))
    for position, (ax, name) in enumerate(zip(axes, shown, strict=True)):
        ax.fill_between(z, low, high, color="#e3e6eb", linewidth=0)
        ax.axhline(0, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
        for fit in fits:
            one = found[fit.guide]
            if name not in one.positions or not one.count:
                continue
            at, difference = above(one.positions[name])
            reach = max(reach, float(np.max(np.abs(difference))))
            style = page.style(fit)
            ax.plot(at, difference, color=style.colour, linestyle=style.dashes, linewidth=1.4)
        title(ax, name)
        ax.grid(axis="y")
        if position % columns == 0:
            ax.set_ylabel("F(z) - z")
        if position + columns >= len(shown):
            ax.set_xlabel("position z of the true value")
    axes[0].set(xlim=(0, 1), ylim=(-1.08 * reach, 1.08 * reach), xticks=(0, 0.25, 0.5, 0.75, 1))
    axes[0].xaxis.set_major_formatter("{x:g}")
    legend(fig, entries)
    fewer = [f"{guide} ({one.count})" for guide, one in found.items() if one.count < 0.9 * count]
    return page.figure(
        "calibration",
        fig,
        alt=f"Distribution of the ranks of true values minus the uniform one, for {listed(list(shown))} and each guide",
        caption="Position z: the share of a guide's draws below the true value; F: the share of data sets with a "
        "position up to z. A calibrated guide stays in the grey band as a whole with 95 % probability "
        f"({count:,} data sets). Above zero on the left and below it on the right: the intervals are too narrow; the "
        "other way round: too wide. Above zero throughout: the draws are too high; below it: too low."
        + (f" Fewer data sets, hence a wider band than this: {listed(fewer)}." if fewer else ""),
        min_width=600 if columns > 1 else 420,
    )


def coverages(page: Page, fits: Sequence[Fit], shown: Sequence[str]) -> Table | None:
    """Return true coverage with its interval per component and guide, or ``None`` where there is none."""
    rows: list[list[Cell]] = []
    for name in shown:
        for fit in fits:
            cells = [coverage(fit, name, level) for level in LEVELS]
            if any(cell is not None for cell in cells):
                rows.append([name, page.key(fit), *cells])
    if not rows:
        return None
    count = len(rows) * len(LEVELS)
    return Table(
        ["latent", "guide", *(f"{level} % intervals" for level in LEVELS)],
        rows,
        caption="True coverage: the share of data sets whose central interval holds the true value, with Wilson's 95 % "
        "interval. Where that misses the nominal level the guide's intervals are too narrow or too wide. Of the "
        f"{count:,} numbers below, about {max(count // 20, 1):,} would miss by chance alone.",
    )


def coverage(fit: Fit, name: str, level: int) -> Number | None:
    """Return one true coverage with its interval, and a word where it misses the nominal level."""
    value, low, high = (fit.value(f"simulated_coverage_{level}{side}", name) for side in ("", "_low", "_high"))
    if value is None:
        return None
    detail = "" if low is None or high is None else f"{low:.2f} to {high:.2f}"
    return Number(value, digits=3, detail=detail, mark=width(fit, name, level))


def tested(page: Page, fits: Sequence[Fit], shown: Sequence[str]) -> Details | None:
    """Return bias and uniformity per component and guide, folded, or ``None`` where there is neither."""
    rows: list[list[Cell]] = []
    for name in shown:
        for fit in fits:
            bias, lean = fit.metric("simulated_bias", name), fit.value("simulated_bias_p", name)
            shape = fit.value("simulated_uniformity_p", name)
            if bias is None and shape is None:
                continue
            leaning = offset(fit, name)
            rows.append(
                [
                    name,
                    page.key(fit),
                    None if bias is None else Number(bias.value, bias.mcse),
                    p_value(lean),
                    None if lean is None else f"draws {leaning}" if leaning else "none found",
                    p_value(shape),
                    None if shape is None else "not uniform" if uneven(fit, name) else "nothing against uniform",
                ]
            )
    if not rows:
        return None
    table = Table(
        ["latent", "guide", "bias", "p of no bias", "bias in words", "p of uniform ranks", "ranks in words"],
        rows,
        caption="Bias: twice the mean distance of the ranks from the middle, from -1 (the draws lie above every true "
        "value) to 1 (below every one). p-values are corrected for the number of latent components (Holm), not for the "
        f"number of guides; words are for those below {SIGNIFICANT:g}. Nothing found is no proof: more data sets show "
        "more.",
    )
    return Details("Bias and uniformity of the ranks", Block(table))
