"""Names and messages are shown as they are written and do nothing: no escape, no formula, no markup, no crash."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from guidebench.api import Comparison, load
from guidebench.cli import tables
from guidebench.cli.cells import escape
from guidebench.config import text
from guidebench.config.errors import RequestError
from guidebench.contracts import Section
from guidebench.inference.arguments import Arguments
from guidebench.inference.structure import inspect_model
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.failures import Failure
from guidebench.report import write
from guidebench.report.page import Block, Page, Table
from guidebench.results import inference_data, store
from guidebench.results.asjson import plain
from tests import made
from tests.report.browser import FOUND, Browser

#: Names that a model, a plugin or a message may have.
NAMES = (
    "<script>alert(1)</script>",
    "=cmd()",
    "../../x",
    "\u202egpj.exe",
    "\x1b[31mred\x1b]0;title\x07",
    "[bold]b[/]",
    "a\0b",
    "\ud800",
    "x" * 300,
    "é ☂ 👩\u200d💻",
    "@SUM(A1)",
    "&amp; | `$x$`",
)


class Rude:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def test_what_cannot_be_seen_is_shown_as_python_writes_it() -> None:
    assert text.shown("plain é ☂ 👩\u200d💻\n") == "plain é ☂ 👩\u200d💻\n"
    assert text.shown("\x1b[31m\u202e\ud800\0\x85") == r"\x1b[31m\u202e\ud800\x00\x85"
    assert text.line(" a\n\tb\r\x07") == r"a b \x07"
    for one in NAMES:
        shown = text.shown(one)
        shown.encode("utf-8")
        assert text.shown(shown) == shown
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_cell_begins_as_a_formula(value: str) -> None:
    assert text.cell(value)[0] in "'\\"
    assert text.cell("a=1") == "a=1"


def test_an_object_that_cannot_be_told_has_a_type() -> None:
    assert text.told(Rude()) == "<Rude>"
    assert plain({"x": Rude(), Rude(): 1}) == {"x": "<Rude>", "<Rude>": 1}


@pytest.mark.parametrize("message", [*NAMES, Rude()])
def test_a_message_of_a_plugin_costs_nothing(message: Any) -> None:
    with Boundary("train", plugin="p", distribution="d", name="g") as at:
        raise ValueError(message)
    assert at.failure is not None
    for one in (at.failure.message, at.failure.traceback):
        one.encode("utf-8")
        assert "\x1b" not in one
    assert "\n" not in at.failure.message


def hostile() -> Comparison:
    fits = []
    for one in NAMES:
        values = xr.Dataset({"w": (("chain", "draw"), np.linspace(0, 1, 12).reshape(1, 12))})
        failure = Failure(plugin=one, distribution=one, phase="metric", name=one, message=one, traceback=one)
        fits.append(
            made.fit(
                one,
                {"elbo": (-1.0, 0.1), f"mean[{one}]": 0.5},
                problem=NAMES[0],
                plugin=one,
                message=one,
                reason=one,
                failures=(failure,),
                inference_data=inference_data.from_groups({"posterior": values}),
            )
        )
    found: Comparison = made.comparison(
        *fits, name=NAMES[4], known={"latents": NAMES, "notes": NAMES, "summary": NAMES[3]}
    )
    return found


def everything(page: Page) -> Block:
    fig, axes = page.panels(1, 1)
    axes[0].set_title(NAMES[4])
    drawn = [one for one in NAMES if "☂" not in one]  # which the font has no signs for
    axes[0].set_xticks(range(len(drawn)), labels=drawn)
    rows = [[page.key(fit), fit.message] for fit in page.fits]
    return Block(*NAMES, Table(["a", NAMES[4]], rows), page.figure("names", fig, alt=NAMES[3]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("out") / "run"
    store.save(hostile(), place)
    write(hostile(), place, sections=[Section(name="all", title="All", build=everything)])
    return place


def test_the_report_shows_every_name_and_holds_nothing_to_act_on(folder: Path) -> None:
    page, markdown = ((folder / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    assert "could not be made" not in page
    assert page.count("<script") == page.count("<script>// What a reader can ask of the page") == 1
    assert "&lt;script&gt;alert(1)" in page
    for one in (page, markdown):
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e]", one)
    for one in (r"\x1b[31mred", r"\u202egpj.exe", "../../x", "=cmd()", r"a\x00b", r"\ud800", "x" * 300):
        assert one in page.replace("<wbr>", "")


#: What a page could act with: elements, attributes, and where links lead.
ACTING = """[
    document.querySelectorAll("iframe, object, embed, base, form, meta[http-equiv=refresh]").length,
    [...document.querySelectorAll("*")].filter((one) => [...one.attributes].some((a) => /^on/.test(a.name))).length,
    [...document.links].filter((one) => !["file:", "https:"].includes(one.protocol)).length,
    document.scripts.length,
]"""


@pytest.mark.slow
@pytest.mark.skipif(FOUND is None, reason="no Chromium on the path")
def test_a_browser_executes_nothing_and_shows_every_name_as_written(folder: Path, tmp_path: Path) -> None:
    browser = Browser(tmp_path)
    try:
        browser.open(folder / "report.html")
        assert browser.said == []
        assert browser.ask(ACTING) == [0, 0, 0, 1]
        seen = browser.ask("document.body.textContent")
    finally:
        browser.close()
    for one in NAMES:
        assert text.shown(one) in seen
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e]", seen)


def test_no_cell_of_a_table_is_a_formula(folder: Path) -> None:
    for name in ("summary.csv", "metrics.csv"):
        content = (folder / name).read_text(encoding="utf-8")
        assert "\x1b" not in content
        rows = list(csv.DictReader(io.StringIO(content)))
        texts = [
            row[column] for row in rows for column in ("problem", "guide", "message", "variable") if row.get(column)
        ]
        assert "'=cmd()" in texts
        assert not [one for one in texts if one.startswith(("=", "+", "@"))]


def test_draws_stay_inside_their_folder_and_all_is_read_again(folder: Path) -> None:
    assert [file.name for file in folder.parent.iterdir()] == ["run"]
    assert len(list(folder.rglob("*.nc"))) == len(NAMES)
    assert max(len(file.name.encode()) for file in folder.rglob("*")) < 256
    assert [fit.guide for fit in load(folder)] == list(NAMES)
    assert all(fit.inference_data is not None for fit in load(folder))


def test_the_terminal_gets_no_raw_escape() -> None:
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False, force_terminal=False)
    comparison = hostile()
    tables._print_problem(comparison, comparison.problems[0], console)
    console.print(escape(NAMES[4]))
    said = out.getvalue()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e]", said)
    assert r"\x1b[31mred" in said
    assert "[bold]b[/]" in said


@pytest.mark.parametrize("name", ["", ".", "a\0b", "\ud800"])
def test_a_site_that_no_file_can_hold_is_refused_before_anything_is_trained(name: str) -> None:
    import numpyro
    import numpyro.distributions as dist

    def model() -> None:
        numpyro.sample("w", dist.Normal(0, 1))
        numpyro.sample(name, dist.Normal(0, 1))

    with pytest.raises(RequestError, match=r"the model has a site called '.*', which no file can hold"):
        inspect_model(model, Arguments())


def test_a_traceback_that_is_saved_does_not_say_where_its_files_are(tmp_path: Path) -> None:
    file = tmp_path / "secret" / "own.py"
    with Boundary("train", plugin="p", distribution="d") as at:
        exec(compile("raise ValueError('no')", str(file), "exec"))  # noqa: S102 - as a file of a user's is
    assert at.failure is not None
    trace = at.failure.traceback
    assert 'File "own.py", line 1, in <module>' in trace
    assert str(tmp_path) not in trace
    assert not [name for name in re.findall(r'File "([^"]*)"', trace) if name.startswith("/")]


def test_results_hold_no_path_but_those_that_were_given(tmp_path: Path) -> None:
    comparison = replace(hostile(), config={"data": "given/data.csv"})
    store.save(comparison, tmp_path / "deep" / "run")
    assert str(tmp_path) not in (tmp_path / "deep" / "run" / "results.json").read_text(encoding="utf-8")
