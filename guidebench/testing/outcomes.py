"""How a check can end."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from unittest import SkipTest


class CheckFailed(AssertionError):  # noqa: N818 - it is a finding, no error of the program
    """A guide breaks a part of the contract; the message says which, where, and what to do."""


class NotApplicable(SkipTest):
    """A check has nothing to look at in this guide; the message says why.  Test runners skip the test."""


class Outcome(StrEnum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 - no password
    EXPECTED = "expected failure"
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of one check on one guide.

    ``reason`` says why it failed or does not apply, or why the failure was expected; ``traceback`` is that of
    an exception of the guide's, where one ended the check.
    """

    check: str
    guide: str
    outcome: Outcome
    reason: str = ""
    traceback: str = field(default="", repr=False)
