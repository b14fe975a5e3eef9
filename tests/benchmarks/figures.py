"""What is measured: figures, each a few commands that take turns, and the ratio of one of them to another.

The baselines are (L) the loop of a teaching notebook, (S) a plain script of ``svi.run`` with ``Predictive``, (N)
NumPyro's NUTS and (B) BlackJAX, where it is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from timing import guidebench_command

HERE = Path(__file__).resolve().parent

#: Which compiled programs a command finds: none; those that the commands before it in its turn left.
Cache = Literal["none", "shared"]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One of the commands of a figure.

    Attributes
    ----------
    name : str
        In the table.
    words : tuple of str
        What is run; ``{out}`` stands for a folder that all commands of a turn share.
    cache : {"none", "shared"}
        Which compiled programs it finds.
    """

    name: str
    words: tuple[str, ...]
    cache: Cache = "none"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Commands that are compared.

    Attributes
    ----------
    name, title : str
        For the command line, and for the page.
    commands : tuple of Command
        In the order of a turn.
    over : mapping of str to str
        Which command is divided by which.
    """

    name: str
    title: str
    commands: tuple[Command, ...]
    over: Mapping[str, str]


def run(name: str, *options: str, cache: Cache = "none", out: str = "") -> Command:
    """Return ``guidebench run`` with a report, in a folder of its own unless another command's is named."""
    words = (*guidebench_command(), "run", "--quiet", "--out", f"{{out}}/{out or name.replace(' ', '-')}", *options)
    return Command(name=name, words=words, cache=cache)


def script(name: str, file: str, *options: str, cache: Cache = "none") -> Command:
    """Return a script beside this one."""
    return Command(name=name, words=(sys.executable, str(HERE / file), *options), cache=cache)


def on(name: str, model: str, *options: str) -> Command:
    """Return ``guidebench.compare`` with a report on one of the models here."""
    return script(name, "compare_on.py", model, *options)


def figures() -> tuple[Figure, ...]:
    """Return all of them."""
    return (
        Figure(
            name="lesson",
            title="The default run, cold, beside the loop of a notebook",
            commands=(script("lesson (L)", "baselines/lesson.py"), run("cold")),
            over={"cold": "lesson (L)"},
        ),
        Figure(
            name="plain",
            title="The default run beside a plain script, each with the compiled programs of the time before",
            commands=(
                script("plain, cold (S)", "baselines/plain.py", cache="shared"),
                script("plain, warm (S)", "baselines/plain.py", cache="shared"),
                run("cold", cache="shared"),
                run("warm", cache="shared"),
                run("kept", cache="shared", out="warm"),
            ),
            over={"warm": "plain, warm (S)", "cold": "plain, cold (S)", "kept": "warm"},
        ),
        Figure(
            name="start",
            title="Before anything is done",
            commands=(
                Command(name="python", words=(sys.executable, "-c", "pass")),
                Command(name="import guidebench", words=(sys.executable, "-c", "import guidebench")),
                Command(name="--help", words=(*guidebench_command(), "--help")),
            ),
            over={},
        ),
        *(_path(length) for length in (60, 500)),
        *(_effects(groups) for groups in (1_000, 10_000)),
        *(_independent(size) for size in (10, 100, 1_000, 10_000)),
        *(_rows(rows) for rows in (1_000, 100_000, 1_000_000)),
        Figure(
            name="restarts",
            title="More starts",
            commands=tuple(
                run(name, "-g", "auto_normal", "--restarts", name.split()[0])
                for name in ("1 start", "8 starts", "32 starts")
            ),
            over={"8 starts": "1 start", "32 starts": "1 start"},
        ),
        Figure(
            name="simulations",
            title="Calibration by simulated data",
            commands=(
                run("no simulations", "-g", "auto_normal"),
                *(
                    run(f"{count} simulations", "-g", "auto_normal", "--simulations", str(count))
                    for count in (20, 64, 256)
                ),
            ),
            over={f"{count} simulations": "no simulations" for count in (20, 64, 256)},
        ),
        *([_blackjax()] if find_spec("blackjax") else []),
    )


def _path(length: int) -> Figure:
    return Figure(
        name=f"path-{length}",
        title=f"An autoregressive path of {length} steps by a scan: six guides, judged, beside NUTS",
        commands=(script("NUTS (N)", "baselines/nuts.py", f"path-{length}"), on("six guides", f"path-{length}")),
        over={"six guides": "NUTS (N)"},
    )


def _effects(groups: int) -> Figure:
    return _beside_plain(
        f"effects-{groups}",
        f"Random effects of {groups:,} groups: two guides, judged, beside a plain script of the two",
        "two guides",
        "auto_normal,auto_low_rank_multivariate_normal",
    )


def _independent(size: int) -> Figure:
    title = f"{size:,} independent latents: mean field, judged, beside a plain script"
    return _beside_plain(f"independent-{size}", title)


def _rows(rows: int) -> Figure:
    title = f"A logistic regression of {rows:,} rows: mean field, judged, beside a plain script"
    return _beside_plain(f"rows-{rows}", title)


def _beside_plain(model: str, title: str, called: str = "auto_normal", guides: str = "auto_normal") -> Figure:
    """Return guides on a model beside a plain script of the same."""
    plain = script("plain (S)", "baselines/plain_on.py", model, "--guides", guides)
    return Figure(
        name=model, title=title, commands=(plain, on(called, model, "--guides", guides)), over={called: plain.name}
    )


def _blackjax() -> Figure:
    return Figure(
        name="blackjax",
        title="Mean field beside BlackJAX's on the same regression",
        commands=(
            script("meanfield_vi (B)", "baselines/blackjax_vi.py", "meanfield_vi"),
            script("pathfinder (B)", "baselines/blackjax_vi.py", "pathfinder"),
            run("auto_normal", "-g", "auto_normal"),
        ),
        over={"auto_normal": "meanfield_vi (B)"},
    )
