"""Which column or array of a file is which argument of a model: by name."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from guidebench.config.errors import RequestError, opt
from guidebench.request.loading.columns import coded, coding, is_text, levels_of, numbers
from guidebench.request.loading.files import Data, Unusable

#: A message lists no more names than this.
LISTED = 12

_KINDS = inspect.Parameter


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Arguments from a file.

    Attributes
    ----------
    values : mapping
        By argument: arrays, and Python values for what has no axes.
    levels : mapping
        The levels of each column of text that became numbers.
    counts : mapping
        Arguments ``n_NAME``, and the column of text whose levels they count.
    notes : tuple of str
        What a reader of the report should know.
    """

    values: Mapping[str, Any]
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def parameters_of(model: Callable[..., Any], who: str) -> dict[str, inspect.Parameter]:
    """Return the named parameters of a model.

    Raises
    ------
    RequestError
        Where it has no signature, or one that takes no arguments by name.
    """
    try:
        found = inspect.signature(model).parameters
    except (TypeError, ValueError):
        raise RequestError(f"{who}: Python knows no arguments of it; is it a model?") from None
    first = [name for name, one in found.items() if one.kind is _KINDS.POSITIONAL_ONLY]
    if first:
        raise RequestError(f"{who} takes {', '.join(first)} by position only; leave out the '/' of its arguments")
    return {name: one for name, one in found.items() if one.kind not in (_KINDS.VAR_POSITIONAL, _KINDS.VAR_KEYWORD)}


def match(
    parameters: Mapping[str, inspect.Parameter],
    data: Data,
    who: str,
    static: Mapping[str, Any] | None = None,
    later: Iterable[str] = (),
    *,
    wide: bool = False,
) -> Matched:
    """Return the arguments of a model that a file holds.

    An argument is the column or array of its name; or columns with its name and a number (``X_1``, ``X_2``,
    ...), side by side; or, for ``n_NAME``, the number of levels of the column of text ``NAME``.

    Parameters
    ----------
    parameters : mapping
        Of the model, by name.
    data : Data
        What the file holds.
    who : str
        What messages call the model.
    static : mapping, optional
        Arguments that are given otherwise; these win.
    later : iterable of str
        Arguments that may stay open although they have no default.
    wide : bool
        Whether JAX computes with 64 bits.

    Raises
    ------
    RequestError
        Where an argument is missing, or what the file has for it cannot be used.
    """
    given = dict(static or {})
    wanted = [name for name in parameters if name not in given]
    found: dict[str, Any] = {}
    used: dict[str, tuple[str, ...]] = {}
    levels: dict[str, tuple[str, ...]] = {}
    counts: dict[str, str] = {}
    for name in wanted:
        columns = _columns_of(name, data, parameters)
        counted = name.removeprefix("n_")
        if columns:
            used[name] = columns
            found[name] = _read(name, columns, data, levels, wide=wide)
        elif counted != name and is_text(data.values.get(counted)):
            counts[name] = counted
            levels.setdefault(counted, levels_of(data.values[counted], f"{data.where}: column {counted}"))
            found[name] = len(levels[counted])
    taken = {column for columns in used.values() for column in columns} | set(counts.values())
    left = [name for name in data.values if name not in taken and name not in data.index]
    open_ = [name for name in wanted if name not in found and name not in set(later)]
    missing = [name for name in open_ if parameters[name].default is _KINDS.empty]
    if missing:
        raise _lacking(missing, data, who, left)
    for name in open_:
        near = _misspelled(name, left)
        if near:
            raise RequestError(
                f"{data.where} has {near!r} and no {name!r}, an argument of {who}; rename it, "
                f"or set the argument with {opt('static')} {name}=VALUE"
            )
    notes = [coding(column, found_levels) for column, found_levels in levels.items()]
    if left:
        verb = "is no argument" if len(left) == 1 else "are no arguments"
        was = "was" if len(left) == 1 else "were"
        kind = data.what.removesuffix("s" if len(left) == 1 else "").capitalize()
        notes.append(f"{kind} {_listed(left)} {verb} of the model and {was} left out.")
    if open_:
        defaults = [f"{name} = {_shown(parameters[name].default)}" for name in open_]
        notes.append(f"Left at {'their defaults' if len(open_) > 1 else 'its default'}: {', '.join(defaults)}.")
    return Matched(values=found, levels=levels, counts=counts, notes=tuple(notes))


