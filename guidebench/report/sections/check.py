r"""Posterior predictive check: the data beside data that the model predicts.

Of a statistic T of the observations y, and of data that are drawn with each draw of a guide, the posterior predictive
p-value is

.. math:: P(T(y_{rep}) > T(y)) + P(T(y_{rep}) = T(y)) / 2

(Gelman, Meng & Stern 1996, Statistica Sinica 6, with ties by half).  Both sides know the same data, so that p-values of
a model that is right crowd about a half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from guidebench.analysis.problems.winners import ORDER
from guidebench.report.draws import Array, flat, thin
from guidebench.report.page import Block, Cell, Figure, Note, Number, Page, Table
from guidebench.report.palette import INK, mark
from guidebench.report.sections.data import MAX_SITES, NUMERIC, observed
from guidebench.results import Fit, Verdict

#: Predicted data sets that a band is made of, numbers in all of them, and points of a curve.
MOST_SETS = 400
MOST_NUMBERS = 4_000_000
POINTS = 200

#: Share of the predicted data sets that lie in the band from one end to the other.
INSIDE = 0.9

#: A p-value nearer than this to 0 or 1 is marked, where there are so many predicted data sets.
FAR = 0.02
ENOUGH = 100

#: Two numbers are a tie that differ by no more than rounding, as a part of the largest observation.
ROUNDING = 1e-5

STATISTICS: Mapping[str, Callable[[Array], Array]] = {
    "mean": lambda y: np.mean(y, axis=-1),
    "sd": lambda y: np.std(y, axis=-1),
    "least": lambda y: np.min(y, axis=-1),
    "largest": lambda y: np.max(y, axis=-1),
}


def build(page: Page) -> Block | None:
    """Return the curve of the best guide and the p-values of all, for each observed site."""
    drawn: list[Figure | Table] = []
    scored: list[Fit] = []
    for at, site in enumerate(page.problem.observed[:MAX_SITES]):
        y = observed(page, site)
        sets = {fit.guide: found for fit in page.drawn if (found := predicted(page, fit, site, y)) is not None}
        fits = [fit for fit in page.drawn if fit.guide in sets]
        if y is None or not fits:
            continue
        kept = np.isfinite(y)
        best = min(fits, key=lambda fit: ORDER.index(fit.verdict))
        drawn.append(figure(page, at, y[kept], best, sets[best.guide][:, kept]))
        drawn.append(table(page, site, y[kept], fits, {name: one[:, kept] for name, one in sets.items()}))
        scored += [fit for fit in fits if fit not in scored]
    return Block(*_said(page, scored), *drawn, page.left_out(scored, "predictions of the data")) if drawn else None


def _said(page: Page, scored: Sequence[Fit]) -> Iterator[str | Note]:
    """Yield what the comparison is, and what it cannot tell."""
    yield (
        "A guide can be right and the model wrong: here the data stand beside data that the model predicts with a "
        "guide's own draws. The same data taught the guide, so that a misfit shows less than it would on new data."
    )
    if not any(fit.verdict is Verdict.TRUST for fit in scored):
        yield Note("No guide's own draws are trusted here: a misfit may be the guide's fault, and not the model's.")
    if len(page.problem.observed) > MAX_SITES:
        yield Note(f"Of {len(page.problem.observed)} observed sites the first {MAX_SITES} are shown.")


def predicted(page: Page, fit: Fit, site: str, y: Array | None) -> Array | None:
    """Return data sets that a guide's draws predict, shape ``(S, N)``, or ``None`` where there are none like `y`."""
    dataset = page.group(fit, "posterior_predictive")
    if y is None or np.isfinite(y).sum() < 2 or dataset is None or site not in dataset:
        return None
    if dataset[site].dtype.kind not in NUMERIC:
        return None
    found = flat(dataset, site)
    found = found.reshape(len(found), -1)
    return found if found.shape[1] == y.size and len(found) > 1 and np.isfinite(found).all() else None


def shares(values: Array, at: Array) -> Array:
    """Return which share of each row is at most as large as each of some points: empirical distribution functions."""
    ordered = np.sort(np.atleast_2d(values), axis=1)
    return np.asarray(np.stack([np.searchsorted(row, at, side="right") for row in ordered]) / ordered.shape[1])


