"""Progress is shown where somebody looks: on a terminal, in a notebook, and in a pipe only where asked for."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from guidebench.engine import progress
from guidebench.engine.progress import terminal
from guidebench.engine.progress.notebook import EVERY, Panel, panel
from guidebench.engine.progress.tally import Tally, spelled
from guidebench.results import Fit
from tests import made

FIT: Fit = made.fit("flow", kind=Fit, problem="line")


def use(watcher: Any) -> None:
    """Tell a watcher of a run of two fits."""
    watcher.phase("line", "reference", "NUTS")
    watcher.begin(2, 1)
    watcher.problem(1, "[bold]line")
    for guide in ("flow", "[bold]<b>x</b>"):
        watcher.phase("line", guide, "training")
        watcher.steps("line", guide, 50, 100, 12.345)
        watcher.steps("line", guide, 100, 100, float("nan"))
        watcher.finish(FIT)
    watcher.note("writing the report")


class Stream(io.StringIO):
    """Standard error, or a terminal in its place."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def error_stream(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> Stream:
    found = Stream(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """A notebook, and what it was given to show."""
    found: list[dict[str, str]] = []

    def display(bundle: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        return SimpleNamespace(update=lambda bundle, raw: found.append(bundle))

    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", ipython)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("asked", [None, False])
def test_a_pipe_hears_nothing(monkeypatch: pytest.MonkeyPatch, asked: bool | None) -> None:
    stream = error_stream(monkeypatch, terminal=False)
    with progress.watch(asked) as watcher:
        use(watcher)
    assert stream.getvalue() == ""


def test_a_pipe_hears_of_every_fit_where_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = error_stream(monkeypatch, terminal=False)
    with progress.watch(True) as watcher:
        use(watcher)
    assert stream.getvalue().splitlines() == [f"{number} of 2: flow on line: converged" for number in (1, 2)]


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = error_stream(monkeypatch, terminal=True)
    with progress.watch(None) as watcher:
        assert isinstance(watcher, terminal.Bar)
        use(watcher)
    assert "writing the report" in stream.getvalue()


def test_a_terminal_may_be_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = error_stream(monkeypatch, terminal=True)
    with progress.watch(False) as watcher:
        use(watcher)
    with terminal.bar(quiet=True) as watcher:
        use(watcher)
    assert stream.getvalue() == ""


def test_without_any_standard_error_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with progress.watch(None) as watcher:
        use(watcher)


def test_a_notebook_has_a_panel_and_keeps_one_line(
    monkeypatch: pytest.MonkeyPatch, shown: list[dict[str, str]]
) -> None:
    stream = error_stream(monkeypatch, terminal=False)
    with progress.watch(None) as watcher:
        use(watcher)
    assert stream.getvalue() == ""
    assert "<progress" in shown[0]["text/html"]
    assert "<progress" not in shown[-1]["text/html"]
    assert shown[-1]["text/plain"].startswith("guidebench: 2 fits in 0 s")


def test_a_notebook_may_be_left_alone(shown: list[dict[str, str]]) -> None:
    with progress.watch(False) as watcher:
        use(watcher)
    assert shown == []


def test_a_failure_ends_the_panel(shown: list[dict[str, str]]) -> None:
    with pytest.raises(ZeroDivisionError), panel():
        raise ZeroDivisionError
    assert shown[-1]["text/plain"].startswith("guidebench: stopped after")


def test_ipython_on_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: object()))  # type: ignore[arg-type]
    stream = error_stream(monkeypatch, terminal=True)
    with progress.watch(None) as watcher:
        assert isinstance(watcher, terminal.Bar)
    assert stream.getvalue()


# The panel itself


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def panel_with_clock() -> tuple[Panel, list[str], Clock]:
    frames: list[str] = []
    clock = Clock()
    return Panel(lambda html, text: frames.append(html), clock), frames, clock


def test_everything_is_escaped() -> None:
    shown, frames, clock = panel_with_clock()
    clock.now = 1.0
    shown.phase("<i>p</i>", "<script>g</script>", "training")
    clock.now = 2.0
    shown.note("<u>n</u>")
    assert "<script>" not in "".join(frames)
    assert "&lt;script&gt;" in frames[-2]
    assert "<u>" not in frames[-1]


