"""A problem's arguments, split into what JAX traces and what stays as it is.

Arrays become arguments of the compiled programs, so that the data are not built into them; anything
else (strings, flags, sizes) stays a Python value.  What a model needs to look at (one that asks
``int(group.max())``, say) becomes a constant.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.handlers import seed, substitute
from numpyro.infer.initialization import init_to_feasible


def as_arrays(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with lists and tuples of numbers and the columns of pandas as NumPy arrays."""

    def convert(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            try:
                converted = np.asarray(value)
            except ValueError:  # ragged
                return value
        elif hasattr(value, "to_numpy"):
            converted = value.to_numpy()
        else:
            return value
        return converted if converted.dtype.kind in "biufc" else value

    return {name: convert(value) for name, value in values.items()}


def is_array(value: Any) -> bool:
    """Return whether JAX can trace `value` as an array of numbers; random keys are none."""
    return (
        isinstance(value, (np.ndarray, jax.Array, np.generic))
        and not jnp.issubdtype(value.dtype, jax.dtypes.extended)
        and np.dtype(value.dtype).kind in "biufc"
    )


def is_traceable(value: Any) -> bool:
    """Return whether JAX can trace `value` as data: an array, or a container of nothing but arrays.

    A single whole number or flag is none: it says how large something is, or what to do.
    """
    leaves = jax.tree.leaves(value)
    return bool(leaves) and all(
        is_array(leaf) and not (np.ndim(leaf) == 0 and np.dtype(leaf.dtype).kind in "iub") for leaf in leaves
    )


def runnable(model: Callable[..., Any]) -> Callable[..., Any]:
    """Return a model that runs without draws of its latent sites: an improper prior cannot be drawn from."""
    started: Callable[..., Any] = substitute(seed(model, jax.random.key(0)), substitute_fn=_feasible)
    return started


def _feasible(site: Mapping[str, Any]) -> Any:
    """Return a value inside the support of a continuous latent site."""
    if site["type"] != "sample" or site["is_observed"] or site["fn"].support.is_discrete:
        return None
    return init_to_feasible(site)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The arguments of a model by name: `arrays` are traced, `static` ones are not."""

    arrays: Mapping[str, Any] = field(default_factory=dict)
    static: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def split(cls, model: Callable[..., Any], values: Mapping[str, Any]) -> Arguments:
        """Split `values`, tracing the arrays but for those whose contents the model needs to see."""
        traceable = {name: jax.tree.map(jnp.asarray, value) for name, value in values.items() if is_traceable(value)}
        split = cls(arrays=traceable, static={name: value for name, value in values.items() if name not in traceable})
        if split._runs(model):
            return split
        # It needs to see some of its data; if it is broken, inspecting it will say so.
        seen = {name: np.asarray(value) if is_array(value) else value for name, value in values.items()}
        needed = cls(static=seen)
        if not needed._runs(model):
            return needed
        for name, value in traceable.items():
            more = cls(
                arrays={**needed.arrays, name: value},
                static={key: own for key, own in needed.static.items() if key != name},
            )
            needed = more if more._runs(model) else needed
        return needed

    def _runs(self, model: Callable[..., Any]) -> bool:
        """Return whether a model can be traced with these arguments."""

        def run(traced: Mapping[str, Any]) -> None:
            args, kwargs = self.call(model, traced)
            runnable(model)(*args, **kwargs)

        try:
            jax.eval_shape(run, dict(self.arrays))
        except Exception:  # noqa: BLE001 - the question is whether it can, not why not
            return False
        return True

    def size(self) -> int:
        """Return how many numbers the arguments hold."""
        leaves = jax.tree.leaves((dict(self.arrays), dict(self.static)))
        return sum(np.size(value) for value in leaves if is_array(value))

    def call(self, model: Callable[..., Any], traced: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return ``args, kwargs`` for `model` with `traced` in the place of the arrays."""
        signature = inspect.signature(model)
        values = {**self.static, **traced}
        bound = signature.bind_partial()
        bound.arguments.update({name: values[name] for name in signature.parameters if name in values})
        # What the model has no name for goes to its **kwargs.
        return bound.args, {**bound.kwargs, **{k: v for k, v in values.items() if k not in signature.parameters}}
