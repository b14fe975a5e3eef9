"""Columns of the tables of one problem for metrics that declare one, beside those with marks and details."""

from __future__ import annotations

from collections.abc import Callable

from guidebench.contracts import Quantity
from guidebench.report.page import Cell, Number, Page
from guidebench.results import Fit

#: What these tables, or a section of their own, show with marks and details.
OWN = frozenset({"elbo", "kl", "khat", "ess", "ess_share", "coverage_90", "simulated_coverage_90", "gradients"})


def further(page: Page) -> list[tuple[str, Callable[[Fit], Cell]]]:
    """Return heading and cells of every other metric with a column, of which some fit has a value."""
    declared = [one for one in page.comparison.quantities if one.heading and one.name not in OWN]
    return [(_heading(one), _cells(one)) for one in declared if any(fit.metric(one.name) for fit in page.fits)]


def _heading(quantity: Quantity) -> str:
    words = " ".join(quantity.heading.split())
    return f"{words} (%)" if quantity.form == "percent" and "%" not in words else words


def _cells(quantity: Quantity) -> Callable[[Fit], Cell]:
    def cell(fit: Fit) -> Cell:
        found = fit.metric(quantity.name)
        if found is None:
            return None
        if quantity.form == "percent":
            return Number(100 * found.value, digits=2)
        if not quantity.digits and found.value.is_integer():  # a count
            return int(found.value)
        return Number(found.value, found.mcse if quantity.form == "error" else None, digits=3)

    return cell
