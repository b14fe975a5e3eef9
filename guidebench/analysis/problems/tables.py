"""A measure as a table: a row per problem, a column per guide."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from guidebench.analysis.problems.measures import Measure
from guidebench.contracts import MetricValue
from guidebench.results import Comparison

#: A guide is compared with others where it has the measure on at least this share of the problems that have it at all.
LEAST_SHARE = 0.5


def table(comparison: Comparison, measure: Measure) -> pd.DataFrame:
    """Return the values of a measure, problem by guide; a missing value means "not defined there".

    Infinite values stay: they are the worst there is, not missing.
    """
    return _table(comparison, {key: found.value for key, found in _cells(comparison, measure).items()})


def errors(comparison: Comparison, measure: Measure) -> pd.DataFrame:
    """Return the Monte Carlo standard errors of the same table; missing where none is known."""
    found = _cells(comparison, measure)
    return _table(comparison, {key: np.nan if one.mcse is None else one.mcse for key, one in found.items()})


def _cells(comparison: Comparison, measure: Measure) -> dict[tuple[str, str], MetricValue]:
    cells = {}
    for problem in comparison.problems:
        fits = comparison.of(problem.name)
        for fit in fits:
            found = measure.of(fit, fits)
            if found is not None:
                cells[problem.name, fit.guide] = found
    return cells


def _table(comparison: Comparison, cells: dict[tuple[str, str], float]) -> pd.DataFrame:
    problems = [problem.name for problem in comparison.problems]
    guides = list(dict.fromkeys(fit.guide for fit in comparison.fits))
    values = [[cells.get((problem, guide), np.nan) for guide in guides] for problem in problems]
    return pd.DataFrame(
        np.array(values, dtype=float).reshape(len(problems), len(guides)),
        index=pd.Index(problems, name="problem"),
        columns=pd.Index(guides, name="guide"),
    )


class Complete(NamedTuple):
    """The part of a table without gaps, and what was left out for it.

    Attributes
    ----------
    table : DataFrame
        Guides that are compared, on the problems where all of them have a value.
    guides : mapping of str to int
        Guides left out because they have too few values, and on how many problems they have one.
    problems : tuple of str
        Problems left out because a guide that is compared has no value there, another has.
    missing : mapping of str to int
        For each guide that is compared, on how many problems its gap left others out.
    """

    table: pd.DataFrame
    guides: dict[str, int]
    problems: tuple[str, ...]
    missing: dict[str, int]


def complete(values: pd.DataFrame) -> Complete:
    """Return the part of a table on which guides can be compared pairwise and by rank.

    A guide takes part where it has a value on at least half of the problems on which any guide has one: a
    measure that is not defined for a guide, and a guide that failed nearly everywhere, must not leave
    nothing to compare the others on.
    """
    known = values[values.notna().any(axis=1)]
    counts = known.notna().sum()
    compared = [guide for guide in values.columns if counts[guide] >= max(LEAST_SHARE * len(known), 1)]
    few = {str(guide): int(counts[guide]) for guide in values.columns if guide not in compared}
    candidates = known.loc[known[compared].notna().any(axis=1), compared]
    kept = candidates.dropna()
    gone = candidates.loc[~candidates.index.isin(kept.index)]
    gaps = gone.isna().sum()
    return Complete(
        table=kept,
        guides=few,
        problems=tuple(map(str, gone.index)),
        missing={str(guide): int(gaps[guide]) for guide in compared if gaps[guide]},
    )
