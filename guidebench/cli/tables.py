"""What the command line prints on success."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from guidebench.plugins.registry import Registered, Registry
from guidebench.results import Comparison, Fit, ProblemRecord, Status, Verdict

#: Of verdicts.
COLOURS = {
    Verdict.TRUST: "green",
    Verdict.REWEIGHT: "yellow",
    Verdict.DISTRUST: "red",
    Verdict.POINT: "cyan",
    Verdict.FAILED: "bold red",
}

NOTHING = "–"


def make_console() -> Console:
    """Return the terminal, or for a pipe one of a fixed width."""
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
    if found is None:
        return NOTHING
    form = ".3f" if abs(found.value) < 1e7 else ".2e"
    return f"{found.value:{form}} ± {found.mcse or 0:{form}}"


def true_coverage(fit: Fit) -> str:
    """Return the range over latent components of the simulated coverage of 90 % intervals, or a dash."""
    found = [one.value for one in fit.metrics if one.metric == "simulated_coverage_90" and math.isfinite(one.value)]
    if not found:
        return NOTHING
    low, high = percent(min(found)), percent(max(found))
    return low if low == high else f"{low.removesuffix('%')}–{high}"


def reference_line(record: ProblemRecord) -> str:
    """Return what the guides are measured against, or why there is nothing; empty where none was asked for."""
    if not record.reference:
        return " ".join(record.reference_note.split())
    note = " ".join(record.reference_note.split()).removeprefix(f"{record.reference}: ")
    return f"Reference: {record.reference}" + (f" ({note.rstrip('.')})." if note else ".")


def _columns(fits: Sequence[Fit]) -> list[tuple[str, Callable[[Fit], str]]]:
    """Return headings and cells of the numbers; what no fit has gets no column, so that the table stays narrow."""
    simulated = any(true_coverage(fit) != NOTHING for fit in fits)
    heldout = any(fit.metric("coverage_90") for fit in fits)
    return [
        ("ELBO (nat)", elbo_cell),
        ("k-hat", lambda fit: number(fit.value("khat"), 2)),
        ("ESS", lambda fit: percent(fit.value("ess_share"))),
        *([("cover\n90 %", lambda fit: percent(fit.value("coverage_90")))] if heldout else []),
        *([("true\n90 %", true_coverage)] if simulated else []),
        ("time\n(s)", lambda fit: number(_seconds(fit), 1)),
    ]


def _print_problem(comparison: Comparison, record: ProblemRecord, console: Console) -> None:
    """Print the table of one problem, and what to conclude."""
    from guidebench.analysis.verdict import recommend

    fits = comparison.of(record.name)
    columns = _columns(fits)
    table = Table(
        title=escape(record.name),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("guide", overflow="fold")
    table.add_column("verdict")
    for heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("training")
    for fit in fits:
        table.add_row(
            escape(fit.guide),
            Text(str(fit.verdict), style=COLOURS[fit.verdict]),
            *(cell(fit) for _, cell in columns),
            str(fit.status),
        )
    console.print(table)
    if any(heading.startswith("true") for heading, _ in columns):
        console.print("True 90 %: coverage of 90 % intervals over simulated data, least and most of all latents.")
    if reference := reference_line(record):
        style = None if record.reference else "yellow"
        console.print(escape(reference), style=style, soft_wrap=True)
    if record.log_evidence is not None:
        console.print(f"Exact log evidence: {record.log_evidence:.3f} nat; no ELBO lies above it.")
    console.print(recommend(fits, record), soft_wrap=True)
    for fit in fits:
        if (fit.value("dropped_mass") or 0) > 0:
            console.print(f"{escape(fit.guide)}: {escape(fit.reason)}", soft_wrap=True)
    for fit in fits:
        if not fit.status.has_draws:
            owner = f" ({fit.failures[0].owner})" if fit.failures else ""
            console.print(f"{escape(fit.guide)}: {escape(fit.message + owner)}", style="red", soft_wrap=True)
        elif fit.message:
            console.print(f"{escape(fit.guide)}: {escape(fit.message)}", style="yellow", soft_wrap=True)
    unsettled = [fit for fit in fits if fit.status is Status.MAX_STEPS and not fit.stopped]
    for words, own in (("Not settled when the steps ran out", False), ("Not converged by its own method", True)):
        if names := [fit.guide for fit in unsettled if bool(fit.method) is own]:
            console.print(f"{words}: {escape(', '.join(names))}.", soft_wrap=True)
    console.print()


def print_comparison(comparison: Comparison, page: Path) -> None:
    """Print one table of a problem, or one over several, what to conclude, and where the report is."""
    console = make_console()
    if len(comparison.problems) > 1:
        from guidebench.cli.matrix import print_matrix

        print_matrix(comparison, console)
    else:
        for record in comparison.problems:
            _print_problem(comparison, record, console)
    for failure in comparison.failures:
        console.print(escape(str(failure)), style="red", soft_wrap=True)
    if comparison.interrupted:
        console.print("Interrupted: only the finished fits are in the report.", style="yellow")
    if comparison.kept:
        console.print(
            f"{comparison.kept} of {len(comparison)} fits kept from an earlier run, with the times of that run; "
            "--fresh trains them anew.",
            soft_wrap=True,
        )
    console.print(f"Report: {escape(str(page))}", soft_wrap=True)


def _seconds(fit: Fit) -> float | None:
    parts = [part for part in (fit.compile_s, fit.train_s, fit.evaluate_s) if part is not None]
    return sum(parts) if parts else None


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
