"""Time against accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from guidebench.analysis.problems.measures import Measure, total_seconds
from guidebench.analysis.problems.tables import Complete, complete, table
from guidebench.results import Comparison


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one guide costs and how good it is, over the problems that all compared guides have in common.

    Attributes
    ----------
    guide : str
        The guide.
    seconds, error : (float, float, float)
        Lower quartile, median and upper quartile over problems: of the wall time for compiling, training and scoring,
        and of the measure of accuracy.
    dominated_by : tuple of str
        Guides that are no slower and no worse in these medians, and better in one.
    """

    guide: str
    seconds: tuple[float, float, float]
    error: tuple[float, float, float]
    dominated_by: tuple[str, ...] = ()


class Costs(NamedTuple):
    """The costs of guides, and the problems and guides that they are of."""

    guides: tuple[Cost, ...]
    over: Complete


def cost_points(comparison: Comparison, measure: Measure) -> pd.DataFrame:
    """Return a row per fit that has both: problem, guide, seconds and the measure."""
    rows = []
    for problem in comparison.problems:
        fits = comparison.of(problem.name)
        for fit in fits:
            seconds, found = total_seconds(fit), measure.of(fit, fits)
            if seconds is not None and found is not None:
                rows.append((problem.name, fit.guide, seconds, found.value))
    return pd.DataFrame(rows, columns=["problem", "guide", "seconds", measure.name])


def costs(comparison: Comparison, measure: Measure) -> Costs:
    """Return medians and quartiles per guide of time and of a measure of which lower is better.

    Only problems on which all compared guides have a value count, as in
    :func:`~guidebench.analysis.problems.tables.complete`: a guide that failed on the slow problems would
    otherwise look quick.
    """
    points = cost_points(comparison, measure)
    values = table(comparison, measure)
    seconds = values.copy()
    seconds[:] = np.nan
    for row in points.itertuples(index=False):
        seconds.loc[row.problem, row.guide] = row.seconds
    over = complete(values.where(seconds.notna()))
    found = [
        Cost(
            guide=str(guide),
            seconds=_quartiles(seconds.loc[over.table.index, guide].to_numpy(dtype=float)),
            error=_quartiles(over.table[guide].to_numpy(dtype=float)),
        )
        for guide in (over.table.columns if len(over.table) else ())
    ]
    return Costs(tuple(_judged(one, found) for one in found), over)


def _quartiles(values: np.ndarray) -> tuple[float, float, float]:
    # By order statistics, for a mean of something and infinity is no quartile.
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf")
    if np.isfinite(values).all():
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)


def _judged(one: Cost, others: list[Cost]) -> Cost:
    def better(other: Cost) -> bool:
        quick, good = other.seconds[1] <= one.seconds[1], other.error[1] <= one.error[1]
        return quick and good and (other.seconds[1] < one.seconds[1] or other.error[1] < one.error[1])

    if math.isnan(one.error[1]):
        return one
    names = tuple(other.guide for other in others if better(other))
    return Cost(guide=one.guide, seconds=one.seconds, error=one.error, dominated_by=names)
