"""From a comparison to ``report.html``, ``report.md`` and ``figures/*.png``."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from guidebench import inference_data
from guidebench.boundary import Boundary
from guidebench.contracts import Section
from guidebench.failures import Failure
from guidebench.plugins import find_plugins
from guidebench.registry import OWN
from guidebench.report import html, markdown
from guidebench.report.content import Block, Cell, Figure, Link, Note, Table
from guidebench.report.page import Page
from guidebench.report.palette import verdict_pill
from guidebench.report.recipes import told
from guidebench.report.text import slug
from guidebench.results import Comparison


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A section of one problem, ready to be put into the page."""

    anchor: str
    title: str
    html: Markup
    markdown: str
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Owned:
    """A section and who brought it."""

    section: Section
    plugin: str = ""
    distribution: str = ""

    @property
    def own(self) -> bool:
        """Whether it is one of guidebench's."""
        return self.distribution == OWN


@dataclass(frozen=True, kw_only=True)
class Part:
    """The sections of one problem."""

    anchor: str
    title: str
    intro: str
    sections: tuple[Rendered, ...]


#: Is told of a section that failed.
OnFailure = Callable[[Failure], None]


def write(
    comparison: Comparison,
    path: str | Path,
    *,
    sections: Sequence[Any] | None = None,
    log_loss: bool = False,
    on_failure: OnFailure | None = None,
) -> Path:
    """Write the report of a comparison into a folder.

    Everything is rendered before the first file is written, and files are moved into place when
    all of them are complete: a failure leaves what was there before.

    Parameters
    ----------
    comparison : Comparison
        Results, as made by a run or loaded again.
    path : str or Path
        Folder for ``report.html``, ``report.md`` and ``figures/``; made where it does not exist.
    sections : sequence of Section, optional
        What the report consists of; by default every section of every plugin of the run.
    log_loss : bool
        Show the training loss on a logarithmic axis first.
    on_failure : callable, optional
        Is told of each section that could not be made, which leaves a note in its place.

    Returns
    -------
    Path
        Of ``report.html``.
    """
    parts = _parts(comparison, sections, log_loss, on_failure or _silent)
    page, text = _html(comparison, parts), _markdown(comparison, parts)
    return _place(Path(path), page, text, {name: figure.png for name, figure in _figures(parts).items()})


def figures(comparison: Comparison, *, sections: Sequence[Any] | None = None) -> dict[str, Figure]:
    """Return the figures of the report of a comparison by name, in its order; no file is written."""
    return _figures(_parts(comparison, sections, bool(comparison.config.get("log_loss")), _silent))


def _silent(failure: Failure) -> None:
    """Leave it at the note in the report."""


def _parts(
    comparison: Comparison, sections: Sequence[Any] | None, log_loss: bool, on_failure: OnFailure
) -> tuple[Part, ...]:
    given = comparison.sections if sections is None else sections
    owned = sorted(_owned(given), key=lambda one: one.section.order)
    names: set[str] = set()
    pages = (
        Page(comparison=comparison, problem=problem, log_loss=log_loss, _names=names) for problem in comparison.problems
    )
    return tuple(_part(page, owned, on_failure) for page in pages)


def _figures(parts: Sequence[Part]) -> dict[str, Figure]:
    return {figure.name: figure for part in parts for section in part.sections for figure in section.figures}


def _owned(sections: Sequence[Any] | None) -> list[Owned]:
    """Return sections with the name of who brought them."""
    if sections is None:
        sections = find_plugins(running=True).sections  # in a process that may train guides afterwards
    found = list(sections.values()) if isinstance(sections, Mapping) else list(sections)
    return [
        Owned(section=one)
        if isinstance(one, Section)
        else Owned(section=one.declaration, plugin=one.plugin, distribution=one.distribution)
        for one in found
    ]


def _part(page: Page, owned: list[Owned], on_failure: OnFailure) -> Part:
    problem = page.problem
    rendered = [_section(page, one, on_failure) for one in owned]
    intro = " ".join(part for part in (_sentence(problem.summary), _sentence(problem.cite)) if part)
    anchor = f"problem-{slug(problem.name)}"
    return Part(anchor=anchor, title=problem.name, intro=intro, sections=tuple(s for s in rendered if s is not None))


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _section(page: Page, one: Owned, on_failure: OnFailure) -> Rendered | None:
    """Build and render one section; one that raises leaves a note in its place.

    Rendering is inside the boundary to other people's code, too, because a table may hold whatever a
    section put there.
    """
    from guidebench.report.drawing import style

    section = one.section
    prefix = f"{slug(page.problem.name)}-" if page.several else ""
    anchor = f"{prefix}{slug(section.name)}"
    level = 4 if page.several else 3

    def rendered(content: Block) -> Rendered:
        return Rendered(
            anchor=anchor,
            title=section.title,
            html=html.block(content),
            markdown=markdown.block(content, level),
            figures=tuple(content.figures()),
        )

    seen = page if one.own else _apart(page)
    made: Rendered | None = None
    limit = None if one.own else page.comparison.config.get("time_limit")
    with (
        Boundary(
            "section", plugin=one.plugin, distribution=one.distribution, name=section.name, time_limit=limit
        ) as at,
        style(),
    ):
        built = section.build(seen)
        if built is not None:
            made = rendered(built if isinstance(built, Block) else Block(built))
    if at.failure is None:
        return made
    on_failure(at.failure)
    by = f" ({at.failure.owner})" if at.failure.owner else ""
    text = f"The section {section.name!r}{by} could not be made: {at.failure.message}"
    return rendered(Block(Note(text, "warning")))


