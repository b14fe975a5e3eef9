"""From columns to arguments: by name, in number, in range, coded; and one line where a model cannot have them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from guidebench.config.errors import RequestError
from guidebench.request.loading.columns import numbers
from guidebench.request.loading.files import Data, Unusable
from guidebench.request.loading.matching import Matched, match, match_test, parameters_of

TEXT = np.array(["north", "east", "north", "west"], dtype=object)
FLOATS = np.array([1.5, 2, 3, 4])
INTS = np.array([3, 1, 4, 1])


def data(where: str = "--data d.csv", **values: Any) -> Data:
    fixed = {name: np.array(value) if isinstance(value, list) else value for name, value in values.items()}
    return Data(where=where, file="d.csv", values=fixed, rows=4)


def matched(model: Callable[..., Any], given: Data, **options: Any) -> Matched:
    return match(parameters_of(model, "own.py:model"), given, "own.py:model", **options)


def test_columns_become_arguments_by_name() -> None:
    found = matched(lambda x, k, flag, y=None: None, data(y=FLOATS, k=INTS, flag=np.array([True, False] * 2), x=FLOATS))
    assert list(found.values) == ["x", "k", "flag", "y"]
    assert [value.dtype.kind for value in found.values.values()] == ["f", "i", "i", "f"]
    assert found.values["flag"].tolist() == [1, 0, 1, 0]
    assert found.notes == ()


def test_text_is_coded_by_sorted_level_where_the_model_asks_for_it() -> None:
    found = matched(lambda region, n_region: None, data(region=TEXT, name=TEXT))
    assert found.values["region"].tolist() == [1, 0, 1, 2]
    assert found.values["n_region"] == 3
    assert type(found.values["n_region"]) is int
    assert found.levels == {"region": ("east", "north", "west")}
    assert found.notes == (
        "region is coded east = 0, north = 1, west = 2.",
        "Column name is no argument of the model and was left out.",
    )


def test_levels_can_be_counted_without_being_taken() -> None:
    found = matched(lambda n_region: None, data(region=TEXT))
    assert found.values == {"n_region": 3}
    assert found.notes == ("region is coded east = 0, north = 1, west = 2.",)


def test_many_levels_are_told_in_short() -> None:
    found = matched(lambda who: None, data(who=np.array([f"p{i:02d}" for i in range(40)], dtype=object)))
    assert found.notes[0].startswith("who is coded p00 = 0, p01 = 1, ")
    assert found.notes[0].endswith("p10 = 10, …, p39 = 39.")


@pytest.mark.parametrize(
    "names",
    [
        ["X_1", "X_2", "X_3"],
        ["x_1", "x_2", "x_3"],
        ["X_0", "X_1", "X_2"],
        ["X.1", "X.2", "X.3"],
        ["X[0]", "X[1]", "X[2]"],
        ["x1", "x2", "x3"],
        ["X_01", "X_02", "X_03"],
    ],
)
def test_numbered_columns_stand_side_by_side(names: list[str]) -> None:
    columns = dict(zip(names, (INTS, FLOATS, -FLOATS), strict=True))
    reordered = {name: columns[name] for name in (names[2], names[0], names[1])}
    found = matched(lambda X, y: None, data(y=FLOATS, **reordered))  # noqa: N803 - a matrix
    np.testing.assert_array_equal(found.values["X"], np.column_stack([INTS, FLOATS, -FLOATS]))
    assert found.notes == ()


def test_whole_numbers_side_by_side_stay_whole() -> None:
    found = matched(lambda x: None, data(x_1=INTS, x_2=np.array([True] * 4)))
    assert found.values["x"].dtype.kind == "i"


def test_a_numbered_column_that_is_an_argument_is_that_argument() -> None:
    found = matched(lambda x, x_3: None, data(x_1=FLOATS, x_2=FLOATS, x_3=INTS))
    assert found.values["x"].shape == (4, 2)
    assert found.values["x_3"].tolist() == INTS.tolist()


def test_one_column_with_a_number_is_no_matrix() -> None:
    found = matched(lambda y, t=None: None, data(y=FLOATS, t1=FLOATS))
    assert "t" not in found.values


def test_what_else_is_given_wins_and_defaults_are_told() -> None:
    found = matched(lambda x, a, b=2.0, c="c", d=None: None, data(x=FLOATS), static={"a": 1, "d": 3})
    assert list(found.values) == ["x"]
    assert found.notes == ("Left at their defaults: b = 2.0, c = 'c'.",)


def test_further_arguments_are_none() -> None:
    found = matched(lambda x, *args, **kwargs: None, data(x=FLOATS, kwargs=FLOATS))
    assert list(found.values) == ["x"]


def test_scalars_stay_python_values() -> None:
    found = matched(lambda n, s, flag, kind: None, data(n=3, s=0.5, flag=True, kind="probit"))
    assert found.values == {"n": 3, "s": 0.5, "flag": True, "kind": "probit"}


def gap(value: float) -> np.ndarray:
    return np.array([1, value, 3, value])


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (lambda x, y: None, {"x": FLOATS, "z": FLOATS}, " lacks the argument y of own.py:model; its columns are x, z"),
        (lambda a, b: None, {"x": FLOATS}, " lacks the arguments a, b of own.py:model; its columns are x"),
        (lambda height: None, {"hieght": FLOATS}, " lacks the argument height of own.py:model; did you mean 'hieght'"),
        (lambda y: None, {"Y": FLOATS}, " lacks the argument y of own.py:model; did you mean 'Y' for 'y'?"),
        (
            lambda k, n_k: None,
            {"k": INTS},
            " lacks the argument n_k of own.py:model; levels are counted for text alone: set it with --static n_k=",
        ),
        (
            lambda y=None: None,
            {"Y": FLOATS},
            " has 'Y' and no 'y', an argument of own.py:model; rename it, or set the argument with --static y=VALUE",
        ),
        (lambda obs_y=None: None, {"obs.y": FLOATS}, " has 'obs.y' and no 'obs_y', an argument of own.py:model"),
        (lambda weights=None: None, {"wieghts": FLOATS}, " has 'wieghts' and no 'weights', an argument of"),
        (lambda x: None, {"x": gap(np.nan)}, ": argument x has 2 missing values, the first in row 2; leave such rows"),
        (lambda x: None, {"x": gap(-np.inf)}, ": argument x has 2 infinite values, the first in row 2; leave"),
        (lambda x: None, {"x_1": FLOATS, "x_2": gap(np.nan)}, ": argument x: its column x_2 has 2 missing values"),
        (lambda x: None, {"x": np.array(["a", None, "b", "c"], dtype=object)}, ": argument x has 1 missing value in"),
        (lambda x: None, {"x": float("nan")}, ": argument x is missing (NaN)"),
        (
            lambda x: None,
            {"x": np.array([1, 2, 3_000_000_000, 4])},
            ": argument x holds 3000000000 in row 3, beyond 32",
        ),
        (lambda x: None, {"x": 2**31}, ": argument x holds 2147483648, beyond 32-bit integers; rescale it, or compute"),
        (lambda x: None, {"x": 2**70}, ": argument x holds whole numbers beyond 64 bits"),
        (
            lambda x: None,
            {"x": np.array([1e39, 2])},
            ": argument x holds 1e+39 in row 1, beyond 32-bit floats; rescale",
        ),
        (
            lambda x: None,
            {"x": np.array([2**63], np.uint64)},
            ": argument x holds 9223372036854775808 in row 1, beyond",
        ),
        (lambda x: None, {"x": np.zeros((0, 3))}, ": argument x is empty"),
        (lambda x: None, {"x": Unusable("is ragged")}, ": argument x is ragged"),
        (
            lambda y: None,
            {"x": Unusable("is ragged")},
            " lacks the argument y of own.py:model; its columns are x (whic",
        ),
        (
            lambda day: None,
            {"day": np.array(["2024-01-02", "2024-01-03"], dtype=object)},
            ": argument day holds dates ('2024-01-02'); turn them into numbers first",
        ),
        (
            lambda x: None,
            {"x": np.array(["1.5", "2", "about 3"], dtype=object)},
            ": argument x holds numbers, and in row 3 the text 'about 3'; mend it or leave it out",
        ),
        (lambda x: None, {"x": np.array(["1,000", "2"], dtype=object)}, ": argument x holds numbers as text or beyond"),
        (
            lambda X: None,  # noqa: N803 - a matrix
            {"x_1": FLOATS, "x_2": FLOATS, "x_5": FLOATS},
            ": argument X would be the columns numbered 1 to 5 (the last is 'x_5'), but 3, 4 are not there",
        ),
        (lambda x: None, {"x_2": FLOATS, "x_3": FLOATS}, ": argument x would be the columns numbered 1 to 3 (the last"),
        (lambda x: None, {"x_1": FLOATS, "x_2": TEXT}, ": argument x: its column x_2 is text; only numbers can stand"),
        (
            lambda x: None,
            {"x_1": FLOATS, "x_2": INTS[:3]},
            ": argument x: only columns of one length can stand side by",
        ),
    ],
)
def test_what_does_not_fit_is_explained(model: Callable[..., Any], values: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        matched(model, data(**values))
    assert str(caught.value).startswith(f"--data d.csv{message}")


@pytest.mark.parametrize("names", [("x_sd", "x_mean"), ("beta_1", "beta_2"), ("x", "z"), ("scale", "slope")])
def test_another_name_is_no_slip_of_the_pen(names: tuple[str, str]) -> None:
    argument, column = names
    parameters = {argument: inspect.Parameter(argument, inspect.Parameter.KEYWORD_ONLY, default=None)}
    assert match(parameters, data(**{column: FLOATS}), "own.py:model").values == {}


def test_with_64_bits_more_is_in_range() -> None:
    big = np.array([2**40])
    assert numbers(big, "x", wide=True) is big
    assert numbers(1e300, "x", wide=True) == 1e300


def test_a_model_must_have_arguments_by_name() -> None:
    def first(x: Any, /, y: Any) -> None:
        pass

    with pytest.raises(RequestError, match=r"own\.py:first takes x by position only; leave out the '/'"):
        parameters_of(first, "own.py:first")


TRAINED = Matched(
    values={"x": FLOATS, "region": np.array([1, 0, 1, 2]), "n_region": 3, "X": np.zeros((4, 2)), "s": 0.5},
    levels={"region": ("east", "north", "west")},
    counts={"n_region": "region"},
)
ROWS = ("x", "region", "X")


def test_held_out_data_are_coded_as_those_of_training() -> None:
    test = data(
        "--test t.csv", region=np.array(["west", "west"], dtype=object), x=[1, 2], X_1=[1, 2], X_2=[3, 4], z=[5]
    )
    found = match_test(TRAINED, test, ROWS)
    assert found.keys() == {"x", "region", "X"}
    assert found["region"].tolist() == [2, 2]
    assert found["X"].tolist() == [[1, 3], [2, 4]]


TESTED: dict[str, Any] = {"x": [1, 2], "region": TEXT[:2], "X": np.zeros((2, 2))}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"x": None}, " lacks the argument x of the model; its columns are region, X"),
        (
            {"region": np.array(["east", "south", "up"], dtype=object)},
            ": argument region has the level 'south' and 1 more, which the data to train on do not have",
        ),
        ({"region": INTS}, ": argument region is numbers, and text in the data to train on"),
        ({"x": TEXT}, ": argument x is text, and numbers in the data to train on"),
        ({"X": np.zeros((2, 3))}, ": argument X has shape (2, 3), and (4, 2) in the data to train on"),
        ({"X": np.zeros(2)}, ": argument X has shape (2,), and (4, 2) in the data to train on"),
        ({"x": gap(np.nan)}, ": argument x has 2 missing values, the first in row 2"),
    ],
)
def test_held_out_data_that_do_not_fit(values: dict[str, Any], message: str) -> None:
    given = {name: value for name, value in {**TESTED, **values}.items() if value is not None}
    with pytest.raises(RequestError) as caught:
        match_test(TRAINED, data("--test t.csv", **given), ROWS)
    assert str(caught.value).startswith(f"--test t.csv{message}")
