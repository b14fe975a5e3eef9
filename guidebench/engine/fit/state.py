"""What is kept of a trained guide to run it again: data alone, made when its draws are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from guidebench.engine.fit.case import Case
from guidebench.engine.fit.making import Samplers
from guidebench.inference.arguments import Arguments, is_array
from guidebench.inference.coordinates import Frame
from guidebench.inference.target import many_alike
from guidebench.inference.train import Params
from guidebench.results.guide_state import GuideState, LatentSite, taken_apart

#: Numbers of the data, and of an argument that the model looks at, that are kept with a guide, at most.
MOST_DATA = 1_000_000


def state_of(case: Case, frame: Frame, samplers: Samplers, params: Params) -> GuideState:
    """Return a trained guide as data.

    The data that it was trained on are part of it only where it cannot draw without them: where it looks at the
    model's density while it draws.
    """
    prepared, structure = case.prepared, case.prepared.structure
    arrays, precise = dict(frame.arguments.arrays), np.float64 if samplers.x64 else np.float32
    standardised = frame.to_latents is not None
    parts: dict[str, Any] = {"params": _host(params), "start": _host(frame.first())}
    try:
        taken_apart(parts, "", {})
    except TypeError as error:
        return GuideState(refused=f"of its parameters, {str(error).removeprefix('.params.')}")
    return GuideState(
        **parts,
        sites=tuple(
            LatentSite(name=site.name, shape=site.shape, unconstrained=site.unconstrained) for site in structure.latents
        ),
        coordinates=frame.kind,
        center=np.asarray(arrays["center"], precise) if standardised else None,
        factor=np.asarray(arrays["factor"], precise) if standardised else None,
        x64=samplers.x64,
        subsampled=prepared.minibatches is not None,
        together=many_alike(structure, prepared.minibatches),
        traced={name: described(value) for name, value in prepared.arguments.arrays.items()},
        static={name: value for name, value in prepared.arguments.static.items() if _small(value)},
        data=_data(prepared.arguments) if _looks(case) else {},
    )


def _looks(case: Case) -> bool:
    """Return whether a guide looks at the model's density while it draws."""
    return case.declaration.draw is not None or case.declaration.bound == "augmented"


def _host(tree: Any) -> Any:
    """Return a tree with its arrays in memory."""
    return jax.tree.map(np.asarray, tree)


def _data(arguments: Arguments) -> dict[str, Any]:
    arrays = _host(dict(arguments.arrays))
    return arrays if Arguments(arrays=arrays).size() <= MOST_DATA and _small(arrays) else {}


def _small(value: Any) -> bool:
    """Return whether an argument is kept: a plain value, or not too many numbers."""
    try:
        taken_apart(value, "", {})
    except TypeError:
        return False
    return sum(np.size(leaf) for leaf in jax.tree.leaves(value) if is_array(leaf)) <= MOST_DATA


def described(value: Any) -> dict[str, Any]:
    """Return the shapes and kinds of number of a tree of arrays, as JSON can hold them."""
    if isinstance(value, Mapping):
        return {"dict": {str(key): described(one) for key, one in value.items()}}
    if type(value) in (list, tuple):
        return {type(value).__name__: [described(one) for one in value]}
    if is_array(value):
        return {"array": {"shape": list(np.shape(value)), "dtype": np.dtype(value.dtype).name}}
    return {"unknown": type(value).__name__}
