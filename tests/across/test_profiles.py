"""Performance profiles by hand, and what a failure is in them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from guidebench.analysis.problems import profile

NAN = math.nan
VALUES = pd.DataFrame(
    {"a": [1.0, 2.0, 4.0, NAN], "b": [2.0, 2.0, 1.0, NAN], "c": [3.0, NAN, 8.0, NAN], "never": [NAN] * 4},
    index=["p", "q", "r", "s"],
)


def test_ratios_by_hand() -> None:
    found = profile(VALUES)
    assert found.ratios.to_dict("list") == {"a": [1, 1, 4], "b": [2, 1, 1], "c": [3, math.inf, 8]}
    assert found.problems == 3  # on s nobody has a value
    assert found.left_out == ("never",)
    assert found.failures == {"c": 1}


def test_the_curve_is_the_share_of_problems_within_a_factor() -> None:
    found = profile(VALUES)
    assert found.at(1).to_dict() == pytest.approx({"a": 2 / 3, "b": 2 / 3, "c": 0})
    assert found.at(3).to_dict() == pytest.approx({"a": 2 / 3, "b": 1, "c": 1 / 3})
    assert found.at(1e9)["c"] == pytest.approx(2 / 3)  # and never one, because of the failure
    x, y = found.steps("a")
    assert (x.tolist(), y.tolist()) == ([1, 4], pytest.approx([2 / 3, 1]))


def test_steps_and_shares_agree() -> None:
    rng = np.random.default_rng(0)
    found = profile(pd.DataFrame(rng.gamma(1, size=(20, 3)), columns=list("abc")))
    for guide in "abc":
        for x, y in zip(*found.steps(guide), strict=True):
            assert found.at(x)[guide] == pytest.approx(y)


def test_differences_for_what_is_zero_at_its_best() -> None:
    found = profile(VALUES - 1, kind="difference")
    assert found.ratios["b"].tolist() == [1, 0, 0]
    assert found.ratios["c"].tolist() == [2, math.inf, 7]


def test_what_is_below_its_noise_is_not_twice_as_good() -> None:
    values = pd.DataFrame({"a": [0.001], "b": [0.004], "c": [0.1]})
    noise = pd.DataFrame({"a": [0.01], "b": [0.01], "c": [NAN]})
    assert profile(values, noise).ratios.iloc[0].tolist() == pytest.approx([1, 1, 10])


def test_zeros_and_infinities() -> None:
    values = pd.DataFrame({"a": [0.0, math.inf], "b": [0.0, math.inf], "c": [1.0, 2.0]})
    found = profile(values)
    assert found.ratios.iloc[0].tolist() == [1, 1, math.inf]
    assert found.ratios.iloc[1].tolist() == [math.inf, math.inf, 1]
    assert found.failures == {}


def test_negative_values_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        profile(pd.DataFrame({"a": [-1.0]}))


def test_nothing_is_an_empty_profile() -> None:
    assert profile(pd.DataFrame(index=["p"], columns=["a"], dtype=float)).problems == 0
