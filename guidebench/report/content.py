"""What a section of the report is made of: structured content, independent of HTML and Markdown.

A section returns a :class:`Block`, a sequence of items; a plain string is a paragraph.  Every text
is plain text: it is escaped for HTML and for Markdown by the renderers, so a message that happens
to hold ``<script>`` or a pipe is shown as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

Tone = Literal["good", "fair", "bad", "neutral", "muted"]


@dataclass(frozen=True)
class Number:
    """A number with its standard error, and a word of caution where it could mislead.

    Parameters
    ----------
    value : float or None
        ``None`` stands for "not defined", which is shown as an en dash.
    mcse : float, optional
        Standard error; it also sets the number of digits shown.
    digits : int
        Significant digits where there is no standard error.
    detail : str
        The same in other words ("90 %"), shown beside the number.
    mark : str
        Caution, shown beside the number ("not converged").
    """

    kind: ClassVar[str] = "number"
    value: float | None
    mcse: float | None = None
    digits: int = 4
    detail: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Pill:
    """A word on a coloured ground; the word alone carries the meaning, and `hover` says more to who points at it."""

    kind: ClassVar[str] = "pill"
    text: str
    tone: Tone = "neutral"
    symbol: str = ""
    hover: str = field(default="", compare=False)


@dataclass(frozen=True)
class Key:
    """A name with the colour it has in the figures (``#rrggbb``)."""

    kind: ClassVar[str] = "key"
    text: str
    colour: str


@dataclass(frozen=True)
class Link:
    """A reference to another place of the same page."""

    kind: ClassVar[str] = "link"
    text: str
    anchor: str


#: A cell of a table.  ``None`` means "not defined here"; an empty string, nothing to say.
Cell: TypeAlias = str | int | float | Number | Pill | Key | Link | None


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names it.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : sequence of sequence of Cell
        Each as long as `columns`.
    caption : str
        What the table shows.
    remarks : sequence of str
        A sentence for each row, shown under it; empty, or as long as `rows`.
    remark_title : str
        Heading of the remarks in Markdown, where they are a column.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    remarks: Sequence[str] = ()
    remark_title: str = "why"

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a table of {len(self.columns)} columns has a row of {len(row)} cells")
        if self.remarks and len(self.remarks) != len(self.rows):
            raise ValueError(f"a table of {len(self.rows)} rows has {len(self.remarks)} remarks")


@dataclass(frozen=True)
class Figure:
    """A finished picture; made by :meth:`guidebench.report.page.Page.figure`.

    ``min_width`` is the width in CSS pixels below which the picture scrolls in its box instead of
    shrinking further, ``max_width`` the one at which its letters are as large as the text.  ``svg`` is the same picture
    as an element, of which a reader can hide a guide; it is empty where it would be too large.
    """

    kind: ClassVar[str] = "figure"
    name: str
    png: bytes = field(repr=False)
    alt: str
    caption: str = ""
    width: int = 0
    height: int = 0
    min_width: int = 0
    max_width: int = 0
    svg: str = field(default="", repr=False)

    def save(self, path: str | Path) -> Path:
        """Write the picture as a file, an SVG where its name ends so and a PNG otherwise; return its path."""
        file = Path(path)
        if file.suffix == ".svg" and not self.svg:
            raise ValueError(f"the figure {self.name!r} is kept as a PNG alone; save it as {file.stem}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.svg.encode("utf-8", "backslashreplace") if file.suffix == ".svg" else self.png)
        return file

    def _repr_png_(self) -> bytes:
        return self.png


@dataclass(frozen=True)
class Note:
    """A remark set apart from the text: something to know before believing what is next to it."""

    kind: ClassVar[str] = "note"
    text: str
    tone: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class Lead:
    """The sentence that a reader in a hurry should take away."""

    kind: ClassVar[str] = "lead"
    text: str


@dataclass(frozen=True)
class Heading:
    """A heading below that of the section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Listing:
    """A bulleted list."""

    kind: ClassVar[str] = "listing"
    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Text to be shown as it is, in a fixed-width face."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Details:
    """Content that is folded until the reader asks for it."""

    kind: ClassVar[str] = "details"
    title: str
    content: Block
    opened: bool = False


@dataclass(frozen=True)
class Tabs:
    """Alternatives, of which the page shows one at a time, the first one to begin with."""

    kind: ClassVar[str] = "tabs"
    tabs: Sequence[tuple[str, Block]]


class Block(Sequence["Item"]):
    """The content of a section, in order.

    Parameters
    ----------
    *items : str, Item, Block or None
        A string is a paragraph; a block is taken apart; ``None`` is left out, so that an item may
        be conditional in place.

    Examples
    --------
    >>> block = Block("Weight ESS per guide.", Table(["guide", "ESS"], [["auto_normal", 812.0]]))
    >>> len(block)
    2
    """

    def __init__(self, *items: Item | Block | None) -> None:
        flat: list[Item] = []
        for item in items:
            if item is None:
                continue
            if isinstance(item, Block):
                flat.extend(item)
            elif isinstance(item, ITEMS):
                flat.append(item)
            else:
                raise TypeError(f"a block holds text, tables, figures and notes, not {type(item).__name__}")
        self._items = tuple(flat)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Block({', '.join(type(item).__name__ for item in self)})"

    def figures(self) -> Iterator[Figure]:
        """Yield every figure, those inside folds and tabs included."""
        for item in self:
            if isinstance(item, Figure):
                yield item
            elif isinstance(item, Details):
                yield from item.content.figures()
            elif isinstance(item, Tabs):
                for _, content in item.tabs:
                    yield from content.figures()


def changed(content: Block, change: Callable[[str], str]) -> Block:
    """Return content with every text that is read changed; what is to be typed, and pictures, are as they were."""

    def each(one: Any) -> Any:
        if isinstance(one, str):
            return change(one)
        if isinstance(one, Block):
            return Block(*map(each, one))
        if isinstance(one, list | tuple):
            return type(one)(map(each, one))
        if isinstance(one, Code) or not is_dataclass(one) or isinstance(one, type):
            return one
        kept = ("name", "svg", "anchor", "colour", "tone", "symbol")
        parts = {part.name: getattr(one, part.name) for part in fields(one) if part.name not in kept}
        return replace(one, **{name: each(value) for name, value in parts.items()})

    found: Block = each(content)
    return found


Item: TypeAlias = str | Table | Figure | Note | Lead | Heading | Listing | Code | Details | Tabs
ITEMS = (str, Table, Figure, Note, Lead, Heading, Listing, Code, Details, Tabs)
