"""The command that compares two runs: exit status, formats, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from guidebench.api import Comparison
from guidebench.results import Status
from tests import made

Command = Callable[..., Any]

GOOD: Mapping[str, made.Number] = {
    "elbo": (-23.0, 0.005),
    "mean_error": (0.1, 0.01),
    "khat": (0.3, 0.05),
    "kl": (0.1, 0.01),
}
LONG = "auto_low_rank_multivariate_normal"


def saved(folder: Path, name: str, change: Mapping[str, made.Number], **more: Any) -> Comparison:
    fits = made.restarted(LONG, {**GOOD, **change}, **more), made.restarted("[b]mean|field[/b]", GOOD)
    comparison = made.comparison(*fits, name=name, config={"seed": 0})
    comparison.save(folder / name)
    return comparison


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs in the current folder: one to begin with, one that is worse, better, no more than noise, or failed."""
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, "begin", {})
    saved(tmp_path, "worse", {"elbo": (-24.0, 0.005), "mean_error": (0.095, 0.01), "kl": (1.2, 0.01)})
    saved(tmp_path, "better", {"elbo": (-22.5, 0.005)})
    saved(tmp_path, "noise", {"elbo": (-23.005, 0.005)})
    saved(tmp_path, "failed", {}, status=Status.FAILED, message="train: ValueError: [red]no[/red]")
    return tmp_path


@pytest.mark.parametrize(
    ("after", "status", "summary"),
    [
        ("noise", 0, "0 worse, 0 better, 4 unchanged."),
        ("better", 0, "0 worse, 1 better, 3 unchanged."),
        ("worse", 1, "1 worse, 0 better, 3 unchanged; 1 noted."),
        ("failed", 1, "1 worse, 0 better, 2 unchanged."),
    ],
)
def test_the_exit_status_says_whether_something_got_worse(
    runs: Path, command: Command, after: str, status: int, summary: str
) -> None:
    before = sorted(runs.rglob("*"))
    ended = command("diff", "begin", after)
    assert (ended.status, ended.err) == (status, "")
    assert ended.out.splitlines()[0] == summary
    assert sorted(runs.rglob("*")) == before


def test_the_text_fits_eighty_columns_and_has_the_worse_first(runs: Path, command: Command) -> None:
    out = command("diff", "begin", "worse", "--all").out
    assert max(map(len, out.splitlines())) <= 80
    assert out.index("Worse") < out.index("Noted") < out.index("Unchanged")
    row = next(line for line in out.splitlines() if line.startswith("  elbo"))
    assert row.split() == ["elbo", "-23.00", "-24.00", "-1.0000", "±", "0.0071", "-141.4"]
    assert LONG in out
    assert "[b]mean|field[/b]" in out
    assert "Unchanged" not in command("diff", "begin", "worse").out


def test_what_ended_a_fit_is_told(runs: Path, command: Command) -> None:
    out = command("diff", "begin", "failed").out
    assert f"{LONG} status: train: ValueError: [red]no[/red]" in out
    assert re.search(r"status +converged +failed", out)


def test_markdown_is_for_a_pull_request(runs: Path, command: Command) -> None:
    ended = command("diff", "begin", "worse", "--format", "markdown")
    lines = ended.out.splitlines()
    assert ended.status == 1
    assert lines[0] == "**1 worse, 0 better, 3 unchanged; 1 noted.**"
    assert f"| {LONG} | elbo | -23.00 | -24.00 | -1.0000 ± 0.0071 | -141.4 |" in lines
    assert "<summary>Noted, decides nothing (1)</summary>" in lines
    everything = command("diff", "begin", "worse", "--format", "markdown", "--all").out
    assert r"| \[b\]mean\|field\[/b\] | elbo |" in everything


def test_json_is_for_machines(runs: Path, command: Command) -> None:
    ended = command("diff", "begin", "worse", "--format", "json")
    found = json.loads(ended.out)
    assert ended.status == 1
    assert (found["schema"], found["before"], found["after"]) == (1, "begin", "worse")
    assert found["counts"] == {"worse": 1, "better": 0, "unclear": 0, "unchanged": 3, "noted": 1}
    assert [(one["metric"], one["outcome"], one["decides"]) for one in found["changes"]] == [
        ("elbo", "worse", True),
        ("kl", "worse", False),
    ]
    assert len(json.loads(command("diff", "begin", "worse", "--format", "json", "--all").out)["changes"]) == 8


def test_json_has_nothing_for_what_is_no_number(runs: Path, command: Command) -> None:
    saved(runs, "gone", {"elbo": (float("nan"), float("nan")), "kl": (float("inf"), None)})
    for form in ("json", "text", "markdown"):
        ended = command("diff", "begin", "gone", "--format", form)
        assert ended.status == 1
        assert not re.search(r"\b(nan|inf|infinity)\b", ended.out, re.IGNORECASE)
    changes = json.loads(command("diff", "begin", "gone", "--format", "json").out)["changes"]
    assert [one["after"] for one in changes] == [None, None]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("begin nowhere", "nowhere holds no results.json; name the folder of one finished run"),
        ("empty begin", "empty holds no results.json; name the folder of one finished run"),
        ("begin broken", "broken/results.json cannot be read: "),
        ("begin old", "old/results.json has schema 99, this guidebench reads 1"),
        ("begin begin", "diff: begin and begin are the same folder, which never differs from itself"),
        ("begin ./worse/../begin", "are the same folder"),
        ("begin other", "diff: the runs have no problem in common; theirs are p and q"),
        ("begin strangers", "diff: the runs have nothing in common that can be compared"),
        ("begin", "Missing argument 'AFTER'"),
        ("begin worse --format yaml", "Invalid value for '--format'"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(runs: Path, command: Command, arguments: str, line: str) -> None:
    for name, text in (("empty", None), ("broken", "{"), ("old", '{"schema": 99}')):
        (runs / name).mkdir()
        if text is not None:
            (runs / name / "results.json").write_text(text, encoding="utf-8")
    made.comparison(made.restarted(problem="q")).save(runs / "other")
    made.comparison(made.restarted("stranger")).save(runs / "strangers")
    before = sorted(runs.rglob("*"))
    ended = command("diff", *arguments.split())
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("guidebench: ")
    assert ended.err.count("\n") == 1
    assert line in ended.err
    assert sorted(runs.rglob("*")) == before


def test_from_python_it_takes_comparisons_and_folders(runs: Path) -> None:
    import guidebench as gb

    found = gb.diff(gb.load("begin"), "worse")
    assert (found.before, found.after) == ("begin", "worse")
    assert [(one.guide, one.metric) for one in found.worse] == [(LONG, "elbo")]
    assert list(found.table()["metric"]) == ["elbo", "kl"]
    assert len(found.table(all=True)) == 8
    assert repr(found) == "<Diff begin -> worse: 1 worse, 0 better, 3 unchanged>"
    page = found._repr_html_()
    assert "1 worse, 0 better, 3 unchanged" in page
    assert "-1.0000 ± 0.0071" in page
    assert "<script" not in page
