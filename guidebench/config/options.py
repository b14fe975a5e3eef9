"""What an option of a run says of itself, once: the faces, the file, the keys and the results read it there.

The options stand in :mod:`guidebench.config.settings` and :mod:`guidebench.config.training`, each with its type,
bounds and default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

#: Panels in the help of the command line.
MODEL, TRAINING, OUTPUT, RUNNING = "Your own model", "Training", "Output", "Running"

#: What an option changes: numbers of every fit; what is trained or measured, which says so itself; or no number.
Changes = Literal["numbers", "subject", "nothing"]

#: What the value of an option may be: one of a kind, names, or values by name.
Kind = type[bool] | type[int] | type[float] | type[str] | type[tuple[Any, ...]] | type[dict[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of a run.

    Attributes
    ----------
    help : str
        One or two sentences.
    panel : str
        Where the help shows it.
    metavar : str
        What the help calls its value; a flag has none.
    flags : tuple of str
        On the command line, where not its name with dashes; without dashes it is an argument.
    changes : str
        Whether fits that differ in it alone can have other numbers, so that it is part of their keys; not so
        what decides which problems, guides and metrics there are, which have keys of their own.
    saved : bool
        Whether it is part of the results, and so of a run that is had again from them.
    executor : str
        The module of ``engine.executors`` with what the option chooses to run fits on, where it chooses that: its
        function ``of(config)`` returns it.
    from_folder : callable, optional
        Returns a text of a file as seen from the working directory, given the text and the folder of the file.
    name : str
        The key in a file, and the option in Python.  This and `kind` are those of the field it stands on.
    kind : type
        Of its value.
    """

    help: str
    panel: str = ""
    metavar: str = ""
    flags: tuple[str, ...] = ()
    changes: Changes = "numbers"
    saved: bool = True
    executor: str = ""
    from_folder: Callable[[str, Path], str] | None = None
    name: str = ""
    kind: Kind = str

    @property
    def on_command_line(self) -> tuple[str, ...]:
        """All that the command line takes it by."""
        return self.flags or (f"--{self.name.replace('_', '-')}",)

    @property
    def spelled(self) -> str:
        """What messages of the command line call it."""
        first = (flag for flag in self.on_command_line if flag.startswith("--"))
        return next(first, self.on_command_line[0]).partition("/")[0]


class Options(BaseModel):
    """Fields that declare options; what checks values is built with the first value, as the help needs none."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def option_of(name: str, field: FieldInfo) -> Option:
    """Return the option that stands on a field, with its name and kind."""
    (option,) = (one for one in field.metadata if isinstance(one, Option))
    return replace(option, name=name, kind=_kind(field.annotation))


def _kind(annotation: Any) -> Kind:
    """Return what a value is, whether or not there has to be one."""
    for one in (annotation, *get_args(annotation)):
        found: Any = get_origin(one) or one
        if found is Literal:
            return str
        if found in (bool, int, float, str, tuple, dict):
            kind: Kind = found
            return kind
    raise TypeError(f"an option cannot be {annotation!r}")
