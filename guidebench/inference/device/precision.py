"""Double precision where it is needed, for as long as it is needed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def double() -> AbstractContextManager[Any]:
    """Return a context in which JAX computes in float64; outside, nothing changes."""
    if hasattr(jax, "enable_x64"):
        context: AbstractContextManager[Any] = jax.enable_x64(True)
        return context
    from jax.experimental import enable_x64  # type: ignore[attr-defined]  # in older versions

    context = enable_x64()
    return context


def chosen(x64: bool) -> AbstractContextManager[Any]:
    """Return :func:`double`, or a context that leaves the precision as it is."""
    return double() if x64 else nullcontext()


def doubled() -> bool:
    """Return whether JAX computes in float64 here and now."""
    return bool(jnp.result_type(float) == np.float64)


def as_double(values: Any) -> Any:
    """Return a tree with its arrays of real numbers in float64, on the host."""

    def convert(value: Any) -> Any:
        array = np.asarray(value)
        return array.astype(np.float64) if array.dtype.kind == "f" or array.dtype.name == "bfloat16" else array

    return jax.tree.map(convert, values)
