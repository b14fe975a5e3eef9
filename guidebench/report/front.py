"""What stands before everything else: the answer, a line for each guide, the worst quantities, and the draws to use."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from guidebench.analysis.answer import Answer, Line, answer
from guidebench.analysis.held import OTHERS
from guidebench.contracts import Section
from guidebench.report.content import Block, Cell, Code, Details, Figure, Lead, Note, Number, Table
from guidebench.report.draws import Component
from guidebench.report.finish import finish, unique, with_levels
from guidebench.report.overview.verdicts import conclusion
from guidebench.report.page import Page
from guidebench.report.palette import verdict_pill
from guidebench.results import Comparison, Verdict

#: Panels of the picture, and its size in inches: beside the lines of Python, on the first screen.
PANELS = 3
SIZE = (6.9, 1.8)

#: Headings of what a guide cost.
AGAINST_NUTS, GRADIENTS = "cost (NUTS = 1)", "gradients"

#: Lines of guides that are shown; the others are folded.
MOST_LINES = 10

#: Guides are sorted by how often they got these, the first before all.
_ORDER = (Verdict.TRUST, Verdict.REFRESH, Verdict.REWEIGHT, Verdict.DISTRUST)

#: What errors are measured against, in words.
MEASURED = {
    "reference": "the reference ({})",
    "witness": "a mixture, or groups of chains, about what a search found",
    "chains": "the chains that began at them",
    OTHERS: "the chains that began at {}",
    "weights": "these with their weights",
}


@dataclass(frozen=True, kw_only=True)
class Front:
    """What the first screen is about.

    Attributes
    ----------
    comparison : Comparison
        The whole run.
    pages : tuple of Page
        Every problem, as the sections see it.
    run : str
        The folder that the draws are loaded from.
    """

    comparison: Comparison
    pages: tuple[Page, ...]
    run: str
    _names: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def name(self) -> str:
        """The name of the picture, which no section has given to one of its own."""
        return unique("answer", self._names)


def build(front: Front) -> Block:
    """Return the answer on one problem, or on several."""
    if len(front.pages) == 1:
        return _of_one(front, front.pages[0])
    return _of_several(front)


#: The first screen, built behind the same boundary as a section.
FRONT = Section(name="answer", title="The answer", build=build, order=0)  # type: ignore[arg-type]


def code(run: str, found: Answer | None, *, several: bool = False) -> str:
    """Return the three lines of Python that load the draws to use, or, where there are none, say why.

    Parameters
    ----------
    run : str
        The folder of the run.
    found : Answer or None
        On the problem; with several problems the first that has draws to use, or ``None``.
    several : bool
        Whether the problem has to be named.
    """
    head = f"import guidebench as gb\nc = gb.load({json.dumps(run, ensure_ascii=False)})\n"
    if found is None or not found.source:
        return head + "c.recommendation"
    return head + (f"draws = c.posterior({json.dumps(found.problem, ensure_ascii=False) if several else ''})")


# One problem


def _of_one(front: Front, page: Page) -> Block:
    found = answer(page.fits, page.problem)
    rows = [_row(page, line, costs=_costs(found)) for line in found.lines]
    columns = ["guide", "verdict", "why", "mean off (sd)", "sd off (%)", _costs(found)]
    return Block(
        *(Note(text, "warning") for text in page.problem.warnings),  # who has left out the data is to hear that first
        Lead(found.headline),
        *_tables(columns, rows),
        picture(front, [(page, component) for component in _worst(page)], measured(found, page)),
        Code(code(front.run, found)),
        found.more or None,
    )


def _costs(found: Answer) -> str:
    """Return what the cost of a guide is given in, as far as it is known."""
    if any(line.against_nuts is not None for line in found.lines):
        return AGAINST_NUTS
    return GRADIENTS


def _row(page: Page, line: Line, *, costs: str) -> list[Cell]:
    fit = next(fit for fit in page.fits if fit.guide == line.guide)
    cost: Cell = line.gradients if costs == GRADIENTS else _number(line.against_nuts)
    errors = (_number(line.mean_error), _number(line.sd_error, 100))
    return [page.key(fit), verdict_pill(line.verdict, fit.reason), line.why, *errors, cost]


def _number(value: float | None, times: float = 1) -> Number | None:
    return None if value is None else Number(times * value, digits=2)


def measured(found: Answer, page: Page) -> str:
    """Return what the errors are measured against, as a sentence; nothing where none are known."""
    known = {line.against for line in found.lines}
    names = {"reference": page.problem.reference, OTHERS: found.standard}
    by = [MEASURED[one].format(names.get(one, "")) for one in MEASURED if one in known]
    told = f"Errors are the largest of each guide's own draws, against {' or, if need be, '.join(by)}." if by else ""
    failed = "nuts" in page.problem.work and page.problem.reference != "NUTS"
    return f"{told} NUTS failed its checks here.".strip() if failed and _costs(found) != GRADIENTS else told


def _worst(page: Page) -> list[Component]:
    """Return the components that are farthest off, or the first where no errors are known."""
    return page.worst[:PANELS] or page.components(PANELS)[0][:PANELS]


# Several problems


def _of_several(front: Front) -> Block:
    comparison = front.comparison
    if not comparison.fits:
        return Block("There are no fits.")
    answers = [answer(page.fits, page.problem) for page in front.pages]
    columns, rows = _over_problems(front, answers)
    first = next((one for one in answers if one.source), None)
    ordered = sorted(front.pages, key=lambda page: -_farthest(page))
    panels = [(page, component) for page in ordered[:PANELS] for component in _worst(page)[:1]]
    return Block(
        Lead(conclusion(comparison)),
        *_tables(columns, rows),
        picture(front, panels, "Errors are medians over the problems of the largest of each guide's own draws."),
        Code(code(front.run, first, several=True)),
    )


def _farthest(page: Page) -> float:
    return max((one.error.over for one in page.off), default=0.0)


def _over_problems(front: Front, answers: Sequence[Answer]) -> tuple[list[str], list[list[Cell]]]:
    """Return columns, and a row for each guide: how often it got each verdict, and medians of its errors and cost."""
    lines: dict[str, list[Line]] = {}
    for fit in front.comparison.fits:
        lines.setdefault(fit.guide, [])
    for one in answers:
        for line in one.lines:
            lines[line.guide].append(line)
    verdicts = [one for one in Verdict if any(line.verdict is one for of in lines.values() for line in of)]
    counts = {guide: Counter(line.verdict for line in of) for guide, of in lines.items()}
    order = sorted(lines, key=lambda guide: [-counts[guide][one] for one in _ORDER])
    keys = {fit.guide: page.key(fit) for page in front.pages for fit in page.fits}
    nuts = any(line.against_nuts is not None for of in lines.values() for line in of)
    rows: list[list[Cell]] = [
        [
            keys[guide],
            *(counts[guide][one] for one in verdicts),
            _median([line.mean_error for line in lines[guide]]),
            _median([line.sd_error for line in lines[guide]], 100),
            _median([line.against_nuts if nuts else line.gradients for line in lines[guide]]),
        ]
        for guide in order
    ]
    cost = AGAINST_NUTS if nuts else GRADIENTS
    return ["guide", *map(str, verdicts), "mean off (sd)", "sd off (%)", cost], rows


def _median(values: Sequence[float | None], times: float = 1) -> Cell:
    known = [one for one in values if one is not None]
    if not known:
        return None
    middle = times * median(known)
    return round(middle) if middle >= 1000 else Number(middle, digits=2)


# Both


def _tables(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Iterator[Table | Details]:
    """Yield a table of the first guides, and a folded one of the others."""
    if rows:
        yield Table(columns, rows[:MOST_LINES])
    if more := rows[MOST_LINES:]:
        yield Details(f"{len(more)} more {'guide' if len(more) == 1 else 'guides'}", Block(Table(columns, more)))


def picture(front: Front, chosen: Sequence[tuple[Page, Component]], about: str) -> Figure | str | None:
    """Draw the densities of a few components, small; the swatches of the table are the legend."""
    from guidebench.report.drawing import panels
    from guidebench.report.sections.marginals import panel

    if not chosen:
        return about or None
    several = len(front.pages) > 1
    width, height = SIZE
    fig, axes = panels(
        len(chosen), len(chosen), height=height - 0.55, width=width, gap=(0.25, 0.3), margin=(0.1, 0.1, 0.27, 0.28)
    )
    names = [f"{page.problem.name}: {component.name}" if several else component.name for page, component in chosen]
    drawn = [panel(page, ax, one, name) for ax, (page, one), name in zip(axes, chosen, names, strict=True)]
    truths, dotted = (any(found) for found in zip(*drawn, strict=True))
    parts = [
        "the reference grey" if any(page.problem.reference for page, _ in chosen) else "",
        "refreshed draws dotted" if dotted else "",
        "true values dashed" if truths else "",
    ]
    told = ", ".join(part for part in parts if part)
    known = any(page.worst for page, _ in chosen)
    what = "farthest off" if known else "first"
    caption = f"The {what} quantities, colours as in the table{f', {told}' if told else ''}. {about}".strip()
    fig = fig if several else with_levels(fig, front.pages[0].problem.levels)
    return finish(
        front.name, fig, alt=f"Marginal densities of {', '.join(names)} for each guide", caption=caption, min_width=280
    )
