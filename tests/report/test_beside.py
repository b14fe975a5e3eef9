"""Sections that another process draws are those that this one would draw, to the byte; without it nothing lacks."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from guidebench.api import Comparison
from guidebench.contracts import Section
from guidebench.plugins.isolation.failures import OWN, Failure
from guidebench.report import write
from guidebench.report.ahead import Ahead
from guidebench.report.beside import Beside, Drawn
from guidebench.report.builtin import guidebench_sections
from guidebench.report.page import Block, Page
from guidebench.report.rendered import Owned, section_of
from tests.report.many import many
from tests.report.test_ahead import files, own

REAL = [own(one) for one in guidebench_sections()]


def quick(page: Page) -> Block:
    fig, axes = page.panels(1, 1, width=2.0, height=1.0)
    axes[0].plot([0, 1], color=page.colour(page.fits[-1]))
    return Block(page.fits[-1].guide, page.figure("line", fig, alt="A line"))


def failing(page: Page) -> Block:
    raise ValueError(f"nothing to draw of {page.problem.name}")


def ending(_: Page) -> Block:
    if os.environ.get("PYTEST_CURRENT_TEST_PID") != str(os.getpid()):
        os.kill(os.getpid(), signal.SIGKILL)
    return Block("Drawn where it was asked for.")


QUICK = [own(Section(name=name, title=name, build=quick, order=order)) for order, name in enumerate("abcd", 2)]


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
def beside() -> Iterator[Beside]:
    with Beside() as started:
        yield started


def page_of(run: Comparison) -> tuple[Page, set[str]]:
    names: set[str] = set()
    return Page(comparison=run, problem=run.problems[0], _names=names), names


def test_every_section_is_the_same_from_there(run: Comparison, beside: Beside) -> None:
    page, names = page_of(run)
    for one in (Owned(section=one.declaration, plugin=one.plugin, distribution=one.distribution) for one in REAL):
        drawn = beside.draw(page, names, one)
        assert drawn is not None
        here, own_names = page_of(run)
        assert drawn.section == section_of(here, one, lambda failure: None)
        assert drawn.names == own_names


def test_the_report_of_one_problem_is_the_same_with_it(run: Comparison, beside: Beside, tmp_path: Path) -> None:
    write(run, tmp_path / "with", sections=REAL, ahead=Ahead(REAL, beside=beside))
    write(run, tmp_path / "without", sections=REAL)
    found = files(tmp_path / "with")
    assert len(found) > 5
    assert found == files(tmp_path / "without")


def test_it_takes_the_last_that_is_left_while_the_first_are_drawn_here(run: Comparison, tmp_path: Path) -> None:
    noting, here = Noting(), list[str]()

    def first(page: Page) -> Block:
        noting.begun.wait(60)
        noting.go_on.set()
        here.append("first")
        return quick(page)

    sections = [own(Section(name="first", title="first", build=first, order=1)), *QUICK]
    write(run, tmp_path / "shared", sections=sections, ahead=Ahead(sections, beside=noting))
    assert noting.asked[0] == "d"
    assert here == ["first"]  # a closure, too: nothing is asked of what is drawn here


def test_sections_of_settled_problems_are_drawn_meanwhile(
    beside: Beside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guidebench.report.writer.OVERVIEW", ())
    several = many(2, 2, 2, draws=200, steps=200, arrays=True)
    ahead = Ahead(QUICK, beside=beside)
    for problem in several.problems:
        ahead.take(replace(several, fits=several.of(problem.name)), problem)
    assert not ahead.work()  # nothing is left to this process
    write(several, tmp_path / "with", sections=QUICK, ahead=ahead)
    write(several, tmp_path / "without", sections=QUICK)
    assert files(tmp_path / "with") == files(tmp_path / "without")


def test_what_cannot_be_drawn_there_is_drawn_here_and_said_once(
    run: Comparison, beside: Beside, tmp_path: Path
) -> None:
    page, names = page_of(run)
    broken = own(Section(name="broken", title="Broken", build=failing, order=9))
    closure = own(Section(name="closure", title="Closure", build=lambda page: quick(page), order=8))
    for one in (broken, closure):
        assert beside.draw(page, names, Owned(section=one.declaration, distribution=OWN)) is None
    told: list[Failure] = []
    sections = [*QUICK, closure, broken]
    write(run, tmp_path / "with", sections=sections, ahead=Ahead(sections, beside=beside), on_failure=told.append)
    assert [one.name for one in told] == ["broken"]
    write(run, tmp_path / "without", sections=sections)
    assert files(tmp_path / "with") == files(tmp_path / "without")


def test_a_process_that_dies_costs_nothing(run: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_CURRENT_TEST_PID", str(os.getpid()))
    sections = [*QUICK, own(Section(name="ending", title="Ending", build=ending, order=9))]
    with Beside() as dying:
        page, names = page_of(run)
        assert dying.draw(page, names, Owned(section=sections[-1].declaration, distribution=OWN)) is None
        assert dying.draw(page, names, Owned(section=sections[0].declaration, distribution=OWN)) is None
        write(run, tmp_path / "with", sections=sections, ahead=Ahead(sections, beside=dying))
    write(run, tmp_path / "without", sections=sections)
    assert files(tmp_path / "with") == files(tmp_path / "without")


def test_more_than_may_be_sent_is_drawn_here(run: Comparison, beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guidebench.report.beside.MOST_SENT", 10)
    page, names = page_of(run)
    assert beside.draw(page, names, Owned(section=QUICK[0].declaration, distribution=OWN)) is None


def test_it_ends_with_whoever_began_it() -> None:
    with Beside() as begun:
        process = begun._process
        assert process.poll() is None
    assert process.poll() is not None


def test_it_ends_when_nobody_is_there_any_more() -> None:
    with Beside() as begun:
        assert begun._process.stdin is not None
        begun._process.stdin.close()
        assert begun._process.wait(60) == 0
