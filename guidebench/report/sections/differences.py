"""Which guides differ in their ELBO by more than noise."""

from __future__ import annotations

import math

from guidebench.analysis.differences import Difference, differences
from guidebench.report.page import Block, Cell, Number, Page, Pill, Table
from guidebench.report.text import listed

#: Pairs that are shown; the closest ones come first.
MOST_PAIRS = 30


def build(page: Page) -> Block | None:
    """Return a table of pairs, or ``None`` where fewer than two guides have an ELBO."""
    found = sorted(differences(page.fits), key=lambda one: abs(one.value))
    if not found:
        return None
    tied = [one for one in found if not one.different]
    lead = (
        "From one start nothing is known of what training adds to the noise, so no two guides are called different."
        if all(math.isnan(one.error) for one in found)
        else "No two guides differ by more than noise."
        if len(tied) == len(found)
        else f"{len(tied)} of {len(found)} pairs are ties: their order in the tables means nothing."
        if tied
        else "All guides differ by more than noise."
    )
    left_out = f" The {MOST_PAIRS} closest pairs are shown." if len(found) > MOST_PAIRS else ""
    return Block(
        lead + left_out,
        Table(
            ["guides", "difference (nat)", "beyond noise?"],
            [_row(one) for one in found[:MOST_PAIRS]],
            caption="ELBO of the first guide minus that of the second. The error has a part from the draws and "
            "one from training: restarts of the same number begin at the same point. A pair counts as different beyond "
            "three errors (more where there are few restarts) and 0.01 nat.",
        ),
        _larger_spaces(page),
    )


def _larger_spaces(page: Page) -> str | None:
    """Return what a difference does not say of a guide with auxiliary variables, where there is one."""
    names = [fit.guide for fit in page.fits if fit.bound == "augmented" and fit.metric("elbo")]
    if not names:
        return None
    return (
        f"The bound of {listed(names)} is over a larger space and pays for auxiliary variables as well: its draws may "
        "be closer to the posterior than those of a guide with the same ELBO."
    )


def _row(one: Difference) -> list[Cell]:
    known = math.isfinite(one.error)
    verdict = Pill("different", "neutral") if one.different else Pill("tie" if known else "not known", "muted")
    return [f"{one.first} − {one.second}", Number(one.value, one.error if known else None), verdict]
