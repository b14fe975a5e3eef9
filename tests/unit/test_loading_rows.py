"""Splitting rows: a partition, alike in all arrays, decided by the seed and the purpose alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from guidebench.config.errors import RequestError
from guidebench.request.loading.rows import row_arguments, split_rows

VALUES: dict[str, Any] = {"x": np.arange(50), "X": np.arange(100.0).reshape(50, 2), "n": 50, "knots": np.zeros(9)}


@pytest.mark.parametrize("share", [0.01, 0.1, 0.2, 0.5, 0.77, 0.999])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_split_is_a_partition(share: float, seed: int) -> None:
    rest, part = split_rows(VALUES, ("x", "X"), share, seed, "heldout")
    assert set(rest) == set(part) == {"x", "X"}
    assert len(part["x"]) == min(max(round(share * 50), 1), 49)
    assert sorted([*rest["x"], *part["x"]]) == list(range(50))
    for half in (rest, part):
        assert np.all(np.diff(half["x"]) > 0)
        np.testing.assert_array_equal(half["X"][:, 0], 2.0 * half["x"])


def test_it_depends_on_the_seed_and_the_purpose_and_on_nothing_else() -> None:
    def chosen(names: tuple[str, ...], seed: int, purpose: Any) -> list[int]:
        return list(split_rows(VALUES, names, 0.2, seed, purpose)[1]["x"])

    first = chosen(("x", "X"), 0, "heldout")
    assert chosen(("X", "x"), 0, "heldout") == first
    assert chosen(("x",), 0, ("heldout",)) == first
    assert chosen(("x", "X"), 1, "heldout") != first
    assert chosen(("x", "X"), 0, "validation") != first
    assert chosen(("x", "X"), 0, ("heldout", "mine")) != first


def test_two_rows_are_the_least() -> None:
    rest, part = split_rows({"x": [1, 2]}, ("x",), 0.9, 0, "heldout")
    assert sorted([*rest["x"], *part["x"]]) == [1, 2]
    with pytest.raises(RequestError, match="1 row cannot be split in two"):
        split_rows({"x": [1]}, ("x",), 0.5, 0, "heldout")


def test_arrays_of_different_lengths_have_no_rows_in_common() -> None:
    with pytest.raises(RequestError, match="only where all arguments have as many: x 50, knots 9"):
        split_rows(VALUES, ("x", "knots"), 0.5, 0, "heldout")


def test_row_arguments_are_arrays_of_that_length() -> None:
    assert row_arguments({**VALUES, "name": "x" * 50, "none": None}, 50) == ("x", "X")
