"""What a trained guide needs to be run again: its parameters and the coordinates they belong to, as plain arrays.

It travels beside the draws, as the group ``trained`` of their InferenceData, so that it goes wherever they go: from a
worker to the run, into what a run keeps, and back out of it.  Nothing in it is code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import xarray as xr

from guidebench.config.errors import ResultsError

#: The group of InferenceData that holds it.
GROUP = "trained"

#: The variable of that group with everything that is no array.
_HEADER = "header"

#: Characters of a number's kind that a file takes: whole numbers, real numbers, and flags.
_KINDS = "iufb"


@dataclass(frozen=True, kw_only=True)
class LatentSite:
    """A latent site: its shape, and that of its unconstrained coordinates."""

    name: str
    shape: tuple[int, ...]
    unconstrained: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class GuideState:
    """A trained guide as data.

    Attributes
    ----------
    params : mapping
        Its parameters by name, in their constrained space: arrays, or dicts, lists and tuples of them.
    start : mapping of str to ndarray
        The starting values that a fresh guide is built with, by the sites that it was shown.
    sites : tuple of LatentSite
        The latent sites of the model, in its order.
    coordinates : {"own", "unconstrained", "diagonal", "affine"}
        In which it was trained.
    center, factor : ndarray or None
        Of the standardising map u = center + factor z, shapes ``(D,)`` and ``(D,)`` or ``(D, D)``, lower triangular;
        ``None`` in the model's own coordinates.
    x64 : bool
        Whether it draws in float64.
    subsampled : bool
        Whether the model showed a part of its data at a time; the guide draws for all of them.
    together : bool
        Whether it was shown one vector in the place of many sites.
    traced : mapping
        The training arguments that are data, by name: a tree with the shape and the kind of number of every array.
    static : mapping
        The other training arguments by name, as far as a file can hold them.
    data : mapping
        Those arrays themselves, where the guide cannot draw without them; else nothing.
    refused : str
        Why the guide cannot be run from here, where it cannot.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, np.ndarray] = field(default_factory=dict)
    sites: tuple[LatentSite, ...] = ()
    coordinates: str = "own"
    center: np.ndarray | None = None
    factor: np.ndarray | None = None
    x64: bool = False
    subsampled: bool = False
    together: bool = False
    traced: Mapping[str, Any] = field(default_factory=dict)
    static: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name: ``params.NAME``, ``start.SITE``, ``center``, ``factor``, ``data.ARGUMENT``."""
        return self._apart()[1]

    def header(self) -> dict[str, Any]:
        """Return everything else, as JSON can hold it; in the place of an array stands its name."""
        return self._apart()[0]

    def _apart(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        found: dict[str, np.ndarray] = {}
        header = {
            "sites": [
                {"name": one.name, "shape": list(one.shape), "unconstrained": list(one.unconstrained)}
                for one in self.sites
            ],
            "coordinates": self.coordinates,
            **{name: getattr(self, name) for name in ("x64", "subsampled", "together", "refused")},
            "traced": dict(self.traced),
            **{part: taken_apart(dict(getattr(self, part)), part, found) for part in _TREES},
        }
        if self.center is not None and self.factor is not None:
            found["center"] = self.center
            # Of a triangle, the half that is none of zeros.
            rows = np.tril_indices(len(self.center))
            found["factor"] = self.factor if self.factor.ndim == 1 else self.factor[rows]
        return header, found

    @classmethod
    def of(cls, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> GuideState:
        """Return the state that a header and arrays were made of.

        Raises
        ------
        ResultsError
            Where they do not belong together.
        """
        try:
            sites = tuple(
                LatentSite(name=one["name"], shape=tuple(one["shape"]), unconstrained=tuple(one["unconstrained"]))
                for one in header["sites"]
            )
            flags = {name: bool(header[name]) for name in ("x64", "subsampled", "together")}
            trees: dict[str, Any] = {part: put_together(header[part], arrays) for part in _TREES}
            return cls(
                sites=sites,
                coordinates=str(header["coordinates"]),
                center=arrays.get("center"),
                factor=_factor(arrays.get("factor"), arrays.get("center")),
                traced=header["traced"],
                refused=str(header["refused"]),
                x64=flags["x64"],
                subsampled=flags["subsampled"],
                together=flags["together"],
                **trees,
            )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ResultsError(f"no trained guide can be made of this: {error!r}") from None


#: The parts that are trees of arrays.
_TREES = ("params", "start", "static", "data")


def _factor(values: np.ndarray | None, center: np.ndarray | None) -> np.ndarray | None:
    if values is None or center is None or values.size == len(center):
        return values
    full = np.zeros((len(center), len(center)), values.dtype)
    full[np.tril_indices(len(center))] = values
    return full


def taken_apart(tree: Any, name: str, into: dict[str, np.ndarray]) -> Any:
    """Return a tree as JSON can hold it, its arrays put into a mapping under names that say where they were.

    Raises
    ------
    TypeError
        Where something in it is neither a plain container, nor an array of numbers, nor a value that JSON has.
    """
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return {"value": _number(tree)}
    if isinstance(tree, Mapping):
        return {"dict": {str(key): taken_apart(one, f"{name}.{key}", into) for key, one in tree.items()}}
    if type(tree) in (list, tuple):
        return {type(tree).__name__: [taken_apart(one, f"{name}.{at}", into) for at, one in enumerate(tree)]}
    array = np.asarray(tree) if hasattr(tree, "dtype") and hasattr(tree, "shape") else None
    if array is None or array.dtype.kind not in _KINDS:
        raise TypeError(f"{name} is of type {type(tree).__name__}, which no file of numbers holds")
    unique = name
    while unique in into:
        unique += "'"
    into[unique] = array
    return {"array": unique}


def _number(value: Any) -> Any:
    """Return a value without the numbers that JSON does not have."""
    return {"float": repr(value)} if isinstance(value, float) and not np.isfinite(value) else value


def put_together(told: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the tree that :func:`taken_apart` told of."""
    ((kind, inside),) = told.items()
    match kind:
        case "dict":
            return {key: put_together(one, arrays) for key, one in inside.items()}
        case "list":
            return [put_together(one, arrays) for one in inside]
        case "tuple":
            return tuple(put_together(one, arrays) for one in inside)
        case "array":
            return arrays[inside]
        case "value":
            return float(inside["float"]) if isinstance(inside, Mapping) else inside
    raise ValueError(f"{kind!r} is no part of a tree")


