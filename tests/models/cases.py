"""The six models with their data: as the command line is told of them, and as a script reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from guidebench.request.loading.objects import load_object
from tests.models.make_data import TRUTH

FOLDER = Path(__file__).parent


def _schools() -> dict[str, Any]:
    found = json.loads((FOLDER / "eight_schools.json").read_text(encoding="utf-8"))
    return {"J": found["J"], "sigma": np.array(found["sigma"]), "y": np.array(found["y"])}


def _table(name: str, text: str | None = None) -> dict[str, Any]:
    """Return columns as arrays, one of text as the positions of its sorted levels, with their number."""
    table = pd.read_csv(FOLDER / name)
    arrays = {column: table[column].to_numpy() for column in table.columns if column not in ("customer", text)}
    if text is None:
        return arrays
    levels, codes = np.unique(table[text].to_numpy(dtype=str), return_inverse=True)
    return {**arrays, text: codes, f"n_{text}": len(levels)}


def _ratings() -> dict[str, Any]:
    with np.load(FOLDER / "ratings.npz") as arrays:
        return dict(arrays)


def _curve() -> dict[str, Any]:
    with xr.open_dataset(FOLDER / "gp.nc", engine="h5netcdf") as found:
        return {"x": found["x"].to_numpy(), "y": found["y"].to_numpy()}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model in a file, its data in another, and what the data were drawn with."""

    name: str
    target: str
    file: str
    read: Callable[[], dict[str, Any]]
    truth: Mapping[str, Any]
    minibatch: Mapping[str, int] = field(default_factory=dict)

    @property
    def command(self) -> tuple[str, ...]:
        """What follows ``guidebench run``."""
        sizes = [word for name, size in self.minibatch.items() for word in ("--minibatch", f"{name}={size}")]
        return (str(FOLDER / self.target), "--data", str(FOLDER / self.file), *sizes)

    @cached_property
    def model(self) -> Callable[..., Any]:
        """The model, as a script would import it."""
        found: Callable[..., Any] = load_object(str(FOLDER / self.target))
        return found

    @property
    def options(self) -> dict[str, Any]:
        """Model arguments and options for ``compare`` that are the same run."""
        return {**self.read(), **({"minibatch": dict(self.minibatch)} if self.minibatch else {})}


CASES = {
    case.name: case
    for case in (
        Case(
            name="eight-schools-noncentered",
            target="eight_schools.py:eight_schools_noncentered",
            file="eight_schools.json",
            read=_schools,
            truth=TRUTH["eight_schools"],
        ),
        Case(
            name="logistic",
            target="logistic.py:logistic",
            file="logistic.csv",
            read=lambda: _table("logistic.csv", "region"),
            truth=TRUTH["logistic"],
        ),
        Case(
            name="radon",
            target="hierarchical.py:radon",
            file="radon.csv",
            read=lambda: _table("radon.csv", "county"),
            truth=TRUTH["radon"],
            minibatch={"batch_size": 150},
        ),
        Case(
            name="ratings",
            target="hierarchical.py:ratings",
            file="ratings.npz",
            read=_ratings,
            truth=TRUTH["ratings"],
            minibatch={"batch_size": 20},
        ),
        Case(
            name="fishing",
            target="zero_inflated.py:fishing",
            file="zero_inflated.csv",
            read=lambda: _table("zero_inflated.csv"),
            truth=TRUTH["fishing"],
        ),
        Case(
            name="cafes",
            target="lkj.py:cafes",
            file="lkj.csv",
            read=lambda: _table("lkj.csv", "cafe"),
            truth=TRUTH["cafes"],
        ),
        Case(name="gp", target="gp.py:gp", file="gp.nc", read=_curve, truth=TRUTH["gp"]),
    )
}
