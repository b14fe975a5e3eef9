"""What a user types: ``NAME:opt=val,opt=val``, for guides, optimisers, schedules and objectives; and ``ARG=VALUE``."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from guidebench.config.errors import RequestError

#: Commas that separate options: those outside of parentheses.
_COMMA = re.compile(r",(?![^(]*\))")


def split(spec: str) -> tuple[str, str | None]:
    """Return the name in ``NAME[:OPTIONS]`` and the text of its options, ``None`` where there is no colon."""
    name, colon, text = spec.partition(":")
    return name.strip(), text if colon else None


def options(owner: str, text: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options in ``opt=val,...``, read as their defaults are.

    Parameters
    ----------
    owner : str
        What has the options, as a message names it: ``guide 'bnaf'``.
    text : str
        What the user typed after the colon.
    known : mapping
        Every option with its default.

    Returns
    -------
    dict
        Those that were given, in the order of `known`, so that one choice has one label.

    Raises
    ------
    RequestError
        Where an option is unknown or given twice, or a value has the wrong type.
    """
    found: dict[str, Any] = {}
    for pair in _COMMA.split(text):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise RequestError(f"{owner}: {pair!r} is not OPTION=VALUE")
        if key not in known:
            raise RequestError(f"{owner} has no option {key!r}; its options are {', '.join(known) or 'none'}")
        if key in found:
            raise RequestError(f"{owner}: option {key!r} is given twice")
        found[key] = typed(owner, key, value, known[key])
    return {key: found[key] for key in known if key in found}


def typed(owner: str, key: str, text: str, default: Any) -> Any:
    """Return `text` read as a value of the kind of `default`, or as any literal where that is ``None``.

    Raises
    ------
    RequestError
        Where it is of another kind.
    """
    if isinstance(default, str):
        return text
    return fitting(owner, key, _tuple(text) if isinstance(default, tuple) else literal(text), default, text)


def fitting(owner: str, key: str, value: Any, default: Any, text: str | None = None) -> Any:
    """Return a value of the kind of `default`; `text` is what the user typed, where that was it.

    Raises
    ------
    RequestError
        Where it is of another kind.
    """
    kind = type(default)
    if default is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    shown = value if text is None else text
    raise RequestError(f"{owner}: option {key!r} takes {kind.__name__} (default {default!r}), not {shown!r}")


def _tuple(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


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
            raise RequestError("should be ARG=VALUE", option=option, value=text)
        if key in found:
            raise RequestError(f"{key} is given twice", option=option)
        found[key] = literal(value)
    return found or None


def literal(text: str) -> Any:
    """Return the number, flag or ``None`` that `text` spells, or the text itself."""
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text.lower(), text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return value if value is None or isinstance(value, (bool, int, float, str)) else text
