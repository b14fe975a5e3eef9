"""Every row of the table of faults names a test, and the test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    line
    for line in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| what happens")
]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_a_test_that_is_there(row: str) -> None:
    *_, named, _ = (cell.strip() for cell in row.split("|"))
    if named == "the same":
        return
    found = re.fullmatch(r"`([^:`]+)::(test_\w+)`", named)
    assert found is not None, named
    source = (ROOT / "tests" / "faults" / found[1]).read_text(encoding="utf-8")
    assert re.search(rf"^def {found[2]}\(", source, re.MULTILINE)


def test_there_are_rows() -> None:
    assert len(ROWS) > 30
