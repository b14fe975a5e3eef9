"""What a run keeps is found again by the next one whole and unchanged, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from guidebench.config import make_config
from guidebench.config.errors import DiskFullError, RequestError, ResultsError
from guidebench.contracts import Guide, Problem
from guidebench.engine import tasks
from guidebench.engine.fit.case import Case, blank
from guidebench.engine.gate import Reference
from guidebench.engine.progress import Silent
from guidebench.engine.references import Referenced
from guidebench.engine.request import Request
from guidebench.engine.run import compare
from guidebench.engine.workbench import Workbenches
from guidebench.plugins.isolation.failures import LOCAL, Failure
from guidebench.plugins.registry import Registered, Registry
from guidebench.request.selection import ChosenGuide
from guidebench.results import Comparison, Fit, ProblemRecord, Status, Verdict, files, inference_data, store
from guidebench.results.kept import Kept, clear
from tests import made

KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder of results with no other beside it, where fits are looked for as well."""
    folder = tmp_path / "reports" / "line"
    folder.mkdir(parents=True)
    return folder


def draws(shift: float = 0.0) -> inference_data.InferenceData:
    values = np.linspace(0, 1, 12).reshape(1, 12) + shift
    return inference_data.from_groups({"posterior": xr.Dataset({"w": (("chain", "draw"), values)})})


FIT: Fit = made.fit(
    "flow:rank=3",
    {"elbo": (0.1 + 0.2, float("inf"))},
    kind=Fit,
    problem="line",
    options={"rank": 3},
    train_s=1.5,
    inference_data=draws(),
)
RECORD = ProblemRecord(name="line", latents=("w",), reference="NUTS", notes=("One.",))


