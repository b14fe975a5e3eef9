"""Which guide is best on which problem, and what that has to do with the problem."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import Normalize

from guidebench.analysis.problems import ERROR, MAIN, Association, Winner, associations, table, winners
from guidebench.analysis.problems.associations import features, smallest_p
from guidebench.report.content import Block, Cell, Details, Figure, Listing, Number, Pill, Table
from guidebench.report.overview.grids import Grid, draw
from guidebench.report.overview.seen import Overview
from guidebench.report.palette import verdict_pill
from guidebench.report.text import listed, p_value

LEVEL = 0.05

#: Features and what they are called in words.
NAMES = {
    "dimension": "dimension",
    "correlation": "largest correlation",
    "condition": "condition number",
    "scale_range": "range of scales",
    "skewness": "skewness",
    "curvature": "curvature (nat)",
}


def build(overview: Overview) -> Block | None:
    """Return the winners, problem by problem, and how errors go with features; ``None`` without fits."""
    if not overview.comparison.fits:
        return None
    found = winners(overview.comparison)
    return Block(
        Listing(statements(overview, found)),
        winner_table(overview, found),
        *related(overview),
        feature_table(overview),
    )


def statements(overview: Overview, found: Sequence[Winner]) -> list[str]:
    """Return how often each guide is best, and what those problems have in common."""
    texts = []
    table_of = features([one.problem for one in found])
    for guide in overview.guides:
        won = [at for at, one in enumerate(found) if one.usable and guide in one.guides]
        if not won:
            continue
        alone = sum(len(found[at].guides) == 1 for at in won)
        text = f"{guide}: best or tied on {len(won)} of {len(found)} problems"
        text += f" (alone on {alone})" if len(overview.guides) > 1 else ""
        medians = [
            f"{NAMES.get(name, name)} {_plain(inside)} (elsewhere {_plain(outside)})"
            for name in ("dimension", "correlation", "curvature")
            if name in table_of
            for inside, outside in [_medians(table_of[name].to_numpy(dtype=float), won)]
            if not math.isnan(inside) and not math.isnan(outside)
        ]
        texts.append(text + (f"; medians there: {', '.join(medians)}." if medians else "."))
    none = [one.problem.name for one in found if not one.usable]
    if none:
        shown = listed(none) if len(none) <= 6 else f"{', '.join(none[:6])} and {len(none) - 6} more"
        texts.append(f"No guide is usable on {len(none)} of {len(found)} problems: {shown}.")
    return texts


def _medians(values: np.ndarray, won: Sequence[int]) -> tuple[float, float]:
    inside = np.zeros(len(values), bool)
    inside[list(won)] = True
    sides = [values[chosen & ~np.isnan(values)] for chosen in (inside, ~inside)]
    return tuple(float(np.median(side)) if len(side) else math.nan for side in sides)  # type: ignore[return-value]


def _plain(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def winner_table(overview: Overview, found: Sequence[Winner]) -> Table:
    """Return a row per problem: the best guide, those that tie with it, and why."""
    rows: list[list[Cell]] = [
        [
            overview.link(one.problem.name),
            _best(one),
            ", ".join(one.guides[1:]),
            verdict_pill(one.verdict),
            "" if one.value is None else Number(one.value.value, one.value.mcse, digits=2, detail=_by(one)),
        ]
        for one in found
    ]
    caption = (
        "The best guide by verdict first, then by its error (the larger of the largest errors of a mean and of an sd, "
        "in sds of the reference); without a reference by its ELBO. Guides of the same verdict within two Monte Carlo "
        "errors are tied."
    )
    return Table([overview.heading, "best guide", "tied with it", "verdict", "decided by"], rows, caption=caption)


def feature_table(overview: Overview) -> Details | None:
    """Return the features of every problem, folded, or ``None`` where there are none."""
    problems = overview.comparison.problems
    table_of = features(problems)
    names = [name for name in table_of.columns if table_of[name].notna().any()]
    if not names:
        return None
    rows: list[list[Cell]] = []
    for problem in problems:
        values = [float(table_of.loc[problem.name, name]) for name in names]
        source = problem.reference or "the search"
        cells: list[Cell] = [None if math.isnan(value) else Number(value, digits=2) for value in values]
        rows.append([overview.problem(problem.name), *cells, source])
    caption = (
        "Features of the posterior in unconstrained coordinates: from the reference, or, without one, from the "
        "Gaussian that the search before training found, which knows nothing of skewness."
    )
    columns = [overview.heading, *(NAMES.get(name, name) for name in names), "from"]
    return Details("Features of every problem", Block(Table(columns, rows, caption=caption)))


def _best(one: Winner) -> Cell:
    if not one.guides:
        return Pill("none", "muted")
    return one.guides[0] if one.usable else f"{one.guides[0]} (closest; not usable)"


def _by(one: Winner) -> str:
    return "ELBO" if one.by == "elbo" else "error"


def related(overview: Overview) -> list[str | Figure]:
    """Return how the errors of guides go with features, as a heat map and in words."""
    measure, values = ERROR, table(overview.comparison, ERROR)
    if not values.notna().to_numpy().any():
        measure = next(one for one in MAIN if one.name == "elbo_gap")
        values = table(overview.comparison, measure)
    found = associations(values, features(overview.comparison.problems))
    if not found:
        return []
    guides = [guide for guide in overview.guides if any(one.guide == guide for one in found)]
    names = list(dict.fromkeys(one.feature for one in found))
    cell = {(one.guide, one.feature): one for one in found}
    numbers = np.array([[cell[g, n].rho if (g, n) in cell else math.nan for n in names] for g in guides])
    grid = Grid(
        values=numbers,
        texts=[[_text(cell.get((guide, name))) for name in names] for guide in guides],
        rows=guides,
        columns=[NAMES.get(name, name) for name in names],
        label="Spearman's rank correlation",
        norm=Normalize(-1, 1),
        colours="RdBu_r",
    )
    caption = (
        f"Rank correlation of {measure.title[0].lower() if measure is ERROR else measure.title[0]}{measure.title[1:]} "
        f"with features over problems: red means worse where the feature is larger. An asterisk: beyond chance, "
        f"p < {LEVEL:g} after Holm's correction. Features go together, and problems are often relatives: what is "
        "related need not be the cause."
    )
    alt = f"Heat map of rank correlations, {len(guides)} guides by {len(names)} features"
    return [overview.figure("features", draw(grid, row=0.3), alt=alt, caption=caption), told(found, measure.title)]


def _text(one: Association | None) -> str:
    return "" if one is None else f"{one.rho:.2f}{'*' if one.adjusted < LEVEL else ''}"


def told(found: Sequence[Association], title: str) -> str:
    """Return the associations beyond chance in words, or that there are none, or why none could be."""
    tests = found[0].tests
    if not tests:
        return "No test of these correlations: there are too few problems with both numbers."
    surviving = sorted((one for one in found if one.adjusted < LEVEL), key=lambda one: one.adjusted)
    if not surviving:
        most = max(one.problems for one in found)
        least = smallest_p(most, tests)
        hopeless = f" With {most} problems none could (smallest p {least:.2f})." if least >= LEVEL else ""
        return f"None of {tests} correlations is beyond chance after Holm's correction.{hopeless}"
    texts = [
        f"that of {one.guide} {'grows' if one.rho > 0 else 'shrinks'} with the {NAMES.get(one.feature, one.feature)} "
        f"(ρ = {one.rho:.2f}, {one.problems} problems, p {_p(one.adjusted)})"
        for one in surviving[:8]
    ]
    more = f", and {len(surviving) - 8} more" if len(surviving) > 8 else ""
    return f"{title}, beyond chance after Holm's correction for {tests} tests: {'; '.join(texts)}{more}."


def _p(value: float) -> str:
    text = p_value(value) or ""
    return text if text.startswith("<") else f"= {text}"
