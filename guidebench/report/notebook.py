"""A comparison and a fit as a notebook shows them: the summary of the report, small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from guidebench.report import evidence, html
from guidebench.report.columns import further
from guidebench.report.content import Block, Cell, Figure, Note, Number, Table
from guidebench.report.page import Page
from guidebench.report.palette import verdict_pill
from guidebench.report.sections import summary
from guidebench.report.text import percent
from guidebench.results import Comparison, Fit, ProblemRecord, Status


@cache
def _style() -> Markup:
    text = (files("guidebench.report") / "templates" / "notebook.css").read_text(encoding="utf-8")
    return Markup(f"<style>\n{text}</style>\n")  # noqa: S704 - our own file


def _framed(*parts: Markup) -> str:
    return str(_style() + Markup('<div class="guidebench">\n') + Markup("\n").join(parts) + Markup("\n</div>"))


def framed(content: Block) -> str:
    """Return a block as a notebook shows it."""
    return _framed(html.block(content))


def _paragraph(text: str, kind: str = "soft") -> Markup:
    return Markup('<p class="{}">{}</p>').format(kind, text)


# A comparison


def comparison_html(comparison: Comparison) -> str:
    """Return what to conclude, a table of the guides, and what they are measured against; one after another problem."""
    parts: list[Markup] = []
    if comparison.interrupted:
        parts.append(html.block(Block(Note("The run was interrupted; this is what was done by then.", "warning"))))
    if named := summary.broken(comparison.failures):
        parts.append(html.block(Block(*named)))
    for problem in comparison.problems:
        page = Page(comparison=comparison, problem=problem)
        parts += [
            _paragraph(problem.name, "title"),
            html.block(Block(*summary.conclusion(page), guides(page))),
            *(_paragraph(line) for line in against(problem)),
        ]
    return _framed(*parts)


def guides(page: Page) -> Table | None:
    """Return a row per guide, without the columns that would be empty."""
    if not page.fits:
        return None
    columns: list[tuple[str, Callable[[Fit], Cell]]] = [
        ("guide", page.key),
        ("verdict", lambda fit: verdict_pill(fit.verdict, evidence.hover(fit))),
        ("ELBO (nat)", _elbo),
        ("k-hat", lambda fit: _rounded(fit.value("khat"))),
        ("ESS (%)", _ess),
        ("coverage at 90 %", lambda fit: _rounded(fit.value("coverage_90"))),
        *further(page),
        ("training", lambda fit: summary.STATUS[Status(fit.status)]),
        ("time (s)", _time),
    ]
    shown = [
        (name, cells)
        for name, cell in columns
        if not name.startswith("coverage") or any(one is not None for one in map(cell, page.fits))
        for cells in [[cell(fit) for fit in page.fits]]
    ]
    rows = [[cells[at] for _, cells in shown] for at in range(len(page.fits))]
    return Table([name for name, _ in shown], rows)


def against(problem: ProblemRecord) -> Iterator[str]:
    """Yield what the guides are measured against, or why there is nothing."""
    note = " ".join(problem.reference_note.split())
    if problem.reference:
        inner = note.removeprefix(f"{problem.reference}: ").rstrip(".")
        yield f"Reference: {problem.reference}" + (f" ({inner})." if inner else ".")
    elif note:
        yield note
    if problem.log_evidence is not None:
        yield f"Exact log evidence: {problem.log_evidence:.3f} nat; no ELBO lies above it."


def _elbo(fit: Fit) -> Number | None:
    found = fit.metric("elbo")
    if found is None or fit.bound == "none":
        return None
    return Number(found.value, found.mcse, mark="larger space" if fit.bound == "augmented" else "")


def _rounded(value: float | None) -> Number | None:
    return None if value is None else Number(value, digits=2)


def _ess(fit: Fit) -> Number | None:
    """Return the effective sample size of the weights in per cent of the draws."""
    share = fit.value("ess_share")
    return None if share is None else Number(100 * share, digits=2)


def _time(fit: Fit) -> Number | None:
    return None if fit.seconds is None else Number(fit.seconds, digits=2)


# A fit


def fit_html(fit: Fit) -> str:
    """Return the verdict on one guide, why, and its main numbers."""
    numbers = [("verdict", verdict_pill(fit.verdict, evidence.hover(fit))), *_numbers(fit)]
    head = Table([name for name, _ in numbers], [[value for _, value in numbers]])
    remark = summary.remark(fit)
    return _framed(
        _paragraph(f"{fit.guide} on {fit.problem}", "title"),
        html.block(Block(head)),
        _paragraph(remark, "lead" if fit.reason else "soft") if remark else Markup(),
    )


def _numbers(fit: Fit) -> list[tuple[str, Cell]]:
    kl, coverage, share = fit.metric("kl"), fit.metric("coverage_90"), fit.value("ess_share")
    found: list[tuple[str, Cell]] = [
        ("ELBO (nat)", _elbo(fit)),
        ("KL (nat)", None if kl is None or fit.bound == "none" else Number(kl.value, kl.mcse, 2)),
        ("k-hat", summary.khat(fit)),
        ("weight ESS", None if share is None else Number(fit.value("ess"), digits=3, detail=percent(share))),
        ("coverage at 90 %", None if coverage is None else Number(coverage.value, coverage.mcse, 3)),
        ("time (s)", _time(fit)),
    ]
    known = [pair for pair in found if pair[1] is not None]
    return [*known, ("training", summary.STATUS[Status(fit.status)])]


# Figures


class Figures(Mapping[str, Figure]):
    """The figures of the report by name, drawn when the first of them is asked for."""

    def __init__(self, comparison: Comparison, sections: Sequence[Any] | None = None) -> None:
        self._comparison = comparison
        self._sections = sections
        self._made: dict[str, Figure] | None = None

    def _figures(self) -> dict[str, Figure]:
        if self._made is None:
            from guidebench.report.writer import figures

            self._made = figures(self._comparison, sections=self._sections)
        return self._made

    def __getitem__(self, name: str) -> Figure:
        found = self._figures()
        if name not in found:
            raise KeyError(f"no figure {name!r} in this report; its figures are {', '.join(found) or 'none'}")
        return found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures())

    def __len__(self) -> int:
        return len(self._figures())

    def __repr__(self) -> str:
        return f"<Figures: {', '.join(self)}>"
