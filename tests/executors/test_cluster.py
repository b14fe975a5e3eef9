"""A cluster that cannot be had is refused in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import guidebench as gb
from guidebench.cli import main
from guidebench.cli.life import WORDS
from guidebench.engine.executors import dask


def test_dask_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(gb.RequestError) as refused:
        gb.compare("eight-schools", dask="local:2")
    assert str(refused.value) == "dask local:2: Dask is not installed; pip install 'guidebench[dask]'"


def test_a_scheduler_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(dask, "PATIENCE", 0.5)
    monkeypatch.chdir(tmp_path)
    # Where this process keeps compiled programs is not for the command to decide.
    monkeypatch.setattr("guidebench.inference.device.cache.enable", lambda: None)
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        monkeypatch.setattr(sys, "argv", ["guidebench", "run", "eight-schools", "--dask", address])
        with pytest.raises(SystemExit) as ended:
            main()
        (line,) = (one for one in capsys.readouterr().err.splitlines() if one != WORDS)
        assert ended.value.code == 2
        assert line.startswith(f"guidebench: --dask {address}: no scheduler answers there: ")
        with pytest.raises(ValueError, match="No global client"):  # through which xarray would write all files to come
            distributed.get_client()
