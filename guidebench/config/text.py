"""Texts that came from somewhere else, made safe to be shown: names, messages of exceptions, what a plugin says.

Whatever cannot be printed, or would move a cursor, colour a terminal or turn the direction of writing, is shown as it
would be written in Python: the text is still there to be read, and does nothing.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path

#: Kinds of letters that show nothing, or are none: control, format (direction marks), surrogates, private, unassigned.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}

#: Of these, what joins letters and emoji of several scripts, and does nothing else.
_JOINING = {"\u200c", "\u200d"}

#: Where a traceback names a file.
_FILE = re.compile(r'File "([^"\n]*)"')

#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def shown(text: str) -> str:
    """Return `text` with what cannot be seen as escapes; lines stay lines."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if _is_seen(one) else _escaped(one) for one in text)


def line(text: str) -> str:
    """Return `text` in one line that is safe to be shown."""
    return shown(" ".join(text.split()))


def without_middle(name: str, letters: int) -> str:
    """Return a name of at most so many letters, two or more, without its middle where it is longer.

    The head of a guide's name tells the family and its tail the options; problems of a family differ at the end.
    """
    return name if len(name) <= letters else f"{name[: letters - letters // 2 - 1]}…{name[-(letters // 2) :]}"


def cell(text: str) -> str:
    """Return `text` as a cell that a spreadsheet takes for text: before one that begins as a formula is a quote."""
    safe = shown(text)
    return f"'{safe}" if safe.startswith(_FORMULA) else safe


def passed_on(traceback: str) -> str:
    """Return a traceback that can be passed on: without where on this machine its files are, and safe to be shown."""
    return shown(_FILE.sub(lambda found: f'File "{_short(found[1])}"', traceback))


def _short(path: str) -> str:
    with suppress(OSError):  # a folder that is gone
        for base in (str(Path.cwd()), *sorted(sys.path, key=len, reverse=True)):
            if base and path.startswith(base.rstrip(os.sep) + os.sep):
                return path[len(base.rstrip(os.sep)) + 1 :]
    return path.rpartition(os.sep)[2]


def is_storable(name: str) -> bool:
    """Return whether a variable of a NetCDF file can be called so."""
    return name not in ("", ".") and "\0" not in name and not any("\ud800" <= one <= "\udfff" for one in name)


def told(value: object) -> str:
    """Return any object as text, whatever its own ``__str__`` does."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - of somebody's class
        return f"<{type(value).__name__}>"


def _is_seen(one: str) -> bool:
    return one in "\n\t" or one in _JOINING or unicodedata.category(one) not in _HIDDEN


def _escaped(one: str) -> str:
    return one.encode("unicode_escape", "backslashreplace").decode("ascii")
