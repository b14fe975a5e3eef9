"""What the data show before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from guidebench.engine.looks.data import not_finite, sizes

X = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
Y = X[:, 0].copy()


def scaled(*factors: float) -> np.ndarray:
    return X * np.float32(factors)


def holed(**values: float) -> np.ndarray:
    found = Y.copy()
    for at, value in enumerate(values.values()):
        found[at] = value
    return found


def test_numbers_that_are_not_finite_are_counted_by_argument() -> None:
    values = {"x": X, "y": holed(a=np.nan, b=np.nan, c=np.inf), "n": 3, "flag": None, "kind": "a"}
    (line,) = not_finite(values, finite=False)
    assert line.startswith("The argument y holds 2 NaN and 1 infinite among 200 numbers.")
    assert "leave these rows out" in line


def test_numbers_that_a_model_masks_do_no_harm() -> None:
    (line,) = not_finite({"y": holed(a=np.nan)}, finite=True)
    assert "so the model masks them" in line


@pytest.mark.parametrize("values", [{"x": X, "y": Y}, {"upper": np.float32(np.inf)}, {"k": np.arange(3)}, {}])
def test_nothing_is_said_of_finite_data_or_a_bound_at_infinity(values: dict[str, Any]) -> None:
    assert list(not_finite(values, finite=True)) == []


def test_columns_of_different_size_are_named() -> None:
    (line,) = sizes({"X": scaled(1, 1e-3, 1e3), "y": Y}, ("y",))
    assert line.startswith("The columns of X differ wildly in size: the sd of column 1 is 0.00")
    assert "that of column 2 is 1e+03" in line or "that of column 2 is 9" in line


def test_a_column_far_from_zero_is_named() -> None:
    (line,) = sizes({"X": X + np.float32([0, 1e5, 0])}, ())
    assert line.startswith("Column 1 of X lies far from zero for the sd: the mean is 1e+05")


def test_observations_far_from_zero_are_named() -> None:
    (line,) = sizes({"X": X, "y": Y + np.float32(1e6)}, ("y",))
    assert line.startswith("The argument y lies far from zero for the sd")
    assert "slope" not in line


NEAR = {
    "sizes that differ a thousandfold": {"X": scaled(1, 1e-1, 1e2)},
    "a column of ones": {"X": np.column_stack([np.ones(200, np.float32), X])},
    "a constant": {"x": np.full(200, 7e5, np.float32)},
    "years": {"x": Y * 5 + 2000},
    "codes": {"group": np.arange(200) + 10**9},
    "a single row": {"X": scaled(1, 1e-3, 1e3)[:1]},
    "columns that are all missing": {"X": X * np.float32([1, np.nan, 1])},
}


@pytest.mark.parametrize("case", NEAR)
def test_nothing_is_said_of_data_that_do_no_harm(case: str) -> None:
    assert list(sizes(NEAR[case], ())) == []


def test_observations_may_differ_in_size() -> None:
    assert list(sizes({"y": scaled(1, 1e-3, 1e3)}, ("y",))) == []
