"""Results are written whole or not at all, read back as they were, and stay inside their folder."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import xarray as xr

from guidebench.api import Comparison, Fit, load
from guidebench.config.errors import DiskFullError, ResultsError
from guidebench.contracts import MetricValue
from guidebench.plugins.isolation.failures import Failure
from guidebench.results import (
    Chaining,
    Finding,
    ModeRecord,
    ProblemRecord,
    Restart,
    Status,
    Verdict,
    asjson,
    files,
    inference_data,
    records,
    store,
)
from tests import made

INF, NAN = math.inf, math.nan


def draws(shift: float = 0.0) -> inference_data.InferenceData:
    values = np.linspace(0, 1, 12).reshape(1, 12) + shift
    groups = {"posterior": values, "refreshed": 2 * values[:, :5]}
    return inference_data.from_groups(
        {name: xr.Dataset({"w": (("chain", "draw"), one)}) for name, one in groups.items()}
    )


def fit(guide: str, *, problem: str = "line", **parts: Any) -> Fit:
    return made.fit(guide, problem=problem, **parts)


FULL = fit(
    "flow:rank=3",
    reason="Within 0.01 nat.",
    message="1 of 2 starts diverged",
    summary="A flow",
    cite="Somebody (2020)",
    options={"rank": 3, "width": None, "link": "relu", "exact": False, "scale": 0.1},
    steps=400,
    restarts=(
        Restart(index=0, status=Status.CONVERGED, loss=23.25, elbo=-23.0, elbo_mcse=0.01),
        Restart(index=1, status=Status.DIVERGED, loss=NAN, skipped=7),
    ),
    best=0,
    verdict=Verdict.REFRESH,
    sites={"w": Verdict.TRUST, "b é": Verdict.REFRESH},
    evidence=(
        Finding(source="chains", raw=False, refreshed=True, said="An sd is off.", numbers={"sd": 0.3, "khat": INF}),
        Finding(source="reference", said="There is no reference."),
    ),
    chains=Chaining(settled=True, chains=256, transitions=60, gradients=90_000, acceptance=0.8, drift=0.01),
    metrics=(
        MetricValue(value=-23.1, mcse=0.1 + 0.2, metric="elbo"),
        MetricValue(value=INF, metric="khat"),
        MetricValue(value=-INF, variable="w[0,1]", metric="elpd"),
        MetricValue(value=NAN, variable="w é", metric="sd"),
        MetricValue(value=5e-324, metric="mean"),
    ),
    compile_s=1.5,
    train_s=0.25,
    evaluate_s=1e-9,
    inference_data=draws(),
)
FAILED = fit(
    "broken",
    status=Status.FAILED,
    verdict=Verdict.FAILED,
    message="train: ValueError: no\n“é”",
    failures=(
        Failure(
            plugin="point", distribution="acme", phase="train", name="broken", message="ValueError: é", traceback="T\n"
        ),
    ),
)

COMPARISON = Comparison(
    name="line",
    problems=(
        ProblemRecord(
            name="line",
            summary="A line",
            latents=("w", "b"),
            observed=("y",),
            truth={"w": 0.5, "b": [1.0, [2.0]], "float": 2.0},
            noise_sd={"y": [1.0, INF]},
            log_evidence=-22.9,
            predictor="x",
            heldout_size=7,
            notes=("One.", "Two."),
            features={"dimension": 2.0, "condition": INF},
            modes=(ModeRecord(share=0.9, values={"w": 0.5}), ModeRecord(share=0.1, values={"w": -INF})),
        ),
        ProblemRecord(name="float", truth={"float": 1.0}),
    ),
    fits=(FULL, FAILED),
    recipe="Recipe default.",
    config={"steps": None, "guides": ["flow:rank=3"], "seed": 2**70},
    environment={"jax": "0.10", "x64": False},
    interrupted=True,
    failures=(Failure(plugin="lost", distribution="acme-lost", phase="import", message="ImportError: no libfoo"),),
)


def text_of(comparison: Comparison) -> str:
    fits = tuple(replace(one, inference_data=None) for one in comparison)
    return repr(asdict(replace(comparison, fits=fits, references={})))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def rewrite(folder: Path, raw: Any) -> None:
    """Write results as somebody does who changes them on purpose: without their digest."""
    text = json.dumps({name: value for name, value in raw.items() if name != "digest"})
    (folder / "results.json").write_text(text, encoding="utf-8")


def strict(folder: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((folder / "results.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    assert COMPARISON.save(tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    loaded = load(tmp_path / "new" / "folder")

    # NaN differs from itself, its text does not.
    assert text_of(loaded) == text_of(COMPARISON)
    assert loaded["broken"] == FAILED
    assert loaded["broken"].traceback == "T\n"
    assert loaded["broken"].inference_data is None
    for name in ("posterior", "refreshed"):
        group = inference_data.group(loaded["flow:rank=3"].inference_data, name)
        assert group is not None
        xr.testing.assert_identical(group, inference_data.group(FULL.inference_data, name))
    assert (loaded["flow:rank=3"].evidence, loaded["flow:rank=3"].chains) == (FULL.evidence, FULL.chains)
    assert loaded["flow:rank=3"].sites == FULL.sites


def parts_of(hint: Any) -> Iterator[type]:
    """Yield every dataclass that a value of a type can hold."""
    if is_dataclass(hint):
        assert isinstance(hint, type)
        yield hint
        for one in get_type_hints(hint, localns={"InferenceData": object}).values():
            yield from parts_of(one)
    for one in get_args(hint):
        yield from parts_of(one)


def test_every_record_in_a_comparison_is_written_field_by_field() -> None:
    assert set(parts_of(records.Comparison)) | {Comparison} == {*asjson._RECORDS, Comparison}


def test_a_metric_without_a_name_is_refused_with_the_file(tmp_path: Path) -> None:
    COMPARISON.save(tmp_path)
    raw = strict(tmp_path)
    raw["fits"][0]["metrics"][0]["metric"] = ""
    rewrite(tmp_path, raw)
    with pytest.raises(
        ResultsError, match=r"results\.json does not hold a comparison \(.*metric name '' is not allowed"
    ):
        store.load(tmp_path)


def test_results_from_before_verdicts_had_evidence_are_loaded(tmp_path: Path) -> None:
    COMPARISON.save(tmp_path)
    raw = strict(tmp_path)
    for one in raw["fits"]:
        for name in ("sites", "evidence", "chains"):
            del one[name]
    rewrite(tmp_path, raw)
    fit = store.load(tmp_path)["flow:rank=3"]
    assert (fit.verdict, fit.evidence, fit.chains, fit.sites) == (Verdict.REFRESH, (), None, {})


def test_results_from_before_failures_had_a_record_are_loaded(tmp_path: Path) -> None:
    COMPARISON.save(tmp_path)
    raw = strict(tmp_path)
    del raw["failures"]
    for one, traceback in zip(raw["fits"], ("", "T\n"), strict=True):
        del one["failures"]
        one["traceback"] = traceback
    rewrite(tmp_path, raw)
    loaded = store.load(tmp_path)
    assert loaded.failures == ()
    assert loaded["flow:rank=3"].failures == ()
    (failure,) = loaded["broken"].failures
    assert (failure.distribution, failure.phase, failure.traceback) == ("acme", "train", "T\n")
    assert failure.message == "ValueError: no\n“é”"


def test_failures_of_sections_replace_those_of_the_report_before(tmp_path: Path) -> None:
    COMPARISON.save(tmp_path)
    before = strict(tmp_path)
    bad = Failure(plugin="p", distribution="d", phase="section", name="ranks", message="ValueError: no", traceback="T")
    for failures in ([bad, replace(bad, name="other")], [bad]):
        store.record(tmp_path, failures)
        assert store.load(tmp_path).failures == (*COMPARISON.failures, *failures)
    store.record(tmp_path, [])
    assert strict(tmp_path) == before


def test_the_json_is_strict_and_says_its_schema(tmp_path: Path) -> None:
    COMPARISON.save(tmp_path)
    raw = strict(tmp_path)
    assert raw["schema"] == store.SCHEMA == 1
    assert raw["fits"][0]["metrics"][1] == {"value": {"float": "inf"}, "mcse": None, "variable": "", "metric": "khat"}
    assert raw["fits"][1]["status"] == "failed"


@pytest.mark.parametrize("value", [NAN, INF, -INF, -0.0, 1e308, 1 / 3], ids=repr)
@pytest.mark.parametrize("kind", [float, np.float64, np.asarray], ids=lambda kind: kind.__name__)
def test_every_number_survives(tmp_path: Path, kind: Callable[[float], Any], value: float) -> None:
    metrics = (MetricValue(value=kind(value), metric="m"),)
    replace(COMPARISON, fits=(fit("g", metrics=metrics),)).save(tmp_path)
    strict(tmp_path)
    found = store.load(tmp_path)["g"].value("m")
    assert isinstance(found, float)
    assert repr(found) == repr(float(value))


def test_an_empty_cell_leaves_counts_whole(tmp_path: Path) -> None:
    COMPARISON.save(tmp_path)
    header, full, failed = (tmp_path / "summary.csv").read_text(encoding="utf-8").splitlines()[:3]
    rows = [dict(zip(header.split(","), row.split(","), strict=False)) for row in (full, failed)]
    assert rows[0]["steps"] == "400"
    assert rows[0]["restarts"] == "2"
    assert rows[0]["khat"] == "inf"
    assert rows[0]["crps"] == ""


# A folder that is used again


def test_files_of_an_earlier_comparison_go_and_those_of_others_stay(tmp_path: Path) -> None:
    old = (fit("old", inference_data=draws()), fit("kept", inference_data=draws()))
    replace(COMPARISON, fits=old).save(tmp_path)
    foreign = {
        "notes.txt": b"mine",
        "figures/mine.png": b"mine",
        "inference_data/line/reference.nc": b"mine",
        "inference_data/line/old.csv": b"mine",
        "inference_data/other/old.nc": b"mine",
    }
    for name, content in foreign.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)

    replace(COMPARISON, fits=(fit("kept", inference_data=draws(1.0)), fit("new", inference_data=draws()))).save(
        tmp_path
    )

    found = contents(tmp_path)
    assert {name: found[name] for name in foreign} == foreign
    own = {"results.json", "summary.csv", "metrics.csv", "inference_data/line/kept.nc", "inference_data/line/new.nc"}
    assert found.keys() - foreign.keys() == own | {"posterior/line.nc"}
    posterior = inference_data.group(store.load(tmp_path)["kept"].inference_data, "posterior")
    assert posterior is not None
    assert posterior["w"].min() == 1.0


@pytest.mark.parametrize("text", ["", "{", '{"schema": 99}', '{"schema": 1}', '{"schema": 1, "fits": [7]}'])
def test_a_folder_with_unreadable_results_can_be_used_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    COMPARISON.save(tmp_path)
    assert store.load(tmp_path).name == "line"


@pytest.mark.parametrize("part", ["two.nc", "metrics.csv", "results.json"])
@pytest.mark.parametrize("at", ["half", "move"])
def test_a_failed_write_leaves_the_earlier_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, at: str
) -> None:
    before = replace(COMPARISON, fits=tuple(fit(guide, inference_data=draws()) for guide in ("one", "two")))
    before.save(tmp_path)
    earlier = contents(tmp_path)
    write, move = os.fsync, Path.replace

    def full(opened: int) -> None:
        if f".{part}." in str(Path(f"/proc/self/fd/{opened}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(opened)

    def refused(self: Path, target: Path) -> Path:
        if Path(target).name == part:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        return move(self, target)

    if at == "half":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(DiskFullError, match=rf"{part} cannot be written: .*what was there before is there still"):
        replace(before, name="other", fits=tuple(fit(one, inference_data=draws(1.0)) for one in ("one", "two"))).save(
            tmp_path
        )
    monkeypatch.undo()
    assert contents(tmp_path) == earlier
    assert store.load(tmp_path).name == "line"


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("at", range(7))
def test_whoever_is_killed_while_saving_leaves_old_results_or_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Of the files that take their place the process ends after each, with nothing put in order."""
    old = replace(
        COMPARISON, name="old", fits=(fit("one", inference_data=draws()), fit("gone", inference_data=draws()))
    )
    new = replace(old, name="new", fits=(fit("one", inference_data=draws(1.0)), fit("more", inference_data=draws(2.0))))
    new.save(tmp_path / "new")
    expected = contents(tmp_path / "new")
    folder = tmp_path / "folder"
    old.save(folder)
    earlier, done = contents(folder), 0
    move = Path.replace

    def counted(self: Path, target: Path) -> Path:
        nonlocal done
        if Path(target).parent.name != ".saving" and ".partial" not in self.name:
            done += 1
            if done > at:
                raise Killed
        return move(self, target)

    monkeypatch.setattr(Path, "replace", counted)
    if at < 6:
        with pytest.raises(Killed):
            new.save(folder)
    else:
        new.save(folder)
    monkeypatch.undo()
    assert done == min(at + 1, 6)
    assert store.load(folder).name == "new"
    assert contents(folder) == expected
    assert earlier.keys() != expected.keys()