def band(curves: Array) -> tuple[Array, Array]:
    """Return the edges of a band about curves, shape ``(S, P)``, in which so many of them lie from end to end."""
    mean, sd = curves.mean(axis=0), curves.std(axis=0)
    away = np.divide(np.abs(curves - mean), sd, out=np.zeros_like(curves), where=sd > 0)
    reach = np.quantile(away.max(axis=1), INSIDE, method="higher") * sd
    return np.clip(mean - reach, 0, 1), np.clip(mean + reach, 0, 1)


def p_values(y: Array, sets: Array) -> dict[str, float]:
    """Return the share of predicted data sets whose statistics are larger; ties count half."""
    # Divided by the largest, so that no square is beyond what a number can be.
    scale = float(np.abs(y).max()) or 1.0
    size = max(MOST_NUMBERS // y.size, 1)
    blocks = [sets[at : at + size].astype(float) / scale for at in range(0, len(sets), size)]
    found = {}
    for name, statistic in STATISTICS.items():
        own = statistic(y / scale)
        away = np.concatenate([statistic(block) for block in blocks]) - own
        tied = np.abs(away) <= ROUNDING
        found[name] = float(np.mean(np.where(tied, 0.5, away > 0)))
    return found


def figure(page: Page, at: int, y: Array, fit: Fit, sets: Array) -> Figure:
    """Draw the distribution function of the data in the band of the predicted ones."""
    site = page.problem.observed[at]
    some = sets[thin(len(sets), max(min(MOST_SETS, MOST_NUMBERS // y.size), 2))].astype(float)
    edges = np.quantile(some, (0.001, 0.999))
    low, high = min(float(y.min()), float(edges[0])), max(float(y.max()), float(edges[1]))
    along = np.linspace(low, high, POINTS) if high > low else np.array([low - 0.5, low + 0.5])
    below, above = band(shares(some, along))
    fig, (ax,) = page.panels(1, 1, height=2.6, width=7.2, margin=(0.6, 0.15, 0.15, 0.5))
    ax.fill_between(along, below, above, color=page.colour(fit), alpha=0.3, linewidth=0, step="post")
    ax.plot(along, shares(y, along)[0], color=INK, linewidth=1.2, drawstyle="steps-post")
    ax.set(xlabel=site, ylabel="share at most as large", ylim=(-0.02, 1.02))
    ax.set_gid(mark(page.colour(fit)))
    ax.grid()
    return page.figure(
        f"check-{at + 1}" if at else "check",
        fig,
        alt=f"Distribution function of {site} beside those of predicted data",
        caption=f"Line: the share of the {y.size:,} observations of {site} that are at most as large. Band: of "
        f"{len(some):,} data sets predicted by {fit.guide} ({fit.verdict}), {100 * INSIDE:.0f} % lie in it from end "
        "to end. A line that leaves it shows what is not predicted.",
    )


def table(page: Page, site: str, y: Array, fits: Sequence[Fit], sets: Mapping[str, Array]) -> Table:
    """Return posterior predictive p-values of every guide, with their Monte Carlo errors."""
    rows: list[list[Cell]] = []
    for fit in fits:
        count = len(sets[fit.guide])
        found = p_values(y, sets[fit.guide]).values()
        rows.append([page.key(fit), *(_shown(one, count) for one in found)])
    caption = (
        f"Posterior predictive p-values of {site}: the share of predicted data sets in which each is larger than in "
        f"the data, ties by half. What is nearer than {FAR} to 0 or 1 is marked; by chance, too, up to about one "
        "row of four in six has such a one."
    )
    return Table(["guide", *(f"{name} of {site}" for name in STATISTICS)], rows, caption=caption)


def _shown(p: float, count: int) -> Number:
    # Of none among S sets no more is known than that it is less than one.
    error = math.sqrt(max(p * (1 - p), 1 / count) / count)
    return Number(p, mcse=error, mark="not predicted" if min(p, 1 - p) < FAR and count >= ENOUGH else "")
