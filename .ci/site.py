"""Check a built site: its links and anchors lead somewhere, and a page asks no other host for anything.

``python .ci/site.py docs/_build/site`` exits with 1 where something is amiss.  The network is not asked: links to other
hosts are left alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What is fetched to show a page, by element.
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}

#: Elements of <link> that nothing is fetched for.
NOT_FETCHED = frozenset({"canonical", "index", "search", "next", "prev", "author", "copyright"})


class Page(HTMLParser):
    """The names in a page that can be linked to, where its links lead, and what it fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.fetched: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names and where it leads."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if tag in FETCHED and found.get("rel") not in NOT_FETCHED and (target := found.get(FETCHED[tag])):
            self.fetched.add(target)


def amiss(site: Path) -> Iterator[str]:
    """Yield what is wrong with the pages below a folder."""
    files = [file for file in sorted(site.rglob("*.html")) if "_static" not in file.relative_to(site).parts]
    pages = {file.resolve(): Page(file.read_text(encoding="utf-8")) for file in files}
    if not pages:
        yield f"{site}: there is no page"
    linked = {(site / "index.html").resolve()}
    for file, page in pages.items():
        name = file.relative_to(site.resolve()).as_posix()
        for target in sorted(page.links | page.fetched):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                if target in page.fetched and parts.scheme != "data":
                    yield f"{name}: fetches {target}"
                continue
            to = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if to.is_dir():
                to /= "index.html"
            linked.add(to)
            if not to.is_file():
                yield f"{name}: there is no {target}"
            elif parts.fragment and to in pages and unquote(parts.fragment) not in pages[to].anchors:
                yield f"{name}: {target} has no such anchor"
    for file in pages.keys() - linked:
        name = file.relative_to(site.resolve()).as_posix()
        if name not in ("search.html", "genindex.html", "py-modindex.html"):
            yield f"{name}: no page leads to it"


def main() -> int:
    """Check the site that is named; return the exit status."""
    problems = list(amiss(Path(sys.argv[1])))
    print("\n".join(problems) or "every link leads somewhere")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
