"""From what a file holds under a name to what a model can be given: finite numbers in the range of JAX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from guidebench.config.errors import RequestError, opt
from guidebench.request.loading.files import Unusable, missing

#: Levels of a text column that a note spells out.
SHOWN = 12

_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}([T ].*)?")

#: A text that is meant as a number, with commas for thousands or decimals, too.
_NUMBER = re.compile(r"[-+]?(\d[\d,]*\.?\d*|\.\d+)([eE][-+]?\d+)?")


def is_text(value: Any) -> bool:
    """Return whether a value is an array of text."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "O"


def levels_of(value: np.ndarray, where: str) -> tuple[str, ...]:
    """Return the different texts of an array, sorted; each is coded by its position.

    Raises
    ------
    RequestError
        Where texts are missing, or are rather dates or numbers.
    """
    _refuse(missing(value), "missing", where)
    found = sorted(set(value.ravel().tolist()))
    if found and all(_DATE.fullmatch(text.strip()) for text in found):
        raise RequestError(f"{where} holds dates ({found[0]!r}); turn them into numbers first")
    numeric = {text for text in found if _NUMBER.fullmatch(text.strip())}
    count = sum(text in numeric for text in value.ravel().tolist())
    if 2 * count >= value.size and count:
        odd = next((text for text in value.ravel().tolist() if text not in numeric), None)
        if odd is None:
            raise RequestError(f"{where} holds numbers as text or beyond 64 bits ({found[0]!r}); store them as numbers")
        row = int(np.argmax((value == odd).reshape(len(value), -1).any(axis=1)))
        raise RequestError(f"{where} holds numbers, and in row {row + 1} the text {odd!r}; mend it or leave it out")
    return tuple(found)


def coded(value: np.ndarray, levels: Sequence[str], where: str) -> np.ndarray:
    """Return the position of each text in `levels`.

    Raises
    ------
    RequestError
        Where a text is missing, or is none of the levels.
    """
    _refuse(missing(value), "missing", where)
    position = {level: index for index, level in enumerate(levels)}
    unknown = sorted({text for text in value.ravel().tolist() if text not in position})
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise RequestError(f"{where} has the level {unknown[0]!r}{more}, which the data to train on do not have")
    return np.array([position[text] for text in value.ravel().tolist()], dtype=np.int64).reshape(value.shape)


def coding(name: str, levels: Sequence[str]) -> str:
    """Return how a column of text became numbers, in words."""
    shown = [f"{level} = {index}" for index, level in enumerate(levels)]
    if len(shown) > SHOWN:
        shown = [*shown[: SHOWN - 1], "…", shown[-1]]
    return f"{name} is coded {', '.join(shown)}."


def numbers(value: Any, where: str, *, wide: bool = False) -> Any:
    """Return numbers as a model can be given them: booleans as 0 and 1, and all finite and in range.

    Parameters
    ----------
    value : object
        An array, or a Python value, which stays one.
    where : str
        Begins the messages.
    wide : bool
        Whether JAX computes with 64 bits.
    """
    if isinstance(value, Unusable):
        raise RequestError(f"{where} {value.reason}")
    if value is None or isinstance(value, (str, bool)):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "O":
        raise RequestError(f"{where} holds whole numbers beyond 64 bits")
    if not array.size:
        raise RequestError(f"{where} is empty")
    if array.dtype.kind == "b":
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        _refuse(np.isnan(array), "missing", where)
        _refuse(np.isinf(array), "infinite", where)
    _check_range(array, where, wide=wide)
    return value


def _check_range(array: np.ndarray, where: str, *, wide: bool) -> None:
    bits = 64 if wide else 32
    if array.dtype.kind != "u" and array.dtype.itemsize * 8 <= bits:
        return  # and half a float's range cannot be held against that of a whole one
    if array.dtype.kind == "f":
        kind, limit = "floats", float(np.finfo(f"f{bits // 8}").max)
        beyond = np.abs(array) > limit
    else:
        kind, top = "integers", 2 ** (bits - 1) - 1
        # Each side on its own: unsigned arrays cannot be compared with a negative limit.
        beyond = array > top if array.dtype.kind == "u" else (array > top) | (array < -top - 1)
    if beyond.any():
        found = array[beyond].ravel()[0]
        hint = "" if wide else f", or compute with {opt('x64')}"
        raise RequestError(f"{where} holds {found}{_place(beyond)}, beyond {bits}-bit {kind}; rescale it{hint}")


def _refuse(bad: Any, how: str, where: str) -> None:
    bad = np.asarray(bad, dtype=bool)
    count = int(bad.sum())
    if not count:
        return
    if not bad.ndim:
        raise RequestError(f"{where} is {'missing (NaN)' if how == 'missing' else how}")
    first = f", the first{_place(bad)}" if count > 1 else _place(bad)
    raise RequestError(
        f"{where} has {count:,} {how} value{'s' * (count > 1)}{first}; leave such rows out or fill them in"
    )


def _place(bad: np.ndarray) -> str:
    """Return in which row the first one is; rows are counted from 1."""
    return f" in row {int(np.argmax(bad.reshape(len(bad), -1).any(axis=1))) + 1:,}" if bad.ndim else ""
