"""Joint densities of pairs of latents: guides by pairs, on shared axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes

from guidebench.report.density import density2d, mass_levels
from guidebench.report.draws import Array, Component, correlation, thin, values
from guidebench.report.page import Block, Figure, Page
from guidebench.report.palette import INK, mark
from guidebench.report.sections.marginals import window
from guidebench.results import Fit, Verdict

MAX_PAIRS = 6
#: Components among which the most correlated pairs are looked for.
MAX_COMPONENTS = 200
MASSES = (0.9, 0.7, 0.5, 0.3, 0.1)

Pair = tuple[Component, Component]


def build(page: Page) -> Block:
    """Return the small multiples."""
    components, total = page.components(MAX_COMPONENTS)
    if total < 2:
        return Block(
            "The model has fewer than two latent components, hence no pairs." if total else "No guide has draws."
        )
    if total <= 3:
        return Block(*figures(page, all_pairs(components)), page.left_out(page.drawn))
    among = page.shown_of(len(components), total) if len(components) < total else f"all {total} components"
    chosen, why = worst_pairs(page, components)
    intro = f"The {len(chosen)} pairs {why} in any guide, among {among}."
    return Block(intro, *figures(page, chosen), page.left_out(page.drawn))


def all_pairs(components: Sequence[Component]) -> list[Pair]:
    """Return every pair as (x, y).

    The first pair is in the model's order; each later component is across, against those before it.
    """
    later = [(components[j], components[i]) for j in range(2, len(components)) for i in reversed(range(j))]
    return [(components[0], components[1]), *later]


def worst_pairs(page: Page, components: Sequence[Component], count: int = MAX_PAIRS) -> tuple[list[Pair], str]:
    """Return the pairs whose correlation is farthest off in any guide, or the strongest ones, and which they are."""
    strongest = "that are most correlated"
    if page.standard is None or not all(one.site in page.standard[1] for one in components):
        return strongest_pairs(page, components, count), strongest
    right = correlation([values(page.standard[1], one) for one in components])
    wrong = np.zeros((len(components), len(components)))
    for fit in page.spread:
        columns = [page.values(fit, component) for component in components]
        if len({column.size for column in columns}) == 1 and columns[0].size > 1:
            wrong = np.fmax(wrong, np.abs(np.nan_to_num(correlation(columns) - right)))
    ranked = sorted(combinations(range(len(components)), 2), key=lambda pair: -wrong[pair])
    chosen = [(components[i], components[j]) for i, j in ranked[:count]]
    return chosen, f"whose correlation is farthest from that of {page.standard[0]}"


def strongest_pairs(page: Page, components: Sequence[Component], count: int = MAX_PAIRS) -> list[Pair]:
    """Return the pairs with the largest absolute correlation in any guide, strongest first."""
    strength = np.zeros((len(components), len(components)))
    for fit in page.spread:
        columns = [page.values(fit, component) for component in components]
        if len({column.size for column in columns}) == 1 and columns[0].size > 1:
            strength = np.fmax(strength, np.abs(np.nan_to_num(correlation(columns))))
    ranked = sorted(combinations(range(len(components)), 2), key=lambda pair: -strength[pair])
    return [(components[i], components[j]) for i, j in ranked[:count]]


def outline_of(fits: Sequence[Fit]) -> Fit | None:
    """Return the guide whose outline is drawn in every panel: the trusted one with the best ELBO."""
    trusted = [
        fit for fit in fits if fit.verdict is Verdict.TRUST and fit.bound == "elbo" and fit.value("elbo") is not None
    ]
    return max(trusted, key=lambda fit: fit.value("elbo") or -np.inf, default=None)


def edge_of(
    page: Page, outline: Fit | None, pair: Pair, box: tuple[float, float, float, float]
) -> tuple[Array, Array, Array, list[float]] | None:
    """Return the density whose outline is drawn in every panel: the reference's, or else that of a trusted guide."""
    if page.problem.reference:
        return surface(page.reference(pair[0]), page.reference(pair[1]), box)
    return None if outline is None else surface(page.values(outline, pair[0]), page.values(outline, pair[1]), box)


def limits(page: Page, component: Component) -> tuple[float, float]:
    """Return the common axis of a component."""
    samples = [sample for fit in page.spread if (sample := page.values(fit, component)).size]
    truth = page.truth(component)
    points = [float(v[0]) for fit in page.drawn if fit.bound == "none" and (v := page.values(fit, component)).size]
    exact = page.reference(component)
    samples += [exact] if exact.size else []
    return window(samples, points if truth is None else [*points, truth])


