"""Results of any kind: they are read and shown, or one line names the file and what is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from guidebench.api import Comparison, diff, load
from guidebench.cli import tables
from guidebench.config.sealed import sealed, unsealed
from guidebench.report import write
from guidebench.report.builtin import guidebench_sections
from guidebench.results import store
from guidebench.results.asjson import plain
from tests import made
from tests.fuzz.conftest import one_line
from tests.fuzz.test_data import DAMAGE, VALUES, damaged

#: Results are long, and what failed is told with all of them.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr:hypothesis.errors.HypothesisWarning")

#: What may stand in the place of anything: values that mean something somewhere, and whatever JSON holds.
OTHERS = VALUES | st.sampled_from(
    (0, -1, 1e300, 10**400, "", "x", "trust", "converged", "=x()", "\x1b[31m", "\u202e", "\ud800", [], {}, [[]])
)


@pytest.fixture(scope="module")
def whole(here: Path) -> Any:
    """What ``results.json`` holds of a run with two guides."""
    comparison = made.comparison(
        made.fit("one", {"elbo": (-23.5, 0.125), "mean[w]": 1.5, "khat": 0.2}),
        made.fit("two", {"elbo": (-24.5, 0.125), "mean[w]": 1.25, "khat": float("inf")}),
    )
    store.save(comparison, here / "run")
    found = unsealed((here / "run" / "results.json").read_bytes())
    del found["files"]
    return found


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    if isinstance(value, (dict, list)):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(one, (*at, key))


def changed(raw: Any, changes: list[tuple[float, Any]]) -> Any:
    """Return results with other values at places, which are given as a share of all there are."""
    found = deepcopy(raw)
    for share, other in changes:
        known = list(places(found))
        at = known[int(share * len(known))]
        holder = found
        for key in at[:-1]:
            holder = holder[key]
        if other is KeyError:
            del holder[at[-1]]
        else:
            holder[at[-1]] = deepcopy(other)
    return found


CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), OTHERS | st.just(KeyError)), min_size=1, max_size=3)


def written(here: Path, raw: Any, *, seal: bool) -> Path:
    folder = here / "run"
    text = sealed(plain(raw)) if seal else json.dumps(raw)
    (folder / "results.json").write_text(text, encoding="utf-8")
    return folder


def shown(folder: Path, other: Comparison) -> None:
    """Do what the commands do that read results."""
    comparison = load(folder)
    comparison.summary()
    comparison.metrics()
    diff(comparison, other)
    console = Console(file=io.StringIO(), width=120)
    for one in comparison.problems:
        tables._print_problem(comparison, one, console)


@pytest.fixture(scope="module")
def other(here: Path, whole: Any) -> Comparison:
    return load(written(here, whole, seal=False))


@given(changes=CHANGES, seal=st.booleans())
def test_any_results(here: Path, whole: Any, other: Comparison, changes: list[Any], seal: bool) -> None:
    folder = written(here, changed(whole, changes), seal=seal)
    said = one_line(lambda: shown(folder, other))
    assert not said or str(folder) in said
    assert [file.name for file in here.iterdir()] == ["run"]


@settings(max_examples=max(2, settings.default.max_examples // 20))
@given(changes=CHANGES)
def test_any_report(here: Path, whole: Any, changes: list[Any]) -> None:
    folder = written(here, changed(whole, changes), seal=True)
    failed: list[Any] = []
    one_line(lambda: write(load(folder), folder, sections=guidebench_sections(), on_failure=failed.append))
    assert failed == []
    assert [file.name for file in here.iterdir()] == ["run"]


@given(text=VALUES.map(json.dumps) | st.text(max_size=40), damage=DAMAGE)
def test_any_text_for_results(here: Path, text: str, damage: Any) -> None:
    (here / "run").mkdir(exist_ok=True)
    (here / "run" / "results.json").write_bytes(damaged(text.encode("utf-8", "replace"), damage))
    assert one_line(lambda: load(here / "run"))
