"""Nothing that was damaged is used with other content: a run makes it anew, and whoever reads results names it."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import xarray as xr

from guidebench.api import Comparison as Kind
from guidebench.api import diff
from guidebench.config.errors import GuidebenchError, ResultsError
from guidebench.config.sealed import DamagedError, sealed, unsealed
from guidebench.contracts import Section
from guidebench.plugins.isolation.failures import Failure
from guidebench.report import write
from guidebench.report.page import Block, Page
from guidebench.report.writer import files_of
from guidebench.results import (
    Chaining,
    Comparison,
    Finding,
    Fit,
    ProblemRecord,
    Restart,
    Status,
    Verdict,
    Work,
    inference_data,
    store,
)
from guidebench.results.kept import Kept
from guidebench.results.schema import check
from tests import made

FIT_KEY, PROBLEM_KEY = "a" * 64, "b" * 64


def draws(shift: float) -> inference_data.InferenceData:
    values = np.linspace(0, 1, 12).reshape(1, 12) + shift
    groups = {"posterior": values, "refreshed": 2 * values[:, :5]}
    return inference_data.from_groups(
        {name: xr.Dataset({"w": (("chain", "draw"), one)}, attrs={"source": "chains"}) for name, one in groups.items()}
    )


FIT = made.fit(
    "flow:rank=3",
    {"elbo": (-23.5, 0.125), "mean[w]": 1.5, "khat": float("inf")},
    kind=Fit,
    problem="line",
    options={"rank": 3, "link": "relu"},
    sites={"w": Verdict.TRUST},
    evidence=(Finding(source="chains", raw=True, said="Within 0.1 sd.", numbers={"sd": 0.03}),),
    chains=Chaining(settled=True, chains=256, gradients=90_000, acceptance=0.8),
    restarts=(Restart(index=0, status=Status.CONVERGED, loss=23.25, elbo=-23.0, elbo_mcse=0.01),),
    failures=(
        Failure(plugin="p", distribution="d", phase="metric", name="m", message="ValueError: no", traceback="T"),
    ),
    work={"training": Work(gradients=400, seconds=0.5)},
    rounds=(200, 200),
    train_s=0.25,
    inference_data=draws(0.0),
)
RECORD = ProblemRecord(
    name="line", latents=("w",), observed=("y",), reference="NUTS", truth={"w": [0.5, 1.0]}, notes=("One.",)
)


def drawn(page: Page) -> Block:
    fig, axes = page.panels(1, 1)
    axes[0].plot([0, 1])
    return Block("Words.", page.figure("line", fig, alt="A line"))


class Run(NamedTuple):
    """A folder as a run leaves it, and what it holds."""

    folder: Path
    content: dict[Path, bytes]

    def mend(self) -> None:
        for file, content in self.content.items():
            if not file.is_file() or file.read_bytes() != content:
                file.write_bytes(content)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("reports") / "line"
    kept = Kept(folder)
    kept.keep_fit(FIT_KEY, FIT)
    kept.keep_problem(PROBLEM_KEY, (RECORD, draws(1.0)))
    comparison = Comparison(
        name="line",
        problems=(RECORD,),
        fits=(FIT,),
        references={"line": draws(1.0)},
        config={"seed": 3, "guides": ["flow:rank=3"]},
        environment={"jax": "0.10", "x64": False},
    )
    store.save(comparison, folder, kept=kept.placed)
    kept.tidy()
    write(comparison, folder, sections=[Section(name="drawn", title="Drawn", build=drawn)])
    store.record(folder, [], files_of(folder))
    return Run(folder, {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()})


def told(comparison: Comparison) -> str:
    fits = tuple(replace(one, inference_data=None) for one in comparison)
    drawn = [one.inference_data for one in comparison] + list(comparison.references.values())
    groups = [inference_data.group(one, name) for one in drawn for name in ("posterior", "refreshed")]
    return repr(asdict(replace(comparison, fits=fits, references={}))) + repr([str(one.to_dict()) for one in groups])


def kinds(run: Run) -> set[str]:
    return {file.suffix for file in run.content}


def spoilt(run: Run, flips: int, cuts: int) -> Iterator[tuple[Path, bytes]]:
    """Yield files of every kind in turn, with a bit of them that is another, or cut short."""
    chance = random.Random(20)
    by_kind = [[file for file in run.content if file.suffix == kind] for kind in sorted(kinds(run))]
    for index, files in zip(range(flips + cuts), itertools.cycle(by_kind), strict=False):
        file = chance.choice(files)
        content = bytearray(run.content[file])
        if index < flips:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        else:
            content = content[: chance.randrange(len(content))]
        yield file, bytes(content)


@pytest.mark.parametrize(
    ("flips", "cuts"), [(42, 14), pytest.param(1000, 200, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_what_was_damaged_is_never_used_with_other_content(run: Run, flips: int, cuts: int) -> None:
    assert kinds(run) == {".json", ".nc", ".csv", ".html", ".md", ".png", ".svg"}
    whole, fit = store.load(run.folder), Kept(run.folder).fit(FIT_KEY)
    assert fit == FIT
    assert Kept(run.folder).problem(PROBLEM_KEY) is not None
    named = again = 0
    for file, content in spoilt(run, flips, cuts):
        file.write_bytes(content)
        said: list[str] = []
        try:
            loaded = store.load(run.folder, changed=said.append)
        except ResultsError as error:
            said.append(str(error))
        else:
            assert told(loaded) == told(whole)
        found, problem = Kept(run.folder).fit(FIT_KEY), Kept(run.folder).problem(PROBLEM_KEY)
        assert found is None or found == FIT
        assert problem is None or problem[0] == RECORD
        hidden = file.parent.name == ".fits"
        assert all(str(file) in line and "\n" not in line for line in said)
        # In JSON there are bits without a meaning: those between its words.
        assert said or hidden or file.name == "results.json"
        again += found is None or problem is None
        named += bool(said)
        run.mend()
    assert named > 0.6 * flips
    assert again > 0.15 * flips


@pytest.mark.parametrize("place", ["inference_data/line/flow%3Arank=3.nc", "results.json"])
def test_damaged_results_are_replaced_by_the_next_run(run: Run, tmp_path: Path, place: str) -> None:
    for file, content in run.content.items():
        copy = tmp_path / file.relative_to(run.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    damaged = bytearray((tmp_path / place).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / place).write_bytes(bytes(damaged))
    with pytest.raises(ResultsError, match=r"not as it was written|does not hold what|cannot be read"):
        store.load(tmp_path)
    store.save(store.load(run.folder), tmp_path)
    assert told(store.load(tmp_path)) == told(store.load(run.folder))


# The seal


def test_a_seal_holds_for_what_is_said_not_for_how() -> None:
    values = {"b": [1.5, None, {"é": "x"}], "a": 2**70}
    text = sealed(values, indent=1)
    assert unsealed(text) == values
    assert unsealed(json.dumps(json.loads(text), separators=(",", ":"))) == values
    assert unsealed(json.dumps(values)) == values
    with pytest.raises(DamagedError):
        unsealed(json.dumps(values), always=True)
    for old, new in (("1.5", "1.25"), ("null", "0"), ('"b"', '"c"'), (str(2**70), str(2**70 + 1))):
        with pytest.raises(DamagedError):
            unsealed(text.replace(old, new))


def test_json_that_is_no_json_has_one_reason() -> None:
    for text in ("", "{", b"\xff\xfe", "[" * 100_000, "1" * 5000):
        with pytest.raises(ValueError, match=r"."):
            unsealed(text)


# The form of results.json, where somebody has taken the digest out

#: What may stand in the place of anything.
OTHERS: tuple[Any, ...] = (None, True, -1, 10**400, 1e300, float("nan"), "x", "", [], {}, [[]], {"x": {}}, ["trust"])


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(value, (dict, list)):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(one, (*at, key))


def changed(raw: Any, at: tuple[Any, ...], other: Any) -> Any:
    if not at:
        return deepcopy(other)
    found = deepcopy(raw)
    place = found
    for key in at[:-1]:
        place = place[key]
    if other is KeyError:
        del place[at[-1]]
    else:
        place[at[-1]] = deepcopy(other)
    return found


def read(folder: Path, other: Kind) -> None:
    comparison = Kind.from_record(store.load(folder))
    comparison.summary()
    comparison.metrics()
    diff(comparison, other)


def one_line(call: Callable[[], None]) -> str:
    """Return what is said where that is an error that was expected; any other goes through."""
    try:
        call()
    except GuidebenchError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("share", [0.1, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
def test_no_change_of_a_value_gives_more_than_one_line(run: Run, tmp_path: Path, share: float) -> None:
    raw = unsealed((run.folder / "results.json").read_bytes())
    del raw["files"]
    whole = Kind.from_record(store.load(run.folder))
    refused = 0
    cases = list(itertools.product(places(raw), (*OTHERS, KeyError)))
    count = int(share * len(cases))
    for at, other in random.Random(1).sample(cases, count):
        if not at and other is KeyError:
            continue
        (tmp_path / "results.json").write_text(json.dumps(changed(raw, at, other)))
        said = one_line(lambda: read(tmp_path, whole))
        assert "\n" not in said
        refused += bool(said)
    assert refused > 0.6 * count


def test_a_wrong_type_is_named_with_file_and_key(run: Run) -> None:
    raw = store.read_json(run.folder / "results.json")
    for at, other, said in (
        (("fits", 0, "metrics", 1, "value"), "1.5", r"fits\[0\]\.metrics\[1\]\.value: .*number, not '1\.5'"),
        (("fits", 0, "status"), "good", r"fits\[0\]\.status: .*'converged', 'max_steps'.*, not 'good'"),
        (("fits", 0, "work", "training", "gradients"), 1.5, r"fits\[0\]\.work\.training\.gradients: .*integer"),
        (
            ("problems", 0, "truth", "w", 1),
            {},
            r"problems\[0\]\.truth\.w: should be made of .*numbers|bool, int, float",
        ),
        (("config", "seed"), [], r"config\.seed: .*integer, not \[\]"),
        (("fits", 0, "verdict"), KeyError, r"fits\[0\]\.verdict: field required"),
        (("fits", 0, "colour"), "red", r"fits\[0\]\.colour: extra inputs are not permitted"),
        (("problems",), {}, r"problems: .*list, not \{\}"),
    ):
        with pytest.raises(ResultsError, match=f"^/x does not hold a comparison: {said}"):
            check(changed(raw, at, other), Path("/x"))


def test_paths_in_results_lead_nowhere_else(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    folder = tmp_path / "line"
    folder.mkdir()
    raw = unsealed((run.folder / "results.json").read_bytes())
    raw["files"] = dict.fromkeys(["../secret", str(secret), "a\0b", "", ".", "x/../../secret"], "0" * 64)
    (folder / "results.json").write_text(sealed(raw))
    said: list[str] = []
    store.load(folder, changed=said.append)
    assert said == []
