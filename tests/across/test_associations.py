"""Errors against features: Spearman's correlation, exact p-values, and no findings in noise."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from guidebench.analysis.problems import associations
from guidebench.analysis.problems.associations import features, smallest_p, spearman
from guidebench.results import ProblemRecord


def test_rho_is_scipys_ties_included() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        x, y = rng.integers(0, 6, size=(2, 15)).astype(float)
        assert spearman(x, y)[0] == pytest.approx(stats.spearmanr(x, y).statistic)


def test_rho_by_hand() -> None:
    # Ranks 1 2 3 4 5 6 and 2 1 4 3 6 5: 1 - 6 * 6 / (6 * 35).
    rho, _ = spearman(np.arange(6.0), np.array([1.0, 0.0, 3.0, 2.0, 5.0, 4.0]))
    assert rho == pytest.approx(1 - 36 / 210)


def test_small_p_values_are_exact() -> None:
    _, p_value = spearman(np.arange(6.0), np.arange(6.0) ** 3)
    assert p_value == pytest.approx(2 / math.factorial(6))  # this order and its reverse, of 720


def test_large_p_values_are_those_of_the_t_distribution() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=30)
    y = 0.4 * x + rng.normal(size=30)
    assert spearman(x, y)[1] == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.01)
    assert spearman(x, y) == spearman(x, y)


def test_few_problems_and_constants() -> None:
    assert math.isnan(spearman(np.arange(5.0), np.arange(5.0))[1])
    assert math.isnan(spearman(np.ones(8), np.arange(8.0))[0])


def test_what_is_related_is_found_and_what_is_not_is_not() -> None:
    rng = np.random.default_rng(4)
    hard = rng.random(25)
    found = pd.DataFrame({"hard": hard, "noise": rng.random(25), "constant": np.ones(25)})
    values = pd.DataFrame({"a": hard + 0.1 * rng.random(25), "b": rng.random(25)})
    values.loc[3, "a"] = math.nan
    made = {(one.guide, one.feature): one for one in associations(values, found)}
    assert set(made) == {("a", "hard"), ("a", "noise"), ("b", "hard"), ("b", "noise")}
    assert made["a", "hard"].rho > 0.8
    assert made["a", "hard"].adjusted == pytest.approx(4 * made["a", "hard"].p_value)
    assert (made["a", "hard"].problems, made["b", "hard"].problems, made["a", "hard"].tests) == (24, 25, 4)
    assert all(one.adjusted > 0.05 for key, one in made.items() if key != ("a", "hard"))


def test_features_are_a_table_with_gaps() -> None:
    table = features([ProblemRecord(name="p", features={"dimension": 2.0, "skewness": 1.0}), ProblemRecord(name="q")])
    assert table.loc["p"].to_dict() == {"dimension": 2.0, "skewness": 1.0}
    assert table.loc["q"].isna().all()
    assert features([]).empty


def test_what_so_few_problems_can_show_at_all() -> None:
    assert smallest_p(6, 30) == pytest.approx(30 * 2 / 720)
    assert smallest_p(25, 30) == pytest.approx(30 / 10_000)
