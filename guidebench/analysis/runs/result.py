"""The difference between two runs, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class Outcome(StrEnum):
    """What became of one number, or of one word, of a fit."""

    WORSE = "worse"
    BETTER = "better"
    UNCLEAR = "unclear"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One number, or one word, of one fit before and after.

    Attributes
    ----------
    problem, guide : str
        The fit.
    metric, variable : str
        The metric, and the component where it is not of the whole fit; ``status``, ``verdict`` and ``seconds``
        are not metrics.
    before, after : float, str or None
        What it was and is; ``None`` stands for a number that is not finite.
    change : float or None
        After minus before; of a metric with a nominal value, of the distances from it.
    error : float or None
        Standard error of the change: of the draws, and of training as far as restarts tell it.
    z : float or None
        The change over its error.
    p : float or None
        p-value of the change, corrected for the number of all those it was tested with.
    outcome : Outcome
        What to call it.
    decides : bool
        Whether it decides if a run is worse; the others are noted only.
    note : str
        What else there is to know.
    """

    problem: str
    guide: str
    metric: str
    variable: str = ""
    before: float | str | None = None
    after: float | str | None = None
    change: float | None = None
    error: float | None = None
    z: float | None = None
    p: float | None = None
    outcome: Outcome = Outcome.UNCHANGED
    decides: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        """The metric, with its component."""
        return f"{self.metric}[{self.variable}]" if self.variable else self.metric


@dataclass(frozen=True, kw_only=True)
class Context:
    """Something else that differs between the runs, and decides nothing.

    Attributes
    ----------
    kind : str
        ``problem``, ``data``, ``reference``, ``fit``, ``metric``, ``plugin``, ``recipe``, ``configuration``,
        ``environment``, ``time`` or ``interrupted``.
    text : str
        It, in words.
    """

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


#: Columns of the table, in order.
COLUMNS = (
    *("problem", "guide", "metric", "variable", "before", "after"),
    *("change", "error", "z", "p", "outcome", "decides", "note"),
)


@dataclass(frozen=True, kw_only=True)
class Diff:
    """What got better or worse between two runs, beyond noise.

    Attributes
    ----------
    before, after : str
        The runs: their folders, or their names.
    changes : tuple of Change
        Everything that was compared, what did not change included.
    context : tuple of Context
        What else differs.
    """

    before: str
    after: str
    changes: tuple[Change, ...] = ()
    context: tuple[Context, ...] = ()

    @property
    def worse(self) -> tuple[Change, ...]:
        """What got worse, the most certain first; a run is worse where there is any of it."""
        return self._deciding(Outcome.WORSE)

    @property
    def better(self) -> tuple[Change, ...]:
        """What got better, the most certain first."""
        return self._deciding(Outcome.BETTER)

    @property
    def unclear(self) -> tuple[Change, ...]:
        """What is beyond the noise of the draws, where that of training is not known."""
        return self._deciding(Outcome.UNCLEAR)

    @property
    def unchanged(self) -> tuple[Change, ...]:
        """What could have decided and did not change beyond noise."""
        return self._deciding(Outcome.UNCHANGED)

    @property
    def noted(self) -> tuple[Change, ...]:
        """What changed and decides nothing."""
        return tuple(one for one in self.changes if not one.decides and one.outcome is not Outcome.UNCHANGED)

    def _deciding(self, outcome: Outcome) -> tuple[Change, ...]:
        found = [one for one in self.changes if one.decides and one.outcome is outcome]
        return tuple(sorted(found, key=certainty))

    def table(self, *, all: bool = False) -> pd.DataFrame:  # noqa: A002 - as the option of the command is called
        """Return the changes as a table, worse first; with `all`, what did not change, too."""
        import pandas as pd

        shown: Sequence[Change] = [*self.worse, *self.better, *self.unclear, *self.noted]
        if all:
            shown = [*shown, *(one for one in self.changes if one.outcome is Outcome.UNCHANGED)]
        rows = [{**{column: getattr(one, column) for column in COLUMNS}, "outcome": str(one.outcome)} for one in shown]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def summary(self) -> str:
        """Return the counts in one line."""
        counts = [
            f"{len(self.worse)} worse",
            f"{len(self.better)} better",
            *([f"{len(self.unclear)} unclear"] if self.unclear else []),
            f"{len(self.unchanged)} unchanged",
        ]
        return ", ".join(counts)

    def __repr__(self) -> str:
        return f"<Diff {self.before} -> {self.after}: {self.summary()}>"

    def _repr_html_(self) -> str:
        from guidebench.report.diff.content import html

        return html(self)


def certainty(one: Change) -> tuple[bool, float, float]:
    """Return a key that sorts words before numbers, and these by how certain they are."""
    return (one.p is not None, one.p or 0.0, -abs(one.z or 0.0))
