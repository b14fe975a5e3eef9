"""The report as a whole: one file, nothing foreign in it, nothing half-written."""

from __future__ import annotations

import errno
import os
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from guidebench.api import Comparison
from guidebench.config.errors import DiskFullError
from guidebench.contracts import Section
from guidebench.plugins.isolation.failures import Failure
from guidebench.report import markdown, write
from guidebench.report.page import Block, Note, Number, Page, Table
from tests import made
from tests.report import fake


class Reader(HTMLParser):
    """Collects what a browser would act on, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.alts: list[str | None] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.references += [
            str(found[name]) for name in ("src", "href", "xlink:href", "srcset", "data", "action") if name in found
        ]
        self.ids += [str(found["id"])] if "id" in found else []
        if tag == "img" or found.get("role") == "img":
            self.alts.append(found.get("alt") or found.get("aria-label"))

    def handle_endtag(self, tag: str) -> None:
        self.text += "\n" if tag in ("td", "th", "p") else ""

    def handle_data(self, data: str) -> None:
        self.text += data


@dataclass(frozen=True)
class Registered:
    """A stand-in for the registry's record."""

    declaration: Section
    distribution: str = "a-third-party"
    plugin: str = "their_plugin"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, small: Comparison, sections: list[Section]) -> Path:
    return write(small, tmp_path_factory.mktemp("report") / "made", sections=sections)


@pytest.fixture(scope="module")
def reader(report: Path) -> Reader:
    return Reader(report.read_text(encoding="utf-8"))


def test_the_files_are_there_and_no_others(report: Path) -> None:
    folder = report.parent
    assert {path.name for path in folder.iterdir()} == {"report.html", "report.md", "figures"}
    named = set(re.findall(r"\(figures/(.+?\.png)\)", (folder / "report.md").read_text(encoding="utf-8")))
    saved = {path.name for path in (folder / "figures").iterdir()}
    assert named == {name for name in saved if name.endswith(".png")}
    assert saved - named == {name.replace(".png", ".svg") for name in named}
    for name in saved - named:
        assert ET.parse(folder / "figures" / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - ours
    assert {"data.png", "loss.png", "loss-log.png", "parameters.png", "marginals.png", "joints.png"} <= named
    assert {"correlations.png", "prediction.png", "coverage.png"} <= named
    assert report.stat().st_size < 3_000_000


def test_no_section_of_ours_fails(report: Path) -> None:
    assert "could not be made" not in report.read_text(encoding="utf-8")


def test_the_page_asks_the_network_for_nothing(report: Path, reader: Reader) -> None:
    assert {reference[:5] if reference.startswith("data:") else reference[:1] for reference in reader.references} == {
        "data:",
        "#",
    }
    assert not {"iframe", "object", "embed", "form"} & set(reader.tags)
    page = report.read_text(encoding="utf-8")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert "@import" not in page
    assert "url(" not in page.replace("url(#", "")


def test_every_link_leads_somewhere_and_every_figure_has_words(reader: Reader) -> None:
    assert len(reader.ids) == len(set(reader.ids))
    assert {reference[1:] for reference in reader.references if reference.startswith("#")} <= set(reader.ids)
    assert reader.alts
    assert all(reader.alts)


def test_hostile_messages_are_text(report: Path, reader: Reader) -> None:
    assert fake.HOSTILE in reader.text
    text = (report.parent / "report.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| broken_guide")]
    assert rows
    assert all(r"a\|pipe" in row for row in rows if "pipe" in row)
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert "<script>" not in outside


def test_both_reports_hold_the_same_numbers(report: Path, reader: Reader) -> None:
    text = (report.parent / "report.md").read_text(encoding="utf-8")
    pattern = re.compile(r"-?\d[\d.]* ± [\d.]+")
    from_html, from_text = pattern.findall(reader.text), pattern.findall(text)
    assert len(from_html) > 50
    assert sorted(from_html) == sorted(from_text)
    assert "-23.2040 ± 0.0087" in from_html


def test_a_point_estimate_has_empty_cells(report: Path) -> None:
    text = (report.parent / "report.md").read_text(encoding="utf-8")
    summary = text[text.index("## Summary") :]
    row = next(line for line in summary.splitlines() if line.startswith("| auto_delta"))
    assert [cell.strip() for cell in row.split("|")[2:8]] == ["**• point**", "–", "–", "–", "–", "–"]


def test_the_same_results_give_the_same_bytes(tmp_path: Path, small: Comparison, sections: list[Section]) -> None:
    kept = [section for section in sections if section.name in ("summary", "loss", "numbers")]
    one, other = (write(small, tmp_path / name / "run", sections=kept).read_text("utf-8") for name in ("one", "other"))
    assert one.replace("/one/run", "/other/run") == other


def fails(page: Page) -> Block:
    raise ValueError("no such thing: <b>bold</b>\nsecond line")


def misbehaves(page: Page) -> Any:
    return 42


def empty(page: Page) -> None:
    return None


def works(page: Page) -> Block:
    fig, axes = page.panels(1, 1)
    axes[0].bar([fit.guide for fit in page.drawn], [fit.value("ess") or 0 for fit in page.drawn])
    rows = [[page.key(fit), Number(fit.value("ess"))] for fit in page.fits]
    return Block("Words.", Table(["guide", "ESS"], rows), page.figure("../ess", fig, alt="Bars"))


