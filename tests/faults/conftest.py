"""Running a command inside the test process, for what does not need a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from guidebench.cli import main


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run a command in an empty folder."""

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["guidebench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    # Where this process keeps compiled programs is not for the command to decide.
    monkeypatch.setattr("guidebench.inference.device.cache.enable", lambda: None)
    return run
