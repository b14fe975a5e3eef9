"""A trained guide as two files: its arrays by safetensors, which holds nothing but numbers, and JSON on what it is.

``GUIDE.safetensors`` has the parameters and coordinates, ``GUIDE.json`` beside it the guide and its options, the sites,
fingerprints of model and data, versions, the verdict with its reason, and the digest of the former: a verdict is never
read beside the parameters of another guide.  Neither file is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from guidebench.config.errors import ResultsError
from guidebench.plugins.isolation.failures import reason
from guidebench.results import inference_data as idata
from guidebench.results.files import digest, put
from guidebench.results.guide_state import GROUP, GuideState, from_dataset
from guidebench.results.records import Comparison, Fit, ProblemRecord
from guidebench.results.store import GUIDES, draws_path

#: Version of the layout of the two files.
SCHEMA = 1

SUFFIX = ".safetensors"

#: Numbers of a fit that say how good it is.
_SCORES = ("elbo", "log_evidence", "khat", "ess")


@dataclass(frozen=True, kw_only=True)
class Passport:
    """What is known of a trained guide beside its arrays.

    Attributes
    ----------
    guide, plugin : str
        The guide, with the options that differ from their defaults, and the distribution that brought it.
    options : mapping
        All of its options.
    problem : str
        What it was trained on.
    bound : str
        What its ELBO is a bound on.
    verdict, reason : str
        How far to trust its draws, and why.
    scores : mapping of str to float
        Its ELBO and what else its weights say, as far as they are known.
    model : str
        Fingerprint of the model's code; nothing where it has none.
    data : mapping of str to str
        Fingerprints of the training arguments by name.
    settings : mapping
        What else decided what it was trained on: ``validation``, ``seed``, ``minibatch``.
    versions : mapping
        Of Python and the packages that made it.
    """

    guide: str
    plugin: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    bound: str = "elbo"
    verdict: str = ""
    reason: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def passport_of(fit: Fit, problem: ProblemRecord, comparison: Comparison) -> Passport:
    """Return what is known of the guide of a fit."""
    settings = {name: comparison.config.get(name) for name in ("validation", "seed", "minibatch")}
    scores = {name: float(value) for name in _SCORES if (value := fit.value(name)) is not None and np.isfinite(value)}
    return Passport(
        guide=fit.guide,
        plugin=fit.plugin,
        options=_plain(fit.options),
        problem=fit.problem,
        bound=fit.bound,
        verdict=str(fit.verdict),
        reason=fit.reason,
        scores=scores,
        model=problem.fingerprints.get("model", ""),
        data={name[5:]: one for name, one in problem.fingerprints.items() if name.startswith("data ")},
        settings=_plain({name: value for name, value in settings.items() if value is not None}),
        versions={name: str(one) for name, one in comparison.environment.items() if isinstance(one, str)},
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON can hold them; of what it cannot, how it shows itself."""
    found: dict[str, Any] = json.loads(json.dumps(dict(values), default=str))
    return found


def path_of(folder: Path, problem: str, guide: str) -> Path:
    """Return where the parameters of one fit lie in the folder of a run."""
    draws = draws_path(folder, problem, guide)
    return folder / GUIDES / draws.parent.name / f"{draws.stem}{SUFFIX}"


def files_of(comparison: Comparison) -> dict[str, bytes]:
    """Return the trained guide of every fit as two files, by their paths in the folder of a run."""
    records = {one.name: one for one in comparison.problems}
    found: dict[str, bytes] = {}
    for fit in comparison.fits:
        dataset = idata.group(fit.inference_data, GROUP)
        if dataset is not None and not (state := from_dataset(dataset)).refused:
            path = path_of(Path(), fit.problem, fit.guide)
            arrays, told = contents(state, passport_of(fit, records[fit.problem], comparison))
            found |= {path.as_posix(): arrays, path.with_suffix(".json").as_posix(): told}
    return found


def contents(state: GuideState, passport: Passport) -> tuple[bytes, bytes]:
    """Return a trained guide as its arrays, by safetensors, and JSON."""
    from safetensors.numpy import save

    arrays = {name: np.array(value, order="C") for name, value in state.arrays().items()}
    told = {one.name: getattr(passport, one.name) for one in fields(passport)}
    content = save(arrays)
    parts = {"schema": SCHEMA, **told, "sha256": digest(content), "state": state.header()}
    return content, json.dumps(parts, indent=1, allow_nan=False).encode("utf-8")


def write(path: Path, state: GuideState, passport: Passport) -> Path:
    """Write a trained guide to a file, whose name ends in ``.safetensors``, and JSON beside it; return the former.

    Raises
    ------
    ResultsError
        Where the files cannot be written.
    """
    path = path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)
    arrays, told = contents(state, passport)
    try:
        put(path, arrays)
        put(path.with_suffix(".json"), told)
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {reason(error)}") from None
    return path


def read(path: Path) -> tuple[GuideState, Passport]:
    """Read a trained guide that :func:`write` wrote.

    Raises
    ------
    ResultsError
        Where one of the files is missing or damaged, or of another version.
    """
    from safetensors.numpy import load

    path = path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)
    beside = path.with_suffix(".json")
    for file in (path, beside):
        if not file.is_file():
            raise ResultsError(f"there is no file {file}; a trained guide is {path.name} with {beside.name} beside it")
    try:
        told = json.loads(beside.read_text(encoding="utf-8"))
        content = path.read_bytes()
        arrays = load(content)
    except Exception as error:  # noqa: BLE001 - the errors of safetensors are its own
        raise ResultsError(f"the trained guide {path} cannot be read: {reason(error)}") from None
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        found = told.get("schema") if isinstance(told, dict) else None
        raise ResultsError(f"{beside} has schema {found!r}, this guidebench reads {SCHEMA}")
    if told.get("sha256") != digest(content):
        raise ResultsError(
            f"{path} and {beside.name} do not belong together: the one has other content than the other says"
        )
    try:
        passport = Passport(**{one.name: told[one.name] for one in fields(Passport)})
        return GuideState.of(told["state"], arrays), passport
    except (KeyError, TypeError, ResultsError) as error:
        raise ResultsError(f"{path} and {beside.name} do not belong together: {reason(error)}") from None
