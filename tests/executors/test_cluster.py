"""A cluster that cannot be had is refused in one line."""

from __future__ import annotations

import sys

import pytest

import guidebench as gb
from guidebench.engine.executors import dask
from guidebench.engine.executors.dask import cluster
from guidebench.engine.executors.remote import Session


def test_dask_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(gb.RequestError) as refused:
        gb.compare("eight-schools", dask="local:2")
    assert str(refused.value) == "dask local:2: Dask is not installed; pip install 'guidebench[dask]'"


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(dask, "PATIENCE", 0.5)
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        with (
            pytest.raises(gb.RequestError, match="no scheduler answers there: ") as refused,
            cluster(address, Session()),
        ):
            raise AssertionError
        assert "\n" not in str(refused.value)
