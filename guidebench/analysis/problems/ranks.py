"""Average ranks of guides over problems, and whether they differ at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import f, rankdata

from guidebench.analysis.problems.pairs import FEWEST, PairedTest, paired_tests
from guidebench.analysis.problems.tables import complete


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Guides by their average rank.

    Attributes
    ----------
    ranks : Series
        Average rank per guide, the best first; 1 would be best on every problem.
    medians : Series
        Median value per guide, in the same order.
    problems : tuple of str
        Those on which all of these guides have a value: only they count.
    left_out : mapping of str to int
        Guides that are not compared because they have too few values, with their number of values.
    dropped : tuple of str
        Problems left out because a guide that is compared has no value there.
    missing : mapping of str to int
        The guides whose gaps left problems out, and how many.
    friedman, freedom : float, (int, int)
        Friedman's statistic corrected for ties, and the degrees of freedom of the F statistic made of it.
    f_statistic, p_value : float
        Iman and Davenport's F, and its p-value; not a number where there is none, and `reason` says why.
    concordance : float
        Kendall's W: 0 where problems do not agree on an order of the guides, 1 where they agree entirely.
    reason : str
        Why there is no test.
    pairs : tuple of PairedTest
        Every pair of guides.
    """

    ranks: pd.Series
    medians: pd.Series
    problems: tuple[str, ...]
    left_out: Mapping[str, int]
    dropped: tuple[str, ...]
    missing: Mapping[str, int]
    friedman: float
    freedom: tuple[int, int]
    f_statistic: float
    p_value: float
    concordance: float
    reason: str
    pairs: tuple[PairedTest, ...]


def rank_rows(values: pd.DataFrame, better: str = "lower") -> pd.DataFrame:
    """Return the rank of each guide within its problem, 1 for the best, ties averaged."""
    signed = values.to_numpy(dtype=float) * (-1.0 if better == "higher" else 1.0)
    ranks = rankdata(signed, axis=1) if signed.size else signed
    return pd.DataFrame(ranks, index=values.index, columns=values.columns)


def friedman(ranks: np.ndarray) -> tuple[float, float]:
    r"""Return Friedman's statistic and Kendall's coefficient of concordance, both corrected for ties.

    For ranks :math:`r_{ij}` of k guides on N problems with averages :math:`\bar r_j`,

    .. math:: \chi^2_F = \frac{12 N}{k (k + 1)}
              \left[\sum_j \bar r_j^2 - \frac{k (k + 1)^2}{4}\right] \Big/ C, \qquad
              C = 1 - \frac{\sum_i \sum_g (t_{ig}^3 - t_{ig})}{N (k^3 - k)}, \qquad
              W = \frac{\chi^2_F}{N (k - 1)}

    with :math:`t_{ig}` the sizes of the groups of ties on problem i.  Neither is a number where all are tied.

    References
    ----------
    Friedman (1937), J. Am. Stat. Assoc. 32(200), doi:10.1080/01621459.1937.10503522;
    Kendall & Babington Smith (1939), Ann. Math. Statist. 10(3), doi:10.1214/aoms/1177732186.
    """
    count, size = ranks.shape
    mean = ranks.mean(axis=0)
    tied = sum(float((sizes**3 - sizes).sum()) for row in ranks for sizes in [np.unique(row, return_counts=True)[1]])
    correction = 1 - tied / (count * (size**3 - size))
    if correction <= 1e-12:
        return math.nan, math.nan
    plain = 12 * count / (size * (size + 1)) * (float((mean**2).sum()) - size * (size + 1) ** 2 / 4)
    statistic = max(plain / correction, 0.0)
    return statistic, statistic / (count * (size - 1))


def iman_davenport(statistic: float, count: int, size: int) -> tuple[float, float]:
    r"""Return the F statistic made of Friedman's, and its p-value.

    .. math:: F = \frac{(N - 1)\, \chi^2_F}{N (k - 1) - \chi^2_F} \sim F_{k - 1,\, (k - 1)(N - 1)}

    It is less conservative than the chi-square approximation.  Where all problems agree F is infinite;
    the p-value is then that of so much agreement by chance, :math:`(k!)^{1 - N}`, below which it never is.

    References
    ----------
    Iman & Davenport (1980), Commun. Stat. Theory Methods 9(6), doi:10.1080/03610928008827904.
    """
    room = count * (size - 1) - statistic
    value = (count - 1) * statistic / room if room > 1e-9 * statistic else math.inf
    p_value = float(f.sf(value, size - 1, (size - 1) * (count - 1)))
    return value, max(p_value, math.exp((1 - count) * math.lgamma(size + 1)))


def ranking(values: pd.DataFrame, better: str = "lower") -> Ranking:
    """Rank guides over the problems on which all that are compared have a value, and test whether they differ.

    Parameters
    ----------
    values : DataFrame
        Problem by guide; a missing value is "not defined".
    better : {"lower", "higher"}
        Which direction is better.

    Raises
    ------
    ValueError
        Where neither direction is better.
    """
    if better not in ("lower", "higher"):
        raise ValueError(f"guides cannot be ranked by a measure of which {better!r} is better")
    found = complete(values)
    kept = found.table
    count, size = kept.shape
    ranks = rank_rows(kept, better)
    statistic, concordance = friedman(ranks.to_numpy()) if count and size > 1 else (math.nan, math.nan)
    reason = _reason(count, size, statistic)
    f_statistic, p_value = (math.nan, math.nan) if reason else iman_davenport(statistic, count, size)
    means = ranks.mean().sort_values(kind="stable") if count else pd.Series(dtype=float)
    return Ranking(
        ranks=means,
        medians=kept.median()[means.index] if count else pd.Series(dtype=float),
        problems=tuple(map(str, kept.index)),
        left_out=found.guides,
        dropped=found.problems,
        missing=found.missing,
        friedman=statistic,
        freedom=(max(size - 1, 0), max((size - 1) * (count - 1), 0)),
        f_statistic=f_statistic,
        p_value=p_value,
        concordance=concordance,
        reason=reason,
        pairs=tuple(paired_tests(kept[list(means.index)], better)) if count else (),
    )


def _reason(count: int, size: int, statistic: float) -> str:
    """Return why there is no test of whether guides differ at all, or nothing."""
    if size < 2:
        return "fewer than two guides have it"
    if count < FEWEST:
        return f"only {count} problem{'' if count == 1 else 's'} on which all have it; a test needs {FEWEST}"
    if size < 3:
        return "two guides are compared by the paired test alone"
    return "all guides are tied on every problem" if math.isnan(statistic) else ""
