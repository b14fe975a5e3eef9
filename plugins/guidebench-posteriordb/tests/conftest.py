"""A small posterior database, and the real one where the environment names it."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guidebench_posteriordb.database import VARIABLE, Database, locate

SCHOOLS = "eight_schools-eight_schools_noncentered"


def write_zip(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(file.name.removesuffix(".zip"), json.dumps(value))


def write_json(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A database with the eight schools alone; its draws are independent, and not of the posterior."""
    rng = np.random.default_rng(0)
    chains = []
    for _ in range(4):
        tau, mu = np.exp(rng.normal(size=500)), rng.normal(4, 3, size=500)
        theta = {f"theta[{school + 1}]": (mu + tau * rng.normal(size=500)).tolist() for school in range(8)}
        chains.append({**theta, "mu": mu.tolist(), "tau": tau.tolist()})
    for name in (SCHOOLS, "eight_schools-eight_schools_centered"):
        told = {"name": name, "data_name": "eight_schools", "reference_posterior_name": SCHOOLS}
        write_json(tmp_path / f"posteriors/{name}.json", told)
    data = {"J": 8, "y": [28, 8, -3, 7, -1, 1, 18, 12], "sigma": [15, 10, 16, 11, 9, 11, 10, 18]}
    write_zip(tmp_path / "data/data/eight_schools.json.zip", data)
    write_zip(tmp_path / f"reference_posteriors/draws/draws/{SCHOOLS}.json.zip", chains)
    info = {"diagnostics": {"divergent_transitions": [0, 0, 0, 0]}}
    write_json(tmp_path / f"reference_posteriors/draws/info/{SCHOOLS}.info.json", info)
    return tmp_path


@pytest.fixture(scope="session")
def database() -> Database:
    """Return the database that the environment names."""
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} names no posterior database")
    return locate(None)
