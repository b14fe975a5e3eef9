"""The configuration of a run: one typed object, from TOML and options."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from guidebench.errors import RequestError

#: What a reference may be, and the files it may be read from.
REFERENCES = ("auto", "exact", "nuts", "none")
REFERENCE_FILES = (".nc", ".npz", ".csv")


class RunConfig(BaseModel):
    """Everything that decides the numbers of a run; ``None`` means "as the recipe has it".

    Unknown keys are refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    problems: tuple[str, ...] = ("linear-regression",)
    guides: tuple[str, ...] = ("default",)
    recipe: Literal["default", "plain"] = "default"
    optimizer: str | None = None
    learning_rate: float | None = Field(None, gt=0, allow_inf_nan=False)
    steps: int | None = Field(None, ge=20, le=100_000_000)
    restarts: int | None = Field(None, ge=1, le=1_000)
    particles: int | None = Field(None, ge=1, le=100_000)
    loss: str | None = None
    init: str = "uniform"
    draws: int = Field(4000, ge=100, le=10_000_000)
    seed: int = Field(0, ge=0)
    reference: str = "auto"
    simulations: int | None = Field(None, ge=20, le=100_000)
    x64: bool = False
    log_loss: bool = False

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, values: Any) -> Any:
        """Let one name stand for a list of one."""
        if not isinstance(values, Mapping):
            return values
        return {
            key: (value,) if key in ("problems", "guides") and isinstance(value, str) else value
            for key, value in values.items()
        }

    @field_validator("learning_rate", "steps", "restarts", "particles", "draws", "seed", "simulations", mode="before")
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

    @field_validator("problems", "guides", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or not value or not all(isinstance(name, str) for name in value):
            raise PydanticCustomError("names", "should be a name or a list of names")
        return value


#: What the command line calls a key, where that is not the key itself with dashes.
_OPTIONS = {"problems": "TARGET", "guides": "--guide", "log_loss": "--log-loss"}


def make_config(options: Mapping[str, Any], file: Path | None = None) -> RunConfig:
    """Return the configuration of `file` (TOML) overridden by `options`; ``None`` and ``()`` override nothing.

    Raises
    ------
    RequestError
        With one line that names the key and what is allowed.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RequestError(f"--config {file}: there is no such file") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise RequestError(f"--config {file}: not readable as TOML: {error}") from None
    given = {key: value for key, value in options.items() if value is not None and value != ()}
    try:
        return RunConfig(**{**values, **given})
    except ValidationError as error:
        raise RequestError(_one_line(error, None if _key(error) in given else file)) from None


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
    value = f"--config {file}: {key} = {given!r}" if file is not None else f"{name} {given}"
    return f"{value}: {first['msg'][:1].lower()}{first['msg'][1:]}"
