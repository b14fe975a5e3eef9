"""Data of any kind: each file becomes the arguments of a model, or one line says why not."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from guidebench.config import make_config
from guidebench.plugins.registry import load_registry
from guidebench.request.selection import choose_problems
from tests.fuzz.conftest import one_line

MODEL = """
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

def line(x, y=None, group=None, n_group=1, scale=1.0):
    w = numpyro.sample("w", dist.Normal(0, scale))
    with numpyro.plate("groups", n_group):
        numpyro.sample("a", dist.Normal(0, 1))
    mean = w * x
    mean = mean.sum(-1) if jnp.ndim(mean) > 1 else mean
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(mean, 1), obs=y)
"""

#: What a column or an array may be called: those of the model, numbered ones, and whatever there is.
NAMES = st.sampled_from(
    (
        "x",
        "y",
        "group",
        "n_group",
        "scale",
        "x_1",
        "x_2",
        "x.0",
        "x[1]",
        "X",
        "x_999999999999",
        "y ",
        "",
        "\u202ey",
        "=y",
    )
) | st.text(max_size=6)

NUMBERS = st.floats(width=64) | st.integers() | st.booleans() | st.none()
CELLS = (
    NUMBERS.map(str)
    | st.sampled_from(("", "NA", "1e400", "1_0", '"', "'", "2020-01-01", "1,5", "=1"))
    | st.text(max_size=4)
)

#: Bits that are others, by where they are (as a share of the file), and a length.
DAMAGE = st.tuples(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=4),
    st.floats(0.2, 1) | st.just(1.0),
)


def damaged(content: bytes, damage: tuple[list[tuple[float, int]], float]) -> bytes:
    """Return bytes with some that are others, and cut short."""
    found = bytearray(content)
    for place, bits in damage[0]:
        if found:
            found[int(place * len(found))] ^= bits
    return bytes(found[: round(damage[1] * len(found))])


@pytest.fixture(scope="module")
def read(here: Path) -> Callable[[str, bytes], str]:
    """Give bytes to the model as a file of data, as a run does; return what is said of it."""
    (here / "own.py").write_text(MODEL)
    registry = load_registry(third_parties=False)

    def given(name: str, content: bytes) -> str:
        (here / name).write_bytes(content)
        config = make_config({"problems": ("own.py:line",), "data": name})
        try:
            said = one_line(lambda: choose_problems(registry, config.problems, config))
        finally:
            (here / name).unlink()
        assert [file.name for file in here.iterdir()] == ["own.py"]
        return said

    return given


Reader = Callable[[str, bytes], str]


def rows(width: int) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=5)


TABLES = st.lists(NAMES, min_size=1, max_size=4).flatmap(lambda names: rows(len(names)).map(lambda one: [names, *one]))


@given(
    text=TABLES.map(lambda table: "\n".join(",".join(row) for row in table)) | st.text(max_size=60),
    coding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "latin-1")),
    damage=DAMAGE,
)
def test_any_csv(read: Reader, text: str, coding: str, damage: Any) -> None:
    read("data.csv", damaged(text.encode(coding, "replace"), damage))


@st.composite
def tidy(draw: st.DrawFn) -> str:
    """Return a table that is nearly right: the columns of the model, numbers in most cells."""
    names = draw(st.permutations(("x", "y", *draw(st.lists(NAMES, max_size=2)))))
    cells = st.floats(-1e3, 1e3).map(str) | st.floats(-1e3, 1e3).map(str) | CELLS
    table = draw(st.lists(st.lists(cells, min_size=len(names), max_size=len(names)), min_size=1, max_size=5))
    return "\n".join(",".join(row) for row in [names, *table])


@given(text=tidy())
def test_nearly_any_csv(read: Reader, text: str) -> None:
    read("data.csv", text.encode("utf-8", "replace"))


SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
TYPES = (
    arrays.scalar_dtypes()
    | arrays.unicode_string_dtypes(max_len=3)
    | arrays.byte_string_dtypes(max_len=3)
    | arrays.complex_number_dtypes()
    | arrays.array_dtypes()
    | st.just(np.dtype("longdouble"))
    | st.just(np.dtype(">f8"))
)
ARRAYS = arrays.arrays(TYPES, SHAPES)


def packed(values: dict[str, Any], *, squeezed: bool) -> bytes:
    file = io.BytesIO()
    named = {name.replace("\0", "-").encode("utf-8", "replace").decode(): one for name, one in values.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats that older versions of NumPy do not read
        (np.savez_compressed if squeezed else np.savez)(file, **{k: one for k, one in named.items() if k != "file"})
    return file.getvalue()


@given(values=st.dictionaries(NAMES, ARRAYS, max_size=4), squeezed=st.booleans(), damage=DAMAGE)
def test_any_npz(read: Reader, values: dict[str, Any], squeezed: bool, damage: Any) -> None:
    read("data.npz", damaged(packed(values, squeezed=squeezed), damage))


FLAT = arrays.arrays(TYPES, st.just((3,)))


@given(x=FLAT | ARRAYS, y=FLAT | ARRAYS, more=st.dictionaries(NAMES, ARRAYS, max_size=2))
def test_nearly_any_npz(read: Reader, x: Any, y: Any, more: dict[str, Any]) -> None:
    read("data.npz", packed({**more, "x": x, "y": y}, squeezed=False))


LEAVES = NUMBERS | st.text(max_size=4) | st.just(10**400)
VALUES = st.recursive(
    LEAVES, lambda one: st.lists(one, max_size=4) | st.dictionaries(NAMES, one, max_size=3), max_leaves=12
)


@given(text=(st.dictionaries(NAMES, VALUES, max_size=4) | VALUES).map(json.dumps) | st.text(max_size=40), damage=DAMAGE)
def test_any_json(read: Reader, text: str, damage: Any) -> None:
    read("data.json", damaged(text.encode("utf-8", "surrogatepass"), damage))


@given(x=st.lists(LEAVES, min_size=1, max_size=4), y=st.lists(LEAVES, min_size=1, max_size=4), more=VALUES)
def test_nearly_any_json(read: Reader, x: list[Any], y: list[Any], more: Any) -> None:
    read("data.json", json.dumps({"x": x, "y": y, "scale": more}).encode())


#: What NetCDF knows of.
STORED = st.sampled_from(("f4", "f8", "i1", "i4", "i8", "u2", "U2", ">f8")).map(np.dtype)


@st.composite
def stored(draw: st.DrawFn) -> bytes:
    names = draw(st.lists(NAMES.filter(lambda name: name.isalnum() and name.isascii()), max_size=3, unique=True))
    values = {}
    for name in names:
        array = draw(arrays.arrays(STORED, arrays.array_shapes(max_dims=2, max_side=4)))
        if array.dtype.kind == "U":
            array = np.vectorize(lambda one: one.encode("ascii", "replace").decode().replace("\0", "-"))(array)
        values[name] = ([f"{name}_dim_{at}" for at in range(array.ndim)], array)
    group = draw(st.sampled_from((None, "observed_data", "posterior")))
    return bytes(xr.Dataset(values).to_netcdf(engine="h5netcdf", group=group))


@given(content=stored(), damage=DAMAGE)
def test_any_netcdf(read: Reader, content: bytes, damage: Any) -> None:
    read("data.nc", damaged(content, damage))


@given(content=st.binary(max_size=200), ending=st.sampled_from((".csv", ".npz", ".json", ".nc")))
def test_any_bytes(read: Reader, content: bytes, ending: str) -> None:
    read(f"data{ending}", content)
