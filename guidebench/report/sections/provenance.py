"""How the numbers were made: recipe, configuration, environment, guides, failures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from guidebench.report.page import Block, Cell, Code, Details, Listing, Page, Table
from guidebench.report.text import one_line
from guidebench.results import Comparison, Fit

#: The folders above a package say where somebody's files are, and nothing about the failure.
_FOLDERS = re.compile(r'(File ")[^"\n]*?((?:[^"/\\\n]+[/\\])?[^"/\\\n]+")')


def build(page: Page) -> Block:
    """Return guides, failures and notes; with several problems the run itself is described once."""
    return Block(
        None if page.several else run(page.comparison),
        Listing(list(page.problem.notes)) if page.problem.notes else None,
        Table(
            ["guide", "plugin", "what it is", "options", "source"],
            [guide_row(page, fit) for fit in page.fits],
            caption="The guides and who brought them",
        )
        if page.fits
        else None,
        *(failure(fit) for fit in page.fits if fit.traceback or (not fit.status.has_draws and fit.message)),
    )


def run(comparison: Comparison) -> Block:
    """Return what holds for the whole run: recipe, configuration, environment."""
    return Block(
        comparison.recipe or "The recipe was not recorded.",
        _settings("Configuration", comparison.config),
        _settings("Environment", comparison.environment),
    )


def _settings(title: str, values: Mapping[str, Any]) -> Details | None:
    rows: list[list[Cell]] = [[name, value] for name, value in flattened(values)]
    return Details(title, Block(Table(["setting", "value"], rows))) if rows else None


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted names and texts of nested settings, in order."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", one_line(", ".join(map(str, value))) or "(none)"
        else:
            yield f"{prefix}{name}", "not set" if value is None else "(none)" if value == {} else one_line(value)


def guide_row(page: Page, fit: Fit) -> list[Cell]:
    """Return what a guide is, who brought it and where it was published."""
    options = ", ".join(f"{name}={value}" for name, value in fit.options.items())
    return [page.key(fit), fit.plugin, fit.summary, options or "defaults", fit.cite]


def failure(fit: Fit) -> Details:
    """Return a failed fit's message and traceback."""
    message = " ".join(fit.message.split())
    return Details(
        f"{fit.guide}: {fit.status}",
        Block(message or "There is no message.", Code(_FOLDERS.sub(r"\1\2", fit.traceback)) if fit.traceback else None),
    )
