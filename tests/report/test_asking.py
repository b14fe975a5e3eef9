"""What a reader asks of a report in a browser: whose draws are shown, a quantity, light or dark; by keyboard, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from guidebench.report.writer import write
from tests.report import fake
from tests.report.browser import FOUND, Browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(FOUND is None, reason="no Chromium on the path")]

#: Elements that are seen: not hidden, and not in a closed fold.
SEEN = "((one) => one.checkVisibility() && one.getClientRects().length > 0)"
BUTTONS = "[...document.querySelectorAll('.ask button[aria-pressed]')]"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(fake.small(draws=200, steps=100), tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(fake.large(draws=200), tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


def seen(browser: Browser, selector: str) -> int:
    return int(browser.ask(f"[...document.querySelectorAll('{selector}')].filter({SEEN}).length"))


def test_a_guide_is_hidden_in_all_pictures_and_tables_at_once(browser: Browser, report: Path) -> None:
    browser.open(report)
    names = browser.ask(f"{BUTTONS}.map((one) => one.textContent)")
    assert set(fake.GUIDES) <= set(names)
    kind = browser.ask("document.querySelector('.front tbody').className")
    figures = (
        f"[...document.querySelectorAll('figure')].filter((one) => [...one.querySelectorAll('svg .{kind}')]"
        f".some({SEEN})).length"
    )
    everything, pictures, rows = seen(browser, "figure svg g"), browser.ask(figures), seen(browser, f"tbody.{kind}")
    assert pictures >= 5
    assert rows >= 3
    others = seen(browser, "tbody") - rows
    name = browser.ask("document.querySelector('.front tbody .key').textContent.trim()")
    press = f"{BUTTONS}.find((one) => one.textContent === {json.dumps(name)})"
    browser.ask(f"{press}.focus()")
    browser.press(" ", 32)
    assert browser.ask(f"{press}.ariaPressed") == "false"
    assert (browser.ask(figures), seen(browser, f"tbody.{kind}"), seen(browser, "tbody")) == (0, 0, others)
    assert 0 < seen(browser, "figure svg g") < everything
    browser.press(" ", 32)
    assert (browser.ask(figures), seen(browser, f"tbody.{kind}")) == (pictures, rows)
    assert seen(browser, "figure svg g") == everything


def test_what_is_pointed_at_says_whose_it_is(browser: Browser, report: Path) -> None:
    browser.open(report)
    found = browser.ask("[...new Set([...document.querySelectorAll('svg g > title')].map((one) => one.textContent))]")
    assert set(fake.GUIDES) <= set(found)


def test_a_quantity_is_found_in_all_tables_and_folds_open(browser: Browser, large: Path) -> None:
    browser.open(large)
    folds = browser.ask("document.querySelectorAll('details[open]').length")
    before = seen(browser, "main tbody")
    browser.ask("document.querySelector('.find input').focus()")
    for letter in "[7]":
        browser.press(letter, ord(letter))
    names = browser.ask(
        "[...document.querySelectorAll('main tbody')].filter((one) => !one.classList.contains('unasked'))"
        ".map((one) => one.rows[0].cells[0].textContent).filter((one) => one.includes('[7]'))"
    )
    count = browser.ask("document.querySelector('.find output').textContent")
    assert count == f"{len(names)} row{'s' if len(names) > 1 else ''}"
    assert all("[7]" in name for name in names)
    assert names
    assert browser.ask("document.querySelectorAll('details[open]').length") > folds
    browser.ask("document.documentElement.style.scrollBehavior = 'auto'")
    browser.press("Enter", 13)
    place = browser.ask(
        "[...document.querySelectorAll('main tbody')].find((one) => one.rows[0].cells[0].textContent.includes('[7]'))"
        ".getBoundingClientRect().top"
    )
    assert 0 < place < 720
    for _ in range(3):
        browser.press("Backspace", 8)
    assert browser.ask("document.querySelector('.find input').value") == ""
    assert seen(browser, "main tbody") == before
    assert browser.ask("document.querySelectorAll('details[open]').length") == folds


def test_light_and_dark_are_chosen(browser: Browser, report: Path) -> None:
    for dark in (False, True):
        browser.open(report, dark=dark)
        ground = "getComputedStyle(document.body).backgroundColor"
        before = browser.ask(ground)
        browser.ask("document.querySelector('.theme').focus()")
        browser.press("Enter", 13)
        after = browser.ask(ground)
        assert {before, after} == {"rgb(255, 255, 255)", "rgb(20, 23, 28)"}
        assert browser.ask("document.querySelector('.theme').textContent") == ("Dark" if dark else "Light")


def test_all_that_can_be_pressed_is_reached_by_keyboard(browser: Browser, report: Path) -> None:
    browser.open(report)
    wanted = browser.ask(f"[...document.querySelectorAll('a, button, input, summary')].filter({SEEN}).length")
    browser.ask("window.reached = new Set(); document.addEventListener('focusin', (e) => reached.add(e.target));")
    for _ in range(4 * wanted):
        browser.press("Tab", 9)
    # Of radio buttons only the chosen one of a group is stopped at: arrows lead to the others.
    missed = browser.ask(
        f"[...document.querySelectorAll('a, button, input:not([type=radio]), summary')].filter({SEEN})"
        ".filter((one) => !reached.has(one)).map((one) => one.outerHTML.slice(0, 80))"
    )
    assert missed == []


def test_without_scripts_there_is_nothing_that_does_nothing(browser: Browser, report: Path) -> None:
    browser.open(report, scripts=False)
    page = report.read_text("utf-8")
    body = page.partition("<body>")[2].partition("<script>")[0]
    assert "<button" not in body
    assert body.count("<svg") >= 8
    assert 'class="ask"' not in body


def axe() -> str:
    """Return axe-core, as the package that brings it has it."""
    found = find_spec("axe_playwright_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip("axe-playwright-python, which brings axe-core, is not installed")
    return (Path(found.submodule_search_locations[0]) / "axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("which", ["small", "several"])
def test_axe_finds_nothing(browser: Browser, report: Path, tmp_path: Path, which: str, dark: bool) -> None:
    browser.open(report if which == "small" else write(fake.several(), tmp_path), dark=dark)
    browser.ask(f"{axe()}; 0")
    browser.ask("axe.run().then((found) => { window.found = found; }); 0")
    while browser.ask("window.found === undefined"):
        pass
    violations: list[dict[str, Any]] = browser.ask("found.violations")
    told = [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}" for one in violations]
    assert told == []
    assert browser.ask("found.passes.length") > 20
