"""Data that are odd simply work, and data that are absurd are one line at once, before they take memory or time."""

from __future__ import annotations

import io
import json
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5netcdf
import numpy as np
import pytest

from guidebench.config import make_config
from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.engine import references
from guidebench.engine.lost import TaskLostError
from guidebench.inference import optimizers
from guidebench.plugins.isolation.time_limit import TimeLimit
from guidebench.request.loading import columns, files, matching
from guidebench.request.loading.files import Data, Unusable, read_data

NUMBERS = [1.5, -2.0, 3.25]


@pytest.mark.parametrize("kind", [">f8", "<f8", ">f4", ">i4", ">u2", np.longdouble, np.float16, bool, np.int8])
def test_numbers_in_any_order_of_bytes_and_any_width_are_the_same_numbers(tmp_path: Path, kind: Any) -> None:
    expected = np.array(NUMBERS).astype(kind)
    np.savez(tmp_path / "x.npz", x=expected)
    found = read_data(str(tmp_path / "x.npz")).values["x"]
    assert found.dtype.isnative
    assert found.dtype.itemsize <= 8
    np.testing.assert_array_equal(found, expected.astype(found.dtype))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int8, np.uint8, np.int32])
def test_numbers_that_are_narrower_than_those_of_jax_are_in_range(kind: Any) -> None:
    assert columns.numbers(np.array([1, 2, 3], dtype=kind), "x").dtype == kind


def member(name: str, content: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def npy(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(24)


def encrypted() -> bytes:
    content = bytearray(member("x.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}")))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + at] |= 1
    return bytes(content)


def oddly_packed() -> bytes:
    content = bytearray(member("x.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}")))
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(mark) + at] = 97
    return bytes(content)


def boasting(shape: str = "(1000000000000,)") -> bytes:
    return member("x.npy", npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (encrypted(), "encrypted|password"),
        (oddly_packed(), "compression"),
        (boasting(), r"the array x claims 8,000,000,000,000 bytes and has 152 with its header"),
        (boasting("(2**62, 8)"), "cannot be read"),
        (boasting("(10, -1)"), "cannot be read"),
        (member("x.npy", b""), "cannot be read"),
        (b"PK\x05\x06" + bytes(18), "is empty"),
        (b"PK\x03\x04" + bytes(99), "cannot be read"),
    ],
)
def test_a_hostile_archive_is_one_line_at_once(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    began = time.perf_counter()
    with pytest.raises(RequestError, match=said) as refused:
        read_data(str(tmp_path / "x.npz"))
    assert "\n" not in str(refused.value)
    assert time.perf_counter() - began < 5


def test_an_archive_beyond_the_memory_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(100_000))
    monkeypatch.setattr(files, "memory", lambda: 700_000)
    with pytest.raises(RequestError, match=r"x\.npy would take 0 GB of memory"):
        read_data(str(tmp_path / "x.npz"))


def test_a_variable_that_was_never_written_takes_no_memory(tmp_path: Path) -> None:
    """HDF5 makes a file of a few kilobytes say that it has 10^14 numbers."""
    with h5netcdf.File(tmp_path / "x.nc", "w") as file:
        file.dimensions = {"a": 10**7, "b": 10**7}
        file.create_variable("x", ("a", "b"), "f8", chunks=(1000, 1000))
    with pytest.raises(RequestError, match=r"its variables would take 800,000 GB of memory"):
        read_data(str(tmp_path / "x.nc"))


def nested(depth: int) -> str:
    return json.dumps({"x": 0}).replace("0", "[" * depth + "1" + "]" * depth)


@pytest.mark.parametrize("depth", [33, 65, 400])
def test_deep_lists_are_no_arrays(tmp_path: Path, depth: int) -> None:
    (tmp_path / "x.json").write_text(nested(depth))
    assert read_data(str(tmp_path / "x.json")).values["x"] == Unusable("is nested more than 32 deep")


