"""What the command line prints on success."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guidebench.cli import cells
from guidebench.cli.cells import COLOURS, NOTHING, cell, escape, make_console, number, show
from guidebench.contracts import Quantity
from guidebench.plugins.registry import Registered, Registry
from guidebench.results import Comparison, Fit, ProblemRecord, Status
from guidebench.results.levels import named
from guidebench.results.work import CALLED, OF_A_PROBLEM, total


def reference_line(record: ProblemRecord) -> str:
    """Return what the guides are measured against, or why there is nothing; empty where none was asked for."""
    if not record.reference:
        return " ".join(record.reference_note.split())
    note = " ".join(record.reference_note.split()).removeprefix(f"{record.reference}: ")
    return f"Reference: {record.reference}" + (f" ({note.rstrip('.')})." if note else ".")


def _cost(fits: Sequence[Fit], record: ProblemRecord) -> str:
    """Return in one line how many gradients everything took, as far as they were counted."""
    if not record.work and not any(fit.work for fit in fits):
        return ""
    own = total(work for fit in fits for work in fit.work.values()).gradients
    shared = [f"{record.work[phase].gradients:,} {CALLED[phase]}" for phase in OF_A_PROBLEM if phase in record.work]
    told = f"Gradients: {own:,} of the guides" + (f"; shared: {', '.join(shared)}" if shared else "")
    return f"{told}."


def _columns(comparison: Comparison, fits: Sequence[Fit]) -> list[Quantity]:
    """Return the metrics that have a column; what no fit has gets none, so that the table stays narrow."""
    declared = [one for one in comparison.quantities if one.heading]
    return [one for one in declared if any(cell(fit, one) != NOTHING for fit in fits)]


def _numbers(record: ProblemRecord, fits: Sequence[Fit], columns: Sequence[Quantity]) -> Table:
    """Return the table of one problem with these columns."""
    from guidebench.analysis.problems import SECONDS

    table = Table(
        title=escape(record.name), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    table.add_column("guide", overflow="fold", min_width=min(max((len(fit.guide) for fit in fits), default=0), 20))
    table.add_column("verdict", no_wrap=True)
    for one in (*columns, SECONDS):
        table.add_column(escape(one.heading), justify="right", no_wrap=True)
    table.add_column("training")
    for fit in fits:
        table.add_row(
            escape(fit.guide),
            Text(str(fit.verdict), style=COLOURS[fit.verdict]),
            *(cell(fit, one) for one in columns),
            number(fit.seconds, SECONDS.digits),
            str(fit.status),
        )
    return table


def _print_problem(comparison: Comparison, record: ProblemRecord, console: Console) -> None:
    """Print the table of one problem, and what has to be known to read it."""
    from guidebench.analysis.answer import ranked
    from guidebench.analysis.quicker import quicker

    def show(text: str, style: str | None = None) -> None:
        cells.show(console, named(text, record.levels), style)

    fits = ranked(comparison.of(record.name))
    columns = _columns(comparison, fits)
    table = _numbers(record, fits, columns)
    while console.is_terminal and columns and table.__rich_measure__(console, console.options).minimum > console.width:
        columns = columns[:-1]
        table = _numbers(record, fits, columns)
    console.print(table)
    for one in columns:
        if one.note and not any(fit.metric(one.name) for fit in fits):  # a range over variables is no usual number
            show(one.note)
    if reference := reference_line(record):
        style = None if record.reference else "yellow"
        show(reference, style)
    if record.log_evidence is not None:
        console.print(f"Exact log evidence: {record.log_evidence:.3f} nat; no ELBO lies above it.")
    if cost := _cost(fits, record):
        show(cost)
    if sampled := quicker(fits, record):
        show(sampled)
    for fit in fits:
        if fit.evidence:  # what the verdict rests on
            show(f"{fit.guide}: {fit.reason}")
    for fit in fits:
        if not fit.status.has_draws:
            owner = f" ({fit.failures[0].owner})" if fit.failures else ""
            show(f"{fit.guide}: {fit.message}{owner}", "red")
        elif fit.message:
            show(f"{fit.guide}: {fit.message}", "yellow")
    unsettled = [fit for fit in fits if fit.status is Status.MAX_STEPS and not fit.stopped]
    for words, own in (("Not settled when the steps ran out", False), ("Not converged by its own method", True)):
        if names := [fit.guide for fit in unsettled if bool(fit.method) is own]:
            show(f"{words}: {', '.join(names)}.")
    console.print()


def print_comparison(comparison: Comparison, page: Path) -> None:
    """Print one table of a problem, or one over several, what to conclude, and where the report is."""
    from guidebench.cli.answer import print_answer

    console = make_console()
    if len(comparison.problems) > 1:
        from guidebench.cli.matrix import print_matrix

        print_matrix(comparison, console)
    else:
        for record in comparison.problems:
            _print_problem(comparison, record, console)
    for failure in comparison.failures:
        show(console, str(failure), "red")
    if comparison.interrupted:
        console.print("Interrupted: only the finished fits are in the report.", style="yellow")
    if comparison.kept:
        show(
            console,
            f"{comparison.kept} of {len(comparison)} fits kept from an earlier run, with the times of that run; "
            "--fresh trains them anew.",
        )
    print_answer(comparison, page, console)
    console.print(f"Report: {escape(str(page))}", soft_wrap=True)


def print_registry(registry: Registry) -> None:
    """Print what every plugin brings, and what is broken."""
    console = make_console()
    default = {one.name for one in registry.default_guides()}

    def options(one: Registered[Any]) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in one.declaration.options().items())

    _print_group(
        console,
        "Guides",
        ("name", "summary", "options", "from"),
        (
            (one.name + (" *" if one.name in default else ""), one.declaration.summary, options(one), one.distribution)
            for one in registry.guides
        ),
    )
    console.print("* in the default set\n")
    for title, group in (
        ("Problems", registry.problems),
        ("Metrics", registry.metrics),
        ("Report sections", registry.sections),
    ):
        rows = ((one.name, one.declaration.summary, one.distribution) for one in group)
        _print_group(console, title, ("name", "summary", "from"), rows)
        console.print()
    if registry.disputed:
        rows = ((one.qualified_name, one.declaration.summary, one.distribution) for one in registry.disputed)
        _print_group(console, "Named twice (ask for DISTRIBUTION/NAME)", ("name", "summary", "from"), rows)
        console.print()
    if registry.disabled:
        console.print(f"Disabled ({len(registry.disabled)})", style="bold yellow")
        for disabled in registry.disabled:
            console.print(f"  {escape(str(disabled))}", soft_wrap=True)
    if registry.broken:
        console.print(f"Broken ({len(registry.broken)})", style="bold red")
        for broken in registry.broken:
            console.print(f"  {escape(str(broken))}", soft_wrap=True)


def plain_registry(registry: Registry) -> dict[str, Any]:
    """Return what every plugin brings, and what is broken, as JSON can hold it."""
    default = {one.name for one in registry.default_guides()}

    def told(one: Registered[Any]) -> dict[str, Any]:
        return {"name": one.name, "summary": one.declaration.summary, "from": one.distribution}

    guides = [
        {
            **told(one),
            "default": one.name in default,
            "options": {name: _json(value) for name, value in one.declaration.options().items()},
        }
        for one in registry.guides
    ]
    groups: dict[str, Sequence[Registered[Any]]] = {
        "problems": registry.problems,
        "metrics": registry.metrics,
        "sections": registry.sections,
    }
    return {
        "guides": guides,
        **{name: [told(one) for one in group] for name, group in groups.items()},
        "named twice": [one.qualified_name for one in registry.disputed],
        "disabled": [str(one) for one in registry.disabled],
        "broken": [str(one) for one in registry.broken],
    }


def _json(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _print_group(console: Console, title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, title_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=heading in ("name", "from"))
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def print_pairs(pairs: Mapping[str, Any]) -> None:
    """Print names and values in two columns."""
    console = make_console()
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        console.print(f"{name:<{width}}  {escape(str(value))}", soft_wrap=True)
