"""What the command line prints on success."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from guidebench.registry import Registered, Registry
from guidebench.results import Comparison, Fit, Status, Verdict

_COLOURS = {
    Verdict.TRUST: "green",
    Verdict.REWEIGHT: "yellow",
    Verdict.DISTRUST: "red",
    Verdict.POINT: "cyan",
    Verdict.FAILED: "bold red",
}

NOTHING = "–"


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=140)


def number(value: float | None, digits: int) -> str:
    """Return a number with so many decimals, or a dash where it is not defined."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """Return a share in per cent, or a dash where it is not defined."""
    return NOTHING if value is None else f"{value:.0%}"


def elbo_cell(fit: Fit) -> str:
    """Return the ELBO with its Monte Carlo error."""
    found = fit.metric("elbo")
    return NOTHING if found is None else f"{found.value:.3f} ± {found.mcse or 0:.3f}"


def print_comparison(comparison: Comparison, page: Path) -> None:
    """Print one table per problem, what to conclude, and where the report is."""
    from guidebench.verdict import recommend

    console = _console()
    for record in comparison.problems:
        fits = comparison.of(record.name)
        table = Table(title=escape(record.name), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("guide")
        table.add_column("verdict")
        for heading in ("ELBO (nat)", "k-hat", "ESS", "cover 90 %", "time (s)"):
            table.add_column(heading, justify="right")
        table.add_column("training")
        for fit in fits:
            table.add_row(
                escape(fit.guide),
                Text(str(fit.verdict), style=_COLOURS[fit.verdict]),
                elbo_cell(fit),
                number(fit.value("khat"), 2),
                percent(fit.value("ess_share")),
                percent(fit.value("coverage_90")),
                number(_seconds(fit), 1),
                str(fit.status),
            )
        console.print(table)
        if record.log_evidence is not None:
            console.print(f"Exact log evidence: {record.log_evidence:.3f} nat; no ELBO lies above it.")
        console.print(recommend(fits), soft_wrap=True)
        for fit in fits:
            if not fit.status.has_draws:
                console.print(f"{escape(fit.guide)}: {escape(fit.message)}", style="red", soft_wrap=True)
            elif fit.message:
                console.print(f"{escape(fit.guide)}: {escape(fit.message)}", style="yellow", soft_wrap=True)
        unsettled = [fit.guide for fit in fits if fit.status is Status.MAX_STEPS]
        if unsettled:
            console.print(f"Not settled when the steps ran out: {escape(', '.join(unsettled))}.", soft_wrap=True)
        console.print()
    if comparison.interrupted:
        console.print("Interrupted: only the finished fits are in the report.", style="yellow")
    console.print(f"Report: {escape(str(page))}", soft_wrap=True)


def _seconds(fit: Fit) -> float | None:
    parts = [part for part in (fit.compile_s, fit.train_s, fit.evaluate_s) if part is not None]
    return sum(parts) if parts else None


def print_registry(registry: Registry) -> None:
    """Print what every plugin brings, and what is broken."""
    console = _console()
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
    if registry.broken:
        console.print(f"Broken ({len(registry.broken)})", style="bold red")
        for broken in registry.broken:
            console.print(f"  {escape(str(broken))}", soft_wrap=True)


def _print_group(console: Console, title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, title_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=heading in ("name", "from"))
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def print_pairs(pairs: Mapping[str, Any]) -> None:
    """Print names and values in two columns."""
    console = _console()
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        console.print(f"{name:<{width}}  {escape(str(value))}", soft_wrap=True)
