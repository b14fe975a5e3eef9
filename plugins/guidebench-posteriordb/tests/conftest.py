"""The posterior database, where the environment names one."""

from __future__ import annotations

import os

import pytest

from guidebench_posteriordb.database import VARIABLE, Database, locate


@pytest.fixture(scope="session")
def database() -> Database:
    """Return the database that the environment names."""
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} names no posterior database")
    return locate(None)
