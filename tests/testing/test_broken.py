"""Each way of breaking the contract fails exactly one check: the one that is about it."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path

import pytest

from guidebench import Guide
from guidebench.testing import CHECKS, Outcome, Subject, examine

BROKEN: Mapping[str, tuple[Guide, str]] = runpy.run_path(str(Path(__file__).with_name("broken.py")))["BROKEN"]

#: Those that need no training to be found out.
QUICK = {"a wrong shape"}

IMPORTS_JAX = """
import jax
from guidebench import Guide

def build(model):
    from numpyro.infer.autoguide import AutoNormal
    return AutoNormal(model)

GUIDE = Guide(name="heavy", build=build, summary="Loads JAX when it is declared", family="diagonal")
"""

POSITIONAL = IMPORTS_JAX.replace("import jax\n", "").replace("build(model)", "build(model, scale=0.1)")


def failures(subject: Subject) -> dict[str, str]:
    """Return what failed, by check."""
    found = [examine(check, subject) for check in CHECKS]
    return {one.check: one.reason for one in found if one.outcome is Outcome.FAIL}


@pytest.mark.parametrize(
    ("broken", "check"),
    [pytest.param(*case, id=name, marks=[] if name in QUICK else pytest.mark.slow) for name, case in BROKEN.items()],
)
def test_one_flaw_fails_one_check(broken: Guide, check: str) -> None:
    found = failures(Subject(broken))
    assert list(found) == [check], found


@pytest.mark.parametrize(
    ("source", "check", "reason"),
    [
        pytest.param(
            POSITIONAL,
            "check_declaration",
            "build takes options as keyword-only arguments; put a '*' before scale",
            id="options by position",
        ),
        pytest.param(
            IMPORTS_JAX,
            "check_import_is_light",
            "declaring it loads jax; import them inside build",
            id="a heavy import",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_one_flaw_of_a_file_fails_one_check(tmp_path: Path, source: str, check: str, reason: str) -> None:
    file = tmp_path / "guides.py"
    file.write_text(source, encoding="utf-8")
    found = failures(Subject(f"{file}:GUIDE"))
    assert list(found) == [check]
    assert reason in found[check]
