"""What is the user's own goes to other processes: files by their place and what they say, the rest by value."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from guidebench.engine.executors.places import TravelError, _said
from guidebench.engine.executors.wire import pack, unpack
from guidebench.inference.device import precision
from guidebench.request.loading.objects import load_object
from guidebench.results.store import load

Python = Callable[..., CompletedProcess[str]]

OWN = """
import numpyro
import numpyro.distributions as dist
from beside import SCALE

def tiny(x, y=None):
    w = numpyro.sample("w", dist.Normal(0, SCALE))
    with numpyro.plate("rows", len(x)):
        numpyro.sample("y", dist.Normal(w * x, 1.0), obs=y)
"""

GUIDES = """
import numpyro
import numpyro.distributions as dist
from guidebench import Guide
from beside import SCALE

def sites(model, *, scale=0.5, leave=False):
    def guide(x, y=None):
        numpyro.sample("w", dist.Normal(numpyro.param("at", 0.0), SCALE * scale))
    return guide

narrow = Guide(name="narrow", build=sites)
"""

PLUGIN = """
import numpyro
import numpyro.distributions as dist
from guidebench import Guide, Metric, MetricValue, hookimpl
from beside import SCALE

def sites(model):
    def guide(x, y=None):
        numpyro.sample("w", dist.Normal(numpyro.param("at", 0.0), SCALE))
    return guide

@hookimpl
def guidebench_guides():
    yield Guide(name="brought", build=sites)

@hookimpl
def guidebench_metrics():
    yield Metric(name="scale", compute=lambda evidence: [MetricValue(value=SCALE)])
"""

#: A script as people write them: nothing keeps it from running twice.
SCRIPT = """
import numpy as np
import numpyro
import numpyro.distributions as dist
import guidebench as gb

WIDTH = 1.5

def tiny(x, y=None):
    w = numpyro.sample("w", dist.Normal(0, WIDTH))
    with numpyro.plate("rows", len(x)):
        numpyro.sample("y", dist.Normal(w * x, 1.0), obs=y)

def guide(x, y=None):
    numpyro.sample("w", dist.Normal(numpyro.param("at", 0.0), 0.5))

x, y = np.array([1.0, 2.0, 3.0]), np.array([0.5, -0.25, 1.0])
small = {"recipe": "plain", "steps": 100, "restarts": 1, "draws": 200, "reference": "none"}
guides = [guide, lambda x, y=None: numpyro.sample("w", dist.Normal(numpyro.param("at", 0.0), 0.4))]
for name, options in {"alone": {}, "jobs": {"jobs": 2}}.items():
    gb.compare(tiny, x, y=y, guides=guides, **small, **options).save(name)
print("once")
"""

FEW = ("--recipe", "plain", "--steps", "100", "--restarts", "1", "--draws", "200", "--reference", "none", "-q")


@pytest.fixture
def folder(tmp_path: Path, forgotten_modules: None) -> Path:
    for name, text in {"own.py": OWN, "guides.py": GUIDES, "plugin.py": PLUGIN, "beside.py": "SCALE = 1.5\n"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "data.csv").write_text("x,y\n1,0.5\n2,-0.25\n3,1.0\n")
    return tmp_path


def test_a_file_is_named_with_what_it_says(folder: Path) -> None:
    packed = pack(load_object(f"{folder / 'own.py'}:tiny"))
    assert {Path(one.file).name for one in packed.places} == {"own.py"}
    assert b"SCALE" not in packed.data  # the file travels by its name
    assert unpack(packed) is load_object(f"{folder / 'own.py'}:tiny")


def test_another_process_imports_the_same_file_or_says_so(folder: Path) -> None:
    file = folder / "own.py"
    packed = pack(load_object(f"{file}:tiny"))

    def elsewhere() -> Any:
        """Unpack as a process does that has not imported the file."""
        for place in packed.places:
            sys.modules.pop(place.module, None)
        return unpack(packed)

    assert elsewhere().__name__ == "tiny"
    file.write_text(OWN + "# another\n")
    changed = rf"^{re.escape(str(file))} has changed since the run began, or is another file where the task ran$"
    with pytest.raises(TravelError, match=changed):
        elsewhere()
    file.unlink()
    with pytest.raises(TravelError, match=rf"^{re.escape(str(file))} cannot be imported by the process"):
        elsewhere()


def test_so_it_does_with_a_module_beside_it(folder: Path) -> None:
    (folder / "beside.py").write_text("SCALE = 1.5\n\ndef half(x):\n    return x / 2\n")
    (folder / "own.py").write_text(OWN.replace("SCALE\n", "SCALE, half\n", 1))
    packed = pack(load_object(f"{folder / 'own.py'}:half"))
    assert [Path(one.file).name for one in packed.places] == ["beside.py"]
    del sys.modules["beside"]
    assert unpack(packed)(1.0) == 0.5
    del sys.modules["beside"]
    (folder / "beside.py").write_text("def half(x):\n    return x / 3\n")
    _said.clear()  # which another process begins with nothing of
    with pytest.raises(TravelError, match=r"beside\.py has changed since the run began"):
        unpack(packed)


def test_what_is_in_no_module_travels_by_value() -> None:
    half = 0.5
    packed = pack({"f": lambda x: x * half})
    assert unpack(packed)["f"](4.0) == 2.0
    with pytest.raises(TravelError, match=r"^it cannot be sent to another process: TypeError: cannot pickle"):
        pack(threading.Lock())


def test_arrays_keep_their_precision_and_keys_their_kind() -> None:
    with precision.double():
        sent: dict[str, Any] = {"double": jnp.array([0.1]), "whole": jnp.arange(2), "weak": jnp.asarray(0.1)}
        sent["key"] = jax.random.key(3)
    sent["single"] = jnp.asarray([0.1], np.float32)
    packed, found = pack(sent), []
    thread = threading.Thread(target=lambda: found.append(unpack(packed)))  # which has no float64 of its own
    thread.start()
    thread.join()
    (got,) = found
    for name, value in sent.items():
        assert got[name].dtype == value.dtype
    for name in ("double", "whole", "weak", "single"):
        assert np.array_equal(got[name], sent[name])
        assert got[name].weak_type == sent[name].weak_type
    assert np.array_equal(jax.random.key_data(got["key"]), jax.random.key_data(sent["key"]))


@pytest.mark.slow
@pytest.mark.parametrize("where", [("--jobs", "2"), ("--dask", "local:2")])
def test_files_of_the_users_go_to_workers(folder: Path, python: Python, where: tuple[str, str]) -> None:
    guides = ("-g", "guides.py:narrow:scale=0.25", "-g", "brought", "-g", "guides.py:narrow")
    command = ("-m", "guidebench", "run", "own.py:tiny", "--data", "data.csv", "--plugin", "plugin.py", *guides, *FEW)
    found = []
    for out, options in {"alone": (), "there": where}.items():
        ended = python(*command, *options, "--out", out, cwd=folder)
        assert (ended.returncode, ended.stderr) == (0, "")
        found.append((folder / out / "tiny" / "metrics.csv").read_text())
    assert found[0] == found[1]
    assert "brought,scale,,1.5," in found[0]


@pytest.mark.slow
def test_a_script_is_not_run_again(tmp_path: Path, python: Python) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    ended = python("script.py", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "once\n"), ended.stderr
    found = load(tmp_path / "jobs")
    assert [fit.status.has_draws for fit in found] == [True, True]
    assert (tmp_path / "jobs" / "metrics.csv").read_text() == (tmp_path / "alone" / "metrics.csv").read_text()
