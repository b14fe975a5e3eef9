"""What holds for every declaration: names that can be typed, texts that are text, functions that can be called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from guidebench.config.errors import PluginError

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


def check_coords(name: str, coords: object) -> None:
    """Refuse what does not name the levels of dimensions, each by a name of its own."""
    if coords is None:
        return
    if not isinstance(coords, Mapping) or not all(isinstance(dim, str) for dim in coords):
        raise PluginError(
            f"problem {name!r}: coords must be a mapping of levels by dimension, not {type(coords).__name__}"
        )
    for dim, levels in coords.items():
        if isinstance(levels, (str, bytes, Mapping)) or not isinstance(levels, Iterable):
            raise PluginError(f"problem {name!r}: coords of {dim} must be a sequence of names, not {levels!r}")
        names = [str(one) for one in levels]
        if twice := next((one for one in names if names.count(one) > 1), None):
            raise PluginError(f"problem {name!r}: coords of {dim} name two levels {twice!r}")


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