def posterior(found: Any) -> xr.Dataset:
    group = inference_data.group(found, "posterior")
    assert group is not None
    return group


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def names(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_a_fit_is_found_again_as_it_was(tmp_path: Path) -> None:
    Kept(tmp_path).keep_fit(KEY, FIT)
    found = Kept(tmp_path).fit(KEY)
    assert found == FIT
    xr.testing.assert_identical(posterior(found.inference_data), posterior(FIT.inference_data))
    assert Kept(tmp_path).fit(OTHER) is None


def test_a_fit_without_draws_is_found_again(tmp_path: Path) -> None:
    diverged = replace(FIT, status=Status.DIVERGED, inference_data=None)
    Kept(tmp_path).keep_fit(KEY, diverged)
    assert Kept(tmp_path).fit(KEY) == diverged


def test_a_problem_is_found_again_with_its_reference(tmp_path: Path) -> None:
    Kept(tmp_path).keep_problem(KEY, (RECORD, draws(1.0)))
    found = Kept(tmp_path).problem(KEY)
    assert found is not None
    assert found[0] == RECORD
    xr.testing.assert_identical(posterior(found[1]), posterior(draws(1.0)))


def test_the_results_take_the_draws_over(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep_fit(KEY, FIT)
    kept.keep_problem(OTHER, (RECORD, draws(1.0)))
    comparison = Comparison(name="line", problems=(RECORD,), fits=(FIT,), references={"line": draws(1.0)})
    store.save(comparison, tmp_path, kept=kept.placed)
    kept.tidy()
    assert {name for name in names(tmp_path) if name.endswith(".nc")} == {
        "inference_data/line/flow%3Arank=3.nc",
        "inference_data/line/reference.nc",
    }
    assert store.load(tmp_path)["flow:rank=3"] == FIT
    again = Kept(tmp_path)
    assert again.fit(KEY) == FIT
    assert again.problem(OTHER) is not None
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nc")}
    store.save(comparison, tmp_path, kept=again.placed)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nc")} == before


def test_a_finished_run_forgets_the_fits_of_others(tmp_path: Path) -> None:
    Kept(tmp_path).keep_fit(OTHER, replace(FIT, guide="old"))
    kept = Kept(tmp_path)
    kept.keep_fit(KEY, FIT)
    store.save(Comparison(name="line", problems=(RECORD,), fits=(FIT,)), tmp_path, kept=kept.placed)
    kept.tidy()
    assert names(tmp_path / ".fits") == {f"{KEY}.json"}


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep_fit(KEY, FIT)
    before = contents(tmp_path)
    for name in (
        ".fits/.x.nc.1.partial",
        "inference_data/p/.x.nc.1.partial",
        ".report-abc/report.html",
        ".saving/x.nc",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("half")
    clear(tmp_path)
    assert contents(tmp_path) == before
    assert Kept(tmp_path).fit(KEY) == FIT


def spoil_cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def spoil_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.parametrize("spoil", [spoil_cut, spoil_bit, Path.unlink, lambda file: file.write_bytes(b"")])
@pytest.mark.parametrize("suffix", ["nc", "json"])
def test_what_was_spoilt_is_not_found(tmp_path: Path, spoil: Callable[[Path], object], suffix: str) -> None:
    Kept(tmp_path).keep_fit(KEY, FIT)
    spoil(tmp_path / ".fits" / f"{KEY}.{suffix}")
    assert Kept(tmp_path).fit(KEY) is None


def test_draws_of_another_run_in_their_place_are_not_taken(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep_fit(KEY, FIT)
    comparison = Comparison(name="line", problems=(RECORD,), fits=(FIT,))
    store.save(comparison, tmp_path, kept=kept.placed)
    kept.tidy()
    store.save(replace(comparison, fits=(replace(FIT, inference_data=draws(2.0)),)), tmp_path)
    assert Kept(tmp_path).fit(KEY) is None


def test_draws_that_went_away_meanwhile_are_written(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep_fit(KEY, FIT)
    for file in (tmp_path / ".fits").iterdir():
        file.unlink()
    store.save(Comparison(name="line", problems=(RECORD,), fits=(FIT,)), tmp_path, kept=kept.placed)
    assert store.load(tmp_path)["flow:rank=3"] == FIT


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Kept(tmp_path / "file")
    kept.keep_fit(KEY, FIT)
    assert kept.placed("line", "flow:rank=3") is None


def test_fresh_finds_nothing_and_forgets_all_once_there_is_a_fit(tmp_path: Path) -> None:
    Kept(tmp_path).keep_fit(OTHER, FIT)
    kept = Kept(tmp_path, fresh=True)
    assert kept.fit(OTHER) is None
    assert Kept(tmp_path).fit(OTHER) == FIT
    kept.keep_fit(KEY, FIT)
    assert Kept(tmp_path).fit(OTHER) is None
    assert Kept(tmp_path).fit(KEY) == FIT


def test_an_interrupted_folder_says_what_to_do(tmp_path: Path) -> None:
    Kept(tmp_path).keep_fit(KEY, FIT)
    with pytest.raises(ResultsError, match=r"fits of a run that was interrupted: start it again with the same command"):
        store.load(tmp_path)


# The engine, with fits that cost nothing


def model(y: Any = None) -> None: ...


def build(model: Any, *, rank: int = 1) -> Any: ...


def problem(name: str) -> Problem:
    return Problem(name=name, model=model, kwargs={"y": np.zeros(3)})


def guide(name: str) -> ChosenGuide:
    return ChosenGuide(registered=Registered(Guide(name=name, build=build), "acme", LOCAL), label=name)


def asked(problems: str, *guides: ChosenGuide, **options: Any) -> Request:
    return Request(
        name="name",
        problems=tuple(problem(name) for name in problems.split()),
        guides=guides,
        config=make_config(options),
        registry=Registry(),
    )


class Runs:
    """Runs the engine and counts what it trains; `outcome` is asked for every fit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[str] = []
        self.prepared: list[str] = []
        self.told: list[tuple[str, bool]] = []
        self.outcome: Callable[[str, str], dict[str, Any]] = lambda problem, guide: {}

    def fit(self, case: Case) -> Fit:
        name, guide = case.prepared.record.name, case.guide
        self.calls.append(f"{name}/{guide.label}")
        parts = {"status": Status.CONVERGED, "verdict": Verdict.TRUST, "inference_data": draws(len(guide.label))}
        return replace(blank(name, guide), **{**parts, **self.outcome(name, guide.label)})

    def prepare(self, problem: Problem, *_: object) -> Any:
        self.prepared.append(problem.name)
        record = ProblemRecord(name=problem.name)
        return SimpleNamespace(problem=SimpleNamespace(record=record, token=problem.name, observed={}), target=None)

    def __call__(self, problems: str, guides: str, *, fresh: bool = False, **options: Any) -> Comparison:
        self.calls.clear()
        self.prepared.clear()
        self.told.clear()
        told = self.told

        class Watcher(Silent):
            def finish(self, fit: Fit, *, kept: bool = False) -> None:
                told.append((fit.guide, kept))

        kept = Kept(self.folder, fresh=fresh)
        chosen = [guide(name) for name in guides.split()]
        comparison = compare(asked(problems, *chosen, **options), progress=Watcher(), keep=kept)
        store.save(comparison, self.folder, kept=kept.placed)
        if not comparison.interrupted:
            kept.tidy()
        return comparison


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    found = Runs(tmp_path)
    monkeypatch.setattr(tasks, "prepare", found.prepare)
    monkeypatch.setattr(tasks, "find_reference", lambda *_: Referenced(Reference(), {}))
    monkeypatch.setattr(tasks, "fit_guide", found.fit)
    monkeypatch.setattr(tasks, "WORKBENCHES", Workbenches())
    return found


def test_the_same_again_trains_nothing_and_prepares_nothing(runs: Runs) -> None:
    first = runs("p q", "a b")
    assert runs.calls == ["p/a", "p/b", "q/a", "q/b"]
    again = runs("p q", "a b")
    assert (runs.calls, runs.prepared) == ([], [])
    assert (first.kept, again.kept) == (0, 4)
    assert again.fits == first.fits
    assert again.problems == first.problems
    assert store.load(runs.folder).kept == 4


def test_another_guide_or_problem_trains_only_that(runs: Runs) -> None:
    runs("p q", "a")
    more = runs("p q", "a b")
    assert runs.calls == ["p/b", "q/b"]
    assert [(fit.problem, fit.guide) for fit in more] == [("p", "a"), ("p", "b"), ("q", "a"), ("q", "b")]
    runs("p q r", "a b")
    assert (runs.calls, runs.prepared) == (["r/a", "r/b"], ["r"])
    fewer = runs("r", "b")
    assert runs.calls == []
    assert [(fit.problem, fit.guide) for fit in fewer] == [("r", "b")]
    assert {file.name for file in runs.folder.rglob("*.nc")} == {"b.nc"}


def test_a_run_of_more_problems_finds_the_fits_beside_it(runs: Runs) -> None:
    out = runs.folder
    runs.folder = out / "p"
    runs("p", "a b")
    first = contents(out / "p")
    runs.folder = out / "2-problems"
    more = runs("p q", "a b")
    assert (runs.calls, more.kept) == (["q/a", "q/b"], 2)
    assert contents(out / "p") == first
    shutil.rmtree(out / "p")
    assert runs("p q", "a b").kept == 4
    assert store.load(out / "2-problems").fits == more.fits


def test_programs_of_many_problems_are_released_now_and_then(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[int] = []
    monkeypatch.setattr("guidebench.engine.workbench.release", lambda: released.append(len(runs.calls)))
    runs("p1 p2 p3 p4 p5 p6", "a")
    assert released == [5]
    runs("p1 p2 p3 p4 p5 p6", "a")
    assert released == [5]


def test_what_is_spoilt_here_may_be_whole_beside(runs: Runs) -> None:
    out = runs.folder
    for name in "12":
        runs.folder = out / name
        runs("p", "a")
    spoil_cut(next((out / "2").rglob("a.nc")))
    assert runs("p", "a").kept == 1
    assert runs.calls == []


def test_another_seed_trains_everything(runs: Runs) -> None:
    runs("p", "a b")
    assert runs("p", "a b", seed=1).kept == 0
    assert runs.calls == ["p/a", "p/b"]
    runs("p", "a b")
    assert runs.calls == ["p/a", "p/b"]


def test_fresh_trains_everything(runs: Runs) -> None:
    runs("p", "a b")
    assert runs("p", "a b", fresh=True).kept == 0
    assert runs.calls == ["p/a", "p/b"]
    assert runs("p", "a b").kept == 2


BROKEN = (Failure(plugin="acme", distribution="local", phase="metric", name="m", message="ValueError: no"),)


@pytest.mark.parametrize(
    ("outcome", "tried_again"),
    [
        ({"status": Status.FAILED, "inference_data": None, "failures": BROKEN}, True),
        ({"failures": BROKEN}, True),
        ({"status": Status.DIVERGED, "inference_data": None, "failures": BROKEN}, False),
        ({"status": Status.UNSUPPORTED, "inference_data": None}, False),
        ({"status": Status.MAX_STEPS}, False),
    ],
)
def test_what_failed_is_tried_again(runs: Runs, outcome: dict[str, Any], tried_again: bool) -> None:
    runs.outcome = lambda problem, guide: outcome if guide == "a" else {}
    runs("p", "a b")
    runs("p", "a b")
    assert runs.calls == (["p/a"] if tried_again else [])


def interrupt(at: str) -> Callable[[str, str], dict[str, Any]]:
    def outcome(problem: str, guide: str) -> dict[str, Any]:
        if f"{problem}/{guide}" == at:
            raise KeyboardInterrupt
        return {}

    return outcome


def test_after_ctrl_c_it_goes_on(runs: Runs) -> None:
    runs.outcome = interrupt("q/b")
    stopped = runs("p q r", "a b")
    assert stopped.interrupted
    assert [record.name for record in stopped.problems] == ["p", "q"]
    assert len(stopped) == 3
    runs.outcome = interrupt("r/a")
    again = runs("p q r", "a b")
    assert (runs.calls, again.interrupted, again.kept, len(again)) == (["q/b", "r/a"], True, 3, 4)
    assert runs.told == [("a", True), ("b", True), ("a", True), ("b", False)]
    runs.outcome = lambda problem, guide: {}
    assert runs("p q r", "a b").kept == 4
    assert runs.calls == ["r/a", "r/b"]


def test_ctrl_c_loses_no_fit_that_was_kept(runs: Runs) -> None:
    runs("p q", "a b")
    runs.outcome = interrupt("p/c")
    stopped = runs("p q", "c a b")
    assert [(fit.problem, fit.guide) for fit in stopped] == [("p", "a"), ("p", "b"), ("q", "a"), ("q", "b")]
    runs.outcome = lambda problem, guide: {}
    runs("p q", "c a b")
    assert runs.calls == ["p/c", "q/c"]


def test_a_run_that_is_killed_leaves_its_fits_and_no_results(runs: Runs) -> None:
    runs.outcome = lambda problem, guide: {} if guide == "a" else killed()

    def killed() -> Any:
        raise GeneratorExit  # passes every boundary, as the end of the process would

    with pytest.raises(GeneratorExit):
        runs("p", "a b")
    assert {Path(name).parts[0] for name in names(runs.folder)} == {".fits"}
    runs.outcome = lambda problem, guide: {}
    runs("p", "a b")
    assert runs.calls == ["p/b"]


def test_two_runs_into_one_folder_do_not_harm_each_other(runs: Runs) -> None:
    """One run ends while another, of other settings, is on its way."""
    others = replace(FIT, problem="p", guide="a", inference_data=draws(9.0))
    ended: list[str] = []

    def meanwhile(problem: str, guide: str) -> dict[str, Any]:
        if guide == "b" and not ended:
            ended.append(guide)
            kept = Kept(runs.folder)
            kept.keep_fit(KEY, others)
            comparison = Comparison(name="other", problems=(ProblemRecord(name="p"),), fits=(others,))
            store.save(comparison, runs.folder, kept=kept.placed)
            kept.tidy()
        return {}

    runs.outcome = meanwhile
    first = runs("p", "a b c")
    loaded = store.load(runs.folder)
    for fit in first:
        found = loaded["p", fit.guide]
        xr.testing.assert_identical(posterior(found.inference_data), posterior(fit.inference_data))


def test_wherever_the_disk_is_full_the_earlier_results_stay_and_the_same_run_goes_on(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at every single file that a run writes, from the first to the last."""
    runs("p", "a", seed=1)
    earlier = store.load(runs.folder)
    saved = Path(shutil.copytree(runs.folder, runs.folder.parent / ".saved"))
    sync, left = os.fsync, 0

    def full(opened: int) -> None:
        nonlocal left
        if stat.S_ISREG(os.fstat(opened).st_mode):
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        sync(opened)

    monkeypatch.setattr(os, "fsync", full)
    for room in range(6):
        left = room
        with pytest.raises(DiskFullError, match=r"^[^\n]+no space left on device[^\n]+Make room and[^\n]+$"):
            runs("p", "a", seed=2)
        found = store.load(runs.folder)
        assert (found.config["seed"], found.fits) == (1, earlier.fits)
        assert not [name for name in names(runs.folder) if "partial" in name or ".saving" in name]
        left = 100
        runs("p", "a", seed=2)
        assert store.load(runs.folder).config["seed"] == 2
        assert runs.calls == (["p/a"] if room < 2 else [])  # what was kept before is not trained again
        shutil.rmtree(runs.folder)
        shutil.copytree(saved, runs.folder)
    left = 6
    runs("p", "a", seed=2)


def test_what_was_kept_before_the_disk_was_full_is_not_trained_again(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, full = files.put, []

    def refuse(path: Path, content: bytes, **options: bool) -> str:
        if full:
            raise DiskFullError("full")
        return put(path, content, **options)

    monkeypatch.setattr("guidebench.results.kept.put", refuse)
    runs.outcome = lambda problem, guide: full.append(guide) or {} if guide == "b" else {}  # type: ignore[func-returns-value]
    with pytest.raises(DiskFullError):
        runs("p", "a b c")
    assert runs.calls == ["p/a", "p/b"]
    full.clear()
    runs.outcome = lambda problem, guide: {}
    runs("p", "a b c")
    assert runs.calls == ["p/b", "p/c"]


def test_a_reference_that_is_not_there_is_refused_before_anything(runs: Runs) -> None:
    with pytest.raises(RequestError, match=r"--reference none\.csv: there is no such file"):
        runs("p q", "a", reference="none.csv")
    assert (runs.prepared, names(runs.folder)) == ([], set())


def test_without_a_place_nothing_is_kept(runs: Runs) -> None:
    comparison = compare(asked("p", guide("a")))
    assert comparison.kept == 0
    assert names(runs.folder) == set()