def test_the_bar_moves_within_a_fit_and_over_fits() -> None:
    shown, frames, clock = panel_with_clock()
    shown.begin(2)
    values = []
    events = (
        lambda: shown.steps("line", "flow", 1, 2, 3.0),
        lambda: shown.finish(FIT),
        lambda: shown.steps("line", "flow", 2, 2, 3.0),
    )
    for event in events:
        clock.now += 1
        event()
        values.append(float(frames[-1].rsplit('value="')[1].partition('"')[0]))
    assert values == [0.45, 1.0, 1.9]
    assert "1 of 2 fits · 3 s, about" in frames[-1]


def test_the_browser_is_not_flooded() -> None:
    shown, frames, clock = panel_with_clock()
    shown.begin(1)
    for step in range(1000):
        clock.now += EVERY / 100
        shown.steps("line", "flow", step, 1000, 1.0)
    assert len(frames) <= 12


@pytest.mark.parametrize("asked", [None, True])
def test_fits_of_an_earlier_run_count_at_once(monkeypatch: pytest.MonkeyPatch, asked: bool | None) -> None:
    stream = error_stream(monkeypatch, terminal=asked is None)
    with progress.watch(asked) as watcher:
        watcher.begin(6, 3)
        for _ in range(4):
            watcher.finish(FIT, kept=True)
        watcher.problem(3, "curve")
    if asked:
        assert stream.getvalue().splitlines()[-1] == "4 of 6: flow on line: converged (kept from an earlier run)"
    else:
        assert "problem 3 of 3 · curve" in stream.getvalue()
        assert "4 of 6 fits, 4 kept" in stream.getvalue()


def test_the_panel_shows_all_problems_as_one() -> None:
    shown, frames, clock = panel_with_clock()
    shown.begin(150, 25)
    shown.problem(1, "line")
    clock.now = 40.0
    shown.finish(FIT)
    shown.finish(FIT)
    shown.problem(2, "curve")
    shown.phase("curve", "flow", "training")
    assert "curve: flow" in frames[-1]
    assert "problem 2 of 25 · 2 of 150 fits · 40 s, about 49 min 20 s left" in frames[-1]
    clock.now = 50.0
    shown.end(well=False)
    assert "stopped after 50 s" in frames[-1]


def test_the_panel_says_how_many_were_kept() -> None:
    shown, frames, _ = panel_with_clock()
    shown.begin(2)
    shown.finish(FIT, kept=True)
    shown.finish(FIT)
    shown.end(well=True)
    assert "2 fits in 0 s, 1 of them kept from an earlier run" in frames[-1]


# What is counted

#: The problem and the guide of a fit.
OWN = FIT.problem, FIT.guide


def tally_with_clock() -> tuple[Tally, Clock]:
    clock = Clock()
    return Tally(clock), clock


def test_what_is_left_is_told_from_the_fits_of_this_run() -> None:
    tally, clock = tally_with_clock()
    clock.now = 5.0
    tally.begin(10, 5)
    assert tally.left() is None
    for _ in range(4):
        tally.finish(OWN, kept=True)
    assert tally.left() is None
    clock.now = 25.0
    tally.finish(OWN, kept=False)
    assert tally.left() == pytest.approx(100.0)
    assert (tally.counted(), tally.timed()) == ("5 of 10 fits, 4 kept", "25 s, about 1 min 40 s left")
    clock.now = 34.0
    tally.steps(OWN, 50, 100)
    assert tally.left() == pytest.approx(29 / 1.45 * 4.55)


def test_another_round_does_not_go_back() -> None:
    tally, _ = tally_with_clock()
    tally.begin(2, 1)
    tally.steps(OWN, 100, 100)
    before = tally.completed
    tally.steps(OWN, 100, 200)
    assert tally.completed == before
    tally.finish(OWN, kept=False)
    assert tally.completed == 1.0


def test_one_problem_has_no_number() -> None:
    tally, _ = tally_with_clock()
    tally.begin(2, 1)
    tally.problem(1)
    assert tally.place() == ""


def test_nothing_is_left_at_the_end() -> None:
    tally, clock = tally_with_clock()
    tally.begin(1, 1)
    clock.now = 7.0
    tally.finish(OWN, kept=False)
    assert tally.timed() == "7 s"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0 s"), (99, "99 s"), (125, "2 min 5 s"), (120, "2 min"), (7380, "2 h 3 min")]
)
def test_times_are_spelled(seconds: float, expected: str) -> None:
    assert spelled(seconds) == expected


def test_long_runs_are_told_in_minutes() -> None:
    shown, frames, clock = panel_with_clock()
    clock.now = 125.0
    shown.end(well=True)
    assert "0 fits in 2 min 5 s" in frames[-1]
