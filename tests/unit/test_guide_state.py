"""A trained guide as arrays and JSON: what goes in comes out, to the bit, and what cannot go in says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guidebench.config.errors import ResultsError
from guidebench.results import inference_data as idata
from guidebench.results import passport
from guidebench.results.guide_state import (
    GROUP,
    GuideState,
    LatentSite,
    from_dataset,
    put_together,
    taken_apart,
    to_dataset,
)

RNG = np.random.default_rng(0)
FACTOR = np.tril(RNG.normal(size=(3, 3))).astype(np.float32)

STATE = GuideState(
    params={
        "auto_loc": RNG.normal(size=3).astype(np.float32),
        "auto_arn__0$params": [(RNG.normal(size=(3, 2)), np.float32(0.1)), (), None],
        "counts": {"a.b": np.arange(3), "flag": np.array([True, False])},
    },
    start={"w": np.float32(0.5), "beta": np.zeros((1, 2))},
    sites=(LatentSite(name="w", shape=(), unconstrained=()), LatentSite(name="beta", shape=(3,), unconstrained=(2,))),
    coordinates="affine",
    center=np.arange(3.0),
    factor=FACTOR,
    x64=True,
    traced={"x": {"array": {"shape": [4], "dtype": "float32"}}},
    static={"y": None, "group": np.array([0, 1]), "size": 3, "bound": float("inf"), "name": "a"},
    data={"x": np.zeros(4, np.float32)},
)


def same(one: Any, other: Any) -> bool:
    """Return whether two trees are the same, in their containers, kinds of numbers, shapes and bits."""
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if type(one) in (list, tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "dtype"):
        found = np.asarray(other)
        return (
            found.dtype == one.dtype and found.shape == np.shape(one) and np.asarray(one).tobytes() == found.tobytes()
        )
    return bool(one == other)


def equal(one: GuideState, other: GuideState) -> bool:
    return same(vars(one), vars(other))


def test_it_survives_its_group_in_a_file(tmp_path: Path) -> None:
    idata.save(idata.from_groups({GROUP: to_dataset(STATE)}), tmp_path / "draws.nc")
    dataset = idata.group(idata.load(tmp_path / "draws.nc"), GROUP)
    assert dataset is not None
    assert equal(from_dataset(dataset), STATE)


def test_it_survives_its_passport(tmp_path: Path) -> None:
    told = passport.Passport(guide="auto_iaf_normal", options={"num_flows": 2}, verdict="trust", data={"x": "12"})
    path = passport.write(tmp_path / "deep" / "mine", STATE, told)
    assert path == tmp_path / "deep" / "mine.safetensors"
    state, found = passport.read(tmp_path / "deep" / "mine")
    assert equal(state, STATE)
    assert found == told
    assert sorted(file.name for file in path.parent.iterdir()) == ["mine.json", "mine.safetensors"]


@pytest.mark.parametrize("size", [1, 2])
def test_a_diagonal_factor_is_no_triangle(size: int) -> None:
    diagonal = replace(STATE, coordinates="diagonal", center=np.zeros(size), factor=np.arange(1.0, size + 1))
    assert equal(GuideState.of(diagonal.header(), diagonal.arrays()), diagonal)


def test_half_of_a_triangle_is_kept() -> None:
    assert STATE.arrays()["factor"].shape == (6,)


def test_two_arrays_never_share_a_name() -> None:
    tree = {"a": {"b": np.zeros(1)}, "a.b": np.ones(1)}
    found: dict[str, np.ndarray] = {}
    told = taken_apart(tree, "params", found)
    assert len(found) == 2
    assert same(put_together(told, found), tree)


@pytest.mark.parametrize("thing", [object(), np.array(["a"]), np.array([1 + 2j]), {1, 2}])
def test_what_is_no_number_is_refused_by_name(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"params\.inner\.1 is of type"):
        taken_apart({"inner": [np.zeros(2), thing]}, "params", {})


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    header, arrays = STATE.header(), STATE.arrays()
    with pytest.raises(ResultsError, match="no trained guide"):
        GuideState.of(header, {name: value for name, value in arrays.items() if name != "params.auto_loc"})
    path = passport.write(tmp_path / "mine", STATE, passport.Passport(guide="g"))
    other = passport.write(tmp_path / "other", replace(STATE, params={}), passport.Passport(guide="g"))
    path.write_bytes(other.read_bytes())
    with pytest.raises(ResultsError, match="do not belong together"):
        passport.read(path)


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = passport.write(tmp_path / "mine", STATE, passport.Passport(guide="g"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ResultsError, match="cannot be read") as caught:
        passport.read(path)
    assert "\n" not in str(caught.value)
    path.write_bytes(whole)
    beside = path.with_suffix(".json")
    told = json.loads(beside.read_text())
    beside.write_text(json.dumps({**told, "schema": 99}))
    with pytest.raises(ResultsError, match="schema 99"):
        passport.read(path)
    beside.unlink()
    with pytest.raises(ResultsError, match=r"mine\.json"):
        passport.read(path)
