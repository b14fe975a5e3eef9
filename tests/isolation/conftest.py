"""Plugins that are installed for the length of a run, and the command line inside the test process."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from textwrap import dedent

import pytest

from guidebench.cli import main
from guidebench.cli.life import WORDS
from guidebench.plugins import registry
from guidebench.results import Comparison
from guidebench.results.store import load

IMPORTS = """
from guidebench import Guide, Metric, MetricValue, Problem, Section, hookimpl
import jax, jax.numpy as jnp, numpy as np, numpyro, numpyro.distributions as dist
"""

#: A model with two latents, one of them positive, and held-out data: small, so that it compiles quickly.
PROBLEM = """
def tiny(y=None):
    w = numpyro.sample("w", dist.Normal(0, 1))
    s = numpyro.sample("s", dist.HalfNormal(1))
    with numpyro.plate("rows", 3):
        numpyro.sample("y", dist.Normal(w, s), obs=y)

@hookimpl
def guidebench_problems():
    y = np.array([0.5, -0.25, 1.0])
    yield Problem(name="tiny", model=tiny, kwargs={"y": y}, heldout={"y": y + 0.25})
"""

#: Enough for a number that would change.
SETTINGS = ("--recipe", "plain", "--steps", "40", "--draws", "200", "--reference", "none")


class Installed(Distribution):
    """An installed distribution with one entry point, of which only the metadata exist."""

    def __init__(self, name: str, module: str) -> None:
        self._files = {
            "entry_points.txt": f"[guidebench]\n{module} = {module}\n",
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        }

    def read_text(self, filename: str) -> str | None:
        return self._files.get(filename)

    def locate_file(self, path: object) -> Path:
        raise FileNotFoundError(path)


def bundled() -> list[EntryPoint]:
    return [point for point in entry_points(group="guidebench") if point.dist and point.dist.name == "guidebench"]


@dataclass(frozen=True)
class Ran:
    """How a run ended, what it said and what it found."""

    status: int
    out: str
    err: str
    folder: Path

    @cached_property
    def comparison(self) -> Comparison:
        return load(self.folder)

    def report(self) -> str:
        return (self.folder / "report.md").read_text(encoding="utf-8")


Runs = Callable[..., Ran]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Run guides on the tiny problem with plugins installed: the source of each by the name of its distribution.

    The plugin of ``acme-x`` is called ``acme_x``.
    """

    def ran(plugins: Mapping[str, str], guides: tuple[str, ...], *options: str) -> Ran:
        site, out = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("out")
        points = bundled()
        for name, source in {"acme-problem": PROBLEM, **plugins}.items():
            module = name.replace("-", "_")
            (site / f"{module}.py").write_text(IMPORTS + dedent(source), encoding="utf-8")
            points += Installed(name, module).entry_points
        chosen = [argument for guide in guides for argument in ("-g", guide)]
        before = set(sys.modules)
        said, complained = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(site)
            patch.setattr(registry, "entry_points", lambda group: points)
            patch.setattr("guidebench.inference.device.cache.enable", lambda: None)
            patch.setattr(sys, "argv", ["guidebench", "run", "tiny", *chosen, *SETTINGS, *options, "--out", str(out)])
            registry._load_installed.cache_clear()
            with redirect_stdout(said), redirect_stderr(complained), pytest.raises(SystemExit) as ended:
                main()
        registry._load_installed.cache_clear()
        for module in {name for name in set(sys.modules) - before if name.startswith("acme_")}:
            del sys.modules[module]
        # What a pipe hears of every run is no complaint.
        err = re.sub(rf"^(\d+ of \d+: .*|{WORDS})\n", "", complained.getvalue(), flags=re.MULTILINE)
        return Ran(int(ended.value.code or 0), said.getvalue(), err, out / "tiny")

    return ran
