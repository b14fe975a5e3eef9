"""Programs without taking apart what is put together again: ``jnp.stack(jnp.unstack(x))`` is x.

A model with a site for each of many coefficients stacks them, where they come from one vector.  XLA does not see that,
and compiles a kernel for each of them, and for each derivative.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.extend.core import ClosedJaxpr

#: Operations that give one number or array a leading axis of length one.
_LIFTED = frozenset({"broadcast_in_dim", "reshape", "expand_dims"})


class _Lane(NamedTuple):
    """A variable that is one row of an array."""

    source: Any
    row: int


def whole(closed: ClosedJaxpr) -> ClosedJaxpr:
    """Return the same program, in which rows that are stacked in their order again are a part of their array."""
    stacked = _stacked(closed.jaxpr)
    if not stacked:
        return closed
    steps = [
        _part(step, *stacked[number]) if number in stacked else step for number, step in enumerate(closed.jaxpr.eqns)
    ]
    return ClosedJaxpr(closed.jaxpr.replace(eqns=_live(steps, closed.jaxpr.outvars)), closed.consts)


def _part(step: Any, first: _Lane, count: int) -> Any:
    """Return the step that takes so many rows of an array, in the place of one that puts them together."""
    like = jax.ShapeDtypeStruct(first.source.aval.shape, first.source.aval.dtype)
    taken = jax.make_jaxpr(lambda array: lax.slice_in_dim(array, first.row, first.row + count))(like)
    return taken.jaxpr.eqns[0].replace(invars=[first.source], outvars=step.outvars)


def _stacked(jaxpr: Any) -> dict[int, tuple[_Lane, int]]:
    """Return the steps that put rows together again: the first of them, and how many."""
    lanes: dict[int, _Lane] = {}
    sliced: dict[int, _Lane] = {}
    lifted: dict[int, Any] = {}
    found = {}
    for number, step in enumerate(jaxpr.eqns):
        if not (step.invars and step.outvars):
            continue
        name, out = step.primitive.name, step.outvars[0]
        if name == "unstack" and step.params.get("axis") == 0:
            lanes.update({id(var): _Lane(step.invars[0], index) for index, var in enumerate(step.outvars)})
        elif name == "slice" and _is_row(step):
            sliced[id(out)] = _Lane(step.invars[0], step.params["start_indices"][0])
        elif id(step.invars[0]) in sliced and name in ("squeeze", "reshape"):
            if out.aval.shape == step.invars[0].aval.shape[1:]:
                lanes[id(out)] = sliced[id(step.invars[0])]
        elif name in _LIFTED and out.aval.shape == (1, *step.invars[0].aval.shape):
            lifted[id(out)] = step.invars[0]
        elif name == "stack" and step.params.get("axis") == 0:
            parts = step.invars
            found.update({number: run} if (run := _in_a_row(parts, lanes)) else {})
        elif name == "concatenate" and step.params.get("dimension") == 0:
            parts = [lifted.get(id(var)) for var in step.invars]
            found.update({number: run} if (run := _in_a_row(parts, lanes)) else {})
    return found


def _is_row(step: Any) -> bool:
    """Return whether a slice is one row of an array."""
    start, limit, strides = (step.params[name] for name in ("start_indices", "limit_indices", "strides"))
    shape = step.invars[0].aval.shape
    rest = all(low == 0 and high == size for low, high, size in zip(start[1:], limit[1:], shape[1:], strict=True))
    return bool(shape) and rest and limit[0] == start[0] + 1 and strides is None


def _in_a_row(parts: list[Any], lanes: dict[int, _Lane]) -> tuple[_Lane, int] | None:
    """Return the first of rows that follow one another in one array, and how many, where all parts do."""
    found = [lanes.get(id(part)) for part in parts]
    first = found[0]
    if len(found) < 2 or first is None:
        return None
    follow = all(
        one is not None and one.source is first.source and one.row == first.row + number
        for number, one in enumerate(found)
    )
    return (first, len(found)) if follow else None


def _live(steps: list[Any], wanted: Iterable[Any]) -> list[Any]:
    """Return the steps that something comes of, in order."""
    needed = {id(var) for var in wanted}
    live = []
    for step in reversed(steps):
        if step.effects or any(id(var) in needed for var in step.outvars):
            live.append(step)
            needed |= {id(var) for var in step.invars}
    return live[::-1]
