"""What a run cost is told by phase, of each guide and of what all share; on the terminal, too, and as it goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from guidebench.cli import tables
from guidebench.cli.log import Log
from guidebench.engine.events import PhaseBegan, PhaseEnded
from guidebench.report.page import Page, Table
from guidebench.report.sections import cost
from guidebench.results import Comparison, Work
from tests import made

WORK = {
    "training": Work(gradients=160_000, seconds=3.0),
    "scoring": Work(densities=56_000, seconds=1.0),
    "judging": Work(gradients=30_000, seconds=2.0),
    "simulations": Work(gradients=7, seconds=9.0),
}
SHARED = {"search": Work(gradients=1_000, densities=64, seconds=0.5), "nuts": Work(gradients=95_000, seconds=4.0)}


@pytest.fixture
def comparison() -> Comparison:
    fits = [replace(made.fit("a"), work=WORK, left_out=("cut",)), made.fit("b")]
    found: Comparison = made.comparison(*fits)
    (record,) = found.problems
    return replace(found, problems=(replace(record, work=SHARED, left_out=("NUTS was not run.",)),))


def test_the_section_has_every_phase_and_their_sum(comparison: Comparison) -> None:
    block = cost.build(Page(comparison=comparison, problem=comparison.problems[0]))
    assert block is not None
    own, shared = (part for part in block if isinstance(part, Table))
    assert own.columns[0] == "guide"
    assert own.columns[-1] == "gradients in all"
    assert own.rows[0][1] == 160_000
    assert own.rows[0][-1] == 190_000  # not with those of simulated data
    assert own.rows[1][-1] is None
    assert "b: its own method does not count" in (own.caption or "")
    assert [row[:3] for row in shared.rows] == [
        ["search before training", 1_000, 64],
        ["reference by NUTS", 95_000, 0],
        ["together", 96_000, 64],
    ]
    assert "NUTS was not run." in list(block)


def test_without_any_count_there_is_no_section(comparison: Comparison) -> None:
    (record,) = comparison.problems
    bare = replace(comparison, fits=(made.fit("b"),), problems=(replace(record, work={}),))
    assert cost.build(Page(comparison=bare, problem=bare.problems[0])) is None


def test_the_terminal_has_the_sums(comparison: Comparison) -> None:
    console = Console(record=True, width=200)
    tables._print_problem(comparison, comparison.problems[0], console)
    said = "Gradients: 190,007 of the guides; shared: 1,000 search before training, 95,000 reference by NUTS."
    assert said in console.export_text()


def test_every_phase_is_a_line_as_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    log = Log(lambda: None)
    with caplog.at_level("INFO", logger="guidebench"):
        log(PhaseBegan("p", "a", "training"))
        log(PhaseEnded("p", "a", "training", WORK["training"]))
        log(PhaseEnded("p", "", "nuts", SHARED["nuts"]))
    assert caplog.messages == [
        "p: a: training: 160,000 gradients, 0 densities, 3.00 s",
        "p: reference by NUTS: 95,000 gradients, 0 densities, 4.00 s",
    ]
