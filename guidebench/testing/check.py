"""A named check: a function of a guide under test, with the reason why it is there."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from guidebench.plugins.isolation.failures import reason
from guidebench.testing.outcomes import CheckFailed, NotApplicable, Outcome, Result
from guidebench.testing.subject import Subject


@dataclass(frozen=True)
class Check:
    """One check of the contract suite.

    Calling it with a guide (or a :class:`Subject`, which remembers fits from check to check) returns where the
    guide passes.

    Raises
    ------
    CheckFailed
        Where the guide breaks this part of the contract.
    NotApplicable
        Where there is nothing to look at in this guide; test runners skip the test.
    """

    function: Callable[[Subject], None]

    @property
    def name(self) -> str:
        """The public name, ``check_...``."""
        return self.function.__name__

    @property
    def claim(self) -> str:
        """What holds where the check passes."""
        return self._told()[0]

    @property
    def reason(self) -> str:
        """Why it matters."""
        return self._told()[1]

    @property
    def trains(self) -> bool:
        """Whether it looks at fits, and not only at what is declared."""
        return not self.function.__module__.endswith(".declaring")

    def _told(self) -> tuple[str, str]:
        claim, _, reason = (inspect.getdoc(self.function) or "").partition("\n\n")
        return " ".join(claim.split()), " ".join(reason.split())

    def __call__(self, guide: Any) -> None:
        """Check a guide."""
        self.function(guide if isinstance(guide, Subject) else Subject(guide))

    def __repr__(self) -> str:
        return self.name


def examine(check: Check, subject: Subject, expected_failures: Mapping[str, str] | None = None) -> Result:
    """Run one check and return how it ended.

    An expected failure that passes is a failure, so that what is mended does not stay excused.
    """
    expected = (expected_failures or {}).get(check.name)
    try:
        check(subject)
    except NotApplicable as why:
        return _result(check, subject, Outcome.NOT_APPLICABLE, str(why))
    except CheckFailed as error:
        if expected is not None:
            return _result(check, subject, Outcome.EXPECTED, expected)
        return _result(check, subject, Outcome.FAIL, str(error))
    except Exception as error:  # noqa: BLE001 - the boundary of a check: whatever the guide raises is its failure
        return _result(check, subject, Outcome.FAIL, reason(error), traceback.format_exc())
    if expected is not None:
        return _result(check, subject, Outcome.FAIL, f"it passes, though it was expected to fail: {expected}")
    return _result(check, subject, Outcome.PASS)


def _result(check: Check, subject: Subject, outcome: Outcome, reason: str = "", told: str = "") -> Result:
    return Result(check=check.name, guide=subject.name, outcome=outcome, reason=reason, traceback=told)
