"""``guidebench runs`` lists what there is; what programs want to know is JSON, and in ``results.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guidebench.analysis.answer import answer
from guidebench.api import Comparison, load
from guidebench.api.answers import settings
from guidebench.config import make_config
from tests import made
from tests.report import fake

Command = Callable[..., Any]


@pytest.fixture
def saved(tmp_path: Path) -> Comparison:
    """Two runs below ``reports``, the one of two problems the newer one."""
    small = fake.small(draws=20, steps=20)
    small.save(tmp_path / "reports" / "line")
    made.comparison(made.fit(problem="p"), made.fit(problem="q")).save(tmp_path / "reports" / "deep" / "two")
    for at, name in enumerate(("line", "deep/two")):
        os.utime(tmp_path / "reports" / name / "results.json", (1e9 + at, 1e9 + at))
    return small


@pytest.mark.usefixtures("saved")
def test_runs_are_listed_with_date_problem_guides_and_recommendation(command: Command) -> None:
    ended = command("runs")
    lines = ended.out.splitlines()
    assert ended.status == 0
    assert lines[0].startswith("reports/deep/two  2001-09-0")
    assert lines[1] == "  p, q: g"
    assert lines[4].startswith("reports/line  2001-09-0")
    assert lines[5].startswith("  linear-regression: mean_field, auto_normal, ")
    assert lines[5].endswith(" and 2 more")
    assert lines[6] == "  Use auto_iaf_normal: the only guide whose draws can be taken as they are."


@pytest.mark.usefixtures("saved")
def test_what_cannot_be_read_is_no_run_and_earlier_results_say_the_same(command: Command) -> None:
    Path("reports/broken").mkdir()
    Path("reports/broken/results.json").write_text("{")
    file = Path("reports/line/results.json")
    before = command("runs", "reports", "--format", "json")
    raw = json.loads(file.read_text())
    stat = file.stat()
    del raw["recommendation"], raw["digest"]
    file.write_text(json.dumps(raw))
    os.utime(file, (stat.st_atime, stat.st_mtime))
    after = command("runs", "reports", "--format", "json")
    assert before == after
    assert [one["folder"] for one in json.loads(after.out)] == ["reports/deep/two", "reports/line"]


def test_where_there_is_none_it_says_so(command: Command, tmp_path: Path) -> None:
    assert command("runs")[::2] == (2, "guidebench: there is no folder reports\n")
    (tmp_path / "empty").mkdir()
    assert command("runs", "empty").out == "No run in empty.\n"


def test_the_results_hold_what_to_conclude_and_python_says_the_same(saved: Comparison, tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "line"
    (found,) = json.loads((folder / "results.json").read_text())["recommendation"]
    expected = answer(saved.fits, saved.problems[0])
    assert (found["headline"], found["source"], found["guide"]) == (expected.headline, "guide", "auto_iaf_normal")
    assert [line["guide"] for line in found["lines"]] == [line.guide for line in expected.lines]
    assert found["lines"][0]["verdict"] == "trust"
    assert load(folder).recommendation == {"linear-regression": expected}


def test_settings_are_those_that_took_effect() -> None:
    told = settings(make_config({"particles": 7, "seed": 3}).saved())
    assert (told["particles"], told["seed"], told["recipe"]) == (7, 3, "adam")
    assert (told["steps"], told["restarts"]) == (4000, 4)  # which nobody gave
    assert json.dumps(told)
    assert settings({"steps": 1}) == settings({"unknown": 1}) == {}


def test_lists_for_programs_hold_what_those_for_people_show(command: Command) -> None:
    found = json.loads(command("list", "--no-plugins", "--format", "json").out)
    guides = {one["name"]: one for one in found["guides"]}
    assert guides["auto_normal"]["default"]
    assert not guides["auto_dais"]["default"]
    assert guides["auto_iaf_normal"]["options"]["num_flows"] == 3
    assert {"linear-regression", "funnel"} <= {one["name"] for one in found["problems"]}
    assert json.loads(command("info", "--format", "json").out)["python"]
