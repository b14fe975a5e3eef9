"""How far each guide is from the reference, in numbers."""

from __future__ import annotations

from guidebench.report.page import Block, Cell, Note, Number, Page, Table
from guidebench.results import Fit

COLUMNS = ("guide", "mean (sd)", "sd (relative)", "marginal W1 (sd)", "correlation")


def build(page: Page) -> Block | None:
    """Return a table of the largest errors, or ``None`` where there is no reference."""
    if not page.problem.reference:
        return None
    return Block(
        f"Measured against draws from the {page.problem.reference}: the largest error over all latent components.",
        Table(
            COLUMNS,
            rows(page),
            caption="Means and Wasserstein distances in standard deviations of the reference, sds as a share of its "
            "own. Two samples of one distribution are never exactly zero apart: of W1, read nothing below 0.02.",
        ),
        Note(
            "The verdict does not look at these numbers: it has to work where there is no reference. This is how to "
            "check it."
        ),
        page.left_out(page.drawn),
    )


def rows(page: Page) -> list[list[Cell]]:
    """Return a row per guide with draws."""
    return [
        [
            page.key(fit),
            _number(fit, "mean_error"),
            _number(fit, "sd_error"),
            _number(fit, "w1_error"),
            _number(fit, "correlation_error"),
        ]
        for fit in page.drawn
    ]


def _number(fit: Fit, name: str) -> Number | None:
    found = fit.metric(name)
    return None if found is None else Number(found.value, found.mcse, digits=2)
