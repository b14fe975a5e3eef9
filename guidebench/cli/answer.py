"""The answer of a run on the terminal: a panel there, plain text in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from guidebench.analysis.answer import Line
from guidebench.cli.cells import COLOURS, NOTHING, show
from guidebench.results import Comparison
from guidebench.results.levels import named

#: The widest panel, and the width from which on it has numbers beside the reasons.
WIDEST = 110
ROOMY = 96


def print_answer(comparison: Comparison, page: Path, console: Console) -> None:
    """Print what to conclude, a line for each guide of a single problem, and how to load the draws."""
    from guidebench.analysis.answer import answer
    from guidebench.report.front import code
    from guidebench.report.overview.verdicts import conclusion

    found = [answer(comparison.of(record.name), record) for record in comparison.problems]
    several = len(found) > 1
    headline = (conclusion(comparison) if comparison.fits else "There are no fits.") if several else found[0].headline
    usable = next((one for one in found if one.source), None)
    python = code(page.parent.as_posix(), usable, several=several)
    lines = () if several else found[0].lines
    more = "" if several else found[0].more
    if not several:
        levels = comparison.problems[0].levels
        headline, more = named(headline, levels), named(more, levels)
        lines = tuple(replace(line, why=named(line.why, levels)) for line in lines)
    if console.is_terminal:
        console.print(_panel(comparison.name, headline, more, lines, python, console.width))
    else:
        for text in _plain(headline, more, lines, python):
            show(console, text)


def _panel(name: str, headline: str, more: str, lines: Sequence[Line], python: str, width: int) -> Panel:
    parts: list[RenderableType] = [Text(headline, style="bold")]
    if lines:
        parts += ["", _guides(lines, roomy=width >= ROOMY)]
    if more:
        parts += ["", Text(more, style="dim")]
    parts += ["", Text(python, style="cyan")]
    best = COLOURS[lines[0].verdict] if lines else "none"
    return Panel(
        Group(*parts),
        title=Text(name, style="bold"),
        title_align="left",
        box=box.ROUNDED,
        border_style=best,
        width=min(width, WIDEST),
    )


def _guides(lines: Sequence[Line], *, roomy: bool) -> Table:
    """Return a row for each guide: with its largest errors and what it cost, or else with its reason below its name."""
    nuts = any(line.against_nuts is not None for line in lines)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=roomy, header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold", min_width=min(max(len(line.guide) for line in lines), 26))
    for heading in ("", "mean off", "sd off", "cost/NUTS" if nuts else "gradients") if roomy else ():
        table.add_column(heading, justify="right" if heading else "left", no_wrap=bool(heading))
    for line in lines:
        verdict = Text(str(line.verdict), style=COLOURS[line.verdict])
        if roomy:
            table.add_row(verdict, Text(line.guide), Text(line.why), *_numbers(line, nuts=nuts))
        else:
            table.add_row(verdict, Text.assemble(line.guide, "\n", (line.why, "dim")))
    return table


def _numbers(line: Line, *, nuts: bool) -> tuple[str, str, str]:
    cost = (None if line.against_nuts is None else f"{line.against_nuts:.2g}") if nuts else line.gradients
    return (
        NOTHING if line.mean_error is None else f"{line.mean_error:.2f} sd",
        NOTHING if line.sd_error is None else f"{line.sd_error:.0%}",
        NOTHING if cost is None else cost if isinstance(cost, str) else f"{cost:,}",
    )


def _plain(headline: str, more: str, lines: Sequence[Line], python: str) -> Iterator[str]:
    """Yield the lines of a pipe."""
    yield headline
    guide = max((len(line.guide) for line in lines), default=0)
    verdict = max((len(line.verdict) for line in lines), default=0)
    for line in lines:
        yield f"  {line.guide:<{guide}}  {line.verdict:<{verdict}}  {line.why}"
    if more:
        yield more
    yield from (f"    {one}" for one in python.splitlines())