def test_a_section_that_raises_leaves_a_note(tmp_path: Path, small: Comparison) -> None:
    sections = [
        Registered(Section(name="bad", title="Bad", build=fails, order=1)),
        Registered(Section(name="odd", title="Odd", build=misbehaves, order=2)),
        Registered(Section(name="none", title="Nothing here", build=empty, order=3)),
        Section(name="good", title="Good", build=works, order=4),
    ]
    failures: list[Failure] = []
    path = write(small, tmp_path, sections=sections, on_failure=failures.append)
    text = Reader(path.read_text(encoding="utf-8")).text
    expected = "The section 'bad' (plugin 'their_plugin' of a-third-party) could not be made: ValueError: no such thing"
    assert f"{expected}: <b>bold</b> second line" in text
    assert [(one.name, one.phase, one.plugin, one.distribution) for one in failures] == [
        (name, "section", "their_plugin", "a-third-party") for name in ("bad", "odd")
    ]
    assert all("Traceback" in one.traceback for one in failures)
    assert "The section 'odd'" in text
    assert "Nothing here" not in text
    assert "Words." in text
    assert {figure.name for figure in (tmp_path / "figures").iterdir()} == {
        "answer.png",
        "answer.svg",
        "ess.png",
        "ess.svg",
    }
    assert "could not be made" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_sections_come_in_their_order(tmp_path: Path, small: Comparison) -> None:
    found = [Section(name=n, title=n, build=words, order=o) for n, o in [("last", 9), ("first", 1)]]
    path = write(small, tmp_path, sections=found)
    page = path.read_text(encoding="utf-8")
    assert page.index('id="first"') < page.index('id="last"')


def test_drawing_leaves_no_settings_behind(tmp_path: Path, small: Comparison) -> None:
    before = dict(mpl.rcParams)
    write(small, tmp_path, sections=[Section(name="good", title="Good", build=works)])
    assert dict(mpl.rcParams) == before


def words(page: Page) -> Block:
    return Block(Note("words"))


def test_a_failing_write_leaves_nothing(tmp_path: Path, small: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    sections = [Section(name="good", title="Good", build=words)]

    def full(opened: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="no space left on device"):
        write(small, tmp_path / "new", sections=sections)
    assert not list(tmp_path.iterdir())


def test_a_failing_write_leaves_the_earlier_report(
    tmp_path: Path, small: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = [Section(name="good", title="Good", build=words)]
    path = write(small, tmp_path, sections=sections)
    before = path.read_bytes()
    monkeypatch.setattr(markdown, "block", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(replace(small, name="other"), tmp_path, sections=sections)
    assert path.read_bytes() == before
    assert {found.name for found in tmp_path.iterdir()} == {"report.html", "report.md", "figures"}


def test_figures_of_an_earlier_report_go_and_others_stay(tmp_path: Path, small: Comparison) -> None:
    write(small, tmp_path, sections=[Section(name="good", title="Good", build=works)])
    (tmp_path / "figures" / "mine.png").write_bytes(b"mine")
    write(small, tmp_path, sections=[Section(name="words", title="Words", build=words)])
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"answer.png", "answer.svg", "mine.png"}


def test_several_problems(tmp_path: Path, sections: list[Section]) -> None:
    kept = [section for section in sections if section.name in ("summary", "coverage", "data", "provenance")]
    path = write(fake.several(), tmp_path, sections=kept)
    page = path.read_text(encoding="utf-8")
    reader = Reader(page)
    assert len(reader.ids) == len(set(reader.ids))
    assert {"overview", "problem-linear-regression", "problem-large", "run", "large-summary"} <= set(reader.ids)
    assert "could not be made" not in page
    assert {found.name for found in (tmp_path / "figures").iterdir()} >= {
        "linear-regression-data.png",
        "large-data.png",
    }
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| [large](#problem-large) | – | **✕ distrust** |" in text
    assert text.count("Configuration") == 1


@pytest.mark.parametrize("name", ["large", "nothing"])
def test_sparse_results_are_still_a_report(
    tmp_path: Path, large: Comparison, sections: list[Section], name: str
) -> None:
    failures = tuple(fit for fit in fake.small(draws=5, steps=5).fits if fit.inference_data is None)
    comparison = large if name == "large" else made.comparison(*failures, name="nothing", problems=(fake.SMALL,))
    page = write(comparison, tmp_path, sections=sections).read_text(encoding="utf-8")
    assert "could not be made" not in page


def test_no_problem_at_all(tmp_path: Path, sections: list[Section]) -> None:
    page = write(made.comparison(name="empty", problems=()), tmp_path, sections=sections).read_text(encoding="utf-8")
    assert "could not be made" not in page


@pytest.mark.parametrize(("log", "first"), [(False, "linear axis"), (True, "log axis")])
def test_the_loss_axis_that_was_asked_for_comes_first(
    tmp_path: Path, small: Comparison, sections: list[Section], log: bool, first: str
) -> None:
    kept = [section for section in sections if section.name == "loss"]
    page = write(small, tmp_path, sections=kept, log_loss=log).read_text(encoding="utf-8")
    label = re.search(r"checked><label[^>]*>([^<]*)</label>", page)
    assert label is not None
    assert label.group(1) == first
