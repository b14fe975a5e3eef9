"""Which guides differ in their ELBO by more than noise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from guidebench.analysis.differences import Difference, differences
from guidebench.report.page import Block, Cell, Details, Number, Page, Pill, Table
from guidebench.report.text import listed

#: Pairs that are shown; the closest ones come first.
MOST_PAIRS = 30


def build(page: Page) -> Block | None:
    """Return who cannot be told apart, and a folded table of pairs; ``None`` where there is no pair with an ELBO."""
    found = sorted(differences(page.fits), key=lambda one: abs(one.value))
    if not found:
        return None
    table = Table(
        ["guides", "difference (nat)", "beyond noise?"],
        [_row(one) for one in found[:MOST_PAIRS]],
        caption="ELBO of the first guide minus that of the second. The error has a part from the draws and "
        "one from training: restarts of the same number begin at the same point. A pair counts as different beyond "
        "three errors (more where there are few restarts) and 0.01 nat.",
    )
    count = f"the {MOST_PAIRS} closest of {len(found)}" if len(found) > MOST_PAIRS else f"all {len(found)}"
    return Block(told(found), Details(f"Differences by pairs ({count})", Block(table)), _larger_spaces(page))


def told(found: Sequence[Difference]) -> str:
    """Return which guides cannot be told apart by their ELBO, in a line."""
    if all(math.isnan(one.error) for one in found):
        return (
            "From one start nothing is known of what training adds to the noise, so no two guides are called different."
        )
    tied = groups(found)
    if not tied:
        return "All guides differ in their ELBO by more than noise."
    if len(tied) == 1 and len(tied[0]) == len({name for one in found for name in (one.first, one.second)}):
        return "By their ELBO no two of these guides can be told apart."
    return f"By their ELBO these cannot be told apart: {'; '.join(listed(one) for one in tied)}."


def groups(found: Sequence[Difference]) -> list[list[str]]:
    """Return the largest runs of guides, from the best ELBO down, of which no two differ by more than noise."""
    # Of every pair the first has the better ELBO: a guide is before all those that it comes first of.
    before = Counter(one.first for one in found)
    order = sorted({name for one in found for name in (one.first, one.second)}, key=lambda name: (-before[name], name))
    apart = {frozenset((one.first, one.second)) for one in found if one.different}
    runs: list[list[str]] = []
    for start in range(len(order)):
        run = [order[start]]
        for name in order[start + 1 :]:
            if any(frozenset((name, one)) in apart for one in run):
                break
            run.append(name)
        if len(run) > 1 and not any(set(run) <= set(other) for other in runs):
            runs.append(run)
    return runs


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
