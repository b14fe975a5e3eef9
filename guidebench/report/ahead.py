"""Sections that are drawn while a run still goes on: those of problems of which nothing will change any more."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from guidebench.contracts import Section
from guidebench.plugins.isolation.failures import Failure
from guidebench.report.finish import compact_dpi
from guidebench.report.page import Page
from guidebench.report.rendered import OnFailure, Owned, Rendered, section_of
from guidebench.results import Comparison, ProblemRecord


class _Made(NamedTuple):
    """A section as it was drawn: on which page, after which names of figures, and with which of its own."""

    page: Page
    before: frozenset[str]
    names: frozenset[str]
    section: Rendered | None


class Ahead:
    """Draws the sections of one problem after the other, and has them when the report is written.

    Only guidebench's own sections, which look at nothing but their problem: those of others see the whole run, and
    it is not there yet.  What would not be the same at the end to the byte is drawn again then.

    Parameters
    ----------
    sections : sequence of Section
        What the report consists of.
    log_loss : bool
        As for :func:`guidebench.report.write`.
    """

    def __init__(self, sections: Sequence[Any], *, log_loss: bool = False) -> None:
        self._sections = [one for one in in_order(sections) if one.own]
        self._log_loss = log_loss
        self._left: deque[tuple[Page, set[str], Owned]] = deque()
        self._made: dict[tuple[str, str], _Made] = {}

    def take(self, comparison: Comparison, problem: ProblemRecord) -> None:
        """Take a problem whose fits are all there; the comparison has no others, but all problems of the run.

        A run of one problem is over then, and its report says so.
        """
        if len(comparison.problems) > 1:
            names: set[str] = set()
            page = Page(comparison=comparison, problem=problem, log_loss=self._log_loss, _names=names)
            self._left.extend((page, names, one) for one in self._sections)

    def work(self) -> bool:
        """Draw the next section; return whether there was one."""
        if not self._left:
            return False
        page, names, one = self._left.popleft()
        before, failures = frozenset(names), list[Failure]()
        made = section_of(page, one, failures.append)
        if not failures:  # else it will fail again where that is noted
            own = frozenset(names) - before
            self._made[page.problem.name, one.section.name] = _Made(page, before, own, made)
        return True

    def section_of(self, page: Page, names: set[str], one: Owned, on_failure: OnFailure) -> Rendered | None:
        """Return a section of a page: as it was drawn, or drawn now. `names` are those of the figures so far."""
        found = self._made.pop((page.problem.name, one.section.name), None) if one.own else None
        # A figure is named by the first name that is free.  So its name is the same where it is still free, and what
        # was taken still is.
        if found is None or not found.before <= names or found.names & names or not _alike(found.page, page):
            return section_of(page, one, on_failure)
        names |= found.names
        return found.section


def _alike(then: Page, now: Page) -> bool:
    """Return whether two pages are the same to a section of guidebench's own."""
    name = now.problem.name
    before, after = then.comparison, now.comparison
    return (
        then.problem is now.problem
        and [id(fit) for fit in then.fits] == [id(fit) for fit in now.fits]
        and before.references.get(name) is after.references.get(name)
        and [then.style(fit) for fit in then.fits] == [now.style(fit) for fit in now.fits]
        and then.several == now.several
        and compact_dpi(len(before.problems)) == compact_dpi(len(after.problems))
        and then.log_loss == now.log_loss
        and before.quantities == after.quantities
        and before.failures == after.failures
    )


def in_order(sections: Sequence[Any]) -> list[Owned]:
    """Return sections in their order, each with the name of who brought it."""
    found = list(sections.values()) if isinstance(sections, Mapping) else list(sections)
    owned = [
        Owned(section=one)
        if isinstance(one, Section)
        else Owned(section=one.declaration, plugin=one.plugin, distribution=one.distribution)
        for one in found
    ]
    return sorted(owned, key=lambda one: one.section.order)
