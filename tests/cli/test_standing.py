"""A report that would be the same again stands as it is; whatever differs, it is written anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from guidebench.cli import standing
from guidebench.results.store import load, save
from tests import made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with a report that was stamped; what is kept says nothing of the results, so they are all kept."""
    from guidebench.report import write
    from guidebench.report.writer import files_of
    from guidebench.results.store import record

    comparison = made.comparison(made.fit("g", {"elbo": -1.0}), kept=0)
    save(comparison, tmp_path)
    write(comparison, tmp_path, sections=())
    record(tmp_path, [], files_of(tmp_path))
    standing.stamp(tmp_path, ())
    return tmp_path


def test_it_stands_where_all_is_kept(folder: Path) -> None:
    assert standing.stands(made.comparison(made.fit("g", {"elbo": -1.0}), kept=1), folder)


def test_it_does_not_where_something_was_trained_or_is_another_number(folder: Path) -> None:
    assert not standing.stands(made.comparison(made.fit("g", {"elbo": -1.0}), kept=0), folder)
    assert not standing.stands(made.comparison(made.fit("g", {"elbo": -1.0000001}), kept=1), folder)
    assert not standing.stands(made.comparison(made.fit("h", {"elbo": -1.0}), kept=1), folder)
    assert not standing.stands(made.comparison(made.fit("g", {"elbo": -1.0}), kept=1, config={"seed": 1}), folder)
    assert not standing.stands(made.comparison(made.fit("g", {"elbo": -1.0}), kept=1, interrupted=True), folder)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "the page was changed": lambda folder: (folder / "report.html").write_text("x"),
    "the text is gone": lambda folder: (folder / "report.md").unlink(),
    "the results were changed": lambda folder: (folder / "results.json").write_text("{}"),
    "another guidebench drew it": lambda folder: (folder / ".fits" / "report").write_text("0" * 64),
    "nobody says who drew it": lambda folder: shutil.rmtree(folder / ".fits"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_it_does_not_where_a_file_is_not_as_it_was(folder: Path, damage: str) -> None:
    DAMAGE[damage](folder)
    assert not standing.stands(made.comparison(made.fit("g", {"elbo": -1.0}), kept=1), folder)


def test_what_stands_can_be_loaded(folder: Path) -> None:
    assert load(folder)["g"].value("elbo") == -1.0
