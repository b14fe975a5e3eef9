"""Models of the same data against each other, where a run has several: by what each predicts of unseen rows."""

from __future__ import annotations

from collections.abc import Mapping

from guidebench.analysis.models.scored import Candidate, Scored, candidates, same_data, scored
from guidebench.report.content import Block, Cell, Note, Number, Table
from guidebench.report.overview.seen import Overview

#: Observations up to which a report takes the time: each has weights of its own.
MOST_OBSERVED = 2_000


def build(overview: Overview) -> Block | None:
    """Return a table for each set of models of the same data, or ``None`` where no two have the same."""
    parts: list[Table | Note | None] = []
    for group in _alike(candidates(overview.comparison)):
        found = scored(group)
        if any(one.loo is not None for one in found):
            parts.append(_table(overview, found))
        reasons = "; ".join(f"{overview.problem(one.name)}: {one.reason}" for one in found if one.reason)
        parts.append(Note(reasons, "info") if reasons else None)
    if not any(isinstance(one, Table) for one in parts):
        return None
    return Block(
        "Problems with the same observations are models of one thing. PSIS-LOO is the sum of the log densities of "
        "every observation given all others, from the draws that can be used of each model, with their weights. A "
        "difference of less than two of its standard errors, or of less than 4 nat, says little.",
        *parts,
    )


def _alike(models: Mapping[str, Candidate]) -> list[dict[str, Candidate]]:
    """Return the sets of two models and more that have the same data, few enough to be weighed here."""
    sets: list[dict[str, Candidate]] = []
    for name, one in models.items():
        data = one.observed()
        if data is None or len(data) > MOST_OBSERVED:
            continue
        for group in sets:
            if same_data(one, next(iter(group.values()))):
                group[name] = one
                break
        else:
            sets.append({name: one})
    return [group for group in sets if len(group) > 1]


def _table(overview: Overview, found: list[Scored]) -> Table:
    held = any(one.elpd_heldout is not None for one in found)
    columns = ["model", "elpd, LOO (nat)", "difference (nat)", "p_loo", "draws of", "log evidence (nat)"]
    rows: list[list[Cell]] = [_row(overview, one, held=held) for one in found]
    return Table([*columns, *(["elpd, held out (nat)", "CRPS, held out"] if held else [])], rows)


def _row(overview: Overview, one: Scored, *, held: bool) -> list[Cell]:
    own = one.loo
    told: list[Cell] = [None, None, None, None]
    if own is not None and one.difference is not None:
        difference = Number(one.difference, one.se_difference, digits=3)
        told = [Number(own.elpd, own.se, digits=4), difference, Number(own.p_loo, digits=3), overview.key(own.guide)]
    evidence = None if one.log_evidence is None else Number(one.log_evidence, digits=5)
    scores = [None if value is None else Number(value, digits=4) for value in (one.elpd_heldout, one.crps_heldout)]
    return [overview.link(one.name), *told, evidence, *(scores if held else [])]
