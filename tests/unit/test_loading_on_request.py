"""Problems that read their data when a run asks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import guidebench as gb
from guidebench.config import RunConfig, make_config
from guidebench.config.errors import PluginError, RequestError
from guidebench.contracts import Problem, ReferenceDraws
from guidebench.plugins.registry import Registered, Registry
from guidebench.request.selection import choose_problems


def registry(load: Callable[[RunConfig], Any]) -> Registry:
    declared = Problem(name="base/late", load=load)
    return Registry(problems=(Registered(declared, plugin="late", distribution="acme-late"),))


def test_only_what_a_run_asks_for_is_read() -> None:
    read: list[str] = []

    def load(config: RunConfig) -> Problem:
        read.append(str(config.posteriordb))
        return Problem(name="base/late", model=print)

    found = registry(load)
    assert read == []
    for pattern in ("base/late", "base/*"):
        (problem,) = choose_problems(found, (pattern,), make_config({"posteriordb": "there"}))
        assert problem.model is print
    assert read == ["there", "there"]


def test_what_is_missing_is_said_in_the_plugins_own_words() -> None:
    def load(config: RunConfig) -> Problem:
        raise RequestError("give --posteriordb PATH")

    with pytest.raises(RequestError, match=r"^give --posteriordb PATH$"):
        choose_problems(registry(load), ("base/late",))


def test_a_bug_is_named_with_its_plugin() -> None:
    def load(config: RunConfig) -> Problem:
        raise KeyError("y")

    told = r"problem 'base/late' \(plugin 'late' of acme-late\): its data could not be loaded: KeyError: 'y'"
    with pytest.raises(RequestError, match=told):
        choose_problems(registry(load), ("base/late",))


@pytest.mark.parametrize(
    "found",
    [None, Problem(name="another", model=print), Problem(name="base/late", load=lambda config: None)],  # type: ignore[arg-type, return-value]
)
def test_what_comes_must_be_the_problem(found: Any) -> None:
    with pytest.raises(RequestError, match="load must return it whole, under the same name"):
        choose_problems(registry(lambda config: found), ("base/late",))


def test_a_problem_needs_a_model_or_a_way_to_get_one() -> None:
    with pytest.raises(PluginError, match="needs a model, or a function load"):
        Problem(name="empty")
    with pytest.raises(PluginError, match="has to be loaded before its model can run"):
        Problem(name="late", load=lambda config: Problem(name="late", model=print)).model()
    with pytest.raises(PluginError, match="chains must be a mapping by site"):
        ReferenceDraws(chains=[1.0])  # type: ignore[arg-type]


def test_compare_loads_a_problem_too() -> None:
    def load(config: RunConfig) -> Problem:
        raise RequestError(f"nothing lies in {config.posteriordb}")

    with pytest.raises(RequestError, match="nothing lies in here"):
        gb.compare(Problem(name="late", load=load), posteriordb=Path("here"))


def test_the_folder_in_a_configuration_starts_where_the_file_lies(tmp_path: Path) -> None:
    file = tmp_path / "guidebench.toml"
    file.write_text('posteriordb = "data"\n', encoding="utf-8")
    assert make_config({}, file).posteriordb == (tmp_path / "data").as_posix()
    file.write_text('posteriordb = "download"\n', encoding="utf-8")
    assert make_config({}, file).posteriordb == "download"
