"""The directive ``guides-on-posteriors``: how often each guide was right, from the page on the verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

PAGE = "verdicts.md"
_CELL = re.compile(r"`(\w+)`(?:†)? (\*\*)?")


def counted(text: str) -> Iterator[tuple[str, int, dict[str, int], int]]:
    """Yield of each guide on how many posteriors there were draws, its words, and how often these draws were right.

    They come from the table whose first heading is *posterior* and that has a column for each guide, where what is
    right is in bold.
    """
    lines = text.splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith("| posterior | ") and "verdict" not in line)
    guides = [cell.strip() for cell in lines[begin].strip("|").split("|")][1:]
    rows = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")][1:])
    for at, guide in enumerate(guides):
        cells = [found for row in rows if (found := _CELL.match(row[at]))]
        words: dict[str, int] = {}
        for cell in cells:
            words[cell[1]] = words.get(cell[1], 0) + 1
        yield guide, len(cells), words, sum(1 for cell in cells if cell[2])


def _listed(words: dict[str, int]) -> str:
    return ", ".join(f"{words[word]} {word}" for word in sorted(words))


class GuidesOnPosteriors(SphinxDirective):
    """A table with a row for each guide."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        file = Path(self.env.srcdir, PAGE)
        self.env.note_dependency(str(file))
        rows = [
            f"| `{guide}` | {fits} | {right} | {_listed(words)} |"
            for guide, fits, words, right in counted(file.read_text(encoding="utf-8"))
        ]
        head = ["| guide | posteriors | draws right | verdicts without the reference |", "|---|---|---|---|"]
        return self.parse_text_to_nodes("\n".join([*head, *rows]))


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("guides-on-posteriors", GuidesOnPosteriors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
