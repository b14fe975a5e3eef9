"""A section: a part of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guidebench.config.errors import PluginError
from guidebench.contracts.names import check_callable, check_name, check_text

if TYPE_CHECKING:
    from guidebench.report.page import Page


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report.

    Parameters
    ----------
    name : str
        Public name; the anchor in the page.
    title : str
        The heading.
    build : callable
        ``build(page)`` takes a :class:`~guidebench.report.page.Page` (results and a place for
        figures) and returns a :class:`~guidebench.report.page.Block` or ``None`` where there is
        nothing to show.
    order : int
        Position in the report: sections appear in increasing order.
    summary : str
        One line for ``guidebench list``.
    """

    name: str
    title: str
    build: Callable[[Page], Any]
    order: int = 500
    summary: str = ""

    def __post_init__(self) -> None:
        check_name("section", self.name)
        check_text("section", self.name, title=self.title, summary=self.summary)
        if not isinstance(self.order, int):
            raise PluginError(f"section {self.name!r}: order must be a whole number, not {self.order!r}")
        check_callable("section", self.name, "build", self.build)