def surface(
    x: Array, y: Array, box: tuple[float, float, float, float]
) -> tuple[Array, Array, Array, list[float]] | None:
    """Return grid, density and the levels of :data:`MASSES`; ``None`` where there is no density."""
    if x.size != y.size or x.size < 10 or not np.ptp(x) > 0 or not np.ptp(y) > 0:
        return None
    columns, rows, heights = density2d(x, y, box)
    levels = mass_levels(heights, MASSES)
    return (columns, rows, heights, levels) if levels else None


def figures(page: Page, pairs: Sequence[Pair]) -> list[Figure]:
    """Draw three pairs to a figure, so that panels stay large enough to read."""
    return [_figure(page, pairs[start : start + 3], start) for start in range(0, len(pairs), 3)]


def _figure(page: Page, pairs: Sequence[Pair], start: int) -> Figure:
    count = len(pairs)
    fits = page.drawn
    width = 9.4 if count == 3 else 7.0 if count == 2 else 4.4
    fig, axes = page.panels(
        count * len(fits), count, height=1.5, width=width, gap=(0.62, 0.2), margin=(0.65, 1.45, 0.15, 0.5), share="col"
    )
    windows = {one: limits(page, one) for one in {component for pair in pairs for component in pair}}
    boxes = [(*windows[x], *windows[y]) for x, y in pairs]
    outline = None if page.problem.reference else outline_of(page.spread)
    outlines = [edge_of(page, outline, pair, box) for pair, box in zip(pairs, boxes, strict=True)]
    for position, ax in enumerate(axes):
        fit, (x, y), box = fits[position // count], pairs[position % count], boxes[position % count]
        _panel(ax, page, fit, (x, y), box)
        ax.set_gid(mark(page.colour(fit)))
        edge = outlines[position % count]
        if edge is not None and (outline is None or fit.guide != outline.guide):
            ax.contour(*edge[:3], levels=edge[3][:1], colors="#70757e", linewidths=0.9, linestyles="dashed")
        ax.set(xlim=box[:2], ylim=box[2:], ylabel=y.name)
        if position // count == len(fits) - 1:
            ax.set_xlabel(x.name)
        else:
            ax.tick_params(labelbottom=False)
        if position % count == count - 1:
            ax.text(
                1.04,
                0.5,
                _wrap(fit.guide),
                transform=ax.transAxes,
                va="center",
                fontsize=8.5,
                fontweight="bold",
                color=INK,
            )
    notes = "Contours hold 10, 30, 50, 70 and 90 % of the mass."
    if outline is None and any(edge is not None for edge in outlines):
        notes += f" Dashed: the 90 % contour of the reference ({page.problem.reference})."
    if outline is not None:
        notes += f" Dashed: the 90 % contour of {outline.guide}, the trusted guide with the highest ELBO."
    if any(fit.bound == "none" for fit in fits):
        notes += " A point estimate is a dot."
    if any(page.truth(component) is not None for pair in pairs for component in pair):
        notes += " The black cross marks the true values."
    return page.figure(
        "joints" if start == 0 else f"joints-{start // 3 + 1}",
        fig,
        alt="Joint densities of " + "; ".join(f"{y.name} against {x.name}" for x, y in pairs) + ", one row per guide",
        caption=notes,
        min_width=640 if count == 3 else 420,
    )


def _panel(ax: Axes, page: Page, fit: Fit, pair: Pair, box: tuple[float, float, float, float]) -> None:
    x, y = (page.values(fit, component) for component in pair)
    colour = page.colour(fit)
    found = surface(x, y, box) if fit.bound != "none" else None
    if found is not None:
        columns, rows, heights, levels = found
        ax.contourf(columns, rows, heights, levels=[*levels, max(heights.max(), levels[-1]) * 1.001],
                    colors=_shades(colour, len(levels)))  # fmt: skip
    elif x.size and y.size:
        keep = thin(min(x.size, y.size), 300)
        ax.plot(x[keep], y[keep], "o", color=colour, markersize=5)
    across, along = (page.truth(component) for component in pair)
    if across is not None and along is not None:
        ax.plot(across, along, marker="+", color=INK, markersize=9, markeredgewidth=1.4)


def _shades(colour: str, count: int) -> list[tuple[float, ...]]:
    """Return shades of a colour from light to full."""
    from matplotlib.colors import to_rgb

    base = np.asarray(to_rgb(colour))
    return [tuple(float(c) for c in 1 - share * (1 - base)) for share in np.linspace(0.18, 1.0, count)]


def _wrap(name: str, width: int = 18) -> str:
    """Break a guide's name at underscores so that it fits beside its row."""
    lines = [""]
    for part in name.replace("_", "_\0").replace(":", ":\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line if len(line) <= width + 4 else f"{line[: width + 3]}…" for line in lines[:4])
