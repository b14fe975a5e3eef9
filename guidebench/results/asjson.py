"""Records as JSON can hold them, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from guidebench.config.text import told
from guidebench.contracts import MetricValue, Quantity, Rule
from guidebench.plugins.isolation.failures import PHASES, Failure
from guidebench.results import (
    Chaining,
    Comparison,
    Disagreement,
    Finding,
    Fit,
    ModeRecord,
    ProblemRecord,
    Restart,
    Status,
    Verdict,
    Work,
)
from guidebench.results import inference_data as idata

_NOT_IN_JSON = {"inference_data", "references"}

#: What is written field by field; of what has more than these, only theirs.
_RECORDS = (
    Comparison,
    Fit,
    ProblemRecord,
    ModeRecord,
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

_NOT_FINITE = tuple({"float": text} for text in ("nan", "inf", "-inf"))


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it; a number that is not finite becomes ``{"float": "inf"}``."""
    record = next((one for one in _RECORDS if isinstance(value, one)), None)
    if record is not None:
        return {one.name: plain(getattr(value, one.name)) for one in fields(record) if one.name not in _NOT_IN_JSON}
    if isinstance(value, Mapping):
        return {told(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return str(value) if isinstance(value, (Status, Verdict)) else value
    return told(value)


def restored(value: Any) -> Any:
    """Return what JSON holds with the numbers in it that are not finite."""
    if isinstance(value, dict):
        return float(value["float"]) if value in _NOT_FINITE else {name: restored(one) for name, one in value.items()}
    return [restored(one) for one in value] if isinstance(value, list) else value


def fit_of(one: Mapping[str, Any], draws: idata.InferenceData | None) -> Fit:
    """Return the fit that :func:`plain` and JSON made a mapping of, with its draws."""
    restored = {
        **{name: value for name, value in one.items() if name != "traceback"},
        "failures": failures_of(one) or _earlier_failures(one),
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


def quantity_of(one: Mapping[str, Any]) -> Quantity:
    """Return what a number means."""
    rule = Rule(**{**one["rule"], "errors_of": tuple(one["rule"]["errors_of"])})
    return Quantity(**{**one, "columns": tuple(one["columns"]), "rule": rule})


def failures_of(one: Mapping[str, Any]) -> tuple[Failure, ...]:
    """Return the failures of a fit or of a comparison."""
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
    tuples = ("latents", "observed", "notes", "reference_doubts", "unchecked", "warnings", "left_out")
    apart = one.get("disagreement")
    found = None if apart is None else Disagreement(**{**apart, **{name: tuple(apart[name]) for name in _PAIRS}})
    listed = {name: tuple(one.get(name, ())) for name in tuples}
    modes = tuple(ModeRecord(**each) for each in one.get("modes", ()))
    levels = {site: tuple(map(tuple, axes)) for site, axes in one.get("levels", {}).items()}
    return ProblemRecord(
        **{**one, **listed, "disagreement": found, "levels": levels, "modes": modes, "work": _work(one)}
    )


def _work(one: Mapping[str, Any]) -> dict[str, Work]:
    return {phase: Work(**each) for phase, each in one.get("work", {}).items()}
