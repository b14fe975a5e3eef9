"""What makes a problem hard for a guide: its errors against features of the problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from guidebench.analysis.problems.multiplicity import holm
from guidebench.analysis.problems.pairs import FEWEST
from guidebench.results import ProblemRecord

#: Random permutations, and up to how many problems all of them are gone through.
PERMUTATIONS = 9_999
MOST_EXACT = 7

_SEED = 20_060_101


@dataclass(frozen=True, kw_only=True)
class Association:
    """Whether a guide's error goes up or down with a feature of the problems.

    Attributes
    ----------
    guide, feature : str
        What is related.
    rho : float
        Spearman's rank correlation.
    problems : int
        On how many problems both are known.
    p_value, adjusted : float
        Two-sided, and after Holm's correction for all pairs of guide and feature; not a number with fewer than
        six problems.
    tests : int
        How many pairs were tested.
    """

    guide: str
    feature: str
    rho: float
    problems: int
    p_value: float
    adjusted: float
    tests: int


def features(problems: Sequence[ProblemRecord]) -> pd.DataFrame:
    """Return the features, a row per problem; what could not be computed is missing."""
    names = list(dict.fromkeys(name for problem in problems for name in problem.features))
    rows = [[problem.features.get(name, math.nan) for name in names] for problem in problems]
    index = pd.Index([problem.name for problem in problems], name="problem")
    return pd.DataFrame(np.array(rows, dtype=float).reshape(len(problems), len(names)), index=index, columns=names)


def spearman(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    r"""Return Spearman's rank correlation and its two-sided permutation p-value.

    .. math:: \rho = \mathrm{corr}(\mathrm{rank}(x), \mathrm{rank}(y)), \qquad
              p = \frac{1 + \#\{b : |\rho_b| \ge |\rho|\}}{1 + B}

    over B random permutations of one side, always the same ones; with up to seven problems over all of
    them, the given order among them.  The t approximation is poor with so few problems.

    References
    ----------
    Spearman (1904), Am. J. Psychol. 15(1), doi:10.2307/1412159; Phipson & Smyth (2010), Permutation p-values
    should never be zero, Stat. Appl. Genet. Mol. Biol. 9(1), doi:10.2202/1544-6115.1585.
    """
    first, second = (rankdata(values) - (len(values) + 1) / 2 for values in (x, y))
    scale = math.sqrt(float(first @ first) * float(second @ second))
    if scale == 0:
        return math.nan, math.nan
    rho = float(first @ second) / scale
    if len(first) < FEWEST:
        return rho, math.nan
    if len(first) <= MOST_EXACT:
        order = np.array(list(permutations(range(len(first)))))
        return rho, float(np.mean(np.abs(second[order] @ first) / scale >= abs(rho) - 1e-12))
    order = np.random.default_rng(_SEED).permuted(np.tile(np.arange(len(first)), (PERMUTATIONS, 1)), axis=1)
    beyond = np.count_nonzero(np.abs(second[order] @ first) / scale >= abs(rho) - 1e-12)
    return rho, float((1 + beyond) / (1 + PERMUTATIONS))


def associations(values: pd.DataFrame, found: pd.DataFrame) -> list[Association]:
    """Relate the values of every guide to every feature, over the problems where both are known.

    Parameters
    ----------
    values : DataFrame
        Problem by guide.
    found : DataFrame
        Problem by feature (see :func:`features`).

    Notes
    -----
    Features go together (a large model tends to have larger correlations), and problems of one run are often
    relatives: what is related here need not be the cause.
    """
    pairs: list[tuple[str, str, int, float, float]] = []
    for guide in values.columns:
        for feature in found.columns:
            y = values[guide].to_numpy(dtype=float)
            x = found[feature].reindex(values.index).to_numpy(dtype=float)
            known = ~(np.isnan(x) | np.isnan(y))
            if np.count_nonzero(known) < 3:
                continue
            rho, p_value = spearman(x[known], y[known])
            if not math.isnan(rho):
                pairs.append((str(guide), str(feature), int(np.count_nonzero(known)), rho, p_value))
    adjusted = holm([p_value for *_, p_value in pairs])
    tests = sum(not math.isnan(one) for one in adjusted)
    return [
        Association(guide=guide, feature=feature, rho=rho, problems=count, p_value=p_value, adjusted=after, tests=tests)
        for (guide, feature, count, rho, p_value), after in zip(pairs, adjusted, strict=True)
    ]


def smallest_p(count: int, tests: int) -> float:
    """Return the smallest p-value that so many problems can give after correction for so many tests."""
    least = 2 / factorial(count) if count <= MOST_EXACT else 1 / (1 + PERMUTATIONS)
    return min(1.0, max(tests, 1) * least)
