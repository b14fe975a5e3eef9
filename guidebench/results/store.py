"""Writing results to a folder and reading them back whole.

``results.json`` holds everything but arrays and is written last: a folder without it was
interrupted.  Draws are NetCDF.  Nothing that is read is ever executed.  What a run keeps of its fits on
the way there is the business of :mod:`guidebench.results.kept`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from guidebench.config.errors import PluginError, ResultsError
from guidebench.contracts import MetricValue, Quantity, Rule
from guidebench.plugins.isolation.failures import PHASES, Failure, reason
from guidebench.results import (
    Chaining,
    Comparison,
    Disagreement,
    Finding,
    Fit,
    ProblemRecord,
    Restart,
    Status,
    Verdict,
    Work,
)
from guidebench.results import inference_data as idata

#: Version of the layout of ``results.json``.
SCHEMA = 1

#: Holds everything but arrays.
RESULTS = "results.json"

#: The folders of its trained guides, and of the draws to use.
GUIDES, POSTERIOR = "guides", "posterior"

#: The folder of what a run that is not finished has kept, in the folder of its results.
KEPT = ".fits"

_NOT_IN_JSON = {"inference_data", "references"}

#: What is written field by field; of what has more than these, only theirs.
_RECORDS = (
    Comparison,
    Fit,
    ProblemRecord,
    Restart,
    Chaining,
    Disagreement,
    Finding,
    MetricValue,
    Quantity,
    Rule,
    Failure,
    Work,
)

#: Parts of a disagreement that are tuples.
_PAIRS = ("between", "components", "means", "sds")

#: The name under which the reference lies beside the guides; no guide may have it.
REFERENCE = "reference"


_NOT_FINITE = tuple({"float": text} for text in ("nan", "inf", "-inf"))


def draws_path(folder: Path, problem: str, guide: str) -> Path:
    """Return where the InferenceData of one fit lives."""
    return folder / "inference_data" / _quoted(problem) / f"{_quoted(guide)}.nc"


def _quoted(name: str) -> str:
    """Return `name` as one part of a path that is neither hidden nor means another folder."""
    quoted = quote(name, safe="=,")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there in one step.

    The temporary file is this process's own, so that two may write the same file at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def save(
    comparison: Comparison,
    path: str | Path,
    *,
    place: Callable[[str, str, Path], bool] = lambda *_: False,
    beside: Sequence[Callable[[Comparison, Path], None]] = (),
) -> Path:
    """Write ``results.json``, ``summary.csv``, ``metrics.csv`` and the draws; return the folder.

    Files of an earlier comparison in the same folder are replaced, and its draws removed.

    Parameters
    ----------
    comparison : Comparison
        What to write.
    path : str or Path
        The folder.
    place : callable, optional
        ``place(problem, guide, target)`` moves draws that are in a file already to their place and returns
        ``True``, or returns ``False``: then they are written.
    beside : sequence of callable
        Each is given the comparison and the folder, and writes more of it there, before ``results.json`` says that all
        is there.
    """
    folder = Path(path)
    stale = _saved_draws(folder)
    (folder / RESULTS).unlink(missing_ok=True)
    draws = {(fit.problem, fit.guide): fit.inference_data for fit in comparison.fits}
    draws |= {(problem, REFERENCE): found for problem, found in comparison.references.items()}
    for (problem, guide), found in draws.items():
        target = draws_path(folder, problem, guide)
        if found is not None:
            if not place(problem, guide, target):
                replace(target, lambda partial, found=found: idata.save(found, partial))  # type: ignore[misc]
            stale.discard(target)
    for left_over in stale:
        for file in (left_over, *_made_of(left_over, folder)):
            file.unlink(missing_ok=True)
    replace(folder / "summary.csv", lambda partial: comparison.summary().to_csv(partial, index=False))
    replace(folder / "metrics.csv", lambda partial: comparison.metrics().to_csv(partial, index=False))
    for write in beside:
        write(comparison, folder)
    _write(folder, {"schema": SCHEMA, **plain(comparison)})
    return folder


def _made_of(draws: Path, folder: Path) -> Iterator[Path]:
    """Yield what lies beside the draws of a fit that is no more: its guide, and the draws to use of its problem."""
    for suffix in (".safetensors", ".json"):
        yield folder / GUIDES / draws.parent.name / f"{draws.stem}{suffix}"
    yield folder / POSTERIOR / f"{draws.parent.name}.nc"


def _write(folder: Path, results: Mapping[str, Any]) -> None:
    text = json.dumps(results, indent=1, allow_nan=False)
    replace(folder / RESULTS, lambda partial: partial.write_text(text, encoding="utf-8"))


def record(path: str | Path, sections: Sequence[Failure]) -> None:
    """Write the failures of the report's sections into saved results, in the place of those of an earlier report."""
    folder = Path(path)
    raw = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    before = raw.get("failures", [])
    now = [*(one for one in before if one["phase"] != "section"), *plain(list(sections))]
    if now != before:
        _write(folder, {**raw, "failures": now})


