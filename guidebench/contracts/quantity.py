"""What a number of a fit means: what it is called, which way is better, where it is shown and how it is compared.

Plain data: it is saved with the results, so that they say the same whatever is installed when they are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from guidebench.config.errors import PluginError
from guidebench.contracts.names import check_name, check_text

Direction = Literal["higher", "lower", "nominal", "none"]
Scale = Literal["linear", "log", "nominal"]
Form = Literal["number", "error", "percent"]
Column = Literal["value", "mcse"]
MeasuredOn = Literal["", "reference", "heldout"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a number counts for where two runs are compared.

    Parameters
    ----------
    compared : bool
        Whether it is compared at all: the end of an interval, a limit, or what is another number over a constant,
        is not.
    decides : bool
        Whether it decides if a run is worse; otherwise it is noted.
    smallest, share : float
        The least change that matters: in its own unit, and as a share of the larger of both values.  Where a
        number has no error, it is the tolerance.
    errors_of : tuple of str
        Other numbers: the largest error among them bounds that of this one, which has none.
    per_sd : float
        By how much it moves where training moves the draws by one sd of the posterior.
    unit : {"", "value", "site"}
        What `per_sd` is a multiple of: of nothing, of the value, or of the sd of its site.
    weighted : bool
        Whether importance weights make it, so that it is compared only where k-hat says that its error holds.
    measured_on : {"", "reference", "heldout"}
        What it cannot be compared without; that of a metric follows from what it needs.
    """

    compared: bool = True
    decides: bool = False
    smallest: float = 0.0
    share: float = 0.0
    errors_of: tuple[str, ...] = ()
    per_sd: float = 0.0
    unit: Literal["", "value", "site"] = ""
    weighted: bool = False
    measured_on: MeasuredOn = ""

    def least(self, before: float, after: float) -> float:
        """Return the least change that matters between two values."""
        return max(self.smallest, self.share * max(abs(before), abs(after)))


#: Of a number that nobody says more of: a fiftieth of the value matters.
USUAL = Rule(share=0.02)


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number that a fit may have, and what it means.

    Parameters
    ----------
    name : str
        Public name; what ``metrics.csv`` calls it.
    title : str
        What it is called in words; `name` by default.
    unit : str
        Unit of the value ("nat", "sd of the site", "probability").
    better : {"higher", "lower", "nominal", "none"}
        Which direction is better; "nominal" for a coverage, best at its nominal value.
    nominal : float, optional
        The best value, of the direction "nominal".
    scale : {"linear", "log", "nominal"}
        How a heat map colours it, and on which axis it is drawn; "nominal" has two colours, away from `nominal`.
    floor : float, optional
        Where colours begin: on a logarithmic scale at the earliest, as differences below it do not count; on a
        linear one at the latest.
    note : str
        What a reader should know of it; the caption of its heat map.
    columns : tuple of {"value", "mcse"}
        Its columns of ``summary.csv``, in the order in which quantities are declared: ``NAME`` and ``NAME_mcse``.
    heading : str
        Heading of its column in the tables of one problem; without it there is none.
    form : {"number", "error", "percent"}
        How it is written there: the value, the value with its standard error, or in per cent.
    digits : int
        Decimals of a number there.
    heat_map : int, optional
        Position of its heat map among the others, in a report on several problems; without it there is none.
    rule : Rule
        What it counts for where two runs are compared.
    summary, cite : str
        One line, and the source.
    part_of : str
        The metric that it comes with; filled in where results are saved.
    plugin : str
        The distribution that declared it; filled in where results are saved.
    """

    name: str
    title: str = ""
    unit: str = ""
    better: Direction = "none"
    nominal: float | None = None
    scale: Scale = "linear"
    floor: float | None = None
    note: str = ""
    columns: tuple[Column, ...] = ()
    heading: str = ""
    form: Form = "number"
    digits: int = 2
    heat_map: int | None = None
    rule: Rule = USUAL
    summary: str = ""
    cite: str = ""
    part_of: str = ""
    plugin: str = ""

    def __post_init__(self) -> None:
        check_name("metric", self.name)
        texts = ("title", "unit", "note", "heading", "summary", "cite", "part_of", "plugin")
        check_text("metric", self.name, **{part: getattr(self, part) for part in texts})
        for part, choices in (("better", Direction), ("scale", Scale), ("form", Form)):
            self._check_choice(part, getattr(self, part), get_args(choices))
        for column in self.columns:
            self._check_choice("columns", column, get_args(Column))
        if not isinstance(self.rule, Rule):
            raise PluginError(f"metric {self.name!r}: rule must be a Rule, not {type(self.rule).__name__}")
        if self.scale == "nominal" and self.nominal is None:
            raise PluginError(f"metric {self.name!r}: the scale 'nominal' needs a nominal value")

    def _check_choice(self, part: str, value: object, choices: tuple[str, ...]) -> None:
        if value not in choices:
            raise PluginError(f"metric {self.name!r}: {part} {value!r} is not one of {', '.join(choices)}")

    @property
    def words(self) -> str:
        """What it is called in words."""
        return self.title or self.name

    def column_names(self) -> tuple[str, ...]:
        """Return the names of its columns of ``summary.csv``."""
        return tuple(self.name if column == "value" else f"{self.name}_{column}" for column in self.columns)
