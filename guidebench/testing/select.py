"""Checks by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from guidebench.errors import RequestError
from guidebench.testing.check import Check
from guidebench.testing.checks import CHECKS


def find(name: str) -> Check:
    """Return the check of a name, with or without its ``check_``.

    Raises
    ------
    RequestError
        Where there is none.
    """
    known = {check.name: check for check in CHECKS}
    wanted = name if name.startswith("check_") else f"check_{name}"
    if wanted in known:
        return known[wanted]
    close = difflib.get_close_matches(wanted, known, n=1)
    raise RequestError(
        f"no check is called {name!r}; {f'did you mean {close[0]!r}?' if close else 'see guidebench check --list'}"
    )


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
