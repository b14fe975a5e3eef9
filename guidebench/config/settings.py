"""The configuration of a run: one typed object, from TOML and options."""

from __future__ import annotations

import ast
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from guidebench.config.errors import RequestError

#: What a reference may be, and the files it may be read from.
REFERENCES = ("auto", "exact", "nuts", "none")
REFERENCE_FILES = (".nc", ".npz", ".csv")

#: In the place of the folder of a posterior database: fetch it.
DOWNLOAD = "download"


class RunConfig(BaseModel):
    """Everything that decides the numbers of a run; ``None`` means "as the recipe has it".

    Unknown keys are refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    problems: tuple[str, ...] = ("linear-regression",)
    guides: tuple[str, ...] = ("default",)
    data: str | None = None
    test: str | None = None
    heldout: float | None = Field(None, gt=0, lt=1)
    observed: tuple[str, ...] = ()
    static: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    minibatch: dict[str, int] = Field(default_factory=dict)
    recipe: Literal["default", "plain"] = "default"
    optimizer: str | None = None
    learning_rate: float | None = Field(None, gt=0, allow_inf_nan=False)
    schedule: str | None = None
    clip_norm: float | None = Field(None, ge=0, allow_inf_nan=False)
    clip_share: float | None = Field(None, gt=0, le=1)
    validation: float | None = Field(None, gt=0, le=0.5)
    patience: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=20, le=100_000_000)
    restarts: int | None = Field(None, ge=1, le=1_000)
    particles: int | None = Field(None, ge=1, le=100_000)
    loss: str | None = None
    init: str = "uniform"
    draws: int = Field(4000, ge=100, le=10_000_000)
    seed: int = Field(0, ge=0)
    reference: str = "auto"
    simulations: int | None = Field(None, ge=20, le=100_000)
    posteriordb: str | None = None
    x64: bool = False
    time_limit: float | None = Field(None, ge=0.1, allow_inf_nan=False)
    plugins: tuple[str, ...] = ()
    no_plugins: bool = False
    log_loss: bool = False
    out: str = "reports"
    fresh: bool = False
    strict: bool = False
    quiet: bool = False

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, values: Any) -> Any:
        """Let one name stand for a list of one."""
        if not isinstance(values, Mapping):
            return values
        return {
            key: (value,) if key in ("problems", "guides", "observed", "plugins") and isinstance(value, str) else value
            for key, value in values.items()
        }

    @field_validator(
        "learning_rate",
        "clip_norm",
        "clip_share",
        "heldout",
        "validation",
        "patience",
        "steps",
        "restarts",
        "particles",
        "draws",
        "seed",
        "simulations",
        "time_limit",
        mode="before",
    )
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        """Refuse what pydantic would turn into a number: ``true`` is no count, nor is a string."""
        if isinstance(value, (bool, str)):
            raise PydanticCustomError("number", "should be a number")
        return value

    @field_validator("reference")
    @classmethod
    def _reference(cls, value: str) -> str:
        if value not in REFERENCES and Path(value).suffix.lower() not in REFERENCE_FILES:
            known, endings = ", ".join(REFERENCES), ", ".join(REFERENCE_FILES)
            raise PydanticCustomError("reference", f"should be one of {known}, or a file that ends in {endings}")
        return value

    @field_validator("observed", "plugins", mode="before")
    @classmethod
    def _arguments(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
            raise PydanticCustomError("names", "should be a name or a list of names")
        return value

    @field_validator("minibatch", mode="before")
    @classmethod
    def _sizes(cls, value: Any) -> Any:
        for name, size in _by_argument(value).items():
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise PydanticCustomError("sizes", "should be a whole number of at least 1", {"argument": name})
        return value

    @field_validator("static", mode="before")
    @classmethod
    def _statics(cls, value: Any) -> Any:
        for name, given in _by_argument(value).items():
            if given is not None and not isinstance(given, (bool, int, float, str)):
                raise PydanticCustomError("static", "should be a number, a flag or a text", {"argument": name})
            if isinstance(given, float) and not math.isfinite(given):
                raise PydanticCustomError("static", "should be a finite number", {"argument": name})
        return value

    @field_validator("problems", "guides", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or not value or not all(isinstance(name, str) for name in value):
            raise PydanticCustomError("names", "should be a name or a list of names")
        return value


def _by_argument(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PydanticCustomError("table", "should be a table with a value for each argument")
    return value


def assignments(option: str, texts: Sequence[str] | None) -> dict[str, Any] | None:
    """Return ``ARG=VALUE`` texts by argument, values read as Python literals where they are any.

    Raises
    ------
    RequestError
        Where a text is no assignment, or an argument is given twice.
    """
    found: dict[str, Any] = {}
    for text in texts or ():
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not key.isidentifier():
            raise RequestError(f"{option} {text}: should be ARG=VALUE")
        if key in found:
            raise RequestError(f"{option}: {key} is given twice")
        found[key] = literal(value)
    return found or None


def literal(text: str) -> Any:
    """Return the number, flag or ``None`` that `text` spells, or the text itself."""
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text.lower(), text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return value if value is None or isinstance(value, (bool, int, float, str)) else text


#: What the command line calls a key, where that is not the key itself with dashes.
_OPTIONS = {"problems": "TARGET", "guides": "--guide", "plugins": "--plugin", "log_loss": "--log-loss"}

#: Where a run writes its configuration, with everything else that it found.
RESULTS = "results.json"


def make_config(options: Mapping[str, Any], file: Path | None = None) -> RunConfig:
    """Return the configuration of `file` overridden by `options`; ``None`` and ``()`` override nothing.

    Parameters
    ----------
    options : mapping
        Values by key of :class:`RunConfig`.
    file : Path, optional
        TOML, in which relative paths of files to read (``data``, ``test``, ``reference``, ``posteriordb``, and
        ``FILE.py`` in ``problems``, ``guides`` and ``plugins``) start at the folder it lies in, and ``out`` at
        the working directory; or the ``results.json`` of an earlier run, or its folder, where all paths start
        at the working directory.

    Raises
    ------
    RequestError
        With one line that names the key and what is allowed.
    """
    values = {} if file is None else _read(file)
    given = {key: value for key, value in options.items() if value is not None and value != ()}
    try:
        return RunConfig(**{**values, **given})
    except ValidationError as error:
        raise RequestError(_one_line(error, None if _key(error) in given else file)) from None


def is_results(file: Path) -> bool:
    """Return whether a file for ``--config`` is what an earlier run wrote."""
    return file.suffix == ".json" or (file / RESULTS).is_file()


def _read(file: Path) -> dict[str, Any]:
    if is_results(file):
        return _of_results(file, file / RESULTS if file.is_dir() else file)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RequestError(f"--config {file}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RequestError(f"--config {file}: not readable as TOML: {error}") from None
    return {key: _from_folder(key, value, file.parent) for key, value in values.items()}


def _of_results(file: Path, results: Path) -> dict[str, Any]:
    try:
        found = json.loads(results.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RequestError(f"--config {file}: there is no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"--config {file}: not readable as JSON: {error}") from None
    config = found.get("config") if isinstance(found, dict) else None
    if not isinstance(config, dict):
        raise RequestError(f"--config {file}: it holds no configuration; expected is the results.json of a run")
    if config.get("reference") == "given":
        raise RequestError(
            f"--config {file}: reference = 'given': these draws came from Python and are not part of a configuration"
        )
    return config


def _from_folder(key: str, value: Any, folder: Path) -> Any:
    """Return a value of a TOML file with the relative paths in it as seen from the working directory."""
    if isinstance(value, list):
        return [_from_folder(key, one, folder) for one in value]
    if not isinstance(value, str):
        return value
    if key in ("problems", "guides", "plugins"):
        stem, ending, rest = value.partition(".py")
        return (folder / (stem + ending)).as_posix() + rest if ending and rest[:1] in ("", ":") else value
    if (
        (key == "posteriordb" and value != DOWNLOAD)
        or key in ("data", "test")
        or (key == "reference" and Path(value).suffix.lower() in REFERENCE_FILES)
    ):
        return (folder / value).as_posix()
    return value


def _key(error: ValidationError) -> str:
    return str(error.errors()[0]["loc"][0])


def _one_line(error: ValidationError, file: Path | None) -> str:
    """Return the first complaint; `file` is where the value came from, unless it was an option."""
    first, key = error.errors()[0], _key(error)
    if first["type"] == "extra_forbidden":
        where = f"--config {file}: " if file is not None else ""
        return f"{where}unknown key {key!r}; known keys are {', '.join(RunConfig.model_fields)}"
    name = _OPTIONS.get(key, f"--{key.replace('_', '-')}")
    given = first["input"]
    argument = first.get("ctx", {}).get("argument")
    if argument is not None:
        value = f"--config {file}: {key}.{argument} = " if file is not None else f"{name} {argument}="
        value += f"{given[argument]!r}" if file is not None else f"{given[argument]}"
    else:
        value = f"--config {file}: {key} = {given!r}" if file is not None else f"{name} {given}"
    return f"{value}: {first['msg'][:1].lower()}{first['msg'][1:]}"
