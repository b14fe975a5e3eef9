"""The command that compares two runs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guidebench.config.errors import RequestError

if TYPE_CHECKING:
    from rich.console import Console

    from guidebench.analysis.runs import Change, Diff


class Format(StrEnum):
    """How a difference is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A folder that 'guidebench run' wrote.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Another one, of a later run.")],
    form: Annotated[
        Format, typer.Option("--format", metavar="text|markdown|json", help="markdown is for a pull request.")
    ] = Format.TEXT,
    everything: Annotated[
        bool, typer.Option("--all", help="Show what did not change, too, and every single component.")
    ] = False,
) -> int:
    """Show what got better or worse between two runs, beyond noise: status 1 where something got worse."""
    if before.exists() and after.exists() and before.samefile(after):
        raise RequestError(f"diff: {before} and {after} are the same folder, which never differs from itself")
    from guidebench.api.difference import diff as compared
    from guidebench.cli.cells import say
    from guidebench.report.diff import content

    found = compared(before, after, changed=say)
    if form is Format.MARKDOWN:
        print(content.markdown(found, everything=everything))
    elif form is Format.JSON:
        import json

        print(json.dumps(content.plain(found, everything=everything), indent=1, allow_nan=False))
    else:
        print_diff(found, everything=everything)
    return int(bool(found.worse))


def print_diff(found: Diff, *, everything: bool = False) -> None:
    """Print the counts, then tables with worse first, then what else differs."""
    from guidebench.cli.cells import escape, make_console
    from guidebench.report.diff import content

    console = make_console(80)
    colour = "bold red" if found.worse else "bold green" if found.better else "bold"
    console.print(f"{content.conclusion(found)}.", style=colour)
    console.print(f"before: {escape(found.before)}\nafter:  {escape(found.after)}", soft_wrap=True)
    for title, changes in content.groups(found, everything=everything):
        console.print(f"\n{title}", style="bold")
        for problem in dict.fromkeys(one.problem for one in changes):
            _print_table(console, problem, [one for one in changes if one.problem == problem])
        for line in content.remarks(changes):
            console.print(escape(line), soft_wrap=True)
        if title.startswith("Noted") and not everything and (more := content.left_out(found)):
            console.print(more)
    if found.context:
        console.print("\nWhat else differs", style="bold")
        for one in found.context:
            console.print(escape(str(one)), soft_wrap=True)


def _print_table(console: Console, problem: str, changes: Sequence[Change]) -> None:
    """Print the changes on one problem, those of a guide below its name: that leaves room in 80 columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from guidebench.cli.cells import escape
    from guidebench.config.text import shown
    from guidebench.report.diff import content

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(escape(problem), overflow="fold")
    for heading in ("before", "after", "change", "z"):
        table.add_column(heading, justify="right", no_wrap=heading != "change")
    if worded := any(content.word(one) for one in changes):
        table.add_column("is")
    for guide in dict.fromkeys(one.guide for one in changes):
        table.add_row(Text(shown(guide), style="bold"))
        for one in changes:
            if one.guide == guide:
                table.add_row(
                    Text(f"  {shown(one.name)}"),
                    content.side(one.before),
                    content.side(one.after),
                    content.step(one),
                    content.score(one),
                    *([content.word(one)] if worded else []),
                )
    console.print(table)
