"""Sections that another process draws are those that this one would draw, to the byte; without it nothing lacks."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import pytest

from guidebench.api import Comparison
from guidebench.contracts import Section
from guidebench.plugins.isolation.failures import Failure
from guidebench.plugins.registry import Registered
from guidebench.report import write
from guidebench.report.ahead import Ahead
from guidebench.report.beside import Beside, Drawn
from guidebench.report.builtin import guidebench_sections
from guidebench.report.page import Block, Page
from guidebench.report.rendered import Owned, section_of
from tests.report.many import many
from tests.report.test_ahead import files, own

REAL = [own(one) for one in guidebench_sections()]

#: Sections where another process finds them, which does not know of the tests.
MODULE = """
import os
import signal
import sys

from guidebench.report.page import Block


def quick(page):
    fig, axes = page.panels(1, 1, width=2.0, height=1.0)
    axes[0].plot([0, 1], color=page.colour(page.fits[-1]))
    return Block(page.fits[-1].guide, page.figure("line", fig, alt="A line"))


def failing(page):
    raise ValueError(f"nothing to draw of {page.problem.name}")


def ending(page):
    if "guidebench_test_here" not in sys.modules:
        os.kill(os.getpid(), signal.SIGKILL)
    return Block("Drawn where it was asked for.")
"""


class Sections(NamedTuple):
    """Sections of the module, by what they do."""

    quick: list[Registered[Section]]
    failing: Registered[Section]
    ending: Registered[Section]


class Counting:
    """Draws in another process, and notes what was drawn there."""

    def __init__(self, beside: Beside) -> None:
        self.beside, self.drawn = beside, list[str]()

    def draw(self, page: Page, names: set[str], one: Owned) -> Drawn | None:
        found = self.beside.draw(page, names, one)
        self.drawn += [] if found is None else [one.section.name]
        return found


class Noting:
    """Notes what it is asked for, and draws none of it once it is told to go on."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun, self.go_on = Event(), Event()

    def draw(self, page: Page, names: set[str], one: Owned) -> Drawn | None:
        self.asked.append(one.section.name)
        self.begun.set()
        self.go_on.wait(60)
        return None


