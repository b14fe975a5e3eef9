"""The report as one HTML file: styles, figures and its one script inside, nothing asked of the network."""

from __future__ import annotations

import base64
import hashlib
import zlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from guidebench.config.text import shown
from guidebench.report.content import Block, Number, Table
from guidebench.report.palette import mark
from guidebench.report.text import number


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("guidebench.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["breakable"] = _breakable
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    environment.filters["mark"] = mark
    environment.filters["drawn"] = _drawn
    environment.globals["numeric"] = _numeric
    # Radio buttons of different tabs must not share a name, and the same report must be the same bytes.
    environment.globals["unique"] = _unique
    return environment


def _unique(content: object) -> str:
    return f"tabs-{zlib.crc32(str(content).encode('utf-8', 'backslashreplace')):08x}"


def _seen(value: Any) -> Any:
    """Return what is put into a page with whatever cannot be seen in a text as escapes."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _drawn(svg: str) -> Markup:
    """Return a drawing as part of the page."""
    return Markup(svg)  # noqa: S704 - Matplotlib has escaped what stands in it


def _breakable(text: str) -> Markup:
    """Return escaped text that may be broken after an underscore: names are long, columns narrow."""
    return Markup("_<wbr>").join(escape(part) for part in shown(text).split("_"))


def _numeric(table: Table) -> list[bool]:
    """Return which columns hold numbers only, which are aligned on the right."""
    # A column of nothing but dashes counts: it would have held numbers.
    return [
        all(row[at] is None or row[at] == "" or isinstance(row[at], Number | int | float) for row in table.rows)
        for at in range(len(table.columns))
    ]


def block(content: Block) -> Markup:
    """Return the HTML of a block."""
    macros: Any = _environment().get_template("items.html.j2").module
    return Markup(macros.block(content))  # noqa: S704 - the macros escape


def page(**context: Any) -> str:
    """Return the whole page; `context` is what ``page.html.j2`` names."""
    style, script = (Markup(_own(name)) for name in ("style.css", "page.js"))  # noqa: S704 - our own files
    scripts = f"script-src '{hash_of(script)}'"
    policy = Markup(f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; {scripts}")  # noqa: S704 - our own
    return _environment().get_template("page.html.j2").render(style=style, script=script, policy=policy, **context)


def hash_of(script: str) -> str:
    """Return what a content security policy calls a script by: that one runs, and nothing else that is in the file."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')}"


def _own(name: str) -> str:
    return (files("guidebench.report") / "templates" / name).read_text(encoding="utf-8")
