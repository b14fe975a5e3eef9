"""The verdict on every guide for every problem, and the sentence for a reader in a hurry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from guidebench.analysis.problems import usable_in_words, winners
from guidebench.report.content import Block, Cell, Note, Table
from guidebench.report.overview.seen import Overview
from guidebench.report.palette import verdict_pill
from guidebench.report.sections.summary import broken
from guidebench.report.text import listed
from guidebench.results import Comparison, Status


def build(overview: Overview) -> Block:
    """Return the table of verdicts and what must be known before it is believed; the conclusion is on the front."""
    comparison = overview.comparison
    rows: list[list[Cell]] = []
    for problem in comparison.problems:
        found = {fit.guide: verdict_pill(fit.verdict, fit.reason) for fit in comparison.of(problem.name)}
        pills = [found.get(guide) for guide in overview.guides]
        rows.append([overview.link(problem.name), *pills])
    return Block(
        *broken(comparison.failures),
        *caution(comparison),
        "The verdict on every guide for every problem; a dash means that the guide was not tried there.",
        Table([overview.heading, *overview.guides], rows),
    )


def conclusion(comparison: Comparison) -> str:
    """Return on how many problems some guide can be used, and which one most often."""
    found = winners(comparison)
    usable = [one for one in found if one.usable]
    if not usable:
        return f"On none of the {len(found)} problems can the draws of any of these guides be used."
    text = usable_in_words(found)
    if none := len(found) - len(usable):
        text += f"; on {none} none can be used"
    counts = Counter(guide for one in usable for guide in one.guides)
    most = max(counts.values())
    leading = [guide for guide, count in counts.items() if count == most]
    return f"{text}. Best or tied most often: {listed(leading)} ({most})."


def caution(comparison: Comparison) -> list[Note]:
    """Return what is missing, or was not settled, in a table that does not show it."""
    notes = []
    without = [problem.name for problem in comparison.problems if not problem.reference]
    if without:
        text = f"No reference on {_some(without)}: errors are not known there, and a verdict rests on other evidence."
        notes.append(Note(text, "warning"))
    gone = [f"{fit.guide} on {fit.problem} ({fit.status})" for fit in comparison.fits if not fit.status.has_draws]
    if gone:
        notes.append(Note(f"Without draws: {_some(gone)}. Averages below do not see these fits.", "warning"))
    unsettled = [f"{fit.guide} on {fit.problem}" for fit in comparison.fits if fit.status is Status.MAX_STEPS]
    if unsettled:
        text = f"Not converged: {_some(unsettled)}. Their numbers say how far training came, not how good a family is."
        notes.append(Note(text, "warning"))
    if comparison.interrupted:
        notes.append(Note("The run was interrupted; this is what was done by then.", "warning"))
    return notes


def _some(names: Sequence[str], most: int = 4) -> str:
    if len(names) <= most + 1:
        return listed(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
