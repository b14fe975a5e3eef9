"""Runs of the guests: in this process, and by a command whose processes can be found and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

import guidebench as gb

GUESTS = Path(__file__).with_name("guests.py")

#: Enough for a number that would change.
SETTINGS: dict[str, Any] = {"recipe": "plain", "steps": 100, "restarts": 1, "draws": 200, "reference": "none"}

#: Seconds that the tests wait for what should have happened long since.
PATIENCE = 240.0


def until(found: Callable[[], Any]) -> Any:
    """Wait until something is there, and return it."""
    end = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


@dataclass(frozen=True)
class Notes:
    """The folder in which the guests note what is done with them, and what they wait for."""

    folder: Path

    @property
    def plugin(self) -> str:
        """The plugin with the guests, as it is named to a run."""
        return str(self.folder / GUESTS.name)

    def go(self) -> None:
        """Let those that wait go on, from now on."""
        (self.folder / "go").touch()

    def waiting(self) -> list[int]:
        """Return the processes in which a guest has waited, or does so."""
        return [int(one.name.partition("-")[2]) for one in self.folder.glob("waiting-*")]

    def trained(self) -> Counter[str]:
        """Return how often the training of each guest has begun."""
        return Counter(one.name.split("-")[1] for one in self.folder.glob("trained-*"))

    def compared(self, *guides: Any, problem: str = "tiny", **options: Any) -> gb.Comparison:
        """Compare guests in this process, or from it."""
        return gb.compare(problem, guides=list(guides), plugins=[self.plugin], **{**SETTINGS, **options})

    def processes(self) -> list[int]:
        """Return the processes of runs with this folder, but for that which Python has for shared memory."""
        mine = [pid for pid in _processes() if f"GUESTS={self.folder}\0".encode() in _read(pid, "environ")]
        return [pid for pid in mine if b"resource_tracker" not in _read(pid, "cmdline")]


def _processes() -> Iterator[int]:
    yield from (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit() and int(one.name) != os.getpid())


def _read(pid: int, what: str) -> bytes:
    """Return what a process was started with; nothing of one that is gone, or only not yet missed."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notes:
    found = Notes(tmp_path / "notes")
    found.folder.mkdir()
    copy(GUESTS, found.folder)
    monkeypatch.setenv("GUESTS", str(found.folder))  # which tells the processes of a run from others
    return found


def numbers(comparison: gb.Comparison, folder: Path) -> list[str]:
    """Return the lines of ``metrics.csv``."""
    return (comparison.save(folder) / "metrics.csv").read_text().splitlines()


def of(guide: str, lines: list[str]) -> list[str]:
    """Return the lines of one guide."""
    return [line for line in lines if f",{guide}," in line]


class Command:
    """A run of the guests by the command line, in processes of its own."""

    def __init__(self, folder: Path, plugin: str, guides: tuple[str, ...], *options: str) -> None:
        given = [part for name, value in SETTINGS.items() for part in (f"--{name}", str(value))]
        chosen = [part for guide in guides for part in ("-g", guide)]
        self.results = folder / "reports" / "tiny"
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "guidebench", "run", "tiny", "--plugin", plugin, *chosen, *given, *options],
                cwd=folder,
                env={**os.environ, "PYTHONSAFEPATH": "1"},
                stdout=out,
                stderr=err,
                start_new_session=True,  # Ctrl-C is for this one process
            )

    def kept(self) -> int:
        """Return how many fits and problems a run that goes on has kept."""
        assert self.process.poll() is None, self.said()
        return len(list((self.results / ".fits").glob("*.json")))

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process of the run, and to no other."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end; return the status."""
        return self.process.wait(PATIENCE)

    def said(self) -> str:
        """Return all that was said."""
        return self._out.read_text() + self._err.read_text()

    def numbers(self) -> list[str]:
        """Return the lines of ``metrics.csv``."""
        return (self.results / "metrics.csv").read_text().splitlines()


Commands = Callable[..., Command]


@pytest.fixture
def command(tmp_path: Path, notes: Notes) -> Iterator[Commands]:
    """Start ``guidebench run tiny`` with the guests, in a folder of the test's."""
    begun: list[Command] = []

    def start(guides: tuple[str, ...], *options: str) -> Command:
        place = tmp_path / "run"
        place.mkdir(exist_ok=True)
        begun.append(Command(place, notes.plugin, guides, *options))
        return begun[-1]

    yield start
    for one in begun:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
