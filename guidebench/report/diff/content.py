"""The difference between two runs in words and tables: for Markdown, HTML and JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from guidebench.analysis.runs.result import Change, Diff, Outcome
from guidebench.report.content import Block, Details, Heading, Lead, Listing, Table
from guidebench.report.text import EMPTY, number, one_line, significant

#: Version of the layout of the JSON.
SCHEMA = 1


def conclusion(found: Diff) -> str:
    """Return the counts, and what else there is to see, in one line."""
    noted = f"; {len(found.noted)} noted" if found.noted else ""
    return f"{found.summary()}{noted}"


def groups(found: Diff, *, everything: bool = False) -> list[tuple[str, Sequence[Change]]]:
    """Return headings and changes, worse first; without `everything`, of noted ones those of whole fits."""
    noted = [one for one in found.noted if everything or not one.variable]
    listed: list[tuple[str, Sequence[Change]]] = [
        ("Worse", found.worse),
        ("Better", found.better),
        ("Unclear: beyond the noise of draws, that of training is not known", found.unclear),
        ("Noted, decides nothing", noted),
    ]
    if everything:
        listed.append(("Unchanged", [one for one in found.changes if one.outcome is Outcome.UNCHANGED]))
    return [(title, changes) for title, changes in listed if changes]


def left_out(found: Diff) -> str:
    """Return how many noted changes are of single components, which are not shown by default; or nothing."""
    count = sum(bool(one.variable) for one in found.noted)
    return f"{count} more of single components: see them with --all." if count else ""


def side(value: float | str | None) -> str:
    """Return what a number or word was, in a few digits."""
    if value is None:
        return "not finite"
    return value if isinstance(value, str) else significant(value)


def step(one: Change) -> str:
    """Return the change with its error."""
    if one.change is None:
        return ""
    text = number(one.change, one.error, 2)
    return text if text.startswith("-") or text == "0" else f"+{text}"


def score(one: Change) -> str:
    """Return the change over its error."""
    return EMPTY if one.z is None else f"{one.z:+.1f}"


def word(one: Change) -> str:
    """Return the outcome, where a heading does not tell it."""
    return "" if one.decides else str(one.outcome)


def remarks(changes: Sequence[Change]) -> list[str]:
    """Return what there is to know besides the numbers, each with those it is about."""
    found: dict[str, list[str]] = {}
    for one in changes:
        if one.note:
            found.setdefault(one.note, []).append(f"{one.guide} {one.name}")
    return [f"{', '.join(about)}: {one_line(note)}" for note, about in found.items()]


def table(changes: Sequence[Change], *, several: bool) -> Table:
    """Return changes as a table, with a column of problems where there are several."""
    worded = any(word(one) for one in changes)
    rows = [
        [
            *([one.problem] if several else []),
            one.guide,
            one.name,
            side(one.before),
            side(one.after),
            step(one),
            score(one),
            *([word(one)] if worded else []),
        ]
        for one in changes
    ]
    columns = [*(["problem"] if several else []), "guide", "metric", "before", "after", "change", "z"]
    return Table([*columns, *(["is"] if worded else [])], rows)


def block(found: Diff, *, everything: bool = False) -> Block:
    """Return the whole: what to conclude, tables with worse first, and what else differs."""
    several = len({one.problem for one in found.changes}) > 1
    parts: list[Any] = [Lead(f"{conclusion(found)}."), f"Before: {found.before}. After: {found.after}."]
    for title, changes in groups(found, everything=everything):
        listed = table(changes, several=several)
        notes = remarks(changes)
        inner = Block(listed, Listing(notes) if notes else None)
        if changes[0].decides and changes[0].outcome is not Outcome.UNCHANGED:
            parts += [Heading(title), inner]
        else:
            more = left_out(found) if title.startswith("Noted") and not everything else ""
            parts.append(Details(f"{title} ({len(changes)})", Block(inner, more or None)))
    if found.context:
        parts.append(Details("What else differs", Block(Listing([str(one) for one in found.context]))))
    return Block(*parts)


def markdown(found: Diff, *, everything: bool = False) -> str:
    """Return it for a pull request."""
    from guidebench.report.markdown import block as written

    return written(block(found, everything=everything), level=3)


def html(found: Diff) -> str:
    """Return it for a notebook."""
    from guidebench.report.notebook import framed

    return framed(block(found))


def plain(found: Diff, *, everything: bool = False) -> dict[str, Any]:
    """Return it as JSON can hold it, where a number that is not finite is nothing."""
    shown = [one for one in found.changes if everything or one.outcome is not Outcome.UNCHANGED]
    return {
        "schema": SCHEMA,
        "before": found.before,
        "after": found.after,
        "counts": {
            str(outcome): len(getattr(found, str(outcome)))
            for outcome in (Outcome.WORSE, Outcome.BETTER, Outcome.UNCLEAR, Outcome.UNCHANGED)
        }
        | {"noted": len(found.noted)},
        "changes": [{part.name: _plain(getattr(one, part.name)) for part in fields(one)} for one in shown],
        "context": [{"kind": one.kind, "text": one.text} for one in found.context],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Outcome) else value
