"""A run that is killed at any moment goes on where it was: to the same bits, with nothing done twice or left over."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guidebench.results.inference_data import group, group_names
from guidebench.results.store import load

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for the processes that are left in /proc"),
]

#: How often a run is killed; fewer where a machine has little to spare.
KILLS = int(os.environ.get("GUIDEBENCH_KILLS", "30"))

#: Two problems and six guides that compile quickly.
PLUGIN = """
import numpy as np
import numpyro
import numpyro.distributions as dist
from guidebench import Guide, Problem, hookimpl

def model(y=None):
    w = numpyro.sample("w", dist.Normal(0, 1))
    with numpyro.plate("rows", 3):
        numpyro.sample("y", dist.Normal(w, 1), obs=y)

def guide(number):
    def build(model):
        def sites(y=None):
            loc, scale = numpyro.param("loc", 0.0), numpyro.param("scale", 0.5 + number / 4)
            numpyro.sample("w", dist.Normal(loc, abs(scale) + 0.01))
        return sites
    return Guide(name=f"guide_{number}", build=build)

@hookimpl
def guidebench_guides():
    yield from map(guide, range(6))

@hookimpl
def guidebench_problems():
    for number in range(2):
        yield Problem(name=f"problem-{number}", model=model, kwargs={"y": np.array([0.5, -0.25, number])})
"""

ASKED = ("problem-0", "problem-1", "--plugin", "plugin.py", *(f"-gguide_{number}" for number in range(6)))
SETTINGS = ("--recipe", "plain", "--steps", "40", "--draws", "200", "--reference", "none", "--name", "both", "-v")

#: What is said of a fit that is done, and of one whose training begins.
DONE = re.compile(r"^\d+ of \d+: (\S+) on (\S+): ", re.MULTILINE)
TRAINS = re.compile(r"^guidebench: (\S+): (\S+): training$", re.MULTILINE)


class Runs:
    """Runs into a folder, one after the other."""

    def __init__(self, place: Path, *options: str) -> None:
        self.place, self._options = place, options
        self.folder = place / "reports" / "both"
        place.mkdir(exist_ok=True)
        (place / "plugin.py").write_text(PLUGIN)

    def run(self, seconds: float | None = None) -> tuple[int, str]:
        """Run the command, and kill it after so many seconds; return how it ended and what it said."""
        with (self.place / "said").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "guidebench", "run", *ASKED, *SETTINGS, *self._options],
                cwd=self.place,
                env={**os.environ, "PYTHONSAFEPATH": "1", "KILLED": str(self.place)},
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return process.returncode, (self.place / "said").read_text()

    def processes(self) -> list[Path]:
        """Return the processes that are left."""
        mark = f"KILLED={self.place}\0".encode()
        return [one for one in Path("/proc").glob("[0-9]*") if mark in _read(one / "environ")]

    def content(self) -> dict[Any, Any]:
        """Return every number of every fit, and every draw, to the bit."""
        found: dict[Any, Any] = {}
        for fit in load(self.folder):
            own = fit.problem, fit.guide
            found |= {(*own, one.metric, one.variable): (repr(one.value), repr(one.mcse)) for one in fit.metrics}
            found[own] = fit.status, fit.verdict, fit.message
            for name in group_names(fit.inference_data):
                dataset = group(fit.inference_data, name)
                assert dataset is not None
                for variable, array in dataset.variables.items():
                    found[(*own, name, str(variable))] = array.dtype, np.asarray(array.values).tobytes()
        return found

    def files(self) -> set[str]:
        """Return what lies in the folder of the results; kept fits have names of their own."""
        return {str(file.relative_to(self.folder)) for file in self.folder.rglob("*")}


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runs, float]:
    """A run that nobody kills, and the seconds that such a run takes when its programs have been compiled once."""
    for name in ("first", "whole"):
        runs, began = Runs(tmp_path_factory.mktemp(name)), time.monotonic()
        status, said = runs.run()
        assert status == 0, said
    return runs, time.monotonic() - began


def killed(runs: Runs, longest: float, chance: random.Random) -> Iterator[int]:
    """Kill a run until it has come to an end all the same; yield the number of the kill."""
    done: set[tuple[str, str]] = set()
    kills = 0
    while True:
        status, said = runs.run(chance.uniform(0.5, longest))
        assert "Traceback" not in said
        again = {(guide, problem) for problem, guide in TRAINS.findall(said)} & done
        assert not again
        done |= set(DONE.findall(said))
        if status == 0:
            return
        assert status == -9, said
        kills += 1
        yield kills


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["here", "jobs"])
def test_a_run_that_is_killed_goes_on_to_the_same_bits(
    whole: tuple[Runs, float], tmp_path: Path, jobs: tuple[str, ...]
) -> None:
    chance = random.Random(len(jobs))
    expected, longest = whole
    kills = attempt = 0
    while kills < KILLS:
        attempt += 1
        runs = Runs(tmp_path / str(attempt), *jobs)
        for _ in killed(runs, longest, chance):
            kills += 1
        assert runs.content() == expected.content()
        assert runs.files() == expected.files()
        end = time.monotonic() + 30
        while runs.processes():
            assert time.monotonic() < end
            time.sleep(0.1)
