"""Reading named columns and arrays from a file: ``.csv``, ``.npz``, ``.json``, ``.nc``.

What is read is not yet checked against a model.  Numbers stay as the file has them, text is an object
array of ``str`` (``None`` where it is missing), and what cannot be used says why, in case a model asks.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile, is_zipfile

import numpy as np

from guidebench.config.errors import RequestError, opt
from guidebench.plugins.isolation.failures import said

if TYPE_CHECKING:
    import xarray as xr

#: Axes that an array has, at most: JAX and XLA are not made for more.
MOST_AXES = 32

#: Groups of InferenceData that hold what a model was given.
GROUPS = ("observed_data", "constant_data")


@dataclass(frozen=True)
class Unusable:
    """Stands for values that cannot be an argument, with the reason."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a file holds.

    Attributes
    ----------
    where : str
        The option and the file, which messages begin with.
    file : str
        The name of the file.
    values : mapping
        By name: arrays (numbers, or text as objects), Python scalars, or :class:`Unusable`.
    rows : int, optional
        The length of every column, where the file is a table.
    index : frozenset of str
        Names that no one misses, such as coordinates of InferenceData.
    coords : mapping of str to tuple of str
        Names of the levels of dimensions, where they are text.
    """

    where: str
    file: str
    values: Mapping[str, Any]
    rows: int | None = None
    index: frozenset[str] = frozenset()
    coords: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """Return what the names in this file are called."""
        return "arrays" if self.rows is None else "columns"


def read_data(file: str, option: str = "data") -> Data:
    """Read the columns or arrays of a file.

    Parameters
    ----------
    file : str
        ``.csv`` with a header; ``.npz``, nothing of which is unpickled; ``.json``, an object of numbers,
        texts and (nested) lists of them; or ``.nc``, the variables of the root group, or those of
        ``observed_data`` and ``constant_data`` in InferenceData.
    option : str
        Begins the messages, together with the file.

    Raises
    ------
    RequestError
        Where there is no such file, or it cannot be read.
    """
    where, path = f"{opt(option)} {file}", Path(file)
    readers: dict[str, Callable[[Path, str], Data]] = {".csv": _csv, ".npz": _npz, ".json": _json, ".nc": _netcdf}
    if path.suffix.lower() not in readers:
        raise RequestError(f"{where}: should be a file that ends in {', '.join(readers)}")
    if path.is_dir():
        raise RequestError(f"{where}: that is a folder, not a file")
    if not path.exists():
        raise RequestError(f"{where}: there is no such file")
    data = readers[path.suffix.lower()](path, where)
    if not data.values:
        raise RequestError(f"{where} is empty")
    return data


def _unreadable(where: str, error: BaseException) -> RequestError:
    return RequestError(f"{where} cannot be read: {said(error, 200)}")


def _refuse_repeated(names: list[str], where: str) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise RequestError(f"{where}: the name {repeated[0]!r} is there {names.count(repeated[0])} times")


def _csv(path: Path, where: str) -> Data:
    import pandas as pd

    how: dict[str, Any] = {"encoding": "utf-8-sig", "skipinitialspace": True, "low_memory": False}
    try:
        # Pandas would rename columns that are there twice, so the header is read on its own first.
        first = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, **how)
        names = [str(name).strip() for name in first.iloc[0]]
        table = pd.read_csv(path, **how)
    except UnicodeDecodeError:
        raise RequestError(f"{where} cannot be read: it is not UTF-8 text") from None
    except pd.errors.EmptyDataError:
        raise RequestError(f"{where} is empty") from None
    except (OSError, ValueError) as error:
        raise _unreadable(where, error) from None
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        raise RequestError(f"{where}: its only column is {names[0]!r}; are its fields separated by commas?")
    if all(_is_number(name) for name in names):
        raise RequestError(f"{where}: the first row should hold the names of the columns, not numbers")
    _refuse_repeated([name for name in names if name], where)
    if not isinstance(table.index, pd.RangeIndex) or len(table.columns) != len(names):
        raise RequestError(f"{where}: its rows have more fields than its header has names")
    if table.empty:
        raise RequestError(f"{where} has a header and no rows")
    table.columns = pd.Index(names)
    return Data(
        where=where, file=path.name, values={name: _of_series(table[name]) for name in names if name}, rows=len(table)
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _of_series(column: Any) -> Any:
    if column.dtype.kind in "biuf":
        return column.to_numpy()
    values = column.to_numpy(dtype=object).copy()
    values[column.isna().to_numpy()] = None
    return _of_objects(values)


def missing(values: np.ndarray) -> np.ndarray:
    """Return which entries of an object array are ``None`` or NaN."""
    # Only NaN differs from itself.
    return np.asarray(np.frompyfunc(lambda value: value is None or value != value, 1, 1)(values), dtype=bool)


def _of_objects(values: np.ndarray) -> Any:
    """Return an object array as numbers or as text, with gaps where it has some, or why it is neither."""
    gaps = missing(values)
    kinds = {type(value) for value in values[~gaps]}
    filled = values.copy()
    if kinds <= {str}:
        filled[gaps] = None
        return filled
    if kinds <= {bool, np.bool_, int, float}:
        filled[gaps] = np.nan
        try:
            return filled.astype(np.float64)
        except OverflowError:
            return Unusable("holds whole numbers beyond 64 bits")
    if str in kinds:
        return Unusable("mixes text with numbers")
    return Unusable(f"holds values of type {', '.join(sorted(kind.__name__ for kind in kinds))}")


def _npz(path: Path, where: str) -> Data:
    try:
        if not is_zipfile(path):
            raise RequestError(f"{where} cannot be read: it is no archive of np.savez")
        _refuse_boasts(path, where)
        with np.load(path, allow_pickle=False) as arrays:
            _refuse_repeated(list(arrays.files), where)
            values = {name: _member(arrays, name) for name in arrays.files}
    except RequestError:
        raise
    except Exception as error:  # noqa: BLE001 - encrypted, oddly packed, cut short: what zipfile and NumPy raise is not documented
        raise _unreadable(where, error) from None
    return Data(where=where, file=path.name, values=values)


def _refuse_boasts(path: Path, where: str) -> None:
    """Refuse an archive with an array that is larger than its bytes, or larger than the memory, before it is read."""
    with ZipFile(path) as archive:
        for one in archive.infolist():
            if one.file_size > memory():
                raise RequestError(f"{where}: {one.filename} would take {one.file_size / 1e9:,.0f} GB of memory")
            if not one.filename.endswith(".npy"):
                continue
            with archive.open(one) as opened:
                version = np.lib.format.read_magic(opened)
                header = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = header(opened)
            claimed = math.prod(shape) * dtype.itemsize
            if claimed > one.file_size and not dtype.hasobject:
                raise RequestError(
                    f"{where}: the array {one.filename.removesuffix('.npy')} claims {claimed:,} bytes and has "
                    f"{one.file_size:,} with its header"
                )


def memory() -> int:
    """Return the bytes of memory that the machine has, or a million million where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 10**12


