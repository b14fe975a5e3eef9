"""What is drawn while a run goes on is what would have been drawn at its end, to the byte, or is drawn again then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guidebench.api import Comparison
from guidebench.contracts import Section
from guidebench.plugins.isolation.failures import OWN, Failure
from guidebench.plugins.registry import Registered
from guidebench.report import ahead as module
from guidebench.report import write
from guidebench.report.ahead import Ahead
from guidebench.report.builtin import guidebench_sections
from guidebench.report.page import Block, Page
from tests import made
from tests.report.many import many


def own(section: Section) -> Registered[Section]:
    return Registered(section, "sections", OWN)


def theirs(section: Section) -> Registered[Section]:
    return Registered(section, "their_plugin", "a-third-party")


def seen(page: Page) -> Block:
    """Say all that a section of guidebench's own looks at, and draw a figure in a guide's colour."""
    fig, axes = page.panels(1, 1, width=2.0, height=1.0)
    axes[0].plot([0, 1], color=page.colour(page.fits[-1]))
    return Block(
        *(f"{fit.guide} {fit.reason} {page.colour(fit)}" for fit in page.fits),
        *page.problem.notes,
        f"reference: {page.comparison.references.get(page.problem.name) is not None}",
        f"log axis: {page.log_loss}",
        *(str(one) for one in page.comparison.failures),
        *(one.name for one in page.comparison.quantities),
        page.figure("loss", fig, alt="A line"),
    )


#: The real ones, and quick ones in their place.
REAL = [own(one) for one in guidebench_sections()]
SECTIONS = [own(Section(name=name, title=name, build=seen, order=order)) for order, name in enumerate("abc", 2)]


@pytest.fixture(scope="module")
def run() -> Comparison:
    return many(2, 2, 2, draws=200, steps=200, arrays=True)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The sections that are drawn from now on, by problem."""
    drawn: list[tuple[str, str]] = []
    draw = module.section_of

    def noted(page: Page, one: Any, on_failure: Any) -> Any:
        drawn.append((page.problem.name, one.section.name))
        return draw(page, one, on_failure)

    monkeypatch.setattr(module, "section_of", noted)
    return drawn


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the overview, which is drawn at the end whatever is there by then."""
    monkeypatch.setattr("guidebench.report.writer.OVERVIEW", ())


def drawn_ahead(comparison: Comparison, sections: Any = SECTIONS, *, log_loss: bool = False) -> Ahead:
    """Draw all problems in the order in which they might be settled: not that of the run."""
    ahead = Ahead(sections, log_loss=log_loss)
    for problem in reversed(comparison.problems):
        ahead.take(replace(comparison, fits=comparison.of(problem.name)), problem)
    while ahead.work():
        pass
    return ahead


def files(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder; its own name, from which a report says that draws are loaded, as another."""
    name = folder.as_posix().encode()
    found = (one for one in sorted(folder.rglob("*")) if one.is_file())
    return {str(one.relative_to(folder)): one.read_bytes().replace(name, b"RUN") for one in found}


def same(comparison: Comparison, ahead: Ahead, folder: Path, sections: Any = SECTIONS, **options: Any) -> bool:
    """Return whether a report is the same to the byte with what was drawn ahead, which is given first, and without."""
    write(comparison, folder / "ahead", sections=sections, ahead=ahead, **options)
    write(comparison, folder / "late", sections=sections, **options)
    found = files(folder / "ahead")
    assert {"report.html", "report.md"} < found.keys()
    return found == files(folder / "late")


def test_nothing_is_drawn_twice_and_every_byte_is_the_same(
    run: Comparison, tmp_path: Path, late: list[tuple[str, str]]
) -> None:
    ahead = drawn_ahead(run, REAL)
    assert len(late) == len(REAL) * 2
    late.clear()
    write(run, tmp_path / "ahead", sections=REAL, ahead=ahead)
    assert late == []
    write(run, tmp_path / "late", sections=REAL)
    found = files(tmp_path / "ahead")
    assert len(found) > 12
    assert found == files(tmp_path / "late")


@pytest.mark.usefixtures("quick")
def test_what_was_not_reached_is_drawn_at_the_end(run: Comparison, tmp_path: Path, late: list[tuple[str, str]]) -> None:
    ahead = Ahead(SECTIONS)
    ahead.take(replace(run, fits=run.of(run.problems[0].name)), run.problems[0])
    assert ahead.work()
    assert ahead.work()
    late.clear()
    write(run, tmp_path / "ahead", sections=SECTIONS, ahead=ahead)
    assert len(late) == len(SECTIONS) * 2 - 2
    assert same(run, ahead, tmp_path)


def changed_fit(run: Comparison) -> Comparison:
    return replace(run, fits=(*run.fits[:-1], replace(run.fits[-1], reason="Something else.")))


def without_first_fit(run: Comparison) -> Comparison:
    """Return what is left when a run is interrupted: guides come in another order, so they have other colours."""
    return replace(run, fits=run.fits[1:], interrupted=True)


def without_last_fit(run: Comparison) -> Comparison:
    return replace(run, fits=run.fits[:-1], interrupted=True)


