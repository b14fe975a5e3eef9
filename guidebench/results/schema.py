"""What ``results.json`` has to look like: the records, field by field, as they are declared.

A value of another type is one line that names the file and the key.  Keys that a record does not have are refused,
and one that is left out is believed to be of a time when there was none, where its record has a default for it.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from guidebench.config.errors import ResultsError
from guidebench.config.settings import RunConfig
from guidebench.results.records import Comparison, Fit, ProblemRecord

#: Nothing but arrays is left out of ``results.json``.
_ARRAYS = {"inference_data", "references"}

#: The largest whole number: those up to it are floats, too.
LARGEST = 2**53

#: How deep lists in lists may be: the axes of an array.
MOST_AXES = 32


def check(raw: Mapping[str, Any], file: Path) -> None:
    """Refuse results that are not of the form of a comparison.

    Raises
    ------
    ResultsError
        With one line that names the file and the key.
    """
    try:
        _comparison().model_validate(raw)
    except ValidationError as error:
        # What is wrong says more than what is not there.
        first = min(error.errors(include_url=False), key=lambda one: one["type"] == "missing")
        what = str(first["msg"]).removeprefix("Value error, ")
        said = f"{what[:1].lower()}{what[1:]}"
        given = "" if first["type"] in ("missing", "extra_forbidden") else f", not {_shown(first['input'])}"
        raise ResultsError(f"{file} does not hold a comparison: {_key(first['loc'])}: {said}{given}") from None
    for index, fit in enumerate(raw["fits"]):
        if not 0 <= fit.get("best", 0) < max(1, len(fit["restarts"])):
            raise ResultsError(f"{file} does not hold a comparison: fits[{index}].best: there is no such restart")


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:39]}..."


def _key(parts: tuple[int | str, ...]) -> str:
    """Return where something is, as ``fits[0].metrics[3].value``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return ascii(text.lstrip("."))[1:-1][:200] or "it"


def _sized(value: Any) -> Any:
    """Refuse whole numbers that no array holds."""
    if type(value) is int and abs(value) > LARGEST:
        raise ValueError(f"should be a number up to {LARGEST:,}")
    return value


def _scalars(value: Any) -> Any:
    """Take numbers, texts, nothing, and lists of these."""
    return _nested(value, (bool, int, float, str, types.NoneType))


def _numbers(value: Any) -> Any:
    """Take a number, or lists of numbers in lists."""
    return _nested(value, (bool, int, float))


def _nested(value: Any, kinds: tuple[type, ...], axes: int = MOST_AXES) -> Any:
    if isinstance(value, list) and axes:
        for one in value:
            _nested(one, kinds, axes - 1)
    elif not isinstance(value, kinds):
        raise ValueError(f"should be made of {', '.join(kind.__name__ for kind in kinds if kind is not type(None))}")
    return value


_Scalars = Annotated[Any, AfterValidator(_scalars)]
_Numbers = Annotated[Any, AfterValidator(_numbers)]

#: Whole numbers stand for numbers, too.
_NUMBERS: Mapping[Any, Any] = {
    int: Annotated[int, BeforeValidator(_sized)],
    float: Annotated[float, BeforeValidator(_sized)],
}

#: What is declared as anything, and is less than that in a file.
_NARROWER: Mapping[tuple[type, str], Any] = {
    (ProblemRecord, "truth"): dict[str, _Numbers],
    (ProblemRecord, "noise_sd"): dict[str, _Numbers],
    (Fit, "options"): dict[str, _Scalars],
    (Comparison, "environment"): dict[str, _Scalars],
}


@cache
def _comparison() -> type[BaseModel]:
    """Return the form of a whole file."""
    parts = _parts(Comparison)
    options = {name: (_form(one.annotation, {}) | None, None) for name, one in RunConfig.model_fields.items()}
    parts["config"] = (create_model("Configuration", __config__=_LOOSE, **options), ...)  # type: ignore[call-overload]
    for name in ("name", "problems", "fits", "recipe", "environment", "interrupted"):
        parts[name] = (parts[name][0], ...)
    parts["version"] = (int, Field(alias="schema"))
    parts["files"] = (dict[str, str], {})
    parts |= {"recommendation": (list[dict[str, Any]], []), "settings": (dict[str, Any], {})}  # for others to read
    return create_model("Results", __config__=_STRICT, **parts)


#: Types are taken as they are: no text stands for a number.
_STRICT = ConfigDict(strict=True, extra="forbid", protected_namespaces=())

#: The configuration of another version may have other options.
_LOOSE = ConfigDict(strict=True, extra="allow", protected_namespaces=())


@cache
def _model(record: type) -> type[BaseModel]:
    return create_model(record.__name__, __config__=_STRICT, **_parts(record))


def _parts(record: type) -> dict[str, Any]:
    """Return type and default of each field of a record, as a file has it."""
    hints = get_type_hints(record, localns={"InferenceData": Any})
    found: dict[str, Any] = {}
    for one in fields(record):
        if one.name not in _ARRAYS:
            needed = one.default is MISSING and one.default_factory is MISSING
            kind = _NARROWER.get((record, one.name)) or _form(hints[one.name])
            found[one.name] = (kind, ...) if needed else (kind, None)
    if record is Fit:
        found["restarts"], found["metrics"] = (found["restarts"][0], ...), (found["metrics"][0], ...)
        found["traceback"] = (str, "")  # before failures had a record
    return found


def _form(hint: Any, numbers: Mapping[Any, Any] = _NUMBERS) -> Any:
    """Return a type of Python's as JSON holds it, with its `numbers` bounded."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _made(Literal, tuple(map(str, hint)))
    if isinstance(hint, type) and is_dataclass(hint):
        return _model(hint)
    inner = tuple(_form(one, numbers) for one in arguments if one is not Ellipsis)
    if origin in (Union, types.UnionType):
        return _made(Union, inner)
    if origin is tuple and Ellipsis in arguments:
        return _made(list, inner[0])
    if origin is tuple:
        return Annotated[_made(list, _made(Union, inner)), Field(min_length=len(inner), max_length=len(inner))]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _made(dict, (str, inner[1]))
    return numbers.get(hint, hint)


def _made(kind: Any, of: Any) -> Any:
    """Return a type that is made of others."""
    return kind[of]