def _member(arrays: Any, name: str) -> Any:
    try:
        found = arrays[name]
        return _of_array(found) if isinstance(found, np.ndarray) else Unusable("is no array")
    except ValueError as error:
        if "allow_pickle" in str(error):
            return Unusable("holds Python objects, and nothing is unpickled")
        raise


def _of_array(array: np.ndarray) -> Any:
    """Return an array as numbers or as text, or as a Python value where it has no axes."""
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind == "O":
        found = _of_objects(np.atleast_1d(array))
        if isinstance(found, np.ndarray):
            found = found.reshape(array.shape)
    elif array.dtype.kind in "UT":
        found = array.astype(object)
    elif array.dtype.kind in "biuf":
        found = _native(array)
    else:
        kind = {"M": "dates", "m": "durations", "c": "complex numbers"}.get(array.dtype.kind, f"{array.dtype} values")
        return Unusable(f"holds {kind}; turn them into real numbers first")
    return found.item() if isinstance(found, np.ndarray) and found.ndim == 0 else found


def _native(array: np.ndarray) -> np.ndarray:
    """Return numbers in the order of bytes of this machine, and in at most 64 bits: JAX knows no others."""
    if array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


class _RepeatedError(ValueError):
    """A key of a JSON object is there twice."""


def _json(path: Path, where: str) -> Data:
    import json

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated = [name for name, count in Counter(name for name, _ in items).items() if count > 1]
        if repeated:
            raise _RepeatedError(repeated[0])
        return dict(items)

    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=pairs)
    except _RepeatedError as error:
        raise RequestError(f"{where}: the name {str(error)!r} is there twice") from None
    except UnicodeDecodeError:
        raise RequestError(f"{where} cannot be read: it is not UTF-8 text") from None
    except (OSError, ValueError, RecursionError) as error:
        if path.is_file() and path.stat().st_size == 0:
            raise RequestError(f"{where} is empty") from None
        raise _unreadable(where, error) from None
    if not isinstance(found, dict):
        kind = "list" if isinstance(found, list) else type(found).__name__
        raise RequestError(f'{where}: it holds a {kind}; expected is an object of arrays by name, as {{"x": [1, 2]}}')
    return Data(where=where, file=path.name, values={name: _of_json(value) for name, value in found.items()})


