"""The page on using what was trusted runs from its top to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "take-it-home.md"


def code() -> str:
    """Return the Python of the page, which is indented as code; commands are not."""
    lines = [line[4:] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("    ")]
    return "\n".join(line for line in lines if not line.startswith("guidebench "))


def test_the_page_has_a_block_for_each_of_its_promises() -> None:
    text = code()
    compile(text, str(PAGE), "exec")
    for promise in ("load_guide", "recheck", "gb.posterior", "nuts_start", ".loo()", "compare_models", "Predictive"):
        assert promise in text


@pytest.mark.slow
def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code(), str(PAGE), "exec"), names)  # noqa: S102 - our own page
    b = names["chains"].get_samples()["b"]
    assert float(b.mean()) == pytest.approx(float(names["draws"]["b"].mean()), abs=0.03)