def load(path: str | Path) -> Comparison:
    """Read a comparison written by :func:`save`.

    Raises
    ------
    ResultsError
        Where the folder holds no results, or results of another version.
    """
    folder = Path(path)
    raw = _read(folder)
    try:
        fits = tuple(fit_of(one, _draws(draws_path(folder, one["problem"], one["guide"]))) for one in raw["fits"])
        problems = tuple(problem_of(one) for one in raw["problems"])
        rest = {name: raw[name] for name in ("name", "recipe", "config", "environment", "interrupted")}
        rest["kept"] = int(raw.get("kept", 0))
        failures = _failures(raw)
        quantities = tuple(_quantity(one) for one in raw.get("quantities", ()))
    except (KeyError, TypeError, ValueError, AttributeError, PluginError) as error:
        raise ResultsError(f"{folder / RESULTS} does not hold a comparison ({reason(error)})") from None
    references = {one.name: _draws(draws_path(folder, one.name, REFERENCE)) for one in problems if one.reference}
    found = {problem: draws for problem, draws in references.items() if draws is not None}
    return Comparison(problems=problems, fits=fits, references=found, failures=failures, quantities=quantities, **rest)


def fit_of(one: Mapping[str, Any], draws: idata.InferenceData | None) -> Fit:
    """Return the fit that :func:`plain` and JSON made a mapping of, with its draws."""
    restored = {
        **{name: value for name, value in one.items() if name != "traceback"},
        "failures": _failures(one) or _earlier_failures(one),
        "status": Status(one["status"]),
        "verdict": Verdict(one["verdict"]),
        "sites": {name: Verdict(verdict) for name, verdict in one.get("sites", {}).items()},
        "evidence": tuple(Finding(**each) for each in one.get("evidence", ())),
        "chains": _chaining(one["chains"]) if one.get("chains") else None,
        "rounds": tuple(one.get("rounds", ())),
        "work": _work(one),
        "left_out": tuple(one.get("left_out", ())),
        "restarts": tuple(Restart(**{**each, "status": Status(each["status"])}) for each in one["restarts"]),
        "metrics": tuple(MetricValue(**each) for each in one["metrics"]),
        "inference_data": draws,
    }
    return Fit(**restored)


def _chaining(one: Mapping[str, Any]) -> Chaining:
    return Chaining(**{**one, "unknown": tuple(one.get("unknown", ()))})


def _quantity(one: Mapping[str, Any]) -> Quantity:
    rule = Rule(**{**one["rule"], "errors_of": tuple(one["rule"]["errors_of"])})
    return Quantity(**{**one, "columns": tuple(one["columns"]), "rule": rule})


def _failures(one: Mapping[str, Any]) -> tuple[Failure, ...]:
    return tuple(Failure(**each) for each in one.get("failures", ()))


def _earlier_failures(one: Mapping[str, Any]) -> tuple[Failure, ...]:
    """Return the failure of a fit that was saved when a fit had no more than a traceback."""
    if not one.get("traceback"):
        return ()
    told, _, message = one["message"].partition(": ")
    phase = next((phase for phase in PHASES if phase == told), None)
    return (
        Failure(
            plugin="",
            distribution=one["plugin"],
            phase=phase or "train",
            name=one["guide"],
            message=message if phase else one["message"],
            traceback=one["traceback"],
        ),
    )


def problem_of(one: Mapping[str, Any]) -> ProblemRecord:
    """Return the record of a problem that :func:`plain` and JSON made a mapping of."""
    tuples = ("latents", "observed", "notes", "reference_doubts", "warnings", "left_out")
    apart = one.get("disagreement")
    found = None if apart is None else Disagreement(**{**apart, **{name: tuple(apart[name]) for name in _PAIRS}})
    listed = {name: tuple(one.get(name, ())) for name in tuples}
    return ProblemRecord(**{**one, **listed, "disagreement": found, "work": _work(one)})


def _work(one: Mapping[str, Any]) -> dict[str, Work]:
    return {phase: Work(**each) for phase, each in one.get("work", {}).items()}


def _draws(file: Path) -> idata.InferenceData | None:
    if not file.exists():
        return None
    try:
        return idata.load(file)
    except Exception as error:  # noqa: BLE001 - what a broken NetCDF file makes h5py and xarray raise is not documented
        raise ResultsError(f"{file} cannot be read: {error}") from None


def _read(folder: Path) -> dict[str, Any]:
    file = folder / RESULTS
    try:
        raw = read_json(file)
    except FileNotFoundError:
        if any((folder / KEPT).glob("*.json")):
            raise ResultsError(
                f"{folder} holds no results.json, but fits of a run that was interrupted: start it again with the "
                "same command, and it goes on where it stopped"
            ) from None
        raise ResultsError(f"{folder} holds no results.json; name the folder of one finished run") from None
    except (OSError, ValueError) as error:
        raise ResultsError(f"{file} cannot be read: {error}") from None
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        found = raw.get("schema") if isinstance(raw, dict) else None
        raise ResultsError(f"{file} has schema {found!r}, this guidebench reads {SCHEMA}")
    return raw


def read_json(file: Path) -> Any:
    """Return what a file holds that was written from :func:`plain`."""
    return json.loads(file.read_text(encoding="utf-8"), object_hook=_restore)


def _saved_draws(folder: Path) -> set[Path]:
    try:
        raw = _read(folder)
        drawn = [(one["problem"], one["guide"]) for one in raw["fits"]]
        drawn += [(one["name"], REFERENCE) for one in raw["problems"] if one["reference"]]
        return {draws_path(folder, problem, name) for problem, name in drawn}
    except (ResultsError, KeyError, TypeError):
        return set()


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it; a number that is not finite becomes ``{"float": "inf"}``."""
    record = next((one for one in _RECORDS if isinstance(value, one)), None)
    if record is not None:
        return {one.name: plain(getattr(value, one.name)) for one in fields(record) if one.name not in _NOT_IN_JSON}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return str(value) if isinstance(value, (Status, Verdict)) else value
    return str(value)


def _restore(item: dict[str, Any]) -> Any:
    return float(item["float"]) if item in _NOT_FINITE else item
