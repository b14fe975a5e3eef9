"""Plugins that are switched off are not imported; those of the user's own need no installation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType
from typing import Any

import pytest

import guidebench as gb
from guidebench.cli.life import WORDS
from guidebench.config.errors import RequestError
from guidebench.plugins import registry
from guidebench.plugins.isolation.failures import OWN
from guidebench.plugins.registry import Registry, Source, build_registry
from guidebench.request.find_plugins import find_plugins

Python = Callable[..., CompletedProcess[str]]

LOCAL = """
from guidebench import Guide, Metric, Section, hookimpl
from beside import NAME

@hookimpl
def guidebench_guides():
    yield Guide(name=NAME, build=lambda model: None, summary="Not installed")

@hookimpl
def guidebench_metrics():
    yield Metric(name="mine_too", compute=lambda evidence: [])
"""


class Point:
    """An entry point that tells whether it was loaded."""

    def __init__(self, name: str, distribution: str) -> None:
        self.name, self.loaded = name, False
        self.dist = type("Dist", (), {"metadata": {"Name": distribution}})()

    def load(self) -> ModuleType:
        self.loaded = True
        module = ModuleType(self.name)

        @gb.hookimpl
        def guidebench_guides() -> Iterator[gb.Guide]:
            yield gb.Guide(name=f"{self.name.lower()}_guide", build=lambda model: None)

        module.guidebench_guides = guidebench_guides  # type: ignore[attr-defined]
        return module


def points() -> list[Any]:
    return [Point("guides", OWN), Point("flows", "Acme.Guides"), Point("other", "acme_other")]


@pytest.mark.parametrize(
    ("disable", "left_out"),
    [
        ("", set()),
        (" , ", set()),
        ("acme-guides", {"flows"}),
        ("ACME_guides", {"flows"}),
        ("flows", {"flows"}),
        ("acme-other, flows", {"flows", "other"}),
        ("all", {"flows", "other"}),
        ("1", {"flows", "other"}),
        ("guidebench", set()),
        ("guides", set()),
        ("acme", set()),
    ],
)
def test_those_that_are_named_are_not_imported(disable: str, left_out: set[str]) -> None:
    given = points()
    found = build_registry(given, disable=disable)
    assert {one.name for one in given if not one.loaded} == left_out
    assert {one.plugin for one in found.disabled} == left_out
    assert {one.by for one in found.disabled} <= {"GUIDEBENCH_DISABLE_PLUGINS"}
    assert found.broken == ()
    assert "guides_guide" in {one.name for one in found.guides}
    if left_out:
        with pytest.raises(RequestError, match=rf"no guide is called 'gone'.* \({len(left_out)} disabled plugin\(s\)"):
            found.guide("gone")


def test_no_plugins_are_guidebenchs_own_and_local_ones() -> None:
    given = points()
    local = Point("mine", "x")
    found = build_registry(given, third_parties=False, local=[Source("mine.py", "local", local.load)])
    assert [one.loaded for one in given] == [True, False, False]
    assert [(one.name, one.plugin, one.distribution) for one in found.guides] == [
        ("guides_guide", "guides", OWN),
        ("mine_guide", "mine.py", "local"),
    ]
    assert [str(one) for one in found.disabled] == [
        "plugin 'flows' (Acme.Guides): by --no-plugins",
        "plugin 'other' (acme_other): by --no-plugins",
    ]


def test_the_environment_is_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given = points()
    monkeypatch.setattr(registry, "entry_points", lambda group: given)
    monkeypatch.setattr(registry, "_load_installed", registry._load_installed.__wrapped__)
    monkeypatch.delenv(registry.DISABLE, raising=False)
    assert registry.others_installed()
    assert not registry.others_installed(third_parties=False)
    assert len(registry.load_registry().guides) == 3
    monkeypatch.setenv(registry.DISABLE, "all")
    assert not registry.others_installed()
    assert len(registry.load_registry().guides) == 1


# Local plugins


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten_modules: None) -> Path:
    """A file with hooks, and a module beside it."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "tools" / "mine.py"
    file.parent.mkdir()
    file.write_text(LOCAL, encoding="utf-8")
    file.with_name("beside.py").write_text("NAME = 'mine'\n", encoding="utf-8")
    return file


