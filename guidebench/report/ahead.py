"""Sections that are drawn while a run still goes on, or by another process beside this one.

While it goes on: those of problems of which nothing will change any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any, NamedTuple, Protocol

from guidebench.contracts import Section
from guidebench.plugins.isolation.failures import Failure
from guidebench.report.beside import Drawn
from guidebench.report.finish import compact_dpi
from guidebench.report.page import Page
from guidebench.report.rendered import OnFailure, Owned, Rendered, section_of
from guidebench.results import Comparison, ProblemRecord


class Drawer(Protocol):
    """What draws sections beside this process: :class:`guidebench.report.beside.Beside`."""

    def draw(self, page: Page, names: set[str], one: Owned) -> Drawn | None:
        """Return a section of a page, whose names of figures are given, or nothing where it could not be drawn."""


class _Wanted(NamedTuple):
    """A section that is to be drawn, of a page with these names of figures."""

    page: Page
    names: set[str]
    one: Owned

    @property
    def key(self) -> tuple[str, str]:
        return self.page.problem.name, self.one.section.name


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
    beside : Drawer, optional
        Draws them while this process trains, and at the end from the last of them on, while this one draws from the
        first.
    """

    def __init__(self, sections: Sequence[Any], *, log_loss: bool = False, beside: Drawer | None = None) -> None:
        self._sections = [one for one in in_order(sections) if one.own]
        self._log_loss = log_loss
        self._left: deque[_Wanted] = deque()
        self._made: dict[tuple[str, str], _Made] = {}
        self._other = None if beside is None else _Other(beside)

    def take(self, comparison: Comparison, problem: ProblemRecord) -> None:
        """Take a problem whose fits are all there; the comparison has no others, but all problems of the run.

        A run of one problem is over then, and its report says so.
        """
        if len(comparison.problems) > 1:
            self._add(comparison, problem)

    def share(self, comparison: Comparison) -> None:
        """Take the problem of a run of one, that is over, where somebody else draws its last sections meanwhile."""
        if self._other is not None and len(comparison.problems) == 1:
            self._add(comparison, comparison.problems[0])

    def _add(self, comparison: Comparison, problem: ProblemRecord) -> None:
        names: set[str] = set()
        page = Page(comparison=comparison, problem=problem, log_loss=self._log_loss, _names=names)
        wanted = [_Wanted(page, names, one) for one in self._sections]
        if self._other is None:
            self._left.extend(wanted)
        else:
            self._other.take(wanted)

    def work(self) -> bool:
        """Draw the next section; return whether there was one."""
        if not self._left:
            return False
        wanted = self._left.popleft()
        page, names, one = wanted
        before, failures = frozenset(names), list[Failure]()
        made = section_of(page, one, failures.append)
        if not failures:  # else it will fail again where that is noted
            own = frozenset(names) - before
            self._made[wanted.key] = _Made(page, before, own, made)
        return True

    def section_of(self, page: Page, names: set[str], one: Owned, on_failure: OnFailure) -> Rendered | None:
        """Return a section of a page: as it was drawn, or drawn now. `names` are those of the figures so far."""
        found, key = None, (page.problem.name, one.section.name)
        if one.own:
            found = self._made.pop(key, None) if self._other is None else self._other.made(key)
        # A figure is named by the first name that is free.  So its name is the same where it is still free, and what
        # was taken still is.
        if found is None or not found.before <= names or found.names & names or not _alike(found.page, page):
            return section_of(page, one, on_failure)
        names |= found.names
        return found.section


class _Other:
    """What another process draws: the last that is left, as long as nobody here has begun it."""

    def __init__(self, beside: Drawer) -> None:
        self._beside = beside
        self._lock = Lock()
        self._left: dict[tuple[str, str], _Wanted] = {}
        self._begun: dict[tuple[str, str], Future[_Made | None]] = {}
        self._busy = False

    def take(self, wanted: Sequence[_Wanted]) -> None:
        """Add sections to those that are left."""
        with self._lock:
            self._left |= {one.key: one for one in wanted}
            if self._busy or not self._left:
                return
            self._busy = True
        try:
            Thread(target=self._give, daemon=True).start()
        except RuntimeError:  # there can be no more threads: all is drawn here
            with self._lock:
                self._busy = False
                self._left.clear()

    def made(self, key: tuple[str, str]) -> _Made | None:
        """Return a section that was begun, once it is there; of one that was not nobody will draw it any more."""
        with self._lock:
            self._left.pop(key, None)
            begun = self._begun.pop(key, None)
        return None if begun is None else begun.result()

    def _give(self) -> None:
        while True:
            with self._lock:
                if not self._left:
                    self._busy = False
                    return
                key, wanted = self._left.popitem()
                future = self._begun[key] = Future[_Made | None]()
            drawn: Drawn | None = None
            try:
                drawn = self._beside.draw(*wanted)
            finally:  # somebody may wait for it
                future.set_result(
                    None if drawn is None else _Made(wanted.page, frozenset(), drawn.names, drawn.section)
                )


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
