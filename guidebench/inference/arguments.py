"""A problem's arguments, split into what JAX traces and what stays as it is.

Arrays become arguments of the compiled programs, so that the data are not built into them; anything
else (strings, flags, sizes) stays a Python value.  A model that needs concrete data (one that asks
``int(group.max())``, say) gets all of them as constants.
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
        """Split `values`, tracing the arrays unless the model needs to see their contents."""
        arrays = {
            name: jnp.asarray(value)
            for name, value in values.items()
            if is_array(value) and not (np.ndim(value) == 0 and np.dtype(value.dtype).kind in "iub")
        }
        static = {name: value for name, value in values.items() if name not in arrays}
        split = cls(arrays=arrays, static=static)

        def run(traced: Mapping[str, Any]) -> None:
            args, kwargs = split.call(model, traced)
            runnable(model)(*args, **kwargs)

        try:
            jax.eval_shape(run, arrays)
        except Exception:  # noqa: BLE001 - it needs to see its data; if it is broken, inspecting it will say so
            return cls(static={name: np.asarray(value) if is_array(value) else value for name, value in values.items()})
        return split

    def size(self) -> int:
        """Return how many numbers the arguments hold."""
        leaves = jax.tree.leaves((dict(self.arrays), dict(self.static)))
        return sum(np.size(value) for value in leaves if is_array(value))

    def call(self, model: Callable[..., Any], traced: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return ``args, kwargs`` for `model` with `traced` in the place of the arrays."""
        bound = inspect.signature(model).bind_partial()
        bound.arguments.update(
            {
                name: {**self.static, **traced}[name]
                for name in inspect.signature(model).parameters
                if name in self.static or name in traced
            }
        )
        return bound.args, bound.kwargs
