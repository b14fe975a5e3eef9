"""Wilcoxon's test: exact for small samples, with ties and zeros as they are."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from guidebench.analysis.problems import paired_tests, signed_rank
from guidebench.analysis.problems.pairs import smallest_p
from tests.across.test_ranks import AUC


def brute(differences: np.ndarray) -> float:
    """Return the two-sided p-value from all signs of the differences that are not zero."""
    ranks = stats.rankdata(np.abs(differences))[differences != 0]
    observed = ranks[differences[differences != 0] > 0].sum()
    sums = np.array([np.dot(signs, ranks) for signs in itertools.product([0, 1], repeat=len(ranks))])
    return float(min(1, 2 * min(np.mean(sums <= observed + 1e-9), np.mean(sums >= observed - 1e-9))))


@pytest.mark.parametrize(
    ("count", "p_value"), [(6, 2 / 64), (7, 2 / 128), (8, 2 / 256), (10, 2 / 1024)], ids=lambda value: f"{value:.3g}"
)
def test_differences_of_one_sign_are_as_probable_as_coins(count: int, p_value: float) -> None:
    found = signed_rank(np.arange(1, count + 1))
    assert found.p_value == pytest.approx(p_value)
    assert (found.positive, found.negative) == (count * (count + 1) / 2, 0)


@pytest.mark.parametrize(
    ("count", "limit"),
    # Two-sided critical values at 0.05 of the usual tables (Wilcoxon 1945 and later).
    [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (11, 10), (12, 13), (13, 17), (14, 21), (15, 25), (20, 52), (25, 89)],
)
def test_critical_values_are_those_of_the_tables(count: int, limit: int) -> None:
    def p_value(total: int) -> float:
        """Return the p-value where the negative ranks sum to `total`, taken from the largest ranks down."""
        signs, left = np.ones(count), total
        for rank in range(count, 0, -1):
            if rank <= left:
                signs[rank - 1], left = -1, left - rank
        assert left == 0
        return signed_rank(signs * np.arange(1, count + 1)).p_value

    assert p_value(limit) <= 0.05 < p_value(limit + 1)


@pytest.mark.parametrize("seed", range(6))
def test_without_ties_it_is_scipys_exact_test(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.3, 1, size=11)
    expected = stats.wilcoxon(values, method="exact")
    found = signed_rank(values)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert min(found.positive, found.negative) == expected.statistic


@pytest.mark.parametrize("seed", range(6))
def test_with_ties_and_zeros_it_is_the_count_over_all_signs(seed: int) -> None:
    values = np.random.default_rng(seed).integers(-3, 6, size=11).astype(float)
    assert signed_rank(values).p_value == pytest.approx(brute(values))


def test_the_sums_of_ranks_are_those_of_demsar() -> None:
    # Table 2 of Demšar (2006), C4.5 with and without m: R+ = 93, R- = 12, with half of the ranks of zeros to each.
    differences = np.round(AUC["C4.5+m"] - AUC["C4.5"], 3).to_numpy()
    found = signed_rank(differences)
    assert (found.positive, found.negative) == (93.0, 12.0)
    assert (found.count, found.zeros) == (14, 2)
    assert found.p_value < 0.05  # he rejects at 0.05: 12 is below 21


@pytest.mark.parametrize("count", [0, 1, 5])
def test_fewer_than_six_differences_have_no_p_value(count: int) -> None:
    found = signed_rank([*np.arange(1.0, count + 1), 0.0, 0.0, 0.0])
    assert math.isnan(found.p_value)
    assert found.zeros == 3


def test_a_difference_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="no rank"):
        signed_rank([1.0, math.nan])


def test_it_rejects_a_true_hypothesis_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(3)
    found = np.array([signed_rank(rng.standard_t(2, size=9)).p_value for _ in range(1000)])
    assert np.mean(found <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)


def test_pairs_are_told_from_the_better_side_and_corrected() -> None:
    rng = np.random.default_rng(0)
    good = rng.random(10)
    values = pd.DataFrame({"good": good, "bad": good + 1 + rng.random(10), "same": good})
    found = {(one.first, one.second): one for one in paired_tests(values)}
    first = found["good", "bad"]
    assert (first.wins, first.losses, first.ties, first.pairs) == (10, 0, 0, 2)
    assert first.median < -1
    assert first.ranks.p_value == pytest.approx(2 / 1024)
    assert first.adjusted == pytest.approx(2 * 2 / 1024)
    assert (found["good", "same"].ties, math.isnan(found["good", "same"].adjusted)) == (10, True)
    turned = {(one.first, one.second): one for one in paired_tests(values, "higher")}
    assert (turned["good", "bad"].wins, turned["good", "bad"].losses) == (0, 10)


def test_infinities_lose_and_tie_with_each_other() -> None:
    values = pd.DataFrame({"a": [1.0, math.inf, 2.0], "b": [math.inf, math.inf, 1.0]})
    (found,) = paired_tests(values)
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)


def test_what_so_few_problems_can_show_at_all() -> None:
    assert smallest_p(6, 15) == pytest.approx(15 * 2 / 64)
    assert smallest_p(25, 15) < 1e-6
