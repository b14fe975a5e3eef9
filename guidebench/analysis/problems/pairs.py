"""Two guides over several problems: Wilcoxon's signed-rank test, exact, and corrected for the number of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from guidebench.analysis.problems.multiplicity import holm

#: Problems with a difference below which there is no p-value: of five, the smallest is 2 / 2^5 = 0.0625.
FEWEST = 6


@dataclass(frozen=True, kw_only=True)
class SignedRanks:
    """The sums of the ranks of positive and of negative differences, and how surprising they are.

    Attributes
    ----------
    positive, negative : float
        Sums of ranks; a difference of zero gives half of its rank to each.
    count, zeros : int
        Number of differences, and of those that are zero.
    p_value : float
        Two-sided; not a number where fewer than six differences are not zero.
    """

    positive: float
    negative: float
    count: int
    zeros: int
    p_value: float


def signed_rank(differences: Sequence[float] | np.ndarray) -> SignedRanks:
    r"""Return Wilcoxon's signed-rank statistics and their exact two-sided p-value.

    With :math:`r_i` the rank of :math:`|d_i|` among all, ties averaged and zeros ranked along (Pratt),

    .. math:: R^+ = \sum_{d_i > 0} r_i + \tfrac12 \sum_{d_i = 0} r_i, \qquad
              R^- = \sum_{d_i < 0} r_i + \tfrac12 \sum_{d_i = 0} r_i

    Under the hypothesis that each difference is as likely to be positive as negative, the n of them that
    are not zero have independent signs.  The distribution of :math:`R^+` over all :math:`2^n` signs is
    counted, given the ranks as they are, so ties and zeros need no approximation:

    .. math:: p = \min\{1,\; 2 \min[\Pr(R^+ \le r^+), \Pr(R^+ \ge r^+)]\}

    References
    ----------
    Wilcoxon (1945), Biometrics Bulletin 1(6), doi:10.2307/3001968; Pratt (1959), J. Am. Stat. Assoc. 54(287),
    doi:10.1080/01621459.1959.10501526; with half of the ranks of zeros to each side, Demšar (2006), JMLR 7:1-30.
    """
    values = np.asarray(differences, dtype=float)
    if np.isnan(values).any():
        raise ValueError("a difference that is not a number has no rank")
    ranks = rankdata(np.abs(values))
    zeros = values == 0
    half = float(ranks[zeros].sum()) / 2
    positive, negative = float(ranks[values > 0].sum()), float(ranks[values < 0].sum())
    count = int(np.count_nonzero(~zeros))
    return SignedRanks(
        positive=positive + half,
        negative=negative + half,
        count=len(values),
        zeros=len(values) - count,
        p_value=_exact(ranks[~zeros], positive) if count >= FEWEST else float("nan"),
    )


def _exact(ranks: np.ndarray, positive: float) -> float:
    """Return the two-sided p-value of a sum of positive ranks over all signs; ranks are multiples of a half."""
    doubled = np.round(2 * ranks).astype(int)
    share = np.zeros(doubled.sum() + 1)
    share[0] = 1.0
    for rank in doubled:  # half of the sign patterns have this rank on the positive side
        shifted = np.concatenate([np.zeros(rank), share[: len(share) - rank]])
        share = (share + shifted) / 2
    at = round(2 * positive)
    return float(min(1.0, 2 * min(share[: at + 1].sum(), share[at:].sum())))


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Two guides over the problems that both have a value on.

    Attributes
    ----------
    first, second : str
        The guides.
    wins, losses, ties : int
        Problems on which the first is better, worse, and exactly the same.
    median : float
        Median over problems of the first's value minus the second's; not a number where both are infinite.
    ranks : SignedRanks
        Of the differences, positive where the first is better.
    adjusted : float
        The p-value after Holm's correction for all pairs that were tested; not a number where there is none.
    pairs : int
        How many were.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    median: float
    ranks: SignedRanks
    adjusted: float
    pairs: int


def paired_tests(values: pd.DataFrame, better: str = "lower") -> list[PairedTest]:
    """Compare every pair of guides by :func:`signed_rank`.

    The p-values are corrected by :func:`~guidebench.analysis.problems.multiplicity.holm`.

    Parameters
    ----------
    values : DataFrame
        Problem by guide, without gaps (see :func:`~guidebench.analysis.problems.tables.complete`), so that
        every pair is compared on the same problems.
    better : {"lower", "higher"}
        Which direction is better.

    Notes
    -----
    Mean ranks are not compared with one another (Nemenyi's test): whether two guides then differ depends on
    which others took part (Benavoli, Corani & Mangili 2016, JMLR 17(5)).
    """
    sign = 1.0 if better == "higher" else -1.0
    found = []
    for first, second in combinations(values.columns, 2):
        one, other = (values[name].to_numpy(dtype=float) for name in (first, second))
        gains = np.zeros(len(one))
        differ = one != other  # the difference of two infinities is no number, and they are the same
        gains[differ] = sign * (one[differ] - other[differ])
        raw = sign * gains
        found.append((str(first), str(second), gains, float(np.median(raw)) if len(raw) else float("nan")))
    ranks = [signed_rank(gains) for _, _, gains, _ in found]
    adjusted = holm([one.p_value for one in ranks])
    tested = sum(not np.isnan(one) for one in adjusted)
    return [
        PairedTest(
            first=first,
            second=second,
            wins=int(np.count_nonzero(gains > 0)),
            losses=int(np.count_nonzero(gains < 0)),
            ties=int(np.count_nonzero(gains == 0)),
            median=median,
            ranks=rank,
            adjusted=p_value,
            pairs=tested,
        )
        for (first, second, gains, median), rank, p_value in zip(found, ranks, adjusted, strict=True)
    ]


def smallest_p(problems: int, pairs: int) -> float:
    """Return the smallest p-value that so many problems can give after correction for so many pairs."""
    return min(1.0, max(pairs, 1) * 2.0 ** (1 - problems))