@pytest.mark.parametrize("text", [nested(100_000), '{"x": ' + "1" * 5000 + "}", '{"x": 1e999999}', '{"x": NaN}'])
def test_json_beyond_all_bounds_is_read_or_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    try:
        assert set(read_data(str(tmp_path / "x.json")).values) == {"x"}
    except RequestError as error:
        said = str(error)
    else:
        said = "cannot be read"
    assert "cannot be read" in said


@pytest.mark.parametrize("last", ["1000000000", "9" * 18, "9" * 5000])
def test_the_number_of_a_column_is_not_counted_up_to(last: str) -> None:
    data = Data(where="data.csv", file="data.csv", values={"x_1": NUMBERS, f"x_{last}": NUMBERS}, rows=3)
    began = time.perf_counter()
    call: Callable[[], object] = lambda: matching._columns_of("x", data, ())  # noqa: E731
    if len(last) > 18:
        assert call() == ("x_1",)
    else:
        with pytest.raises(RequestError, match=rf"numbered 1 to {last} .*2, 3, .* and \d+ more are not there"):
            call()
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("text", ["seed = " + "1" * 5000, "a = " + "[" * 100_000, "\0", "seed = 1\nseed = 2"])
def test_a_hostile_configuration_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(RequestError, match=r"c\.toml: not readable as TOML"):
        make_config({}, tmp_path / "c.toml")


@pytest.mark.parametrize("budget", ["1" + "0" * 400, "1" + "0" * 400 + "s", "9" * 5000, 10**400])
def test_a_budget_that_no_float_holds_is_refused(budget: Any) -> None:
    with pytest.raises(RequestError, match=r"should be a whole number of gradients"):
        make_config({"budget": budget})


def test_results_that_were_changed_are_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"digest": "0", "config": {"seed": 1}}')
    with pytest.raises(RequestError, match=r"does not hold what was written into it"):
        make_config({}, tmp_path)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("adam:b1=2", "b1 is a share that a step keeps, from 0 to below 1, not 2"),
        ("adam:b2=1.0", "b2 is a share"),
        ("sgd:momentum=-0.1", "momentum is a share"),
        ("rmsprop:decay=1.5", "decay is a share"),
        ("adam:eps=-1.0", "eps is added to what is divided by"),
    ],
)
def test_an_optimiser_that_cannot_train_is_refused(spec: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        optimizers.find(spec)
    assert optimizers.find("adam:b1=0.0,b2=0.999,eps=0.0").given["b1"] == 0.0


def test_a_limit_beyond_what_a_clock_takes_is_no_limit() -> None:
    with TimeLimit(1e10):
        pass


def without_end(*_: Any) -> None:
    while True:
        time.sleep(0.01)


@pytest.mark.parametrize("part", ["reference", "reference_draws"])
def test_a_reference_that_never_comes_back_is_none(part: str) -> None:
    problem: Any = Problem(name="p", model=without_end, **{part: without_end})
    prepared: Any = SimpleNamespace(problem=problem, structure=SimpleNamespace(latents=(), deterministics=()))
    asked: Any = SimpleNamespace(
        settings=SimpleNamespace(config=make_config({"time_limit": 0.2})), bench=SimpleNamespace(prepared=prepared)
    )
    with pytest.raises(TaskLostError, match=r"^took longer than the time limit of 0\.2 s$"):
        references._find(asked, None)


@pytest.mark.parametrize(
    ("guide", "options"),
    [
        ("auto_iaf_normal", {"num_flows": 10**12}),
        ("auto_iaf_normal", {"hidden_size": 10**9}),
        ("auto_bnaf_normal", {"hidden_layers": 10**12}),
        ("auto_low_rank_multivariate_normal", {"rank": 10**12}),
        ("auto_dais", {"K": 10**12}),
    ],
)
def test_a_guide_that_no_machine_trains_is_refused_at_once(guide: str, options: dict[str, int]) -> None:
    from guidebench.plugins.registry import load_registry

    build = load_registry(third_parties=False).guide(guide).declaration.build
    ((name, _),) = options.items()
    with pytest.raises(ValueError, match=rf"{name} must be at most"):
        build(SimpleNamespace(), **options)
