"""``guidebench new``: what it writes, and what it refuses without writing anything."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guidebench.cli.new.create import LICENCES

Command = Callable[..., Any]

FILES = {
    ".github/workflows/ci.yml",
    ".gitignore",
    "LICENSE",
    "README.md",
    "my_guide.py",
    "pyproject.toml",
    "tests/test_my_guide.py",
}


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_project_is_written_whole(command: Command, tmp_path: Path) -> None:
    ended = command("new", "my-guide")
    assert (ended.status, ended.err) == (0, "")
    assert "cd my-guide && pip install . && pytest && guidebench run -g my_guide" in ended.out
    folder = tmp_path / "my-guide"
    assert files(tmp_path) == {f"my-guide/{name}" for name in FILES}
    python = [file.read_text(encoding="utf-8") for file in folder.rglob("*.py")]
    assert sum(text.count("\n") for text in python) < 40
    for text in python:
        ast.parse(text)
    assert not any("{" in line and "self.prefix" not in line for text in python for line in text.splitlines())


@pytest.mark.parametrize(
    ("name", "module"), [("my-guide", "my_guide"), ("flow2", "flow2"), ("low_rank-3", "low_rank_3")]
)
def test_the_names_follow_from_the_one_given(command: Command, tmp_path: Path, name: str, module: str) -> None:
    assert command("new", name).status == 0
    folder = tmp_path / name
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["name"] == name
    assert project["project"]["entry-points"] == {"guidebench": {module: module}}
    assert project["project"]["dependencies"] == ["guidebench>=0.1"]
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == [f"{module}.py"]
    assert f'Guide(name="{module}"' in (folder / f"{module}.py").read_text(encoding="utf-8")
    assert f'parametrize_with_checks(["{module}"])' in (folder / f"tests/test_{module}.py").read_text(encoding="utf-8")
    assert "${{ matrix.python }}" in (folder / ".github/workflows/ci.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("licence", LICENCES)
def test_the_licence_is_the_authors_choice(command: Command, tmp_path: Path, licence: str) -> None:
    author = 'Ann "Ace" O\\Neill {x}'
    assert command("new", "my-guide", "--license", licence, "--author", author).status == 0
    project = tomllib.loads((tmp_path / "my-guide/pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["license"], project["authors"]) == (licence, [{"name": author}])
    text = (tmp_path / "my-guide/LICENSE").read_text(encoding="utf-8")
    assert (author in text) is (licence != "Apache-2.0")
    assert {"Apache-2.0": "Apache License", "MIT": "MIT License", "BSD-3-Clause": "BSD 3-Clause"}[licence] in text


SHAPE = "should begin with a lower-case letter and go on with lower-case letters, digits, '-' or '_', as my-guide"

#: Arguments of ``guidebench new``, and the line on stderr.
WRONG = {
    "there already": ("taken", "new taken: taken is there already; choose another name, or move it away"),
    "capitals": ("My-Guide", f"new My-Guide: {SHAPE}"),
    "a digit first": ("3-guide", f"new 3-guide: {SHAPE}"),
    "a path": ("../my-guide", f"new ../my-guide: {SHAPE}"),
    "a space": ("my guide", f"new my guide: {SHAPE}"),
    "nothing": ("", f"new : {SHAPE}"),
    "two dashes": ("my--guide", f"new my--guide: {SHAPE}"),
    "not ASCII": ("größe", f"new größe: {SHAPE}"),
    "a keyword": ("lambda", "new lambda: lambda is a word of Python's; choose another name, as lambda-guide"),
    "a soft keyword": ("match", "new match: match is a word of Python's; choose another name, as match-guide"),
    "a standard module": ("json", "new json: json is a module of Python's own; choose another name, as json-guide"),
    "an installed module": ("numpyro", "new numpyro: there is a module numpyro already; choose another name"),
    "guidebench itself": ("guidebench", "new guidebench: there is a module guidebench already; choose another name"),
    "a bundled guide": (
        "auto-normal",
        "new auto-normal: guidebench has a guide called auto_normal; choose another name",
    ),
    "an alias": ("autodelta", "new autodelta: guidebench has a guide called autodelta; choose another name"),
    "a set of guides": (
        "default",
        "new default: 'default' is the name of a set of guides; choose another, as default-",
    ),
    "an unknown licence": ("my-guide --license GPL", "--license GPL: choose one of Apache-2.0, MIT, BSD-3-Clause"),
    "an author without a name": ("my-guide --author= ", "--author: should be a name"),
    "two names": ("my-guide yours", "Got unexpected extra argument"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_name_is_refused_in_one_line_and_nothing_is_written(
    command: Command, tmp_path: Path, arguments: str, message: str
) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    chosen = [arguments] if "my guide" in arguments or not arguments else arguments.split(" ")
    ended = command("new", *[part for part in chosen if part or not arguments])
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"guidebench: {message}")
    assert ended.err.count("\n") == 1
    assert files(tmp_path) == {"taken"}


def test_a_folder_that_cannot_be_written_is_named(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path, *arguments: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    ended = command("new", "my-guide")
    assert ended.status == 2
    assert ended.err.startswith("guidebench: new my-guide: ")
    assert ended.err.endswith("cannot be written: Permission denied\n")
    assert list(tmp_path.iterdir()) == []
