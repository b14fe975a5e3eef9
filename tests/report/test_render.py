"""Every kind of content, in HTML and in Markdown."""

from __future__ import annotations

import pytest

from guidebench.report import html, markdown
from guidebench.report.page import (
    Block,
    Cell,
    Code,
    Details,
    Figure,
    Heading,
    Item,
    Key,
    Lead,
    Link,
    Listing,
    Note,
    Number,
    Pill,
    Table,
    Tabs,
)
from tests.report.fake import HOSTILE

FIGURE = Figure("name", b"png", HOSTILE, HOSTILE)

ITEMS: list[Item] = [
    HOSTILE,
    Lead(HOSTILE),
    Heading(HOSTILE),
    Note(HOSTILE),
    Note(HOSTILE, "warning"),
    Listing([HOSTILE]),
    Details(HOSTILE, Block(HOSTILE)),
    Tabs([(HOSTILE, Block(HOSTILE)), ("other", Block())]),
    Table([HOSTILE], [[HOSTILE]], caption=HOSTILE, remarks=[HOSTILE]),
    Table(["a", "b"], [[Key(HOSTILE, "#123456"), Pill(HOSTILE)], [Link(HOSTILE, "x"), Number(1.0, mark=HOSTILE)]]),
    FIGURE,
]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
def test_text_is_escaped(item: Item) -> None:
    page = html.block(Block(item))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    text = markdown.block(Block(item))
    assert "<script>" not in text
    assert r"a\|pipe" in text
    assert "*stars*" not in text.replace(r"\*stars\*", "")


def test_code_is_shown_as_it_is() -> None:
    text = markdown.block(Block(Code("a ``` b\n<x>")))
    assert text == "````text\na ``` b\n<x>\n````"
    assert "&lt;x&gt;" in html.block(Block(Code("<x>")))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (None, "–"),
        ("", ""),
        (3, "3"),
        (0.25, "0.2500"),
        (Number(None), "–"),
        (Number(-1.25, 0.1), "-1.25 ± 0.10"),
        (Number(-1.25, 0.1, mark="not converged"), "-1.25 ± 0.10 (not converged)"),
        (Number(36012.0, digits=3, detail="90 %"), "36,012 (90 %)"),
        (Pill("trust", "good", "✓"), "**✓ trust**"),
        (Key("auto_normal", "#000000"), "auto_normal"),
        (Link("there", "anchor"), "[there](#anchor)"),
    ],
)
def test_cells_in_markdown(cell: Cell, expected: str) -> None:
    assert markdown.cell(cell) == expected


def test_an_empty_cell_is_a_dash_with_a_meaning() -> None:
    page = html.block(Block(Table(["guide", "ELBO"], [["auto_delta", None]])))
    assert '<span class="none" title="not defined for this guide">–</span>' in page


def test_columns_of_numbers_are_aligned_and_names_may_break_after_an_underscore() -> None:
    page = html.block(Block(Table(["guide", "n"], [["auto_normal", Number(1.5)], ["other", None]])))
    assert '<td class="num">1.500</td>' in page
    assert '<th scope="row">auto_<wbr>normal</th>' in page


def test_remarks_are_a_row_in_html_and_a_column_in_markdown() -> None:
    table = Table(["guide"], [["a"], ["b"]], remarks=["because", ""])
    assert '<tr class="remark"><td colspan="1"><div>because</div></td></tr>' in html.block(Block(table))
    assert markdown.table(table) == "| guide | why |\n| --- | --- |\n| a | because |\n| b |  |"


def test_tabs_have_their_own_radio_buttons_and_the_same_bytes_each_time() -> None:
    one, other = Tabs([("a", Block("one"))]), Tabs([("a", Block("other"))])
    first = html.block(Block(one, other))
    names = {part.split('"')[0] for part in first.split('name="')[1:]}
    assert len(names) == 2
    assert html.block(Block(one, other)) == first


def test_names_keep_their_underscores_in_markdown() -> None:
    assert markdown.escape("auto_normal _edge_") == r"auto_normal \_edge\_"
    assert markdown.escape("# no heading") == r"\# no heading"
    assert markdown.escape("two\nlines") == "two lines"


def test_a_block_takes_blocks_apart_and_leaves_nothing_out() -> None:
    block = Block("a", None, Block("b", Block("c")))
    assert list(block) == ["a", "b", "c"]
    assert list(Block(FIGURE, Details("d", Block(FIGURE)), Tabs([("t", Block(FIGURE))])).figures()) == [FIGURE] * 3
    with pytest.raises(TypeError, match="not int"):
        Block(3)  # type: ignore[arg-type]


def test_a_crooked_table_is_refused() -> None:
    with pytest.raises(ValueError, match="2 columns has a row of 1"):
        Table(["a", "b"], [["c"]])
    with pytest.raises(ValueError, match="1 rows has 2 remarks"):
        Table(["a"], [["c"]], remarks=["x", "y"])
