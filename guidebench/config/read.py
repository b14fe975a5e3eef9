"""The configuration of a run from a file and from options."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from guidebench.config.errors import RequestError, opt
from guidebench.config.sealed import unsealed
from guidebench.config.settings import OPTIONS, RunConfig

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
        config = RunConfig(**{**values, **given})
    except ValidationError as error:
        raise _refused(error, None if _key(error) in given else file) from None
    apart = [name for name in ("isolate", "memory_limit") if getattr(config, name)]
    if apart and config.dask is not None:
        raise RequestError(f"{opt(apart[0])} is for worker processes of {opt('jobs')}, and {opt('dask')} has its own")
    if apart and config.jobs is None:  # which only those have
        config = config.model_copy(update={"jobs": 1})
    executors = [opt(name) for name, one in OPTIONS.items() if one.executor and getattr(config, name) is not None]
    if len(executors) > 1:
        raise RequestError(f"{' and '.join(executors[:2])} both say where fits are made; give one")
    return config


def is_results(file: Path) -> bool:
    """Return whether a file for ``--config`` is what an earlier run wrote."""
    return file.suffix == ".json" or (file / RESULTS).is_file()


def _read(file: Path) -> dict[str, Any]:
    if is_results(file):
        return _of_results(file, file / RESULTS if file.is_dir() else file)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _wrong(file, "there is no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(file, f"not readable as TOML: {error}") from None
    return {key: _from_folder(key, value, file.parent) for key, value in values.items()}


def _of_results(file: Path, results: Path) -> dict[str, Any]:
    try:
        found = unsealed(results.read_bytes())
    except FileNotFoundError:
        raise _wrong(file, "there is no such file") from None
    except (OSError, ValueError) as error:
        raise _wrong(file, f"not readable as JSON: {error}") from None
    config = found.get("config") if isinstance(found, dict) else None
    if not isinstance(config, dict):
        raise _wrong(file, "it holds no configuration; expected is the results.json of a run")
    if config.get("reference") == "given":
        raise _wrong(file, "reference = 'given': these draws came from Python and are not part of a configuration")
    return config


def _wrong(file: Path, what: str) -> RequestError:
    return RequestError(what, option="config", value=file)


def _from_folder(key: str, value: Any, folder: Path) -> Any:
    """Return a value of a TOML file with the relative paths in it as seen from the working directory."""
    if isinstance(value, list):
        return [_from_folder(key, one, folder) for one in value]
    seen = OPTIONS[key].from_folder if key in OPTIONS else None
    return seen(value, folder) if seen is not None and isinstance(value, str) else value


def _key(error: ValidationError) -> str:
    return str(error.errors()[0]["loc"][0])


def _refused(error: ValidationError, file: Path | None) -> RequestError:
    """Return the first complaint; `file` is where the value came from, unless it was an option."""
    first, key = error.errors()[0], _key(error)
    if first["type"] == "extra_forbidden":
        message = f"unknown key {key!r}; known keys are {', '.join(OPTIONS)}"
        return RequestError(message) if file is None else _wrong(file, message)
    message = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
    given, argument = first["input"], first.get("ctx", {}).get("argument")
    if file is not None:
        value = f"{key} = {given!r}" if argument is None else f"{key}.{argument} = {given[argument]!r}"
        return _wrong(file, f"{value}: {message}")
    return RequestError(message, option=key, value=given if argument is None else f"{argument}={given[argument]}")