def match_test(trained: Matched, data: Data, rows: Collection[str], *, wide: bool = False) -> dict[str, Any]:
    """Return the same arguments from a file of held-out data, coded alike.

    Parameters
    ----------
    trained : Matched
        The arguments from the file to train on.
    data : Data
        What the other file holds.
    rows : collection of str
        The arguments that this file cannot do without: those with a value for every row.
    wide : bool
        Whether JAX computes with 64 bits.

    Raises
    ------
    RequestError
        Where one of them is missing, has another shape, or a level that the others do not have.
    """
    levels = dict(trained.levels)
    found: dict[str, Any] = {}
    missing = []
    for name, value in trained.values.items():
        if name in trained.counts:
            continue
        columns = _columns_of(name, data, trained.values)
        if not columns:
            if name in rows:
                missing.append(name)
            continue
        text = any(is_text(data.values[column]) for column in columns)
        if text and name not in levels and not isinstance(value, str):
            raise RequestError(f"{data.where}: argument {name} is text, and numbers in the data to train on")
        if name in levels and not text:
            raise RequestError(f"{data.where}: argument {name} is numbers, and text in the data to train on")
        found[name] = _read(name, columns, data, levels, wide=wide)
        if np.ndim(found[name]) != np.ndim(value) or np.shape(found[name])[1:] != np.shape(value)[1:]:
            raise RequestError(
                f"{data.where}: argument {name} has shape {np.shape(found[name])}, "
                f"and {np.shape(value)} in the data to train on"
            )
    if missing:
        raise _lacking(missing, data, "the model", [name for name in data.values if name not in trained.values])
    return found


def _columns_of(name: str, data: Data, reserved: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that make up an argument: that of its name, or those numbered."""
    if name in data.values:
        return (name,)
    for stem in dict.fromkeys((name, name.lower(), name.upper())):
        for pattern in (r"_(\d{1,18})", r"\.(\d{1,18})", r"\[(\d{1,18})\]", r"(\d{1,18})"):
            numbered = {
                int(hit[1]): column
                for column in data.values
                if column not in reserved and (hit := re.fullmatch(re.escape(stem) + pattern, column))
            }
            if not numbered or (pattern[0] == "(" and len(numbered) < 2):
                continue
            start = 0 if 0 in numbered else 1
            expected = range(start, max(numbered) + 1)
            # One that ends in a billion has a billion gaps.
            count = len(expected) - sum(number in expected for number in numbered)
            if count:
                gaps = list(islice((number for number in expected if number not in numbered), LISTED))
                more = f" and {count - len(gaps)} more" if count > len(gaps) else ""
                some = numbered[max(numbered)]
                raise RequestError(
                    f"{data.where}: argument {name} would be the {data.what} numbered {start} to {max(numbered)} "
                    f"(the last is {some!r}), but {_listed(gaps)}{more} {'is' if count == 1 else 'are'} not there"
                )
            return tuple(numbered[number] for number in expected)
    return ()


def _read(name: str, columns: Sequence[str], data: Data, levels: dict[str, tuple[str, ...]], *, wide: bool) -> Any:
    """Return the value of an argument; levels of text that are not yet known are added."""
    where = f"{data.where}: argument {name}"
    if tuple(columns) == (name,):
        value = data.values[name]
        if not is_text(value):
            return numbers(value, where, wide=wide)
        if not value.size:
            raise RequestError(f"{where} is empty")
        if name not in levels:
            levels[name] = levels_of(value, where)
        return coded(value, levels[name], where)
    parts = []
    for column in columns:
        part = data.values[column]
        if is_text(part):
            raise RequestError(f"{where}: its column {column} is text; only numbers can stand side by side")
        parts.append(np.asarray(numbers(part, f"{where}: its column {column}", wide=wide)))
    if len({part.shape for part in parts}) > 1 or parts[0].ndim != 1:
        shapes = ", ".join(f"{column} {part.shape}" for column, part in zip(columns, parts, strict=True))
        raise RequestError(f"{where}: only columns of one length can stand side by side: {shapes}")
    return np.column_stack(parts)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _misspelled(name: str, left: Sequence[str]) -> str | None:
    """Return a column that must mean the argument `name`: another case or separator, or a slip of the pen."""
    for column in left:
        if _plain(column) == _plain(name):
            return column
    close = difflib.get_close_matches(name, left, n=1, cutoff=0.85) if len(name) > 3 else []
    # Names that differ in a number mean different things.
    return next((column for column in close if re.findall(r"\d", column) == re.findall(r"\d", name)), None)


def _lacking(missing: Sequence[str], data: Data, who: str, left: Sequence[str]) -> RequestError:
    plural = "s" if len(missing) > 1 else ""
    message = f"{data.where} lacks the argument{plural} {', '.join(missing)} of {who}"
    names = {column.lower(): column for column in reversed(left)}
    for name in missing:
        close = difflib.get_close_matches(name.lower(), names, n=1)
        near = _misspelled(name, left) or (names[close[0]] if close else None)
        if near is not None:
            return RequestError(f"{message}; did you mean {near!r} for {name!r}?")
        if name.startswith("n_") and name.removeprefix("n_") in data.values:
            return RequestError(
                f"{message}; levels are counted for text alone: set it with {opt('static')} {name}=NUMBER "
                f"or compute it in the model"
            )
    return RequestError(f"{message}; its {data.what} are {_listed([_described(name, data) for name in data.values])}")


def _described(name: str, data: Data) -> str:
    value = data.values[name]
    return f"{name} (which {value.reason})" if isinstance(value, Unusable) else name


def _listed(names: Sequence[Any]) -> str:
    shown = [str(name) for name in names[:LISTED]]
    return ", ".join(shown) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def _shown(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    return type(value).__name__