def test_a_file_is_a_plugin(mine: Path) -> None:
    found = find_plugins(["tools/mine.py", "tools/mine.py"])
    one = found.guide("mine")
    assert (one.plugin, one.distribution, one.qualified_name) == ("tools/mine.py", "local", "local/mine")
    assert [one.name for one in found.metrics if one.distribution == "local"] == ["mine_too"]
    assert found.broken == ()
    assert "mine" not in {one.name for one in find_plugins().guides}


def test_so_is_a_module_by_name_or_itself(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(mine.parent)
    assert find_plugins(["mine"]).guide("mine").plugin == "mine"
    assert find_plugins([sys.modules.pop("mine")]).guide("mine").plugin == "mine"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("tools/mein.py", "--plugin tools/mein.py: there is no such file; did you mean tools/mine.py?"),
        ("tools", "--plugin tools: that is a folder; name a file, as tools/FILE.py:NAME"),
        ("no_such_module", "--plugin no_such_module: there is no module 'no_such_module'"),
    ],
)
def test_one_that_is_not_there_is_a_wrong_request(mine: Path, given: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        find_plugins([given])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise OSError('no disk')", "failed on import with OSError: no disk"),
        ("def (", "failed on import with SyntaxError: "),
        ("import no_such_module", "failed on import with ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1", "implements no hook"),
    ],
)
def test_one_that_is_broken_is_named_like_any_other(mine: Path, source: str, reason: str) -> None:
    mine.write_text(source, encoding="utf-8")
    (broken,) = [one for one in find_plugins(["tools/mine.py"]).broken if one.distribution == "local"]
    assert broken.reason.startswith(reason)
    assert str(broken.failure()).endswith("(local plugin 'tools/mine.py')")


def test_a_name_of_guidebenchs_stays_its_own(mine: Path) -> None:
    mine.with_name("beside.py").write_text("NAME = 'mean_field'\n", encoding="utf-8")
    found: Registry = find_plugins(["tools/mine.py"])
    assert found.guide("mean_field").distribution == OWN
    assert [one.reason for one in found.broken if one.distribution == "local"] == [
        "the guide name 'mean_field' belongs to guidebench; choose another"
    ]


# On the command line


def test_list_says_who_is_switched_off_and_who_is_local(python: Python, installed: str, mine: Path) -> None:
    options = ("-m", "guidebench", "list", "--plugin", "tools/mine.py")
    cases = {
        "--no-plugins": python(*options, "--no-plugins", cwd=mine.parents[1], PYTHONPATH=installed),
        "GUIDEBENCH_DISABLE_PLUGINS": python(
            *options, cwd=mine.parents[1], PYTHONPATH=installed, GUIDEBENCH_DISABLE_PLUGINS="all"
        ),
    }
    for by, done in cases.items():
        assert (done.returncode, done.stderr) == (0, "")
        _, _, disabled = done.stdout.partition("Disabled (")
        count, *lines = disabled.splitlines()
        assert f"  plugin 'acme_diagonal' (acme-diagonal): by {by}" in lines
        assert count == f"{sum(line.startswith('  plugin ') for line in lines)})"
        assert int(count[:-1]) >= 8  # those installed here; there may be others
        assert "Broken" not in done.stdout
        (row,) = [line for line in done.stdout.splitlines() if line.startswith(" mine ")]
        assert row.split() == ["mine", "Not", "installed", "local"]


def test_a_wrong_plugin_is_a_wrong_request(python: Python, tmp_path: Path) -> None:
    for command in (("run",), ("list",)):
        done = python("-m", "guidebench", *command, "--plugin", "gone.py", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        said = [one for one in done.stderr.splitlines() if one != WORDS]
        assert said == ["guidebench: --plugin gone.py: there is no such file"]
    assert not list(tmp_path.iterdir())
