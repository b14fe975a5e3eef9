"""A shell that asks how a line goes on is told names of guides, problems and numbers, and nothing else happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("guidebench rec", ["recheck"]),
        ("guidebench run -g auto_iaf", ["auto_iaf_normal"]),
        ("guidebench run -g auto_normal -g mean", ["mean_field"]),
        ("guidebench run eight-schools-n", ["eight-schools-noncentred"]),
        ("guidebench run --learning", ["--learning-rate"]),
        ("guidebench explain khat_", ["khat_threshold"]),
        ("guidebench explain distr", ["distrust"]),
        ("guidebench check auto_del", ["auto_delta"]),
        ("guidebench run model.py:no", []),
    ],
)
def test_a_shell_is_told_how_a_line_goes_on(
    command: Command, monkeypatch: pytest.MonkeyPatch, line: str, told: list[str]
) -> None:
    monkeypatch.setenv("_GUIDEBENCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    ended = command()
    assert ended.status == 0
    assert ended.err == ""
    found = ended.out.split()
    assert found[: len(told)] == told
    assert bool(found) == bool(told)


def test_a_shell_is_told_how_to_ask(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    ended = command("--show-completion", "bash")
    assert ended.status == 0
    assert "complete -o default -F _guidebench_completion guidebench" in ended.out
