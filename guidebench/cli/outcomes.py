"""What ``guidebench check`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext

from rich.console import Console

from guidebench.cli.cells import escape, make_console
from guidebench.testing import Check, Outcome, Result, Subject, examine
from guidebench.testing.flaws import own_error
from guidebench.testing.subject import Refused

_COLOURS = {
    Outcome.PASS: "green",
    Outcome.EXPECTED: "yellow",
    Outcome.FAIL: "bold red",
    Outcome.NOT_APPLICABLE: "dim",
}

_WIDTH = max(len(outcome) for outcome in Outcome)


def print_outcomes(subject: Subject, checks: Sequence[Check], expected: Mapping[str, str]) -> int:
    """Run checks on a guide, printing a line for each as it ends; return how many failed."""
    to = make_console()
    _print_own_error(to, subject, checks)
    results = []
    for check in checks:
        with to.status(f"{check.name} ...") if to.is_terminal else nullcontext():
            result = examine(check, subject, expected)
        _print(to, result)
        results.append(result)
    _print_summary(to, subject, results)
    return sum(one.outcome is Outcome.FAIL for one in results)


def _print_own_error(to: Console, subject: Subject, checks: Sequence[Check]) -> None:
    """Print the exception that the guide itself raises: all that follows from it comes after it."""
    if not any(check.trains for check in checks) or isinstance(subject.found, Refused):
        return
    with to.status(f"{subject.name} ...") if to.is_terminal else nullcontext():
        found = own_error(subject)
    if found is not None:
        to.print(f"[bold red]{'it raises':<{_WIDTH}}[/]  {escape(found)}", soft_wrap=True)


def _print(to: Console, result: Result) -> None:
    reason = f": {escape(result.reason)}" if result.reason else ""
    colour = _COLOURS[result.outcome]
    to.print(f"[{colour}]{result.outcome:<{_WIDTH}}[/]  {result.check}{reason}", soft_wrap=True)


def _print_summary(to: Console, subject: Subject, results: Iterable[Result]) -> None:
    counts = Counter(one.outcome for one in results)
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    to.print(f"{escape(subject.name)}: {told}", soft_wrap=True)


def print_checks(checks: Iterable[Check]) -> None:
    """Print what every check claims and why."""
    to = make_console()
    for check in checks:
        to.print(f"[bold]{check.name}[/]", soft_wrap=True)
        to.print(f"    {escape(check.claim)}", soft_wrap=True)
        to.print(f"    {escape(check.reason)}", soft_wrap=True)