@pytest.fixture(scope="module")
def run() -> Comparison:
    found = many(1, 2, 2, draws=200, steps=200, arrays=True)
    return replace(found, problems=found.problems[:1], fits=found.of(found.problems[0].name))


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sections]:
    folder = tmp_path_factory.mktemp("sections")
    (folder / "guidebench_test_drawn.py").write_text(MODULE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setitem(sys.modules, "guidebench_test_here", sys)
        module = importlib.import_module("guidebench_test_drawn")

        def section(name: str, order: int, build: Any) -> Registered[Section]:
            return own(Section(name=name, title=name, build=build, order=order))

        yield Sections(
            [section(name, order, module.quick) for order, name in enumerate("abcd", 2)],
            section("failing", 9, module.failing),
            section("ending", 9, module.ending),
        )


@pytest.fixture
def beside(sections: Sections) -> Iterator[Beside]:
    with Beside() as started:
        yield started


def page_of(run: Comparison) -> tuple[Page, set[str]]:
    names: set[str] = set()
    return Page(comparison=run, problem=run.problems[0], _names=names), names


def owned(one: Registered[Section]) -> Owned:
    return Owned(section=one.declaration, plugin=one.plugin, distribution=one.distribution)


def test_every_section_is_the_same_from_there(run: Comparison, beside: Beside) -> None:
    page, names = page_of(run)
    for one in map(owned, REAL):
        drawn = beside.draw(page, names, one)
        assert drawn is not None
        here, own_names = page_of(run)
        assert drawn.section == section_of(here, one, lambda failure: None)
        assert drawn.names == own_names


def test_the_report_of_one_problem_is_the_same_with_it(run: Comparison, beside: Beside, tmp_path: Path) -> None:
    counting = Counting(beside)
    write(run, tmp_path / "with", sections=REAL, ahead=Ahead(REAL, beside=counting))
    write(run, tmp_path / "without", sections=REAL)
    found = files(tmp_path / "with")
    assert len(found) > 5
    assert found == files(tmp_path / "without")
    assert counting.drawn


def test_it_takes_the_last_that_is_left_while_the_first_are_drawn_here(
    run: Comparison, sections: Sections, tmp_path: Path
) -> None:
    noting, here = Noting(), list[str]()

    def first(page: Page) -> Block:
        noting.begun.wait(60)
        noting.go_on.set()
        here.append("first")
        return Block("This is the first.")

    listed = [own(Section(name="first", title="first", build=first, order=1)), *sections.quick]
    write(run, tmp_path / "shared", sections=listed, ahead=Ahead(listed, beside=noting))
    assert noting.asked[0] == "d"
    assert here == ["first"]


def test_sections_of_settled_problems_are_drawn_meanwhile(
    beside: Beside, sections: Sections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guidebench.report.writer.OVERVIEW", ())
    several, counting = many(2, 2, 2, draws=200, steps=200, arrays=True), Counting(beside)
    ahead = Ahead(sections.quick, beside=counting)
    for problem in several.problems:
        ahead.take(replace(several, fits=several.of(problem.name)), problem)
    assert not ahead.work()  # nothing is left to this process
    deadline = time.monotonic() + 120
    while len(counting.drawn) < 8 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(counting.drawn) == 8  # before the report was asked for
    write(several, tmp_path / "with", sections=sections.quick, ahead=ahead)
    write(several, tmp_path / "without", sections=sections.quick)
    assert files(tmp_path / "with") == files(tmp_path / "without")


def test_what_cannot_be_drawn_there_is_drawn_here_and_said_once(
    run: Comparison, beside: Beside, sections: Sections, tmp_path: Path
) -> None:
    page, names = page_of(run)
    closure = own(Section(name="closure", title="Closure", build=lambda page: Block("Only here."), order=8))
    for one in (sections.failing, closure):
        assert beside.draw(page, names, owned(one)) is None
    assert beside.draw(page, names, owned(sections.quick[0])) is not None  # it goes on
    told: list[Failure] = []
    listed = [*sections.quick, closure, sections.failing]
    write(run, tmp_path / "with", sections=listed, ahead=Ahead(listed, beside=beside), on_failure=told.append)
    assert [one.name for one in told] == ["failing"]
    write(run, tmp_path / "without", sections=listed)
    assert files(tmp_path / "with") == files(tmp_path / "without")


def test_a_process_that_dies_costs_nothing(run: Comparison, beside: Beside, sections: Sections, tmp_path: Path) -> None:
    page, names = page_of(run)
    assert beside.draw(page, names, owned(sections.quick[0])) is not None
    assert beside.draw(page, names, owned(sections.ending)) is None
    assert beside.draw(page, names, owned(sections.quick[0])) is None  # nobody is there any more
    listed = [*sections.quick, sections.ending]
    write(run, tmp_path / "with", sections=listed, ahead=Ahead(listed, beside=beside))
    write(run, tmp_path / "without", sections=listed)
    assert files(tmp_path / "with") == files(tmp_path / "without")


def test_nor_does_one_that_cannot_be_started(
    run: Comparison, sections: Sections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    page, names = page_of(run)
    with Beside() as absent:
        assert absent.draw(page, names, owned(sections.quick[0])) is None


def test_more_than_may_be_sent_is_drawn_here_and_asked_for_once(
    run: Comparison, beside: Beside, sections: Sections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guidebench.report.beside.MOST_SENT", 10)
    page, names = page_of(run)
    assert beside.draw(page, names, owned(sections.quick[0])) is None
    monkeypatch.setattr("guidebench.report.beside.MOST_SENT", 10**9)
    assert beside.draw(page, names, owned(sections.quick[0])) is None  # it is known by now
    other, names = page_of(run)
    assert beside.draw(other, names, owned(sections.quick[0])) is not None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_report_comes_where_whatever_draws_beside_fails(
    run: Comparison, sections: Sections, tmp_path: Path
) -> None:
    class Failing:
        def draw(self, page: Page, names: set[str], one: Owned) -> Drawn | None:
            raise ValueError("no")

    write(run, tmp_path / "with", sections=sections.quick, ahead=Ahead(sections.quick, beside=Failing()))
    write(run, tmp_path / "without", sections=sections.quick)
    assert files(tmp_path / "with") == files(tmp_path / "without")


def test_it_ends_with_whoever_began_it() -> None:
    with Beside() as begun:
        process = begun._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None


def test_it_ends_when_nobody_is_there_any_more() -> None:
    with Beside() as begun:
        assert begun._process is not None
        assert begun._process.stdin is not None
        begun._process.stdin.close()
        assert begun._process.wait(60) == 0
