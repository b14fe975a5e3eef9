"""The plugin reference: four hooks, each returning declarations and doing no work.

A plugin is a module named by an entry point in the group ``guidebench``.  It may implement any of
these functions, marked with :data:`guidebench.hookimpl`; each returns (or yields) the records of
:mod:`guidebench.contracts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from guidebench.contracts import Guide, Metric, Problem, Section

#: The entry-point group and the name of the hook project.
PROJECT = "guidebench"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def guidebench_guides() -> Iterable[Guide]:  # type: ignore[empty-body]
    """Declare guides: variational families, each with a ``build`` function."""


@hookspec
def guidebench_problems() -> Iterable[Problem]:  # type: ignore[empty-body]
    """Declare problems: models with their data and known answers."""


@hookspec
def guidebench_metrics() -> Iterable[Metric]:  # type: ignore[empty-body]
    """Declare metrics: numbers computed from the draws of a fit."""


@hookspec
def guidebench_sections() -> Iterable[Section]:  # type: ignore[empty-body]
    """Declare report sections: text, tables and figures made from results."""
