"""The help shows ten options first, all of them when asked for, each with its default, and is short enough to read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import typer

from guidebench.cli.app import app
from guidebench.cli.help import COMMON, default_of
from guidebench.config import OPTIONS, make_config

Command = Callable[..., Any]

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def options(text: str) -> list[str]:
    return re.findall(r"^│ (--[\w-]+)", text, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_fits_a_hundred_lines(command: Command, name: str) -> None:
    ended = command(name, "--help")
    assert ended.status == 0
    assert len(ended.out.splitlines()) <= 100


def test_ten_options_come_first_and_the_others_when_asked_for(command: Command) -> None:
    assert len(COMMON) == 10
    common = [OPTIONS[name].spelled for name in COMMON]
    few, all_ = options(command("run", "--help").out), options(command("run", "--help-all").out)
    assert few == [*common, "--help", "--help-all"]
    assert all_[: len(few)] == few
    spelled = {one.spelled for one in OPTIONS.values() if one.spelled.startswith("--")}
    assert set(all_) == {*spelled, "--config", "--help", "--help-all"}
    assert len(all_) == len(set(all_))


def test_asking_for_help_runs_nothing_and_wants_no_other_argument(command: Command) -> None:
    assert command("run", "--help-all", "--steps", "nonsense").status == 0


def test_every_default_is_shown_as_it_is(command: Command) -> None:
    shown = " ".join(re.sub(r"[│╭╮╰╯─]", " ", command("run", "--help-all").out).split())
    assert shown.count("[default: ") == len(OPTIONS)
    assert "[default: 4000]" in shown
    config = make_config({})
    for name, option in OPTIONS.items():
        value, told = getattr(config, name), default_of(name)
        if option.kind in (int, float, str) and value is not None:
            assert told == str(value)
    assert (default_of("guides"), default_of("steps"), default_of("data")) == (
        "default",
        "as the recipe has it",
        "none",
    )
    assert (default_of("x64"), default_of("log_loss")) == ("no", "linear-loss")
