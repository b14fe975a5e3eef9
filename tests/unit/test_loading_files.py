"""Reading data: every kind of file gives the same arrays, and what is wrong with one is said in a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from guidebench.config.errors import RequestError
from guidebench.request.loading.files import Unusable, read_data
from guidebench.results import inference_data as idata

ROWS = 7
COLUMNS: dict[str, np.ndarray] = {
    "count": np.array([3, 1, 4, 1, 5, 9, -2]),
    "size": np.array([0.1, -2.5, 3e-7, 4.0, 1e10, 1 / 3, -0.0]),
    "flag": np.array([True, False, True, True, False, False, True]),
    "region": np.array(["north", "south, or so", "east", "east", "north", "é", "x y"], dtype=object),
}


def write(folder: Path, kind: str, values: dict[str, np.ndarray]) -> str:
    file = folder / f"data.{kind}"
    fixed = {name: value.astype(str) if value.dtype == object else value for name, value in values.items()}
    if kind == "csv":
        import pandas as pd

        pd.DataFrame(values).to_csv(file, index=False)
    elif kind == "npz":
        np.savez(file, **fixed)  # type: ignore[arg-type]
    elif kind == "json":
        file.write_text(json.dumps({name: value.tolist() for name, value in values.items()}), encoding="utf-8")
    else:
        dims = {name: ([f"{name}_{axis}" for axis in range(value.ndim)], value) for name, value in values.items()}
        xr.Dataset(dims).to_netcdf(file, engine="h5netcdf")
    return str(file)


@pytest.mark.parametrize("kind", ["csv", "npz", "json", "nc"])
def test_what_was_written_is_what_is_read(tmp_path: Path, kind: str) -> None:
    data = read_data(write(tmp_path, kind, COLUMNS))
    assert list(data.values) == list(COLUMNS)
    assert data.rows == (ROWS if kind == "csv" else None)
    for name, expected in COLUMNS.items():
        found = data.values[name]
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["npz", "json", "nc"])
def test_arrays_have_any_number_of_axes(tmp_path: Path, kind: str) -> None:
    values = {
        "cube": np.arange(24.0).reshape(2, 3, 4),
        "words": np.array([["a", "b"], ["c", "a"]], dtype=object),
        "whole": np.array(3),
        "part": np.array(0.5),
        "yes": np.array(True),
    }
    data = read_data(write(tmp_path, kind, values))
    np.testing.assert_array_equal(data.values["cube"], values["cube"])
    np.testing.assert_array_equal(data.values["words"], values["words"])
    scalars = [data.values[name] for name in ("whole", "part", "yes")]
    assert scalars == [3, 0.5, True]
    assert [type(value) for value in scalars] == [int, float, bool]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n3,4\n", {"a": [1, 3], "b": [2, 4]}),
        ("\ufeffa , b\n1, 2\n3, 4\n", {"a": [1, 3], "b": [2, 4]}),
        (",a\n0,5\n1,6\n", {"a": [5, 6]}),
        ("a\n1\n\n2\n", {"a": [1, 2]}),
        ("x.1,x\n1,2\n", {"x.1": [1], "x": [2]}),
        ('a\n"1"\n"2"\n', {"a": [1, 2]}),
    ],
)
def test_csv_as_others_write_it(tmp_path: Path, text: str, expected: dict[str, list[int]]) -> None:
    file = tmp_path / "data.csv"
    file.write_text(text, encoding="utf-8")
    assert {name: value.tolist() for name, value in read_data(str(file)).values.items()} == expected


def test_inference_data_gives_its_observed_and_constant_data(tmp_path: Path) -> None:
    groups = {
        "posterior": xr.Dataset({"w": (("chain", "draw"), np.zeros((1, 3)))}),
        "observed_data": xr.Dataset({"y": ("row", [1.0, 2.0])}, coords={"row": [7, 8]}),
        "constant_data": xr.Dataset({"x": ("row", [3.0, 4.0]), "n": ((), 2)}, coords={"row": [7, 8]}),
    }
    file = tmp_path / "data.nc"
    idata.save(idata.from_groups(groups), file)
    data = read_data(str(file))
    assert set(data.values) == {"y", "x", "n", "row"}
    assert data.index == {"row"}
    assert data.values["n"] == 2
    np.testing.assert_array_equal(data.values["x"], [3, 4])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"x": [1, null, 3]}', [1, None, 3]),
        ('{"x": [1, NaN, 3]}', [1, None, 3]),
        ('{"x": [[1, 2], [3, null]]}', [[1, 2], [3, None]]),
        ('{"x": [true, null]}', [1, None]),
    ],
)
def test_gaps_are_nan(tmp_path: Path, text: str, values: list[Any]) -> None:
    file = tmp_path / "data.json"
    file.write_text(text)
    np.testing.assert_array_equal(read_data(str(file)).values["x"], np.array(values, dtype=float))


def test_gaps_in_text_are_none(tmp_path: Path) -> None:
    for name, text in (("data.json", '{"x": ["a", null]}'), ("data.csv", "x,y\na,1\n,2\n")):
        (tmp_path / name).write_text(text)
        assert read_data(str(tmp_path / name)).values["x"].tolist() == ["a", None]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('{"a": 1}', "is an object of its own"),
        ('[{"a": 1}]', "holds objects"),
        ("[[1, 2], [3]]", "is ragged"),
        ("[[1, 2], 3]", "is ragged"),
        ('[1, "a"]', "mixes text with numbers"),
        ("[100000000000000000000000000]", "holds whole numbers beyond 64 bits"),
    ],
)
def test_what_no_model_can_use_has_a_reason(tmp_path: Path, value: str, reason: str) -> None:
    file = tmp_path / "data.json"
    file.write_text(f'{{"x": {value}, "y": [1]}}')
    found = read_data(str(file)).values["x"]
    assert isinstance(found, Unusable)
    assert found.reason.startswith(reason)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    file = tmp_path / "data.npz"
    np.savez(file, x=np.array([{}], dtype=object), y=np.zeros(2))
    data = read_data(str(file))
    assert data.values["x"] == Unusable("holds Python objects, and nothing is unpickled")
    assert data.values["y"].shape == (2,)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.txt", "x\n1", ": should be a file that ends in .csv, .npz, .json, .nc"),
        ("d", "x\n1", ": should be a file that ends in .csv, .npz, .json, .nc"),
        ("no.csv", None, ": there is no such file"),
        ("d.csv", "", " is empty"),
        ("d.csv", "x,y\n", " has a header and no rows"),
        ("d.csv", "x,y,x\n1,2,3\n", ": the name 'x' is there 2 times"),
        ("d.csv", "x,y\n1,2,3\n", ": its rows have more fields than its header has names"),
        ("d.csv", "x,y\n1,2\n1,2,3\n", " cannot be read: Error tokenizing data. C error: Expected 2 fields in line 3"),
        ("d.csv", "x;y\n1;2\n", ": its only column is 'x;y'; are its fields separated by commas?"),
        ("d.csv", "1,2\n3,4\n", ": the first row should hold the names of the columns, not numbers"),
        ("d.csv", b"x\n\xff\n", " cannot be read: it is not UTF-8 text"),
        ("d.npz", "words", " cannot be read: it is no archive of np.savez"),
        ("d.json", "", " is empty"),
        ("d.json", "{}", " is empty"),
        ("d.json", "[1, 2]", ": it holds a list; expected is an object of arrays by name"),
        ("d.json", "3", ": it holds a int; expected is an object of arrays by name"),
        ("d.json", '{"x": [1,', " cannot be read: Expecting value"),
        ("d.json", '{"x": 1, "x": 2}', ": the name 'x' is there twice"),
        ("d.json", b'{"\xff": 1}', " cannot be read: it is not UTF-8 text"),
        ("d.nc", "words", " cannot be read: "),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, content: str | bytes | None, message: str) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(RequestError) as caught:
        read_data(str(file), "test")
    assert str(caught.value).startswith(f"--test {file}{message}")
    assert "\n" not in str(caught.value)


def test_netcdf_without_data(tmp_path: Path) -> None:
    file = tmp_path / "data.nc"
    idata.save(idata.from_groups({"posterior": xr.Dataset({"w": (("chain", "draw"), np.zeros((1, 3)))})}), file)
    with pytest.raises(RequestError, match=r"it has the group\(s\) posterior; expected are observed_data and constant"):
        read_data(str(file))
