"""From a comparison to ``report.html``, ``report.md``, ``figures/*.png`` and ``figures/*.svg``."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guidebench.plugins.isolation.failures import OWN, Failure
from guidebench.report import html, markdown
from guidebench.report.ahead import Ahead, in_order
from guidebench.report.content import Block, Figure, Link
from guidebench.report.front import FRONT, Front
from guidebench.report.overview import OVERVIEW, Overview, anchor_of, problem_anchor
from guidebench.report.page import Page
from guidebench.report.recipes import told
from guidebench.report.rendered import OnFailure, Owned, Part, Rendered, rendered
from guidebench.request.find_plugins import find_plugins
from guidebench.results import Comparison
from guidebench.results.files import full_disk_said, put
from guidebench.results.lock import owned


def write(
    comparison: Comparison,
    path: str | Path,
    *,
    sections: Sequence[Any] | None = None,
    log_loss: bool = False,
    on_failure: OnFailure | None = None,
    ahead: Ahead | None = None,
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
        What the report consists of; by default every section of every installed plugin.
    log_loss : bool
        Show the training loss on a logarithmic axis first.
    on_failure : callable, optional
        Is told of each section that could not be made, which leaves a note in its place.
    ahead : Ahead, optional
        What was drawn while the run went on; the report is the same without.

    Returns
    -------
    Path
        Of ``report.html``.
    """
    report = _report(comparison, sections, log_loss, on_failure or _silent, ahead, run=_told(Path(path)))
    page, text = _html(comparison, report), _markdown(comparison, report)
    return _place(Path(path), page, text, dict(_pictures(report)))


def _pictures(report: Report) -> Iterator[tuple[str, bytes]]:
    """Yield every figure as files, by name: a PNG, and the same as SVG where that is not too large."""
    for name, figure in report.figures().items():
        yield f"{name}.png", figure.png
        if figure.svg:
            yield f"{name}.svg", figure.svg.encode("utf-8", "backslashreplace")


def figures(comparison: Comparison, *, sections: Sequence[Any] | None = None) -> dict[str, Figure]:
    """Return the figures of the report of a comparison by name, in its order; no file is written."""
    return _report(comparison, sections, bool(comparison.config.get("log_loss")), _silent).figures()


def _told(folder: Path) -> str:
    """Return a folder as somebody would type it who is where the run was made."""
    here = Path.cwd()
    return folder.relative_to(here).as_posix() if folder.is_relative_to(here) else folder.as_posix()


def _silent(failure: Failure) -> None:
    """Leave it at the note in the report."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report consists of: the answer, an overview where there are several problems, and a part for each."""

    front: Rendered | None
    overview: tuple[Rendered, ...]
    parts: tuple[Part, ...]

    @property
    def several(self) -> bool:
        """Whether it is not about one problem."""
        return len(self.parts) != 1

    def figures(self) -> dict[str, Figure]:
        """Return every figure by name, in order."""
        front = () if self.front is None else (self.front,)
        sections = (*front, *self.overview, *(section for part in self.parts for section in part.sections))
        return {figure.name: figure for section in sections for figure in section.figures}


def _report(
    comparison: Comparison,
    sections: Sequence[Any] | None,
    log_loss: bool,
    on_failure: OnFailure,
    ahead: Ahead | None = None,
    run: str = ".",
) -> Report:
    given = sections
    if given is None:
        given = find_plugins(running=True).sections  # in a process that may train guides afterwards
    owned, ahead = in_order(given), ahead or Ahead(())
    ahead.share(comparison)
    names: set[str] = set()
    overview: list[Rendered | None] = []
    if len(comparison.problems) != 1:
        seen = Overview(comparison=comparison, _names=names)
        own = [Owned(section=one, plugin="sections", distribution=OWN) for one in OVERVIEW]
        overview = [rendered(anchor_of(one.section.name), one, seen, on_failure, level=3) for one in own]
    pages = tuple(
        Page(comparison=comparison, problem=problem, log_loss=log_loss, _names=names) for problem in comparison.problems
    )
    parts = tuple(_part(page, [ahead.section_of(page, names, one, on_failure) for one in owned]) for page in pages)
    seen_first = Front(comparison=comparison, pages=pages, run=run, _names=frozenset(names))
    front = Owned(section=FRONT, plugin="sections", distribution=OWN)
    levels = pages[0].problem.levels if len(pages) == 1 else {}
    return Report(
        front=rendered(f"front--{FRONT.name}", front, seen_first, on_failure, level=2, levels=levels),
        overview=tuple(one for one in overview if one is not None),
        parts=parts,
    )


