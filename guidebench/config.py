"""The configuration of a run: one typed object, from TOML and options."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from guidebench.errors import RequestError


class RunConfig(BaseModel):
    """Everything that decides the numbers of a run; ``None`` means "as the recipe has it".

    Unknown keys are refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    problems: tuple[str, ...] = Field(("linear-regression",), min_length=1)
    guides: tuple[str, ...] = Field(("default",), min_length=1)
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
    values.update({key: value for key, value in options.items() if value is not None and value != ()})
    try:
        return RunConfig(**values)
    except ValidationError as error:
        raise RequestError(_one_line(error, file)) from None


def _one_line(error: ValidationError, file: Path | None) -> str:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else "configuration"
    if first["type"] == "extra_forbidden":
        where = f" in {file}" if file is not None else ""
        return f"unknown key {key!r}{where}; known keys are {', '.join(RunConfig.model_fields)}"
    given = first.get("input")
    message = first["msg"][:1].lower() + first["msg"][1:]
    return f"--{key.replace('_', '-')} {given!r}: {message}"
