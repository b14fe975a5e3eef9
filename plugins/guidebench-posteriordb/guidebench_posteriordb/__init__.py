"""Reference posteriors among the problems of guidebench."""

from __future__ import annotations

from collections.abc import Iterator

from guidebench import Problem, hookimpl
from guidebench_posteriordb.catalogue import POSTERIORS

__all__ = ["guidebench_problems"]


@hookimpl
def guidebench_problems() -> Iterator[Problem]:
    """Declare the posteriors; their data are read from the database when a run asks for them."""
    for one in POSTERIORS:
        yield one.declaration()
