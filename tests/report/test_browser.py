"""The report in a browser: one script runs and nothing else, tables sort and filter by keyboard, nothing overflows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from guidebench.api import Comparison
from guidebench.contracts import Section
from guidebench.report.content import Block, Table
from guidebench.report.writer import write
from tests.report import fake
from tests.report.browser import FOUND, Browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(FOUND is None, reason="no Chromium on the path")]

NAMES = [f"name_{at % 7}_{at}" for at in range(20)]


def hostile(page: object) -> Block:
    return Block(
        Table([fake.HOSTILE, "value"], [[f"{name}<img src=x onerror=alert(1)>", at] for at, name in enumerate(NAMES)])
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sections = [Section(name="long", title="Long", build=hostile)]
    return write(fake.small(draws=100, steps=100), tmp_path_factory.mktemp("report"), sections=sections)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


def column(browser: Browser, table: str, at: int) -> list[str]:
    """Return what a column shows, from the top."""
    found = browser.ask(
        f"[...document.querySelectorAll('{table} tbody')].filter((one) => !one.hidden)"
        f".map((one) => one.rows[0].cells[{at}].textContent.trim())"
    )
    return list(found)


def test_the_policy_lets_the_own_script_run_and_no_other(browser: Browser, report: Path, tmp_path: Path) -> None:
    browser.open(report)
    assert browser.ask("document.querySelectorAll('button.sort').length") == 8  # of the front, and of the long one
    assert browser.said == []
    changed = tmp_path / "report.html"
    text = report.read_text("utf-8").replace('"use strict";', '"use strict"; document.title = "changed";')
    changed.write_text(text.replace("</body>", "<script>document.title = 'injected'</script></body>"), "utf-8")
    browser.open(changed)
    assert browser.ask("document.title").startswith("linear-regression")
    assert browser.ask("document.querySelectorAll('button.sort').length") == 0
    assert sum("Content Security Policy" in one for one in browser.said) == 2


def test_a_table_is_sorted_by_keyboard_and_back(browser: Browser, report: Path) -> None:
    browser.open(report)
    before = column(browser, ".front table", 0)
    browser.ask("document.querySelectorAll('.front th button')[0].focus()")
    orders = []
    for _ in range(3):
        browser.press("Enter", 13)
        orders.append(
            (browser.ask("document.activeElement.parentElement.ariaSort"), column(browser, ".front table", 0))
        )
    assert orders == [
        ("ascending", sorted(before)),
        ("descending", sorted(before, reverse=True)),
        ("none", before),
    ]


def test_numbers_are_sorted_as_numbers_and_dashes_come_last(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.ask("document.querySelectorAll('#long th button')[1].click()")
    browser.ask("document.querySelectorAll('#long th button')[1].click()")
    assert column(browser, "#long table", 1) == [str(at) for at in reversed(range(len(NAMES)))]
    elbos = "document.querySelectorAll('.front th button')[5].click()"
    browser.ask(elbos)
    found = column(browser, ".front table", 5)
    assert found == sorted(found, key=lambda text: (text == "–", 0 if text == "–" else float(text)))


def test_a_long_table_is_filtered_by_all_words_as_they_are_typed(browser: Browser, report: Path) -> None:
    browser.open(report)
    assert browser.ask("document.querySelectorAll('.filter').length") == 1
    browser.ask("document.querySelector('.filter input').focus()")
    for letter in "name_3 7":
        browser.press(letter, ord(letter.upper()))
    shown = column(browser, "#long table", 0)
    assert [name.partition("<")[0] for name in shown] == [name for name in NAMES if "name_3" in name and "7" in name]
    assert browser.ask("document.querySelector('.filter output').textContent") == f"{len(shown)} of {len(NAMES)}"


def test_without_scripts_all_shows(browser: Browser, report: Path) -> None:
    browser.open(report, scripts=False)
    text = report.read_text("utf-8")
    assert text.count("<tbody") > len(NAMES)
    assert "hidden" not in text.partition("<script>")[0].partition("</style>")[2].replace("aria-hidden", "")


@pytest.mark.parametrize(
    "comparison",
    [fake.small(draws=100, steps=100), fake.large(draws=100), fake.several()],
    ids=["six guides", "forty latents", "suite"],
)
def test_the_answer_is_on_the_first_screen(browser: Browser, comparison: Comparison, tmp_path: Path) -> None:
    browser.open(write(comparison, tmp_path, sections=[]))
    ends = "document.querySelector('.front > {}').getBoundingClientRect().bottom"
    for part in (".lead", "div.scroll", "figure", "pre"):
        assert 0 < browser.ask(ends.format(part)) <= 720, part


@pytest.mark.parametrize("width", [400, 768, 1280])
def test_nothing_is_wider_than_the_window(browser: Browser, report: Path, width: int) -> None:
    browser.open(report, width=width)
    assert browser.ask("document.documentElement.scrollWidth") <= width


def test_text_has_enough_contrast_in_the_dark(browser: Browser, report: Path) -> None:
    for dark in (False, True):
        browser.open(report, dark=dark)
        ratio = browser.ask(
            """(() => {
              const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
              const light = (text) => rgb(text).map((v) => v / 255)
                .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
                .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
              const ground = (one) => {
                const found = getComputedStyle(one).backgroundColor;
                return found.startsWith("rgba(0, 0, 0, 0") && one.parentElement ? ground(one.parentElement) : found;
              };
              const ink = (one) => getComputedStyle(one)[one instanceof SVGElement ? "fill" : "color"];
              const texts = [...document.querySelectorAll("body *")].filter((one) =>
                [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
              return Math.min(...texts.filter((one) => !one.closest("script, style, title, .sr, .skip")).map((one) => {
                const [a, b] = [light(ink(one)), light(ground(one))];
                return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
              }));
            })()"""
        )
        assert ratio >= 4.5, f"contrast {ratio:.2f}, dark: {dark}"  # WCAG 2.2, level AA
