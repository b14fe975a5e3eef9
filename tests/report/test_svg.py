"""Drawings for a page: what is a guide's has its class, names are unique, and the same figure is the same text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from guidebench.report.content import Figure as Item
from guidebench.report.finish import finish
from guidebench.report.palette import COLOURS, REFERENCE, mark
from guidebench.report.svg import tell, to_svg

TITLE = "<script>a & b</script>"


def drawing() -> Figure:
    figure = Figure()
    one, other = figure.subplots(1, 2)
    x = np.linspace(0, 1, 5)
    one.fill_between(x, x, color=REFERENCE, linewidth=0)
    one.plot(x, x, color=COLOURS[0])
    one.plot(x, x**2, color=COLOURS[1], marker="o")
    one.bar([1], [2], color=COLOURS[2], alpha=0.5)
    one.axhline(0.5, color="#222222")
    one.set_title(TITLE)
    other.pcolormesh(np.eye(3))
    other.set_gid(mark(COLOURS[3]))
    return figure


def test_what_is_drawn_in_the_colour_of_a_guide_is_the_guides() -> None:
    text = to_svg(drawing(), "one")
    classes = re.findall(r'class="([^"]*)"', text)
    assert {mark(colour) for colour in (*COLOURS[:4], REFERENCE)} == set(classes)
    root = ET.fromstring(text)  # noqa: S314 - our own
    assert root.tag.endswith("svg")
    assert {"viewBox"} == set(root.attrib)
    (panel,) = [one for one in root.iter() if one.get("class") == mark(COLOURS[3])]
    assert len(list(panel.iter())) > 9  # the whole panel


def test_words_are_text_and_are_escaped() -> None:
    text = to_svg(drawing(), "one")
    assert "<script" not in text
    assert "<style" not in text
    assert "<metadata" not in text
    shown = ["".join(one.itertext()) for one in ET.fromstring(text).iter() if one.tag.endswith("text")]  # noqa: S314
    assert TITLE in shown


def test_who_points_at_a_line_is_told_of_it_and_the_line_is_still_its_guides() -> None:
    figure = Figure()
    ax = figure.subplots()
    (line,) = ax.plot([0, 1], [0, 1], color=COLOURS[0])
    area = ax.fill_between([0, 1], [0, 1], color="#123456")
    tell(line, f'{TITLE} "a|b"\x1b')
    tell(area, "nobody's")
    text = to_svg(figure, "one")
    parts = ET.fromstring(text).iter()  # noqa: S314 - our own
    told = {one.findtext("{*}title"): one.get("class") for one in parts if one.find("{*}title") is not None}
    assert told == {f"{TITLE} 'a|b'\\x1b": mark(COLOURS[0]), "nobody's": None}
    assert "<script" not in text


def test_names_of_two_figures_differ_and_all_that_are_referred_to_are_there() -> None:
    one, other = (to_svg(drawing(), name) for name in ("one", "other"))
    ids = [re.findall(r' id="([^"]*)"', text) for text in (one, other)]
    assert not set(ids[0]) & set(ids[1])
    for text, found in zip((one, other), ids, strict=True):
        assert len(found) == len(set(found))
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) == set(found)
        assert found


def test_the_same_figure_is_the_same_text() -> None:
    assert to_svg(drawing(), "one") == to_svg(drawing(), "one")


def test_a_figure_is_saved_as_either_and_a_large_one_as_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item: Item = finish("one", drawing(), alt="A drawing")
    assert item.save(tmp_path / "one.svg").read_text("utf-8") == item.svg
    assert item.save(tmp_path / "one.png").read_bytes() == item.png
    monkeypatch.setattr("guidebench.report.finish.MOST_SVG", 100)
    large = finish("one", drawing(), alt="A drawing")
    assert large.svg == ""
    with pytest.raises(ValueError, match=r"save it as one\.png"):
        large.save(tmp_path / "one.svg")
