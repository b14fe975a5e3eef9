"""Options of the commands, made of their declarations in the configuration."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from guidebench.cli.completion import guides, problems
from guidebench.config.settings import OPTIONS
from guidebench.config.specs import assignments

#: What the command line takes, by the kind of value: names, and ``ARG=VALUE``, are given one after the other.
_TYPES: Mapping[type, Any] = {tuple: list[str], dict: list[str]}


#: What a shell is told of how a name goes on.
COMPLETED: Mapping[str, Any] = {"guides": guides, "problems": problems}


def declared(name: str, *, panel: str | None = None) -> Any:
    """Return an option of a run as Typer takes it, in its own panel of the help unless another is given."""
    option = OPTIONS[name]
    known: dict[str, Any] = {
        "metavar": option.metavar or None,
        "help": option.help,
        "rich_help_panel": (option.panel if panel is None else panel) or None,
    }
    if name in COMPLETED:
        known["autocompletion"] = COMPLETED[name]
    if not option.on_command_line[0].startswith("-"):
        return typer.Argument(**known)
    return typer.Option(*option.on_command_line, **known)


#: Options that several commands have.
PluginOption = Annotated[list[str] | None, declared("plugins")]
NoPluginsOption = Annotated[bool | None, declared("no_plugins")]
LogLossOption = Annotated[bool | None, declared("log_loss", panel="")]


def parameters() -> Iterator[inspect.Parameter]:
    """Yield a parameter for each option of a run, by its name, ``None`` where it is not given."""
    for name, option in OPTIONS.items():
        kind = _TYPES.get(option.kind, option.kind)
        annotation: Any = Annotated[kind | None, declared(name)]
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given for the options of a run as the configuration takes it."""
    return {name: _value(name, given[name]) for name in OPTIONS}


def _value(name: str, given: Any) -> Any:
    kind = OPTIONS[name].kind
    if kind is dict:
        return assignments(name, given)
    return tuple(given or ()) if kind is tuple else given
