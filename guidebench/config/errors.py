"""The errors guidebench raises on purpose.

Every one of them carries one clear line: what was wrong, where, and what to do.  The command line
prints that line and exits with the status of its class; anything else is a bug, whose traceback goes into a log.

Where a line names an option, it holds a mark in its place, and the face that shows it spells the option:
``--learning-rate`` on the command line, ``learning_rate`` in Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: Around the name of an option in a message.  Unicode keeps these two for such ends; no text has them.
_BEGIN, _END = "\ufdd0", "\ufdd1"
_MARK = re.compile(f"{_BEGIN}([^{_END}]*){_END}")


def opt(name: str) -> str:
    """Return the mark of an option, to be put into the message of a :class:`RequestError`.

    Parameters
    ----------
    name : str
        As in Python and in a configuration file: ``"learning_rate"``.
    """
    return f"{_BEGIN}{name}{_END}"


def on_command_line(name: str) -> str:
    """Return what the command line calls an option."""
    from guidebench.config.settings import OPTIONS  # the errors, which everybody needs, come without pydantic

    return OPTIONS[name].spelled if name in OPTIONS else f"--{name.replace('_', '-')}"


def in_python(name: str) -> str:
    """Return what Python calls an option."""
    return name


class GuidebenchError(Exception):
    """Base class of all expected errors.

    Attributes
    ----------
    status : int
        What a command that it ends exits with.
    """

    status = 2


class RequestError(GuidebenchError):
    """The request itself is wrong: an unknown name, a bad option, data that do not fit.

    Parameters
    ----------
    message : str
        One line; options in it are marked: ``f"give {RequestError.opt('validation')}"``.
    option : str, optional
        The option that is wrong, by its name in Python; it begins the line, with `value`.
    value : object, optional
        What it was given.

    Attributes
    ----------
    text : str
        The whole line with its marks, to be put into another message.
    option : str or None
        The option that is wrong: the first that the line names.
    value : object
        What it was given, where the line did not say so itself.
    """

    opt = staticmethod(opt)

    def __init__(self, message: str = "", *, option: str | None = None, value: object = None) -> None:
        given = "" if value is None else f" {value}"
        self.text = message if option is None else f"{opt(option)}{given}: {message}"
        super().__init__(self.text)
        found = _MARK.search(self.text)
        self.option = found[1] if found else None
        self.value = value
        self._spell: Callable[[str], str] = on_command_line

    def __str__(self) -> str:
        return _MARK.sub(lambda found: self._spell(found[1]), self.text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def spelled(self, spell: Callable[[str], str]) -> RequestError:
        """Return the error in the words of a face, which says what it calls an option."""
        error = RequestError(self.text)
        error.value, error._spell = self.value, spell
        return error


class PluginError(GuidebenchError):
    """A plugin declared something it should not have."""


class ResultsError(GuidebenchError):
    """A folder of saved results is missing, incomplete or of another version."""


class DiskFullError(GuidebenchError):
    """There is no room for what is to be written; nothing of it is there."""

    status = 1


class FolderInUseError(GuidebenchError):
    """Another process is writing into a folder of results."""


class ModelError(GuidebenchError):
    """A model, or what it uses, has failed or tried to end the program where nothing can go on without it."""

    status = 1
