"""What the terminal says last: a panel that wraps at words at any width from 60, and plain text in a pipe."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from guidebench.api import Comparison
from guidebench.cli import life, tables
from guidebench.cli.answer import print_answer
from guidebench.results import Verdict
from tests import made
from tests.report import fake
from tests.report.many import many

LONG = made.comparison(
    made.fit("auto_laplace_approximation", {"mean_error": 0.6, "mean_error[s_eps]": 0.6, "sd_error": 0.4},
             verdict=Verdict.REFRESH, refreshed_by="chains"),
    made.fit("acme:[bold]options=1,width=32,layers=3", verdict=Verdict.DISTRUST, reason="nothing is known"),
    name="[red]a run",
)  # fmt: skip


def printed(comparison: Comparison, width: int | None) -> str:
    """Return what is printed on a terminal of that width, or in a pipe."""
    stream = io.StringIO()
    terminal = width is not None
    console = Console(
        file=stream,
        force_terminal=terminal,
        width=width or 140,
        color_system=None,
        highlight=False,
        legacy_windows=False,
    )
    print_answer(comparison, Path("reports/run/report.html"), console)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())


@pytest.mark.parametrize("width", [60, 61, 79, 95, 96, 140])
@pytest.mark.parametrize("comparison", [LONG, fake.small(draws=50, steps=40), many(3, 3)], ids=repr)
def test_no_line_is_wider_than_the_terminal_and_no_word_is_cut(comparison: Comparison, width: int) -> None:
    lines = printed(comparison, width).splitlines()
    assert {len(line) for line in lines} == {min(width, 110)}
    words = " ".join(line.strip("│╭╮╰╯─ ") for line in lines).split()
    whole = printed(comparison, None).split()
    sentence = whole[: whole.index(next(word for word in whole if word.endswith(".")))]
    assert set(sentence) <= set(words)


def test_a_pipe_has_the_same_without_a_frame() -> None:
    text = printed(LONG, None)
    first, *lines = text.splitlines()
    assert first == (
        "No guide can be taken as it is; use the refreshed draws, those of the chains that began at "
        "auto_laplace_approximation, which settled."
    )
    assert lines[0].split(maxsplit=2)[2] == "chains repair it: mean of s_eps off by 0.60 sd"
    assert lines[-1].strip() == "draws = c.posterior()"
    assert not set(text) & set("│╭╮╰╯")


def test_the_answer_is_the_last_but_the_path(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_comparison(LONG, Path("reports/run/report.html"))
    *_, last_line_of_python, path = capsys.readouterr().out.splitlines()
    assert (last_line_of_python.strip(), path) == ("draws = c.posterior()", "Report: reports/run/report.html")


def test_what_takes_long_gives_a_sign_of_life_and_what_is_quick_or_quiet_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(life, "PATIENCE", 0.01)
    with life.sign_of_life(quiet=True):
        time.sleep(0.05)
    monkeypatch.setattr(life, "PATIENCE", 30.0)
    with life.sign_of_life(quiet=False):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(life, "PATIENCE", 0.01)
    with life.sign_of_life(quiet=False):
        time.sleep(0.2)
    assert capsys.readouterr().err == f"{life.WORDS}\n"
