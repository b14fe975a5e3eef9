"""What the process of a run draws while a worker goes on with the next problem is in the report as if drawn later."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from guidebench.cli import main
from guidebench.report.ahead import Ahead
from tests.executors.conftest import SETTINGS, Notes


def files(folder: Path) -> dict[str, bytes]:
    found = [folder / "report.html", folder / "report.md", *sorted((folder / "figures").iterdir())]
    return {one.name: one.read_bytes() for one in found}


@pytest.mark.slow
def test_the_report_is_that_of_the_saved_results_to_the_byte(
    notes: Notes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[bool] = []
    work = Ahead.work

    def noted(ahead: Ahead) -> bool:
        drawn.append(work(ahead))
        return drawn[-1]

    def guidebench(*given: str) -> int:
        monkeypatch.setattr(sys, "argv", ["guidebench", *given])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    monkeypatch.setattr(Ahead, "work", noted)
    monkeypatch.setattr("guidebench.inference.device.cache.enable", lambda: None)
    monkeypatch.chdir(tmp_path)
    settings = [part for name, value in SETTINGS.items() for part in (f"--{name}", str(value))]
    guides = ("-g", "first", "-g", "second", "--plugin", notes.plugin)
    assert guidebench("run", "tiny", "twin", *guides, *settings, "--jobs", "1", "-q") == 0
    assert any(drawn)
    (folder,) = (tmp_path / "reports").iterdir()
    during = files(folder)
    assert len(during) > 10
    assert guidebench("report", str(folder), "--plugin", notes.plugin) == 0
    assert files(folder) == during
