"""A section of the report, built and rendered behind the boundary to other people's code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from guidebench import contracts
from guidebench.contracts import Section
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.failures import OWN, Failure
from guidebench.report import html, markdown
from guidebench.report.content import Block, Figure, Note, changed
from guidebench.report.page import Page
from guidebench.report.text import slug
from guidebench.results import inference_data
from guidebench.results.levels import Levels, named


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A section, ready to be put into the page."""

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


def section_of(page: Page, one: Owned, on_failure: OnFailure) -> Rendered | None:
    """Build and render one section of one problem; one that raises leaves a note in its place."""
    section = one.section
    prefix = f"{slug(page.problem.name)}-" if page.several else ""
    anchor = f"{prefix}{slug(section.name)}"
    seen: contracts.Page = page if one.own else apart(page)
    limit = None if one.own else page.comparison.config.get("time_limit")
    level, levels = 4 if page.several else 3, page.problem.levels
    return rendered(anchor, one, seen, on_failure, level=level, levels=levels, time_limit=limit)


def rendered(
    anchor: str,
    one: Owned,
    seen: Any,
    on_failure: OnFailure,
    *,
    level: int,
    levels: Levels | None = None,
    time_limit: float | None = None,
) -> Rendered | None:
    """Build a section of what it sees, and render it; one that raises leaves a note in its place.

    Rendering is inside the boundary to other people's code, too, because a table may hold whatever a
    section put there.  Headings in it are of `level` in Markdown, and components are called by their `levels`.
    """
    from guidebench.report.drawing import style

    section = one.section

    def finished(content: Block) -> Rendered:
        if levels:
            content = changed(content, lambda text: named(text, levels))
        return Rendered(
            anchor=anchor,
            title=section.title,
            html=html.block(content),
            markdown=markdown.block(content, level),
            figures=tuple(content.figures()),
        )

    made: Rendered | None = None
    with (
        Boundary(
            "section", plugin=one.plugin, distribution=one.distribution, name=section.name, time_limit=time_limit
        ) as at,
        style(),
    ):
        built = section.build(seen)
        if built is not None:
            made = finished(built if isinstance(built, Block) else Block(built))
    if at.failure is None:
        return made
    on_failure(at.failure)
    by = f" ({at.failure.owner})" if at.failure.owner else ""
    text = f"The section {section.name!r}{by} could not be made: {at.failure.message}"
    return finished(Block(Note(text, "warning")))


def apart(page: Page) -> Page:
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
