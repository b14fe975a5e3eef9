"""The inverse of a transform that has none of its own: coordinate by coordinate, by bisection."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Integer

#: Where the inverse is looked for at most, and how often that is halved: to the last digits of float64.
WIDEST, HALVINGS = 1e4, 70


def inverted(transform: Any, value: Float[Array, " D"]) -> Float[Array, " D"]:
    """Return x with ``transform(x) == value``; not a number where there is none.

    A transform without an inverse of its own is taken for autoregressive: each of its coordinates rises with the same
    coordinate of x, and depends on none after it.  Such a map is inverted one coordinate after the other, which takes
    D times so many evaluations of it.

    Parameters
    ----------
    transform : numpyro.distributions.transforms.Transform
        Of vectors.
    value : array
        Shape ``(D,)``.
    """
    try:
        found: Float[Array, " D"] = transform._inverse(value)
        return found
    except NotImplementedError:
        pass

    def one(at: Integer[Array, ""], known: Float[Array, " D"]) -> Float[Array, " D"]:
        def halve(_: Any, ends: tuple[Any, Any]) -> tuple[Any, Any]:
            low, high = ends
            middle = (low + high) / 2
            above = transform(known.at[at].set(middle))[at] > value[at]
            return jnp.where(above, low, middle), jnp.where(above, middle, high)

        ends = jnp.asarray(-WIDEST, value.dtype), jnp.asarray(WIDEST, value.dtype)
        low, high = lax.fori_loop(0, HALVINGS, halve, ends)
        return known.at[at].set((low + high) / 2)

    point = lax.fori_loop(0, len(value), one, jnp.zeros_like(value))
    reached = transform(point)
    close = jnp.all(jnp.abs(reached - value) <= 1e-3 * (1 + jnp.abs(value)))
    return jnp.where(close, point, jnp.nan)