def to_dataset(state: GuideState) -> xr.Dataset:
    """Return the state as a group of InferenceData: one vector for each kind of number, and a header."""
    header, arrays = state._apart()
    by_kind: dict[str, list[np.ndarray]] = {}
    listed = []
    for name, value in arrays.items():
        kind = value.dtype.name
        by_kind.setdefault(kind, []).append(np.ascontiguousarray(value).ravel())
        listed.append([name, kind, list(value.shape)])
    text = json.dumps({"state": header, "arrays": listed}, allow_nan=False).encode("utf-8")
    # As bytes in a variable: HDF5 has little room for attributes.
    variables: dict[str, Any] = {_HEADER: ("byte", np.frombuffer(text, np.uint8))}
    for kind, parts in by_kind.items():
        joined = np.concatenate(parts)
        variables[kind] = (f"{kind}_value", joined.astype(np.uint8) if kind == "bool" else joined)
    return xr.Dataset(variables)


def from_dataset(dataset: xr.Dataset) -> GuideState:
    """Return the state that :func:`to_dataset` made a group of.

    Raises
    ------
    ResultsError
        Where the group holds something else.
    """
    try:
        told = json.loads(dataset[_HEADER].to_numpy().tobytes())
        listed = list(_cut(told["arrays"], {str(name): dataset[name].to_numpy() for name in dataset.data_vars}))
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"the group {GROUP} holds no trained guide: {error!r}") from None
    return GuideState.of(told["state"], dict(listed))


def _cut(listed: Any, joined: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    begun = dict.fromkeys(joined, 0)
    for name, kind, shape in listed:
        count = prod(shape)
        part = joined[kind][begun[kind] : begun[kind] + count]
        begun[kind] += count
        yield name, part.reshape(shape).astype(kind)
