"""How the numbers were made: recipe, configuration, environment, guides, failures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from guidebench.plugins.isolation.failures import Failure
from guidebench.report.page import Block, Cell, Code, Details, Listing, Page, Table
from guidebench.report.recipes import told
from guidebench.report.text import listed, one_line
from guidebench.results import Comparison, Fit

#: The folders above a package say where somebody's files are, and nothing about the failure.
_FOLDERS = re.compile(r'(File ")[^"\n]*?((?:[^"/\\\n]+[/\\])?[^"/\\\n]+")')


def build(page: Page) -> Block:
    """Return guides, failures and notes; with several problems the run itself is described once."""
    return Block(
        None if page.several else run(page.comparison),
        Listing(further) if (further := _further(page)) else None,
        guides(page) if page.fits else None,
        standardising(page.fits),
        *(failure(fit) for fit in page.fits if fit.failures or (not fit.status.has_draws and fit.message)),
    )


def _further(page: Page) -> list[str]:
    """Return the notes on a problem but for those at the top of the page."""
    searched = (f"The search before training: {page.problem.search}.",) if page.problem.search else ()
    return [*(one for one in page.problem.notes if one not in page.problem.warnings), *searched]


def run(comparison: Comparison) -> Block:
    """Return what holds for the whole run: recipe, configuration, environment."""
    return Block(
        *told(comparison, "The recipe was not recorded."),
        _settings("Configuration", comparison.config),
        _settings("Environment", comparison.environment),
        broken(comparison.failures),
        *(_traced(str(one), [one]) for one in comparison.failures if one.traceback),
    )


def broken(failures: Sequence[Failure]) -> Table | None:
    """Return a row per plugin that took no part, or not as a whole."""
    rows: list[list[Cell]] = [
        [one.plugin, one.distribution, " ".join(part for part in (one.phase, one.name) if part), one.message]
        for one in failures
    ]
    return Table(["plugin", "distribution", "failed in", "why"], rows, caption="Broken plugins") if rows else None


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


def guides(page: Page) -> Table:
    """Return a row per guide: what it is, who brought it, where it was published, in which coordinates it trained."""
    return Table(
        ["guide", "plugin", "what it is", "options", "coordinates", "source"],
        [guide_row(page, fit) for fit in page.fits],
        caption="The guides and who brought them",
    )


def guide_row(page: Page, fit: Fit) -> list[Cell]:
    """Return one row of :func:`guides`."""
    options = ", ".join(f"{name}={value}" for name, value in fit.options.items())
    return [page.key(fit), fit.plugin, fit.summary, options or "defaults", fit.coordinates or None, fit.cite]


def standardising(fits: Sequence[Fit]) -> str | None:
    """Return what standardised coordinates are, where a guide was trained in them."""
    if not {"diagonal", "affine"} & {fit.coordinates for fit in fits}:
        return None
    return (
        "Coordinates: before any guide is trained, a search climbs the posterior from every starting point and fits "
        "a Gaussian with mean m and covariance F Fᵀ to it, in the model's unconstrained coordinates u (the logarithm "
        "of a positive latent, for example). Guides whose family does not change under such a map are trained in z, "
        "with u = m + F z: “affine” with the whole lower triangle F, “diagonal” with one scale per coordinate. The "
        "posterior is the same, Jacobian included, so are all weights, and draws are mapped back; only the optimiser's "
        "work is easier. “own” is the model as it is written, “unconstrained” means u itself."
    )


def failure(fit: Fit) -> Details:
    """Return what went wrong in a fit: its message, and the traceback of each failure."""
    parts = [one.name for one in fit.failures if one.phase == "metric"]
    title = f"{fit.guide}: {fit.status}" + (f", but for {listed(parts)}" if parts else "")
    return _traced(title, fit.failures, " ".join(fit.message.split()) or "There is no message.")


def _traced(title: str, failures: Sequence[Failure], message: str | None = None) -> Details:
    codes = [Code(_FOLDERS.sub(r"\1\2", one.traceback)) for one in failures if one.traceback]
    return Details(title, Block(message, *codes))
