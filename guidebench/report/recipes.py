"""How the guides of a run came by their parameters: by the recipe, or by methods of their own."""

from __future__ import annotations

from collections.abc import Sequence

from guidebench.report.text import listed, one_line
from guidebench.results import Comparison, Fit


def told(comparison: Comparison, unknown: str = "") -> list[str]:
    """Return the recipe, where a guide was trained by it, and what else was done.

    Parameters
    ----------
    comparison : Comparison
        The run.
    unknown : str
        What to say where the recipe was not recorded.
    """
    recipe = " ".join((comparison.recipe or unknown).split())
    lines = [recipe] if recipe and (not comparison.fits or any(not fit.method for fit in comparison.fits)) else []
    return [*lines, *own_methods(comparison.fits), *kept(comparison)]


def kept(comparison: Comparison) -> list[str]:
    """Return one sentence on the fits that an earlier run had made."""
    if not comparison.kept:
        return []
    were, its = ("was", "its") if comparison.kept == 1 else ("were", "their")
    count = f"{comparison.kept} of {len(comparison)} fits"
    return [f"{count} {were} kept from an earlier run; {its} times are those of that run."]


def own_methods(fits: Sequence[Fit]) -> list[str]:
    """Return one sentence on the guides that were not trained by the recipe, and how they were fitted."""
    found = {fit.guide: fit.method for fit in fits if fit.method}
    if not found:
        return []
    methods = listed([f"{guide} ({one_line(method)})" for guide, method in found.items()])
    return [f"Not trained by a recipe, but fitted by a method of its own: {methods}."]
