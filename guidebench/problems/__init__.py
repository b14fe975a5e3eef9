"""The problems that ship with guidebench, declared through the same hook as anybody's."""

from __future__ import annotations

from collections.abc import Iterator

from guidebench.contracts import Problem
from guidebench.hookspecs import hookimpl
from guidebench.problems import funnel, linear_regression, two_modes


@hookimpl
def guidebench_problems() -> Iterator[Problem]:
    """Declare each bundled problem."""
    yield linear_regression.problem()
    yield funnel.problem()
    yield two_modes.problem()
