"""``guidebench list`` with other people's plugins really installed, some of them broken."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

Python = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def listing(python: Python, installed: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    done = python("-m", "guidebench", "list", cwd=tmp_path_factory.mktemp("list"), PYTHONPATH=installed)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(
            "plugin 'broken_import' (broken-import): "
            "failed on import with ImportError: this plugin needs a newer libfoo",
            id="raises on import",
        ),
        pytest.param(
            "plugin 'broken_hook' (broken-hook, guidebench_guide): "
            "there is no such hook; did you mean 'guidebench_guides'?",
            id="misspells its hook",
        ),
        pytest.param(
            "plugin 'broken_name' (broken-name, guidebench_guides): "
            "the guide name 'mean_field' belongs to guidebench; choose another",
            id="takes a bundled name",
        ),
        pytest.param(
            "plugin 'rival_one' (rival-one, guidebench_guides): "
            "the guide name 'contested' is also declared by rival-two; ask for it as 'rival-one/contested'",
            id="one of two with one name",
        ),
        pytest.param(
            "plugin 'rival_two' (rival-two, guidebench_guides): "
            "the guide name 'contested' is also declared by rival-one; ask for it as 'rival-two/contested'",
            id="the other",
        ),
    ],
)
def test_a_broken_plugin_is_listed_with_its_reason(listing: str, line: str) -> None:
    _, _, broken = listing.partition("Broken (5)\n")
    assert f"  {line}" in broken.splitlines()


@pytest.mark.parametrize(
    "cells",
    [
        ("diagonal", "Independent Normals", "scale=0.1", "acme-diagonal"),
        ("unfinished", "acme-unfinished"),
        ("mean_field *", "init_scale=0.1", "guidebench"),
        ("linear-regression", "guidebench"),
        ("funnel", "guidebench"),
        ("two-modes", "guidebench"),
        ("elbo", "guidebench"),
        ("prediction", "guidebench"),
        ("rival-one/contested", "rival-one"),
        ("rival-two/contested", "rival-two"),
    ],
    ids=lambda cells: cells[0],
)
def test_what_works_is_listed_with_its_distribution(listing: str, cells: tuple[str, ...]) -> None:
    (row,) = [line for line in listing.splitlines() if line.startswith(f" {cells[0]} ")]
    assert row.split()[-1] == cells[-1]
    for cell in cells:
        assert cell in row


def test_a_pipe_gets_plain_text(listing: str) -> None:
    assert "\x1b" not in listing
