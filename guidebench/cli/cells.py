"""What the tables of the command line have in common: the terminal, colours, and numbers as text."""

from __future__ import annotations

import math
import sys

from rich import markup
from rich.console import Console
from rich.text import Text

from guidebench.config.text import line, shown
from guidebench.contracts import MetricValue, Quantity
from guidebench.results import Fit, Verdict

#: Of verdicts.
COLOURS = {
    Verdict.TRUST: "green",
    Verdict.REWEIGHT: "yellow",
    Verdict.REFRESH: "yellow",
    Verdict.DISTRUST: "red",
    Verdict.POINT: "cyan",
    Verdict.FAILED: "bold red",
}

NOTHING = "–"


def escape(text: str) -> str:
    """Return `text` as Rich prints it as it is, with what a terminal would act on as escapes."""
    return markup.escape(shown(text))


def say(text: str) -> None:
    """Say something in one line on standard error."""
    print(f"guidebench: {line(text)}", file=sys.stderr, flush=True)


class Terminal(Console):
    """Standard output; where nobody reads it any more, it says so to whoever prints."""

    def on_broken_pipe(self) -> None:
        """Raise what has happened: Rich would end the program, with a status that says that something failed."""
        raise BrokenPipeError


def make_console(width: int = 140) -> Console:
    """Return the terminal, or for a pipe one of a fixed width."""
    console = Terminal(highlight=False)
    return console if console.is_terminal else Terminal(highlight=False, width=width)


def show(console: Console, text: str, style: str | None = None) -> None:
    """Print a text as it is: wrapped at words on a terminal, on one line in a pipe."""
    console.print(Text(shown(text), style=style or ""), soft_wrap=not console.is_terminal)


def number(value: float | None, digits: int) -> str:
    """Return a number with so many decimals, or a dash where it is not defined; a count has commas."""
    return NOTHING if value is None else f"{value:,.0f}" if not digits else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """Return a share in per cent, or a dash where it is not defined."""
    return NOTHING if value is None else f"{value:.0%}"


def cell(fit: Fit, quantity: Quantity) -> str:
    """Return a metric of a fit as it is declared to be written; of one for each variable, the range of its values."""
    found = fit.metric(quantity.name)
    if found is not None:
        return _written(found, quantity)
    values = [one.value for one in fit.metrics if one.metric == quantity.name and math.isfinite(one.value)]
    if not values:
        return NOTHING
    low, high = (_written(MetricValue(value=value), quantity) for value in (min(values), max(values)))
    return low if low == high else f"{low.removesuffix('%')}–{high}"


def _written(found: MetricValue, quantity: Quantity) -> str:
    if quantity.form == "percent":
        return percent(found.value)
    if quantity.form == "number":
        return number(found.value, quantity.digits)
    form = f".{quantity.digits}f" if abs(found.value) < 1e7 else ".2e"
    return f"{found.value:{form}} ± {found.mcse or 0:{form}}"