def _of_json(value: Any) -> Any:
    if isinstance(value, dict):
        return Unusable("is an object of its own; expected are numbers or lists of them")
    if not isinstance(value, list):
        return value
    if _is_deep(value):
        return Unusable(f"is nested more than {MOST_AXES} deep")
    leaves = list(_leaves(value))
    if any(isinstance(leaf, dict) for leaf in leaves):
        return Unusable("holds objects; expected are numbers or lists of them")
    kinds = {type(leaf) for leaf in leaves} - {type(None)}
    if str in kinds and len(kinds) > 1:
        return Unusable("mixes text with numbers")
    shape = _shape(value)
    if shape is None:
        return Unusable("is ragged: its lists differ in length")
    if type(None) not in map(type, leaves) and str not in kinds:
        plain = np.array(leaves) if leaves else np.zeros(0)
        if plain.dtype.kind == "O":
            return Unusable("holds whole numbers beyond 64 bits")
        return plain.reshape(shape)
    flat = np.empty(len(leaves), dtype=object)
    flat[:] = leaves
    found = _of_objects(flat)
    return found.reshape(shape) if isinstance(found, np.ndarray) else found


def _is_deep(value: Any) -> bool:
    """Return whether lists are nested deeper than an array has axes."""
    level = [value]
    for _ in range(MOST_AXES):
        level = [one for part in level if isinstance(part, list) for one in part]
    return any(isinstance(one, list) for one in level)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _shape(value: Any) -> tuple[int, ...] | None:
    """Return the shape of nested lists, or ``None`` where they are ragged."""
    if not isinstance(value, list):
        return ()
    shapes = {_shape(item) for item in value}
    if len(shapes) > 1 or None in shapes:
        return None
    (inner,) = shapes or {()}
    return None if inner is None else (len(value), *inner)


def _netcdf(path: Path, where: str) -> Data:
    from guidebench.results.inference_data import opened

    try:
        with opened(path) as tree:
            size = sum(node.to_dataset().nbytes for node in tree.subtree)
            if size > memory():
                raise RequestError(f"{where}: its variables would take {size / 1e9:,.0f} GB of memory")
            children = {name: child.to_dataset().load() for name, child in tree.children.items()}
            root = tree.to_dataset().load()
    except RequestError:
        raise
    except Exception as error:  # noqa: BLE001 - what a broken NetCDF file makes h5py and xarray raise is not documented
        raise _unreadable(where, error) from None
    parts = {name: children[name] for name in GROUPS if name in children} or {"/": root}
    _refuse_repeated([str(name) for part in parts.values() for name in part.data_vars], where)
    values: dict[str, Any] = {}
    index: set[str] = set()
    coords: dict[str, tuple[str, ...]] = {}
    for part in parts.values():
        coordinates = {str(name): _of_variable(part[name]) for name in part.coords}
        index.update(coordinates)
        coords |= {
            name: tuple(map(str, value)) for name, value in coordinates.items() if _names_levels(name, part, value)
        }
        values = {**coordinates, **values, **{str(name): _of_variable(part[name]) for name in part.data_vars}}
    if not values and children:
        raise RequestError(
            f"{where}: it has the group(s) {', '.join(children)}; expected are {' and '.join(GROUPS)}, "
            "or variables outside of groups"
        )
    return Data(where=where, file=path.name, values=values, index=frozenset(index), coords=coords)


def _names_levels(name: str, part: xr.Dataset, value: Any) -> bool:
    """Return whether a coordinate is a text of its own for each level of the dimension that is called like it."""
    texts = isinstance(value, np.ndarray) and value.dtype.kind == "O" and part[name].dims == (name,)
    return texts and not missing(value).any() and len(set(value.tolist())) == len(value)


def _of_variable(variable: xr.DataArray) -> Any:
    return _of_array(variable.to_numpy())
