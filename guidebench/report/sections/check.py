r"""Posterior predictive check: the data beside data that the model predicts.

Of a statistic T of the observations y, and of data that are drawn with each draw of a guide, the posterior predictive
p-value is the share of draws with :math:`T(y_{rep}) \ge T(y)` (Gelman, Meng & Stern 1996, Statistica Sinica 6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from guidebench.report.draws import Array, flat, thin
from guidebench.report.page import Block, Cell, Figure, Number, Page, Table
from guidebench.report.palette import INK, mark
from guidebench.report.sections.data import MAX_SITES, NUMERIC, observed
from guidebench.results import Fit, Verdict

#: Predicted data sets that are looked at, numbers in all of them, and points of a curve.
MOST_SETS = 400
MOST_NUMBERS = 4_000_000
POINTS = 200

#: Where the central share of the predicted data sets lies that the band holds.
BAND = (0.05, 0.95)

#: A p-value as far out as this, on either side, is marked.
FAR = 0.02

STATISTICS: Mapping[str, Callable[[Array], Array]] = {
    "mean": lambda y: np.mean(y, axis=-1),
    "sd": lambda y: np.std(y, axis=-1),
    "least": lambda y: np.min(y, axis=-1),
    "largest": lambda y: np.max(y, axis=-1),
}


def build(page: Page) -> Block | None:
    """Return the curve of the best guide and the p-values of all, for each observed site."""
    drawn: list[Figure | Table | str] = []
    scored: list[Fit] = []
    for site in page.problem.observed[:MAX_SITES]:
        y = observed(page, site)
        sets = {fit.guide: found for fit in page.drawn if (found := predicted(page, fit, site, y)) is not None}
        fits = [fit for fit in page.drawn if fit.guide in sets]
        if y is None or not fits:
            continue
        best = min(fits, key=lambda fit: list(Verdict).index(fit.verdict))
        drawn += [figure(page, site, y, best, sets[best.guide]), table(page, site, y, fits, sets)]
        scored += [fit for fit in fits if fit not in scored]
    if not drawn:
        return None
    intro = (
        "A guide can be right and the model wrong: here the data stand beside data that the model predicts with draws "
        "of the guide. The same data taught the guide, so that a misfit shows less than it would on new data."
    )
    return Block(intro, *drawn, page.left_out(scored, "predictions of the data"))


def predicted(page: Page, fit: Fit, site: str, y: Array | None) -> Array | None:
    """Return data sets that a guide's draws predict, shape ``(S, N)``, or ``None`` where there are none like `y`."""
    dataset = page.group(fit, "posterior_predictive")
    if y is None or y.size < 2 or dataset is None or site not in dataset or dataset[site].dtype.kind not in NUMERIC:
        return None
    found = flat(dataset, site)
    found = found.reshape(len(found), -1)
    if found.shape[1] != y.size or not np.isfinite(y).all():
        return None
    sets = found[thin(len(found), max(min(MOST_SETS, MOST_NUMBERS // y.size), 2))].astype(float)
    return sets if len(sets) > 1 and np.isfinite(sets).all() else None


def shares(values: Array, at: Array) -> Array:
    """Return which share of each row is at most as large as each of some points: empirical distribution functions."""
    ordered = np.sort(np.atleast_2d(values), axis=1)
    return np.asarray(np.stack([np.searchsorted(row, at, side="right") for row in ordered]) / ordered.shape[1])


def p_values(y: Array, sets: Array) -> dict[str, float]:
    """Return the share of predicted data sets whose statistics are at least as large; ties count half."""
    found = {}
    for name, statistic in STATISTICS.items():
        own, theirs = statistic(y), statistic(sets)
        found[name] = float(np.mean(theirs > own) + np.mean(theirs == own) / 2)
    return found


def figure(page: Page, site: str, y: Array, fit: Fit, sets: Array) -> Figure:
    """Draw the distribution function of the data in the band of the predicted ones."""
    edges = np.quantile(sets, (0.001, 0.999))
    low, high = min(float(y.min()), float(edges[0])), max(float(y.max()), float(edges[1]))
    at = np.linspace(low, high, POINTS) if high > low else np.array([low - 0.5, low + 0.5])
    fig, (ax,) = page.panels(1, 1, height=2.6, width=7.2, margin=(0.6, 0.15, 0.15, 0.5))
    below, above = np.quantile(shares(sets, at), BAND, axis=0)
    ax.fill_between(at, below, above, color=page.colour(fit), alpha=0.3, linewidth=0, step="post")
    ax.plot(at, shares(y, at)[0], color=INK, linewidth=1.2, drawstyle="steps-post")
    ax.set(xlabel=site, ylabel="share at most as large", ylim=(-0.02, 1.02))
    ax.set_gid(mark(page.colour(fit)))
    ax.grid()
    return page.figure(
        f"check-{site}",
        fig,
        alt=f"Distribution function of {site} beside those of predicted data",
        caption=f"Line: the share of the {y.size:,} observations of {site} that are at most as large. Band: where the "
        f"middle 90 % of {len(sets):,} predicted data sets have it (own draws of {fit.guide}). Where the line leaves "
        "the band, the model misses something of the data.",
    )


def table(page: Page, site: str, y: Array, fits: Sequence[Fit], sets: Mapping[str, Array]) -> Table:
    """Return posterior predictive p-values of every guide."""
    rows: list[list[Cell]] = []
    for fit in fits:
        found = p_values(y, sets[fit.guide]).values()
        rows.append([page.key(fit), *(Number(one, digits=2, mark=_far(one)) for one in found)])
    caption = (
        f"Posterior predictive p-values of {site}: the share of predicted data sets in which each is at least as large "
        "as in the data. Near 0 or 1 the model does not predict it; by chance at most one in "
        f"{round(1 / (2 * FAR))} is marked."
    )
    return Table(["guide", *(f"{name} of {site}" for name in STATISTICS)], rows, caption=caption)


def _far(p: float) -> str:
    return "not predicted" if min(p, 1 - p) < FAR else ""
