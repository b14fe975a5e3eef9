"""Files of the project outside of ``docs/`` as pages of the site, and links to them.

A page with nothing but ``<!-- The text is that of FILE. -->`` gets the text of that file.  Relative links lead to the
page of what they name; where the site has none (a folder of tests, say) the words stay and the link goes.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent

_STUB = re.compile(r"\A<!-- The text is that of (\S+)\. -->\s*\Z")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def pages() -> dict[Path, str]:
    """Return the page of each file that is one."""
    found = {file.resolve(): file.relative_to(DOCS).as_posix() for file in DOCS.glob("[!_]*/*.*")}
    found |= {file.resolve(): file.name for file in DOCS.glob("*.md")}
    for file, page in tuple(found.items()):
        if file.suffix == ".md" and (stub := _STUB.match(file.read_text(encoding="utf-8"))):
            found[(ROOT / stub[1]).resolve()] = page
    return found


def with_links(text: str, base: Path, at: Path, known: dict[Path, str]) -> str:
    """Return Markdown whose relative links are seen from `base` with links as seen from the folder `at`."""

    def one(found: re.Match[str]) -> str:
        words, target, anchor = found[1], (base / found[2]).resolve(), found[3] or ""
        if target not in known:
            return words
        return f"[{words}]({os.path.relpath(DOCS / known[target], at)}{anchor})"

    return _LINK.sub(one, text)


def _read(app: Any, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return
    text, base = source[0], page.parent
    if stub := _STUB.match(text):
        file = ROOT / stub[1]
        text, base = file.read_text(encoding="utf-8"), file.parent
        app.env.note_dependency(str(file))
    source[0] = with_links(text, base, page.parent, app.guidebench_pages)


def setup(app: Any) -> dict[str, Any]:
    """Read pages so."""
    app.guidebench_pages = pages()
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
