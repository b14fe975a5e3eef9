"""The same numbers to the bit, whatever runs the fits; and whatever runs them says how far it is."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import guidebench as gb
from guidebench.engine.progress import Silent
from tests.executors.conftest import Notes, numbers

Python = Callable[..., CompletedProcess[str]]

MODELS = Path(__file__).parent.parent / "models"


class Heard(Silent):
    """What a run says, and in which order."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def phase(self, problem: str, guide: str, phase: str) -> None:
        self.said.append((guide, phase))

    def steps(self, problem: str, guide: str, done: int, total: int, loss: float) -> None:
        self.said.append((guide, done, total))

    def finish(self, fit: gb.Fit, *, kept: bool = False) -> None:
        self.said.append((fit.guide, "finished"))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    found = Heard()

    @contextmanager
    def watch(shown: bool | None) -> Iterator[Heard]:
        yield found

    monkeypatch.setattr("guidebench.api.comparing.watch", watch)
    return found


@pytest.fixture
def alone(notes: Notes, tmp_path: Path) -> list[str]:
    """What a run in this process finds."""
    return numbers(notes.compared("first", "second"), tmp_path / "alone")


def test_worker_processes_and_threads_find_the_same_bits(
    alone: list[str], notes: Notes, tmp_path: Path, heard: Heard
) -> None:
    assert numbers(notes.compared("first", "second", jobs=2), tmp_path / "jobs") == alone
    for guide in ("first", "second"):
        said = [rest for name, *rest in heard.said if name == guide]
        assert said.index(["training"]) < said.index([100, 100]) < said.index(["drawing"]) < said.index(["finished"])
    with ThreadPoolExecutor(2) as executor:
        assert numbers(notes.compared("first", "second", executor=executor), tmp_path / "threads") == alone
        assert executor.submit(os.getpid).result() == os.getpid()  # it is left as it was
    assert notes.trained() == {"first": 3, "second": 3}


@pytest.mark.slow
def test_executors_of_others_find_the_same_bits(alone: list[str], notes: Notes, tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        assert numbers(notes.compared("first", "second", executor=executor), tmp_path / "processes") == alone
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        assert numbers(notes.compared("first", "second", executor=client), tmp_path / "dask") == alone
        assert client.submit(int, 1).result() == 1  # it is left as it was


@pytest.mark.slow
def test_so_do_they_in_float64(notes: Notes, tmp_path: Path) -> None:
    alone = numbers(notes.compared("first", "auto_normal", x64=True, recipe="default"), tmp_path / "alone")
    jobs = numbers(notes.compared("first", "auto_normal", x64=True, recipe="default", jobs=2), tmp_path / "jobs")
    assert jobs == alone
    with ThreadPoolExecutor(2) as executor:
        threads = notes.compared("first", "auto_normal", x64=True, recipe="default", executor=executor)
    assert numbers(threads, tmp_path / "threads") == alone


def test_one_of_them_is_enough() -> None:
    with ThreadPoolExecutor(1) as executor:
        for other in ({"jobs": 2}, {"dask": "local:2"}):
            (name,) = other
            with pytest.raises(gb.RequestError, match=rf"^executor: there is one already, so {name} cannot be given$"):
                gb.compare("eight-schools", executor=executor, **other)
    with pytest.raises(gb.RequestError, match=r"^executor: should be a distributed\.Client or one .*, not int$"):
        gb.compare("eight-schools", executor=2)


SMALL = ("--steps", "200", "--restarts", "1", "--draws", "200", "-g", "auto_normal", "-g", "auto_delta", "-q")

RADON = (
    str(MODELS / "hierarchical.py:radon"),
    *("--data", str(MODELS / "radon.csv"), "--minibatch", "batch_size=50"),
)

#: Runs by what they are called.
RUNS = {
    "default": (),
    "eight-schools": ("eight-schools",),
    "two-modes": ("two-modes",),
    "minibatches": RADON,
    "simulations": ("eight-schools", "--simulations", "32"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_runs_of_every_kind_find_the_same_bits(python: Python, tmp_path: Path, name: str) -> None:
    found = {}
    for folder, options in {"alone": (), "jobs": ("--jobs", "2"), "dask": ("--dask", "local:2")}.items():
        (tmp_path / folder).mkdir()
        given = ("-m", "guidebench", "run", *RUNS[name], *SMALL, *options, "--out", folder)
        ended = python(*given, cwd=tmp_path)
        assert ended.returncode in (0, 1), ended.stderr
        (results,) = (tmp_path / folder).iterdir()
        found[folder] = (results / "metrics.csv").read_bytes()
        assert not ended.stderr
    assert found["jobs"] == found["alone"]
    assert found["dask"] == found["alone"]