def test_what_was_not_complete_is_removed(tmp_path: Path) -> None:
    COMPARISON.save(tmp_path)
    before = contents(tmp_path)
    for name in ("inference_data/line/x.nc", "results.json"):
        (tmp_path / ".saving" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ".saving" / name).write_bytes(b"half")
    assert store.load(tmp_path).name == "line"
    assert contents(tmp_path) == before


def test_a_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "deep" / "file.txt"
    files.put(target, b"old")

    def end(opened: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", end)
    with pytest.raises(KeyboardInterrupt):
        files.put(target, b"new")
    assert contents(tmp_path) == {"deep/file.txt": b"old"}


# Names that are no file names

HOSTILE = [
    "",
    "\ud800",
    "x" * 300,
    "../../x",
    "..",
    ".",
    "/etc/x",
    "a b",
    "a/b",
    "a\\b",
    "C:x",
    "é",
    ".hidden",
    "%2E",
    "~",
    "a\0b",
    "x\n",
]


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_name_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "inside"
    (tmp_path / "x.nc").write_bytes(b"mine")
    chosen = (fit(name, problem=name, inference_data=draws()), fit("plain", inference_data=draws()))
    replace(COMPARISON, fits=chosen).save(folder)

    assert {str(path.relative_to(tmp_path)) for path in tmp_path.iterdir()} == {"inside", "x.nc"}
    saved = [path for path in (folder / "inference_data").rglob("*.nc") if path.parent.name != "line"]
    assert len(saved) == 1
    assert saved[0].parent.parent == folder / "inference_data"
    for part in (saved[0].name, saved[0].parent.name):
        assert part.isascii()
        assert part.isprintable()
        assert not part.startswith(".")
        assert not set(part) & set('<>:"/\\|?* ')
    loaded = store.load(folder)
    assert loaded[name].problem == name
    assert loaded[name].inference_data is not None


def test_different_names_have_different_files(tmp_path: Path) -> None:
    names = [*HOSTILE, "a", "A", "a%2Fb", "%2E.", "flow:rank=3", "flow=rank:3", "a b,c=d"]
    assert len({store.draws_path(tmp_path, "line", name) for name in names}) == len(names)
    assert len({store.draws_path(tmp_path, name, "flow") for name in names}) == len(names)


def test_a_hostile_results_file_removes_nothing_outside(tmp_path: Path) -> None:
    (tmp_path / "x.nc").write_bytes(b"mine")
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "x.nc").write_bytes(b"mine")
    entries = [{"problem": problem, "guide": guide} for problem in ("..", "../..") for guide in ("x", "../x")]
    (folder / "results.json").write_text(json.dumps({"schema": 1, "fits": entries}))
    replace(COMPARISON, fits=()).save(folder)
    assert (tmp_path / "x.nc").read_bytes() == (folder / "x.nc").read_bytes() == b"mine"


def test_results_without_features_are_read(tmp_path: Path) -> None:
    COMPARISON.save(tmp_path)
    raw = strict(tmp_path)
    for problem in raw["problems"]:
        del problem["features"]  # as they were saved before there were any
    rewrite(tmp_path, raw)
    assert store.load(tmp_path).problems[0].features == {}
