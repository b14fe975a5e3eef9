"""``guidebench check``: a line per check, and an exit status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guidebench.testing import CHECKS

Command = Callable[..., Any]

#: Found out before anything is trained.
WITHOUT_SITES = """
from guidebench import Guide

def build(model):
    import numpyro
    import numpyro.distributions as dist

    def guide(*args, **kwargs):
        numpyro.sample("mine", dist.Normal(0, 1))
    return guide

GUIDE = Guide(name="mine", build=build, summary="Has a site of its own")
BAD = "no guide"
"""

POSITIONAL = """
from guidebench import Guide

GUIDE = Guide(name="mine", build=lambda model, scale=1: None)
"""


@pytest.fixture
def guides(tmp_path: Path) -> None:
    (tmp_path / "guides.py").write_text(WITHOUT_SITES, encoding="utf-8")
    (tmp_path / "positional.py").write_text(POSITIONAL, encoding="utf-8")


@pytest.mark.usefixtures("guides")
def test_a_line_per_check_with_its_reason(command: Command) -> None:
    ended = command("check", "guides.py:GUIDE")
    lines = ended.out.splitlines()
    assert (ended.status, ended.err) == (1, "")
    assert [line[16:].strip().partition(":")[0] for line in lines[:-1]] == [check.name for check in CHECKS]
    assert lines[0] == "pass              check_declaration"
    assert "not applicable    check_options_are_accepted: it has no options" in lines
    (failed,) = [line for line in lines if line.startswith("fail ")]
    assert failed.startswith(
        "fail              check_sites_and_shapes: on one-dimensional: it lacks the model's latent"
    )
    skipped = [line for line in lines if "see check_sites_and_shapes" in line]
    assert len(skipped) >= 5
    assert lines[-1] == ("guides.py:GUIDE: 3 pass, 1 fail, 11 not applicable")


@pytest.mark.usefixtures("guides")
def test_an_expected_failure_has_its_reason(command: Command) -> None:
    chosen = ("check", "guides.py:GUIDE", "--check", "sites_and_shapes", "--check", "declaration")
    ended = command(*chosen, "--expect", "sites_and_shapes=a template = to be filled in")
    assert ended.status == 0
    assert ended.out.splitlines() == [
        "pass              check_declaration",
        "expected failure  check_sites_and_shapes: a template = to be filled in",
        "guides.py:GUIDE: 1 pass, 1 expected failure",
    ]
    ended = command(*chosen[:2], "--check", "declaration", "--expect", "declaration=it is refused")
    assert ended.status == 1
    assert "it passes, though it was expected to fail: it is refused" in ended.out


@pytest.mark.usefixtures("guides")
def test_a_refused_declaration_is_a_failure(command: Command) -> None:
    ended = command("check", "positional.py:GUIDE", "--check", "declaration")
    assert ended.status == 1
    assert "put a '*' before scale" in ended.out


def test_the_checks_are_listed_with_their_reasons(command: Command) -> None:
    ended = command("check", "--list", "--check", "family", "--check", "trains")
    assert ended.status == 0
    lines = ended.out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["check_trains", "check_family"]
    assert "would be shown a posterior without correlations, and flattered by it." in ended.out
    assert [line for line in command("check", "--list").out.splitlines() if line.startswith("check_")] == [
        check.name for check in CHECKS
    ]


@pytest.mark.usefixtures("guides")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check"], "check: name a guide, as guidebench check auto_normal; guidebench list names them all"),
        (["check", "auto_norml"], "no guide is called 'auto_norml'; did you mean 'auto_normal'?"),
        (["check", "default"], "'default' stands for 6 guides; name one"),
        (["check", "nowhere.py:GUIDE"], "nowhere.py: there is no such file"),
        (["check", "guides.py:BAD"], "guides.py:BAD: 'BAD' is no function but of type str"),
        (["check", "auto_normal", "--check", "trian"], "no check is called 'trian'; did you mean 'check_trains'?"),
        (["check", "auto_normal", "--expect", "family"], "--expect family: should be CHECK=REASON"),
        (["check", "auto_normal", "--expect", "family="], "expected failure 'family': give the reason"),
        (["check", "auto_normal:scale=1"], "guide 'auto_normal' has no option 'scale'; its options are init_scale"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_request_is_one_line(command: Command, arguments: list[str], message: str) -> None:
    ended = command(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"guidebench: {message}")
    assert ended.err.count("\n") == 1