def changed_problem(run: Comparison) -> Comparison:
    return replace(run, problems=(run.problems[0], replace(run.problems[1], notes=("Another note.",))))


def without_references(run: Comparison) -> Comparison:
    return replace(run, references={})


def with_a_broken_plugin(run: Comparison) -> Comparison:
    broken = Failure(plugin="theirs", distribution="acme", phase="import", name="", message="no")
    return replace(run, failures=(broken,))


def alone(run: Comparison) -> Comparison:
    return replace(run, problems=run.problems[1:], fits=run.of(run.problems[1].name))


def of_many(run: Comparison) -> Comparison:
    """Return it among so many problems that figures are smaller."""
    return replace(run, problems=(*run.problems, *(made.record(f"p{number}") for number in range(6))))


def without_meanings(run: Comparison) -> Comparison:
    return replace(run, quantities=run.quantities[:3])


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "change",
    [
        changed_fit,
        without_first_fit,
        without_last_fit,
        changed_problem,
        without_references,
        with_a_broken_plugin,
        alone,
        of_many,
        without_meanings,
    ],
)
def test_what_has_changed_since_is_drawn_again(
    run: Comparison, tmp_path: Path, change: Callable[[Comparison], Comparison], late: list[tuple[str, str]]
) -> None:
    ahead = drawn_ahead(run)
    late.clear()
    write(change(run), tmp_path / "first", sections=SECTIONS, ahead=ahead)
    assert {problem for problem, _ in late} >= {run.problems[1].name}
    assert same(change(run), drawn_ahead(run), tmp_path)


@pytest.mark.usefixtures("quick")
def test_so_are_all_where_the_loss_is_shown_otherwise(run: Comparison, tmp_path: Path) -> None:
    assert same(run, drawn_ahead(run, log_loss=True), tmp_path)


def test_a_run_of_one_problem_is_over_by_then(run: Comparison) -> None:
    ahead, one = Ahead(SECTIONS), alone(run)
    ahead.take(one, one.problems[0])
    assert not ahead.work()


@pytest.mark.usefixtures("quick")
def test_figures_keep_their_names_where_a_plugin_takes_them(
    run: Comparison, tmp_path: Path, late: list[tuple[str, str]]
) -> None:
    def build(page: Page) -> Block:
        fig, _ = page.panels(1, 1)
        return Block(f"{len(page.comparison.fits)} fits in all.", page.figure("loss", fig, alt="Nothing"))

    sections = [*SECTIONS, theirs(Section(name="theirs", title="Theirs", build=build, order=1))]
    ahead = drawn_ahead(run, sections)
    assert not any(name == "theirs" for _, name in late)  # it sees the whole run
    late.clear()
    write(run, tmp_path / "first", sections=sections, ahead=ahead)
    assert {name for _, name in late} == {"theirs", "a", "b", "c"}
    assert (tmp_path / "first" / "figures" / f"{run.problems[0].name}-loss-4.png").is_file()
    assert same(run, drawn_ahead(run, sections), tmp_path, sections)


@pytest.mark.usefixtures("quick")
def test_a_section_that_fails_is_named_once_and_at_the_end(run: Comparison, tmp_path: Path) -> None:
    def fails(page: Page) -> Block:
        page.figure("first", page.panels(1, 1)[0], alt="Nothing")
        raise ValueError("no such thing")

    def goes_on(page: Page) -> Block:
        return Block(page.figure("first", page.panels(1, 1)[0], alt="Nothing"))

    sections = [
        own(Section(name="bad", title="Bad", build=fails, order=1)),
        own(Section(name="good", title="Good", build=goes_on, order=2)),
    ]
    told: dict[str, list[Failure]] = {"ahead": [], "late": []}
    for name, ahead in (("ahead", drawn_ahead(run, sections)), ("late", None)):
        write(run, tmp_path / name, sections=sections, ahead=ahead, on_failure=told[name].append)
    assert [(one.name, one.phase, one.message) for one in told["ahead"]] == [
        ("bad", "section", "ValueError: no such thing")
    ] * 2
    assert [str(one) for one in told["ahead"]] == [str(one) for one in told["late"]]
    assert files(tmp_path / "ahead") == files(tmp_path / "late")


@pytest.mark.usefixtures("quick")
def test_so_is_what_comes_after_one_that_failed_by_chance(run: Comparison, tmp_path: Path) -> None:
    tries: list[str] = []

    def fails_at_first(page: Page) -> Block:
        tries.append(page.problem.name)
        if len(tries) <= len(run.problems):
            page.figure("first", page.panels(1, 1)[0], alt="Nothing")
            raise MemoryError
        return Block("It is done.")

    def goes_on(page: Page) -> Block:
        return Block(page.figure("first", page.panels(1, 1)[0], alt="Nothing"))

    sections = [
        own(Section(name="bad", title="Bad", build=fails_at_first, order=1)),
        own(Section(name="good", title="Good", build=goes_on, order=2)),
    ]
    assert same(run, drawn_ahead(run, sections), tmp_path, sections)
    assert len(tries) == 3 * len(run.problems)
