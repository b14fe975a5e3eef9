"""Fingerprints of what a guide was trained on: the code of the model, and its arguments one by one."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import numpy as np

from guidebench.contracts import Problem
from guidebench.engine.keys.fingerprint import Unknown, fingerprint
from guidebench.inference.arguments import as_arrays


def prints(problem: Problem) -> dict[str, str]:
    """Return fingerprints under ``model`` and ``data ARGUMENT``, of what has any.

    Those of data are of numbers alone: a list, an array of NumPy's and one of JAX's are the same, in either precision.
    """
    try:
        found = {"model": fingerprint(problem.model)}
    except (Unknown, RecursionError):
        found = {}
    told = {name: data_print(value) for name, value in given(problem).items()}
    return {**found, **{f"data {name}": one for name, one in told.items() if one}}


def given(problem: Problem) -> dict[str, Any]:
    """Return the arguments of a problem by name, as arrays where they are; a loaded guide's may lack some."""
    found = inspect.signature(problem.model).bind_partial(*problem.args, **problem.kwargs)
    return as_arrays(found.arguments if not _gathers(found) else problem.arguments())


def _gathers(found: inspect.BoundArguments) -> bool:
    return any(found.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD for name in found.arguments)


def data_print(value: Any) -> str:
    """Return the fingerprint of one argument; nothing of what is no data."""
    if value is None or callable(value):
        return ""
    digest = hashlib.sha256()
    try:
        _say(value, digest)
    except TypeError:
        return ""
    return digest.hexdigest()


def _say(value: Any, digest: Any) -> None:
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            digest.update(f"{key}:".encode())
            _say(value[key], digest)
        return
    if isinstance(value, (list, tuple)) and not all(isinstance(one, (bool, int, float)) for one in value):
        for one in value:
            _say(one, digest)
        return
    if isinstance(value, str):
        digest.update(value.encode("utf-8", "surrogatepass"))
        return
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(type(value).__name__)
    plain = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else np.int64)
    digest.update(f"{plain.dtype.name} {array.shape} ".encode())
    digest.update(plain.tobytes())
