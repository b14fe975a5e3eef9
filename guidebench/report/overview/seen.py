"""What a part of the overview sees: the whole comparison, a colour per guide, and a place for figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from guidebench.analysis.problems import Measure, mapped, others, shared_prefix
from guidebench.report.content import Figure, Key, Link
from guidebench.report.finish import finish, seen, unique
from guidebench.report.palette import Style, styles
from guidebench.report.text import slug
from guidebench.results import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure


def problem_anchor(name: str) -> str:
    """Return the anchor of a problem's own part of the report."""
    return f"problem-{slug(name)}"


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All problems of a comparison.

    Attributes
    ----------
    comparison : Comparison
        The whole run, with what its metrics mean.
    """

    comparison: Comparison
    _names: set[str] = field(default_factory=set, repr=False, compare=False)

    @cached_property
    def guides(self) -> tuple[str, ...]:
        """Every guide, in the order of the run."""
        return tuple(dict.fromkeys(fit.guide for fit in self.comparison.fits))

    @cached_property
    def mapped(self) -> list[Measure]:
        """The measures that have a heat map, in order."""
        return mapped(self.comparison.quantities)

    @cached_property
    def others(self) -> list[Measure]:
        """The measures without a heat map: metrics, those of plugins included, with a direction."""
        return others(self.comparison.quantities)

    @cached_property
    def styles(self) -> dict[str, Style]:
        """Colour and dash pattern of each guide, the same in every figure of the report."""
        return styles(self.guides)

    @cached_property
    def _prefix(self) -> str:
        return shared_prefix([problem.name for problem in self.comparison.problems])

    @property
    def heading(self) -> str:
        """What stands above a column of problems: with what all their names begin."""
        return f"problem {self._prefix}…" if self._prefix else "problem"

    def problem(self, name: str) -> str:
        """Return the name of a problem without what all names begin with."""
        return name.removeprefix(self._prefix)

    def link(self, name: str) -> Link:
        """Return a table cell that leads to a problem's own part."""
        return Link(self.problem(name), problem_anchor(name))

    def key(self, guide: str) -> Key:
        """Return a table cell with the guide's name and colour."""
        return Key(guide, self.styles[guide].colour)

    def legend(self, guides: Sequence[str]) -> list[tuple[str, Style]]:
        """Return the legend entries of guides."""
        return [(guide, self.styles[guide]) for guide in guides]

    def figure(self, name: str, fig: MatplotlibFigure, *, alt: str, caption: str = "") -> Figure:
        """Turn a Matplotlib figure into an item of the report, and let go of it."""
        stem = unique(f"overview-{name}", self._names)
        self._names.add(stem)
        return finish(stem, seen(fig, self.comparison), alt=alt, caption=caption)
