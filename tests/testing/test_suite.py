"""The contract suite itself: how checks end, expected failures, names, and the tests that pytest makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from guidebench import Guide, load
from guidebench.config.errors import RequestError
from guidebench.plugins.isolation.failures import OWN
from guidebench.plugins.registry import load_registry
from guidebench.testing import (
    CHECKS,
    Check,
    CheckFailed,
    NotApplicable,
    Outcome,
    Result,
    Subject,
    examine,
    parametrize_with_checks,
)
from guidebench.testing.checks import drawing
from guidebench.testing.select import check_expected, chosen, find

Python = Callable[..., CompletedProcess[str]]

BUNDLED = [one.name for one in load_registry().guides if one.distribution == OWN]

EXPECTED = {
    "auto_dais": {
        "check_family": "its leapfrog steps have unit masses, so scaling is another preconditioner, and for correlated "
        "coordinates not a better one; without it a coordinate of large scale would never move"
    }
}


@cache
def examined(name: str) -> Subject:
    """Return a guide to check: what is fitted of it serves all tests here."""
    return Subject(name)


def passes(subject: Subject) -> None:
    """Pass."""


def fails(subject: Subject) -> None:
    """Fail."""
    raise CheckFailed("the ELBO is\ttoo high")


def raises(subject: Subject) -> None:
    """Raise."""
    raise ValueError("of  the guide's")


def skips(subject: Subject) -> None:
    """Skip."""
    raise NotApplicable("it has no options")


@pytest.mark.parametrize(
    ("function", "expected", "outcome", "reason"),
    [
        (passes, {}, Outcome.PASS, ""),
        (passes, {"fails": "why"}, Outcome.PASS, ""),
        (passes, {"passes": "why"}, Outcome.FAIL, "it passes, though it was expected to fail: why"),
        (fails, {}, Outcome.FAIL, "the ELBO is\ttoo high"),
        (fails, {"fails": "why"}, Outcome.EXPECTED, "why"),
        (raises, {}, Outcome.FAIL, "ValueError: of the guide's"),
        (raises, {"raises": "why"}, Outcome.FAIL, "ValueError: of the guide's"),
        (skips, {}, Outcome.NOT_APPLICABLE, "it has no options"),
        (skips, {"skips": "why"}, Outcome.NOT_APPLICABLE, "it has no options"),
    ],
)
def test_how_a_check_ends(
    function: Callable[[Subject], None], expected: dict[str, str], outcome: Outcome, reason: str
) -> None:
    found = examine(Check(function), Subject("mine"), expected)
    assert found == Result(
        check=function.__name__, guide="mine", outcome=outcome, reason=reason, traceback=found.traceback
    )
    assert ("ValueError" in found.traceback) is (function is raises)


def test_every_check_says_what_holds_and_why() -> None:
    for check in CHECKS:
        assert check.name.startswith("check_")
        assert check.claim.endswith(".")
        assert check.reason.endswith(".")
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_checks_by_name() -> None:
    assert chosen(()) == CHECKS
    assert [one.name for one in chosen(["trains", "check_declaration"])] == ["check_declaration", "check_trains"]
    with pytest.raises(RequestError, match=r"no check is called 'check_train'; did you mean 'check_trains'\?"):
        find("check_train")
    with pytest.raises(RequestError, match="no check is called 'xyz'; see guidebench check --list"):
        find("xyz")
    assert check_expected({"family": "why"}) == {"check_family": "why"}
    with pytest.raises(RequestError, match="expected failure 'family': give the reason"):
        check_expected({"family": " "})


@pytest.mark.parametrize(
    ("guides", "expected", "message"),
    [
        ([], {}, "guides: none are given"),
        ("auto_normal", {}, r"should be a list of guides; give \['auto_normal'\]"),
        (["auto_normal"], {"check_nothing": "why"}, "no check is called 'check_nothing'"),
    ],
)
def test_wrong_requests_are_refused_where_they_are_made(
    guides: list[str], expected: dict[str, str], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        parametrize_with_checks(guides, expected_failures=expected)


def test_ids_name_check_and_guide() -> None:
    declared = Guide(name="mine", build=lambda model: None)
    mark = parametrize_with_checks(["auto_normal", declared])
    ids = [one.id for one in mark.args[1]]
    assert ids[:2] == ["check_declaration-auto_normal", "check_options_are_accepted-auto_normal"]
    assert ids[len(CHECKS)] == "check_declaration-mine"
    assert len(ids) == 2 * len(CHECKS)


#: What a plugin's author writes, for a guide that nobody has and one that is there.
TESTS = """
from guidebench.testing import CHECKS, parametrize_with_checks

@parametrize_with_checks(["nobodys"])
def test_unknown(guide, check):
    check(guide)

@parametrize_with_checks(["nobodys"], expected_failures={"check_declaration": "not written yet"})
def test_expected(guide, check):
    check(guide)

@parametrize_with_checks(["auto_delta"], expected_failures={"check_declaration": "it is refused"})
def test_passes_unexpectedly(guide, check):
    if check.name in ("check_declaration", "check_options_are_accepted"):
        check(guide)
"""


def test_pytest_shows_failures_expected_failures_and_what_does_not_apply(python: Python, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS, encoding="utf-8")
    done = python("-m", "pytest", "-q", "-rfx", "-p", "no:cacheprovider", "test_mine.py", cwd=tmp_path)
    rest = len(CHECKS) - 1
    assert f"2 failed, {rest - 1} passed, {2 * rest + 1} skipped, 1 xfailed" in done.stdout, done.stdout
    assert "test_unknown[check_declaration-nobodys]" in done.stdout
    assert "no guide is called 'nobodys'" in done.stdout
    assert "[XPASS(strict)] it is refused" in done.stdout


def test_a_fit_that_changes_when_it_is_loaded_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = examined("auto_delta")

    def tampered(path: str) -> object:
        found = load(path)
        return replace(found, fits=tuple(replace(fit, message="other") for fit in found.fits))

    monkeypatch.setattr(drawing, "load", tampered)
    with pytest.raises(CheckFailed, match=r"message was '.*' and is 'other' when loaded"):
        drawing.check_saves_and_loads(subject)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in BUNDLED])
def test_a_bundled_guide_passes(name: str) -> None:
    subject = examined(name)
    found = [examine(check, subject, EXPECTED.get(name)) for check in CHECKS]
    assert [(one.check, one.reason, one.traceback) for one in found if one.outcome is Outcome.FAIL] == []
    assert sum(one.outcome is Outcome.PASS for one in found) > len(CHECKS) / 2
