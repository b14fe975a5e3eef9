"""What holds for every declaration: names that can be typed, texts that are text, functions that can be called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from guidebench.config.errors import PluginError
from guidebench.config.text import line

_NAME = re.compile(r"[a-z][a-z0-9_.-]*(/[A-Za-z0-9_.-]+)?")


def check_name(kind: str, name: object) -> None:
    """Refuse a name that cannot be typed on the command line."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(
            f"{kind} name {name!r} is not allowed: use a lower-case letter, then lower-case "
            "letters, digits, '_', '-' or '.'"
        )


def check_text(kind: str, name: str, **parts: object) -> None:
    """Refuse parts that are not text."""
    for part, value in parts.items():
        if not isinstance(value, str):
            raise PluginError(f"{kind} {name!r}: {part} must be text, not {type(value).__name__}")


def check_names(kind: str, name: str, part: str, value: object) -> None:
    """Refuse what is not a tuple of strings."""
    if not isinstance(value, tuple) or not all(isinstance(one, str) for one in value):
        raise PluginError(f"{kind} {name!r}: {part} must be a tuple of strings, not {value!r}")


def read_coords(name: str, coords: object) -> dict[str, tuple[str, ...]] | None:
    """Return the names of the levels of dimensions as texts that can be shown; each has a name of its own."""
    if coords is None:
        return None
    if not isinstance(coords, Mapping) or not all(isinstance(dim, str) for dim in coords):
        found = type(coords).__name__
        raise PluginError(f"problem {name!r}: coords must be a mapping of levels by dimension, not {found}")
    return {dim: _levels(f"problem {name!r}: coords of {dim}", levels) for dim, levels in coords.items()}


def _levels(what: str, levels: object) -> tuple[str, ...]:
    values = getattr(levels, "values", None)  # of xarray and pandas
    values = levels if values is None or callable(values) else values
    values = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(values, str | bytes | Mapping | AbstractSet) or not isinstance(values, Iterable):
        raise PluginError(f"{what} must be a sequence of names, not {levels!r}")
    each = list(values)
    if any(isinstance(one, list | tuple) for one in each):
        raise PluginError(f"{what} must be names along one axis, not {levels!r}")
    names = tuple(line(str(one)) for one in each)
    twice = next((one for one, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise PluginError(f"{what} name two levels {twice!r}")
    return names


def check_each(kind: str, name: str, part: str, value: object, of: type) -> None:
    """Refuse what is not a tuple of such records."""
    if not isinstance(value, tuple) or not all(isinstance(one, of) for one in value):
        raise PluginError(f"{kind} {name!r}: {part} must be a tuple of {of.__name__}, not {value!r}")


def check_callable(kind: str, name: str, part: str, value: object) -> None:
    """Refuse what cannot be called."""
    if not callable(value):
        raise PluginError(f"{kind} {name!r}: {part} must be callable, not {type(value).__name__}")


def check_shown(kind: str, name: str, part: str, value: object) -> None:
    """Refuse what cannot be shown, as whoever lists it will want to."""
    try:
        repr(value)
        str(value)
    except Exception as error:
        raise PluginError(f"{kind} {name!r}: {part} cannot be shown: {type(error).__name__}") from error
