"""The first part of a report on several problems: all of them at a glance, from :mod:`guidebench.analysis.problems`.

Each part is declared as a section is, but sees an :class:`~guidebench.report.overview.seen.Overview` of all
problems in place of the page of one.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from guidebench.contracts import Section
from guidebench.report.overview.seen import Overview, problem_anchor

__all__ = ["OVERVIEW", "Overview", "anchor_of", "problem_anchor"]


def _lazily(module: str) -> Callable[[Overview], Any]:
    def build(overview: Overview) -> Any:
        return import_module(f"guidebench.report.overview.{module}").build(overview)

    return build


OVERVIEW: tuple[Section, ...] = tuple(
    Section(name=f"overview-{name}", title=title, build=_lazily(name))  # type: ignore[arg-type]
    for name, title in (
        ("verdicts", "Overview"),
        ("numbers", "Problem by guide"),
        ("ranks", "Ranks and paired tests"),
        ("profiles", "Performance profiles"),
        ("times", "Time against accuracy"),
        ("winners", "Which guide wins where"),
        ("models", "Models of the same data"),
    )
)


def anchor_of(name: str) -> str:
    """Return the anchor of a part; the names of problems and sections never make one with two hyphens in a row."""
    part = name.removeprefix("overview-")
    return "overview" if part == "verdicts" else f"overview--{part}"
