"""Every command that a page shows is one that guidebench would take, and every block of Python is Python."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer

import guidebench as gb
from guidebench.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(page for page in ROOT.glob("docs/**/*.md") if "_build" not in page.parts),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
    ]
)
#: What ends the part of a line that guidebench is given.
END = re.compile(r"\s(?:&&|\||>|;|#)(?:\s|$)")


def blocks(page: Path) -> Iterator[str]:
    """Yield the blocks of code of a page, indented or fenced; a directive's content is text."""
    block: list[str] = []
    fence = ""
    for line in [*page.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("```"):
            if not fence:
                fence = line
            else:
                if "{code-cell}" in fence or "{" not in fence:
                    yield "\n".join(block)
                fence, block = "", []
        elif fence or line.startswith("    ") or (block and not line.strip()):
            block.append(line if fence else line[4:])
        elif block:
            yield "\n".join(block)
            block = []
    if block and not fence:
        yield "\n".join(block)


def commands(block: str) -> Iterator[str]:
    """Yield what follows the name of the program, of every command in a block."""
    for line in block.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&", line):
            found = re.match(r"\s*!?(?:\S*/)?guidebench\s+(.+)", part)
            if found and not re.search(r"[A-Z]{3,}", found[1].split()[0]):
                yield END.split(found[1])[0].strip()


SHOWN = sorted(
    {(page.relative_to(ROOT).as_posix(), one) for page in PAGES for block in blocks(page) for one in commands(block)}
)


def test_there_are_commands() -> None:
    assert len(SHOWN) > 50


@pytest.mark.parametrize(("page", "shown"), SHOWN)
def test_a_command_is_one(page: str, shown: str) -> None:
    root: Any = typer.main.get_command(app)
    name, *arguments = shlex.split(shown)
    assert name in root.commands, f"{page}: guidebench {shown}"
    if re.search(r"\[[A-Z]", shown):  # a synopsis
        return
    try:
        root.commands[name].make_context(name, arguments)
    except click.exceptions.Exit:  # --help
        return
    except click.ClickException as error:
        pytest.fail(f"{page}: guidebench {shown}: {error.format_message()}")


def python(page: Path) -> Iterator[ast.Module]:
    """Yield the blocks of a page that are Python: from the first line that imports, defines or calls something on."""
    for block in blocks(page):
        lines = block.splitlines()
        begin = next((at for at, line in enumerate(lines) if re.match(r"(import|from|def)\s|@|.*\bgb\.", line)), None)
        if begin is not None:
            # Commands may stand beside Python, and those of a cell begin with a mark of IPython's.
            code = [line for line in lines[begin:] if not re.match(r"\s*(!|%|guidebench |pip |python )", line)]
            yield ast.parse("\n".join(code))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_names_of_guidebench_are_there(page: Path) -> None:
    for tree in python(page):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gb":
                assert hasattr(gb, node.attr), f"{page.name}: gb.{node.attr}"
            if isinstance(node, ast.ImportFrom) and node.module == "guidebench":
                for name in node.names:
                    assert hasattr(gb, name.name), f"{page.name}: from guidebench import {name.name}"
