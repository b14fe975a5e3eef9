"""The report in GitHub-flavoured Markdown, with the figures beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from guidebench.config.text import line, shown
from guidebench.report.content import (
    Block,
    Cell,
    Code,
    Details,
    Figure,
    Heading,
    Lead,
    Link,
    Listing,
    Note,
    Number,
    Pill,
    Table,
    Tabs,
)
from guidebench.report.text import EMPTY, number

_SPECIAL = re.compile(r"([\\`*\[\]|~$])")


def escape(text: str) -> str:
    """Return plain text such that Markdown shows it as it is.

    Angle brackets and ampersands become entities, because Markdown passes HTML through; an
    underscore is special at the edge of a word only, so names keep theirs.
    """
    text = line(str(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _SPECIAL.sub(r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\_", text)
    return re.sub(r"^([#+-]|\d+[.)])(?=\s|$)", r"\\\1", text)


def cell(value: Cell) -> str:
    """Return one cell of a table."""
    if value is None:
        return EMPTY
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Number):
        text = number(value.value, value.mcse, value.digits)
        return " ".join([text, *(f"({escape(part)})" for part in (value.detail, value.mark) if part)])
    if isinstance(value, Pill):
        return f"**{f'{value.symbol} ' if value.symbol else ''}{escape(value.text)}**"
    if isinstance(value, Link):
        return f"[{escape(value.text)}](#{value.anchor})"
    return escape(value.text)


def block(content: Block, level: int = 3) -> str:
    """Return the Markdown of a block, whose own headings are of `level`."""
    return "\n\n".join(_WRITERS[type(item)](item, level) for item in content)


def image(figure: Figure) -> str:
    """Return a figure as a reference to the file beside the report."""
    caption = f"\n\n*{escape(figure.caption)}*" if figure.caption else ""
    return f"![{escape(figure.alt)}](figures/{figure.name}.png){caption}"


def table(item: Table) -> str:
    """Return a table; remarks are its last column."""
    columns = [*item.columns, item.remark_title] if item.remarks else list(item.columns)
    lines = [[escape(column) or " " for column in columns], ["---"] * len(columns)]
    for index, row in enumerate(item.rows):
        remark = [escape(item.remarks[index])] if item.remarks else []
        lines.append([*(cell(value) for value in row), *remark])
    caption = f"{escape(item.caption)}\n\n" if item.caption else ""
    return caption + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fence(text: str) -> str:
    """Return text in a code fence longer than any inside it."""
    text = shown(text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{text.rstrip()}\n{ticks}"


def _details(item: Details, level: int) -> str:
    inner = block(item.content, level)
    return f"<details>\n<summary>{escape(item.title)}</summary>\n\n{inner}\n\n</details>"


def _tabs(item: Tabs, level: int) -> str:
    return "\n\n".join(
        f"{'#' * (level + 1)} {escape(title)}\n\n{block(content, level)}" for title, content in item.tabs
    )


_WRITERS: dict[type, Callable[[Any, int], str]] = {
    str: lambda item, level: escape(item),
    Table: lambda item, level: table(item),
    Figure: lambda item, level: image(item),
    Note: lambda item, level: f"> {'⚠ ' if item.tone == 'warning' else ''}{escape(item.text)}",
    Lead: lambda item, level: f"**{escape(item.text)}**",
    Heading: lambda item, level: f"{'#' * (level + 1)} {escape(item.text)}",
    Listing: lambda item, level: "\n".join(f"- {escape(entry)}" for entry in item.items),
    Code: lambda item, level: fence(item.text),
    Details: _details,
    Tabs: _tabs,
}
