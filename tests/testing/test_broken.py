"""Each way of breaking the contract fails exactly one check: the one that is about it."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from guidebench.testing import CHECKS, Outcome, Subject, examine

BROKEN: Mapping[str, Any] = runpy.run_path(str(Path(__file__).with_name("broken.py")), run_name="broken")["BROKEN"]

#: Those that are found out in no time.
QUICK = {"a wrong shape", "an exception in supports", "a density too high by a constant"}

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
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in BROKEN]
)
def test_one_flaw_fails_one_check(name: str) -> None:
    broken = BROKEN[name]
    found = failures(Subject(broken.guide, broken.problems))
    assert list(found) == [broken.check], found


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