def _apart(page: Page) -> Page:
    """Return a page that a stranger cannot for the sections after his own: draws are locked, the rest is copied."""
    comparison = page.comparison
    problems = tuple(
        replace(one, truth=_copied(one.truth), noise_sd=_copied(one.noise_sd)) for one in comparison.problems
    )
    return replace(
        page,
        problem=problems[comparison.problems.index(page.problem)],
        comparison=replace(
            comparison,
            problems=problems,
            fits=tuple(
                replace(fit, options=_copied(fit.options), inference_data=inference_data.read_only(fit.inference_data))
                for fit in comparison.fits
            ),
            config=_copied(comparison.config),
            environment=_copied(comparison.environment),
            references={name: inference_data.read_only(found) for name, found in comparison.references.items()},
        ),
    )


def _copied(value: Any) -> Any:
    """Return `value` in containers of its own."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _intro(comparison: Comparison) -> list[str]:
    lines = []
    if len(comparison.problems) == 1:
        problem = comparison.problems[0]
        lines.append(" ".join(part for part in (_sentence(problem.summary), _sentence(problem.cite)) if part))
    count = len({fit.guide for fit in comparison.fits})
    where = f"{len(comparison.problems)} problems" if len(comparison.problems) != 1 else "one problem"
    made = _sentence(" ".join(told(comparison)))
    lines.append(f"{count} {'guide' if count == 1 else 'guides'} on {where}. {made}".strip())
    return [line for line in lines if line]


def _overview(comparison: Comparison, parts: Sequence[Part]) -> Block:
    """Return the table of verdicts, problem by guide."""
    guides = list(dict.fromkeys(fit.guide for fit in comparison.fits))
    rows: list[list[Cell]] = []
    for problem, part in zip(comparison.problems, parts, strict=True):
        found = {fit.guide: fit.verdict for fit in comparison.of(problem.name)}
        pills = [verdict_pill(found[guide]) if guide in found else None for guide in guides]
        rows.append([Link(problem.name, part.anchor), *pills])
    return Block(
        "The verdict on every guide for every problem; a dash means that the guide was not tried there.",
        Table(["problem", *guides], rows),
    )


def _closing(comparison: Comparison) -> Block:
    from guidebench.report.sections.provenance import run

    return run(comparison)


def _html(comparison: Comparison, parts: tuple[Part, ...]) -> str:
    several = len(parts) != 1
    contents = [Link("Overview", "overview")] if several else []
    if several:
        contents += [Link(part.title, part.anchor) for part in parts]
        contents.append(Link("How this was made", "run"))
    else:
        contents += [Link(section.title, section.anchor) for section in parts[0].sections]
    return html.page(
        title=comparison.name,
        intro=_intro(comparison),
        contents=contents,
        overview=html.block(_overview(comparison, parts)) if several else "",
        parts=parts,
        several=several,
        closing=html.block(_closing(comparison)) if several else "",
    )


def _markdown(comparison: Comparison, parts: tuple[Part, ...]) -> str:
    several = len(parts) != 1
    chunks = [f"# {markdown.escape(comparison.name)}", *(markdown.escape(line) for line in _intro(comparison))]
    if several:
        chunks += ["## Overview", markdown.block(_overview(comparison, parts))]
    for part in parts:
        if several:
            chunks.append(f'<a id="{part.anchor}"></a>\n\n## {markdown.escape(part.title)}')
            chunks += [markdown.escape(part.intro)] if part.intro else []
        for section in part.sections:
            chunks.append(f"{'###' if several else '##'} {markdown.escape(section.title)}")
            chunks.append(section.markdown)
    if several:
        chunks += ["## How this was made", markdown.block(_closing(comparison))]
    return "\n\n".join(chunk for chunk in chunks if chunk) + "\n"


def _place(folder: Path, page: str, text: str, figures: Mapping[str, bytes]) -> Path:
    """Write under a temporary name, then move every file into place, the page last."""
    created = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".report-", dir=folder))
    complete = False
    try:
        for name, png in figures.items():
            (temporary / f"{name}.png").write_bytes(png)
        (temporary / "report.md").write_text(text, encoding="utf-8")
        (temporary / "report.html").write_text(page, encoding="utf-8")
        stale = _named_figures(folder / "report.md") - figures.keys()
        (folder / "figures").mkdir(exist_ok=True)
        for name in figures:
            (temporary / f"{name}.png").replace(folder / "figures" / f"{name}.png")
        (temporary / "report.md").replace(folder / "report.md")
        (temporary / "report.html").replace(folder / "report.html")
        for name in stale:
            (folder / "figures" / f"{name}.png").unlink(missing_ok=True)
        complete = True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if created and not complete:
            shutil.rmtree(folder, ignore_errors=True)
    return folder / "report.html"


def _named_figures(report: Path) -> set[str]:
    """Return the figures of an earlier report: only those may be removed, the folder may hold others."""
    if not report.is_file():
        return set()
    return set(re.findall(r"\]\(figures/([a-z0-9_.-]+)\.png\)", report.read_text(encoding="utf-8", errors="replace")))
