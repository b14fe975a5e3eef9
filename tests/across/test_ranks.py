"""Ranks, Friedman's test and Holm's correction against SciPy, hand-worked numbers and Demšar (2006)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from guidebench.analysis.problems import complete, holm, ranking
from guidebench.analysis.problems.ranks import friedman, iman_davenport, rank_rows

#: Table 6 of Demšar (2006): AUC of four variants of C4.5 on fourteen data sets.  Printed with three decimals, two
#: cells of `voting` are equal but ranked 2 and 3; the fourth decimal restores that.
VARIANTS = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]
AUC = pd.DataFrame(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ],
    columns=VARIANTS,
)


def test_the_average_ranks_are_those_of_demsar() -> None:
    means = rank_rows(AUC, "higher").mean()
    assert means.round(3).to_dict() == {"C4.5": 3.143, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}


def test_friedmans_statistic_and_f_are_those_of_demsar() -> None:
    ranks = rank_rows(AUC, "higher").to_numpy()
    statistic, _ = friedman(ranks)
    # The paper does not correct for ties; C = 1 - (60 + 3 * 6) / (14 * 60): four tied in one row, two in three.
    plain = statistic * (1 - (60 + 3 * 6) / (14 * 60))
    assert round(plain, 2) == 9.28
    value, p_value = iman_davenport(plain, 14, 4)
    assert round(value, 2) == 3.69
    assert value > stats.f.isf(0.05, 3, 39)  # the critical value that the paper gives is 2.85
    assert p_value == pytest.approx(stats.f.sf(3.69, 3, 39), rel=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_friedmans_statistic_is_scipys_ties_included(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 5, size=(12, 4)).astype(float)
    found = ranking(pd.DataFrame(values, columns=list("abcd")))
    expected = stats.friedmanchisquare(*values.T)
    assert found.friedman == pytest.approx(expected.statistic)
    assert found.concordance == pytest.approx(expected.statistic / (12 * 3))
    # F and chi-square are two approximations to one distribution.
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.03)


def test_f_rejects_a_true_hypothesis_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    names = list("abcde")
    found = [ranking(pd.DataFrame(rng.normal(size=(10, 5)), columns=names)).p_value for _ in range(400)]
    assert abs(np.mean(np.array(found) < 0.05) - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 400)


def test_entire_agreement_is_as_probable_as_it_is() -> None:
    values = pd.DataFrame(np.tile([1.0, 2.0, 3.0], (6, 1)), columns=list("abc"))
    found = ranking(values)
    assert found.concordance == pytest.approx(1)
    assert math.isinf(found.f_statistic)
    assert found.p_value == pytest.approx(6.0**-5)  # 3! orders, five problems that agree with the first


def test_ranks_by_hand_with_ties_infinities_and_either_direction() -> None:
    values = pd.DataFrame([[1.0, 1.0, 2.0], [3.0, math.inf, math.inf]], columns=list("abc"))
    assert rank_rows(values).to_numpy().tolist() == [[1.5, 1.5, 3.0], [1.0, 2.5, 2.5]]
    assert rank_rows(values, "higher").to_numpy().tolist() == [[2.5, 2.5, 1.0], [3.0, 1.5, 1.5]]


def test_only_problems_that_all_have_count_and_the_rest_is_named() -> None:
    nan = math.nan
    values = pd.DataFrame(
        {
            "a": [1.0, 2.0, 3.0, nan],
            "b": [2.0, nan, 4.0, nan],
            "point": [nan, nan, nan, nan],
            "rare": [1, nan, nan, nan],
        },
        index=["p", "q", "r", "s"],
    )
    found = ranking(values)
    assert found.problems == ("p", "r")
    assert found.left_out == {"point": 0, "rare": 1}
    assert found.dropped == ("q",)  # nobody has a value on s: that is no guide's fault
    assert found.missing == {"b": 1}
    assert found.ranks.to_dict() == {"a": 1.0, "b": 2.0}
    assert complete(values).table.index.tolist() == ["p", "r"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.arange(15.0).reshape(5, 3), "only 5 problems on which all have it; a test needs 6"),
        (np.arange(16.0).reshape(8, 2), "two guides are compared by the paired test alone"),
        (np.arange(8.0).reshape(8, 1), "fewer than two guides have it"),
        (np.ones((8, 3)), "all guides are tied on every problem"),
        (np.full((8, 3), np.nan), "fewer than two guides have it"),
        (np.empty((0, 0)), "fewer than two guides have it"),
    ],
)
def test_where_there_is_no_test_there_is_a_reason(values: np.ndarray, reason: str) -> None:
    found = ranking(pd.DataFrame(values, columns=list("abc")[: values.shape[1]]))
    assert found.reason == reason
    assert math.isnan(found.p_value)


def test_a_measure_without_a_direction_cannot_rank() -> None:
    with pytest.raises(ValueError, match="nominal"):
        ranking(AUC, "nominal")


def test_holm_by_hand() -> None:
    # In order 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04, made monotone.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_counts_only_tests_that_were_made() -> None:
    found = holm([math.nan, 0.02, 0.03])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([0.04, 0.04])