def _part(page: Page, made: Sequence[Rendered | None]) -> Part:
    problem = page.problem
    intro = " ".join(part for part in (_sentence(problem.summary), _sentence(problem.cite)) if part)
    anchor = problem_anchor(problem.name)
    return Part(anchor=anchor, title=problem.name, intro=intro, sections=tuple(one for one in made if one is not None))


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


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


def _closing(comparison: Comparison) -> Block:
    from guidebench.report.sections.provenance import run

    return run(comparison)


def _html(comparison: Comparison, report: Report) -> str:
    contents = [Link(section.title, section.anchor) for section in report.overview]
    problems: list[Link] = []
    if report.several:
        problems = [Link(part.title, part.anchor) for part in report.parts]
        contents.append(Link("How this was made", "run"))
    else:
        contents += [Link(section.title, section.anchor) for section in report.parts[0].sections]
    return html.page(
        title=comparison.name,
        front=report.front,
        intro=_intro(comparison),
        contents=contents,
        problems=problems,
        overview=report.overview,
        parts=report.parts,
        several=report.several,
        closing=html.block(_closing(comparison)) if report.several else "",
    )


def _markdown(comparison: Comparison, report: Report) -> str:
    chunks = [f"# {markdown.escape(comparison.name)}"]
    chunks += [] if report.front is None else [report.front.markdown]
    chunks += [markdown.escape(line) for line in _intro(comparison)]
    for section in report.overview:
        chunks += [f"## {markdown.escape(section.title)}", section.markdown]
    for part in report.parts:
        if report.several:
            chunks.append(f'<a id="{part.anchor}"></a>\n\n## {markdown.escape(part.title)}')
            chunks += [markdown.escape(part.intro)] if part.intro else []
            # The heading stays in sight, so that a link to it leads somewhere.
            chunks.append(f"<details>\n<summary>Everything about {markdown.escape(part.title)}</summary>")
        for section in part.sections:
            chunks.append(f"{'###' if report.several else '##'} {markdown.escape(section.title)}")
            chunks.append(section.markdown)
        chunks += ["</details>"] if report.several else []
    if report.several:
        chunks += ["## How this was made", markdown.block(_closing(comparison))]
    return "\n\n".join(chunk for chunk in chunks if chunk) + "\n"


def _place(folder: Path, page: str, text: str, pictures: Mapping[str, bytes]) -> Path:
    """Write under a temporary name, then move every file into place, the page last."""
    created = not folder.exists()
    complete = False
    with owned(folder), full_disk_said(folder / "report.html"):
        temporary = Path(tempfile.mkdtemp(prefix=".report-", dir=folder))
        try:
            for name, content in pictures.items():
                (temporary / name).write_bytes(content)  # who loses one has it drawn again
            put(temporary / "report.md", text.encode("utf-8", "backslashreplace"), settled=False)
            put(temporary / "report.html", page.encode("utf-8", "backslashreplace"), settled=False)
            stale = _files(_named_figures(folder / "report.md")) - pictures.keys()
            (folder / "figures").mkdir(exist_ok=True)
            for name in pictures:
                (temporary / name).replace(folder / "figures" / name)
            (temporary / "report.md").replace(folder / "report.md")
            (temporary / "report.html").replace(folder / "report.html")
            for name in stale:
                (folder / "figures" / name).unlink(missing_ok=True)
            complete = True
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            if created and not complete:
                shutil.rmtree(folder, ignore_errors=True)
    return folder / "report.html"


def files_of(folder: Path) -> list[str]:
    """Return the files of the report in a folder, by their paths there."""
    pictures = sorted(_files(_named_figures(folder / "report.md")))
    found = ["report.html", "report.md", *(f"figures/{name}" for name in pictures)]
    return [name for name in found if (folder / name).is_file()]


def _files(figures: Iterable[str]) -> set[str]:
    """Return the files that figures may have."""
    return {f"{name}.{ending}" for name in figures for ending in ("png", "svg")}


def _named_figures(report: Path) -> set[str]:
    """Return the figures of an earlier report: only those may be removed, the folder may hold others."""
    if not report.is_file():
        return set()
    return set(re.findall(r"\]\(figures/([a-z0-9_.-]+)\.png\)", report.read_text(encoding="utf-8", errors="replace")))
