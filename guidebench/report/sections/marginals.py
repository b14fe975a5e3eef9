"""Marginal posterior of each latent component, all guides over each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from guidebench.report.density import density
from guidebench.report.drawing import legend, legend_height, reference_handle, title, truth_handle
from guidebench.report.draws import SAMPLE_DIMS, Array, Component, moments, weights
from guidebench.report.page import Block, Cell, Figure, Page, Table
from guidebench.report.palette import INK, REFERENCE
from guidebench.report.svg import tell
from guidebench.report.text import listed
from guidebench.results import LENDERS, Fit, Verdict

MAX_COMPONENTS = 12

#: What the rows of repaired draws are, by verdict.
_REPAIRED = {
    Verdict.REWEIGHT: "; reweighted: repaired by the importance weights",
    Verdict.REFRESH: "; refreshed: of the chains that began at these draws{}",
}


def build(page: Page) -> Block:
    """Return densities and a table of moments."""
    components, total = page.components(MAX_COMPONENTS)
    if not components:
        return Block("No guide has draws.", page.left_out([]))
    return Block(
        _capital(f"{page.shown_of(len(components), total)}.") if total > len(components) else None,
        figure(page, components),
        page.left_out(page.drawn),
        Table(
            ["mean (sd)", *(component.name for component in components)],
            rows(page, components),
            caption="Mean and, in parentheses, sd of the draws" + _repaired_in_words(page) + ".",
        ),
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _repaired_in_words(page: Page) -> str:
    """Return what the rows of repaired draws are."""
    lent = [fit.guide for fit in page.drawn if fit.verdict is Verdict.REFRESH and fit.refreshed_by in LENDERS]
    but = f" (of {listed(lent)}: of what the search found, which owe nothing to the guide)" if lent else ""
    return "".join(
        text.format(but) for verdict, text in _REPAIRED.items() if any(fit.verdict is verdict for fit in page.drawn)
    )


def rows(page: Page, components: Sequence[Component]) -> list[list[Cell]]:
    """Return a row per guide, another one of its repaired draws where that is the verdict, and the true values."""
    table: list[list[Cell]] = []
    for fit in page.drawn:
        table.append([page.key(fit), *(raw(page, fit, component) for component in components)])
        repair = {Verdict.REWEIGHT: repaired, Verdict.REFRESH: refreshed}.get(Verdict(fit.verdict))
        if repair is not None:
            again = [repair(page, fit, component) for component in components]
            if any(found is not None for found in again):
                cells = [None if found is None else _shown(*found) for found in again]
                table.append([f"{fit.guide}, {fit.verdict}ed", *cells])
    exact = [page.reference(component) for component in components]
    if any(sample.size for sample in exact):
        table.append([f"reference ({page.problem.reference})", *(_raw(sample, point=False) for sample in exact)])
    if any(page.truth(component) is not None for component in components):
        known = [page.truth(component) for component in components]
        table.append(["true value", *(None if value is None else f"{value:.6g}" for value in known)])
    return table


def repaired(page: Page, fit: Fit, component: Component) -> tuple[float, float] | None:
    """Return mean and sd under the importance weights, or ``None`` where there are none.

    The metrics ``mean_reweighted`` and ``sd_reweighted`` come first, so that the report holds one
    number for one thing; without them the saved weights are applied as they are.
    """
    mean, sd = (fit.value(f"{moment}_reweighted", component.name) for moment in ("mean", "sd"))
    if mean is not None and sd is not None:
        return mean, sd
    stats, sample = page.group(fit, "sample_stats"), page.values(fit, component)
    if stats is None or "log_weight" not in stats or stats["log_weight"].size != sample.size:
        return None
    weight = weights(stats["log_weight"].transpose(*SAMPLE_DIMS).values)
    return moments(sample, weight) if np.isfinite(weight).all() else None


def refreshed(page: Page, fit: Fit, component: Component) -> tuple[float, float] | None:
    """Return mean and sd of the refreshed draws: those of the metrics, or else of the draws that are kept."""
    mean, sd = (fit.value(f"{moment}_refreshed", component.name) for moment in ("mean", "sd"))
    if mean is not None and sd is not None:
        return mean, sd
    sample = page.refreshed(fit, component)
    return moments(sample) if sample.size else None


def raw(page: Page, fit: Fit, component: Component) -> Cell:
    """Return mean and sd of a guide: those of the metrics, which know more draws than are kept."""
    mean, sd = fit.value("mean", component.name), fit.value("sd", component.name)
    if mean is not None and sd is not None:
        return _shown(mean, sd)
    return _raw(page.values(fit, component), point=fit.bound == "none")


def _raw(sample: Array, *, point: bool) -> Cell:
    if not sample.size:
        return None
    return f"{sample[0]:.4g}" if point else _shown(*moments(sample))


def _shown(mean: float, sd: float) -> str:
    """Return ``mean (sd)``, both to the decimals of three significant digits of the sd."""
    if not 1e-7 < sd < 1e6:
        return f"{mean:.4g} ({sd:.3g})"
    decimals = int(np.clip(2 - np.floor(np.log10(sd)), 0, 8))
    return f"{mean:.{decimals}f} ({sd:.{decimals}f})"


def window(samples: Sequence[Array], marks: Sequence[float]) -> tuple[float, float]:
    """Return the range to show: the central 99 % of every sample, and the marked values.

    A sample that is more than five times as wide as the median one is cut: it would squeeze the
    others into a spike.
    """
    lows, highs, widths = [], [], []
    for sample in samples:
        low, high = np.quantile(sample, [0.005, 0.995])
        lows.append(low)
        highs.append(high)
        widths.append(high - low)
    if not widths or not max(widths) > 0:
        centre = list(marks) + lows
        reach = max(1.0, *(abs(value) for value in centre)) * 0.1 if centre else 1.0
        return min(centre, default=0.0) - reach, max(centre, default=0.0) + reach
    limit = 5 * float(np.median(widths))
    middle = float(np.median([(low + high) / 2 for low, high in zip(lows, highs, strict=True)]))
    low, high = max(min(lows), middle - limit), min(max(highs), middle + limit)
    # A mark far outside would squeeze the densities just as a wide sample does.
    near = [mark for mark in marks if low - limit < mark < high + limit]
    low, high = min([low, *near]), max([high, *near])
    pad = 0.04 * (high - low)
    return float(low - pad), float(high + pad)


def refreshed_name(fit: Fit) -> str:
    """Return what the refreshed draws of a guide are called."""
    return f"{fit.guide}, refreshed"


def curves(page: Page, component: Component) -> dict[str, tuple[Array, Array]]:
    """Return grid and density per guide and of the reference; a point estimate has the grid point alone."""
    samples = {fit.guide: page.values(fit, component) for fit in page.drawn}
    varying = {fit.guide for fit in page.spread if samples[fit.guide].size and np.ptp(samples[fit.guide]) > 0}
    truth = page.truth(component)
    points = [float(sample[0]) for guide, sample in samples.items() if sample.size and guide not in varying]
    exact = page.reference(component)
    chained = {
        refreshed_name(fit): page.refreshed(fit, component) for fit in page.drawn if fit.verdict is Verdict.REFRESH
    }
    chained = {name: sample for name, sample in chained.items() if sample.size and np.ptp(sample) > 0}
    shown = [samples[guide] for guide in samples if guide in varying] + [
        one for one in (exact, *chained.values()) if one.size
    ]
    low, high = window(shown, points if truth is None else [*points, truth])
    found = {name: density(sample, low, high) for name, sample in chained.items()}
    if exact.size:
        found[page.problem.reference] = density(exact, low, high)
    for guide, sample in samples.items():
        if guide in varying:
            found[guide] = density(sample, low, high)
        elif sample.size:
            found[guide] = (sample[:1], np.array([np.inf]))
    return found


def panel(page: Page, ax: Axes, component: Component, name: str = "") -> tuple[bool, bool]:
    """Draw one component; return whether its true value was drawn, and whether refreshed draws were."""
    found = curves(page, component)
    peaks = [curve.max() for _, curve in found.values() if np.isfinite(curve).all()]
    # A collapsed guide is a spike; the others must remain visible beneath it.
    top = 1.08 * min(max(peaks, default=1.0), 4 * float(np.median(peaks)) if peaks else 1.0) or 1.0
    dotted = False
    if page.problem.reference in found:
        grid, curve = found[page.problem.reference]
        area = ax.fill_between(grid, curve, color=REFERENCE, linewidth=0)
        tell(area, _told(page.problem.reference, component, _raw(page.reference(component), point=False)))
    for fit in page.drawn:
        if fit.guide not in found:
            continue
        style = page.style(fit)
        if refreshed_name(fit) in found:
            dotted = True
            (line,) = ax.plot(*found[refreshed_name(fit)], color=style.colour, linestyle=(0, (1, 1)), linewidth=1.2)
            tell(line, _told(refreshed_name(fit), component, _raw(page.refreshed(fit, component), point=False)))
        grid, curve = found[fit.guide]
        if np.isfinite(curve).all():
            (line,) = ax.plot(grid, curve, color=style.colour, linestyle=style.dashes, linewidth=1.5)
        else:
            line = ax.axvline(grid[0], color=style.colour, linestyle=style.dashes, linewidth=1.8)
        tell(line, _told(fit.guide, component, raw(page, fit, component)))
    truth = page.truth(component)
    if truth is not None:
        ax.axvline(truth, color=INK, linestyle=(0, (3, 2)), linewidth=1.2)
    ax.set(ylim=(0, top), yticks=[])
    title(ax, name or component.name)
    ax.spines["left"].set_visible(False)
    return truth is not None, dotted


def _told(whose: str, component: Component, moments: Cell) -> str:
    """Return what who points at a density is told."""
    of_draws = ", mean (sd)" if str(moments).endswith(")") else ""
    return f"{whose}: {component.name}{of_draws} {moments}"


def figure(page: Page, components: Sequence[Component]) -> Figure:
    """Draw one panel per component."""
    entries = page.legend(page.drawn)
    extra = [reference_handle(f"reference ({page.problem.reference})")] if page.problem.reference else []
    labels = [guide for guide, _ in entries] + [str(handle.get_label()) for handle in extra] + ["true value"]
    columns = min(3, len(components))
    fig, axes = page.panels(
        len(components), columns, height=2.1, gap=(0.3, 0.55), margin=(0.2, 0.15, 0.32 + legend_height(labels), 0.32)
    )
    drawn = [panel(page, ax, component) for ax, component in zip(axes, components, strict=True)]
    truths, dotted = (any(found) for found in zip(*drawn, strict=True))
    legend(fig, entries, extra=[*extra, truth_handle()] if truths else extra)
    again = ", refreshed draws dotted in the same colour" if dotted else ""
    exact = f", the reference ({page.problem.reference}) a grey area" if page.problem.reference else ""
    point = ", a point estimate a vertical line" if len(page.spread) < len(page.drawn) else ""
    return page.figure(
        "marginals",
        fig,
        alt=f"Marginal posterior densities of {', '.join(c.name for c in components)} for each guide",
        caption=f"Each guide is a density{point}{again}{exact}. The windows hold the central 99 % of the draws; kernel "
        "density estimates with the normal reference bandwidth.",
    )
