"""Checks by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from guidebench.config.errors import RequestError
from guidebench.testing.check import Check
from guidebench.testing.checks import CHECKS

#: Begins the name of every check; users may leave it out.
PREFIX = "check_"


def find(name: str) -> Check:
    """Return the check of a name, with or without its ``check_``.

    Raises
    ------
    RequestError
        Where there is none.
    """
    known = {check.name.removeprefix(PREFIX): check for check in CHECKS}
    wanted = name.removeprefix(PREFIX)
    if wanted in known:
        return known[wanted]
    # Without the prefix, which makes any two names look alike.
    close = difflib.get_close_matches(wanted, known, n=1)
    hint = f"did you mean {known[close[0]].name!r}?" if close else "see guidebench check --list"
    raise RequestError(f"no check is called {name!r}; {hint}")


def chosen(names: Iterable[str]) -> tuple[Check, ...]:
    """Return the checks of these names in their own order; all of them where there are no names."""
    wanted = {find(name).name for name in names}
    return tuple(check for check in CHECKS if not wanted or check.name in wanted)


def check_expected(expected_failures: Mapping[str, str]) -> dict[str, str]:
    """Return expected failures by the full name of their check, each with its reason.

    Raises
    ------
    RequestError
        Where there is no check of that name, or a reason is missing.
    """
    for name, reason in expected_failures.items():
        if not str(reason or "").strip():
            raise RequestError(f"expected failure {name!r}: give the reason why it is as it should be")
    return {find(name).name: str(reason) for name, reason in expected_failures.items()}
