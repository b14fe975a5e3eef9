"""How far each guide is from the reference, in numbers, and what the reference is worth itself."""

from __future__ import annotations

import math

from guidebench.analysis.limits import MEAN_ERROR, SD_ERROR
from guidebench.report.page import Block, Cell, Item, Note, Number, Page, Table
from guidebench.results import Fit

#: Metrics of single components and of all of them together, and what the columns are called.
MARGINAL = {
    "mean_error": "mean (sd)",
    "sd_error": "sd (relative)",
    "sd_ratio": "sd ratio, from–to",
    "quantile_error": "quantiles (sd)",
    "w1_error": "marginal W1 (sd)",
}
JOINT = {
    "correlation_error": "correlation",
    "sliced_w2": "sliced W2 (sd)",
    "sliced_w2_floor": "sliced W2 by chance",
    "energy_distance": "energy distance",
}

#: Of the draws repaired by importance weights.
REPAIRED = {
    "reweighted_mean_error": "mean (sd)",
    "reweighted_sd_error": "sd (relative)",
}

#: Of the draws of chains that began at the guide's.
REFRESHED = {
    "refreshed_mean_error": "mean (sd)",
    "refreshed_sd_error": "sd (relative)",
}

#: What the checks of a reference are called, in order.
CHECKS = {
    "chains": "chains",
    "draws": "draws",
    "rhat": "largest R-hat",
    "ess_bulk": "smallest bulk ESS",
    "ess_tail": "smallest tail ESS",
    "divergences": "divergences",
    "khat": "k-hat of the weights",
    "ess": "draws that they are worth",
}

#: What a reference needs; :mod:`guidebench.engine.gate` decides by the same numbers.
NEEDED = {
    "rhat": "below 1.01",
    "ess_bulk": "above 400",
    "ess_tail": "above 400",
    "divergences": "0",
    "khat": "at most 0.7",
    "ess": "above 1,000",
}

CHAINED = (
    "The reference's own checks, over all latent components. R-hat near 1 says that chains which started apart agree; "
    "an effective sample size (ESS), how many independent draws they are worth."
)
WEIGHED = (
    "The reference's own checks. A k-hat of up to 0.7 says that the importance weights have a mean that can be "
    "estimated; draws are counted as they are kept, some of them more than once."
)

#: Draws of either side that enter a marginal distance.
MOST_SORTED = 20_000


def build(page: Page) -> Block | None:
    """Return what the reference is and tables of errors, or ``None`` where there is nothing to tell."""
    problem = page.problem
    if not problem.reference:
        if not problem.reference_note:
            return None
        return Block(Note(problem.reference_note, "warning"), checks(page))
    unchecked = problem.reference_note if not {"rhat", "khat"} & problem.reference_checks.keys() else ""
    return Block(
        f"Measured against draws of the reference ({problem.reference}): the largest error over all latent components.",
        Note(problem.reference_note, "warning" if unchecked else "info") if problem.reference_note else None,
        checks(page),
        table(
            page,
            MARGINAL,
            "One component at a time. Means, quantiles and Wasserstein distances in standard deviations of the "
            "reference, sds as a share of its own; an sd ratio below one is a guide that is too sure. Two samples "
            f"of one distribution are never exactly zero apart: of W1, read nothing below {w1_floor(page):.2f}.",
        ),
        table(
            page,
            JOINT,
            "All components together. Of the sliced W2, read nothing near the value that chance alone gives, in the "
            "column beside it. The energy distance grows with the square of a small difference, so 0.01 is as much as "
            "a shift by an eighth of a standard deviation; of equal distributions it is zero but for noise of either "
            "sign.",
        ),
        table(
            page,
            REPAIRED,
            "The largest errors of means and sds that importance weights have repaired; ± is the reference's own "
            "error. Where they are no smaller than above, weights do not help.",
        ),
        table(
            page,
            REFRESHED,
            "The largest errors of means and sds of the refreshed draws: those of chains that began at the guide's and "
            "settled. Draws that were lent in their place are not held against themselves.",
        ),
        Note(
            f"A verdict has to work where there is no reference, from weights, modes and chains. Where there "
            f"is one, draws with a mean off by more than {MEAN_ERROR:g} sd or an sd off by more than {SD_ERROR:.0%}, "
            "errors allowed for, are never trusted."
        ),
        page.left_out(page.drawn),
    )


def checks(page: Page) -> Item | None:
    """Return the table of what was checked of Markov chains or of weights, or ``None`` where nothing was."""
    found = page.problem.reference_checks
    names = [name for name in CHECKS if name in found]
    if not {"rhat", "ess_bulk", "divergences", "khat"} & set(names):
        return None
    rows: list[list[Cell]] = [["found", *(cell(name, found[name]) for name in names)]]
    if {"rhat", "khat"} & set(names):
        rows.append(["needed", *(NEEDED.get(name, "") for name in names)])
    return Table(
        ["", *(CHECKS[name] for name in names)],
        rows,
        caption=WEIGHED if "khat" in names else CHAINED,
    )


def cell(name: str, value: float) -> Cell:
    """Return one number of a check: counts in whole numbers, R-hat and k-hat with their decimals."""
    if name == "khat":
        return f"{value:.2f}"
    if name == "rhat" or not math.isfinite(value):
        return f"{value:.3f}"
    return f"{value:,.0f}"


def w1_floor(page: Page) -> float:
    """Return below which value a W1 distance says nothing: about 1.5 times what two equal distributions give."""
    found = page.problem.reference_checks
    effective = found.get("ess_bulk", found.get("ess", MOST_SORTED))
    if not effective > 0:
        return math.inf
    return 2 * math.sqrt(1 / MOST_SORTED + 1 / min(effective, MOST_SORTED))


def table(page: Page, columns: dict[str, str], caption: str) -> Item | None:
    """Return a table with a row per guide and the columns that some guide has, or ``None`` without any."""
    shown = [name for name in columns if any(number(fit, name) is not None for fit in page.drawn)]
    if not shown:
        return None
    rows = [[page.key(fit), *(number(fit, name) for name in shown)] for fit in page.drawn]
    return Table(["guide", *(columns[name] for name in shown)], rows, caption=caption)


def number(fit: Fit, name: str) -> Cell:
    """Return the value of a metric; of one that has none over all components, its range."""
    found = fit.metric(name)
    if found is not None:
        return Number(found.value, found.mcse, digits=2)
    values = [one.value for one in fit.metrics if one.metric == name and math.isfinite(one.value)]
    return f"{min(values):.2f}–{max(values):.2f}" if values else None
