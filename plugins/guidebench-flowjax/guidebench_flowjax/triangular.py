"""Triangular affine maps and splines of single coordinates by turns, from the bijections of FlowJAX."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from flowjax.bijections import (
    Chain,
    Flip,
    LeakyTanh,
    RationalQuadraticSpline,
    Sandwich,
    Scan,
    TriangularAffine,
    Vmap,
)
from flowjax.distributions import AbstractDistribution, Transformed

#: Sd of the first weights below the diagonal, times the dimension.
FIRST_WEIGHTS = 0.1


def triangular_spline_flow(
    key: Any, base: AbstractDistribution, *, flow_layers: int, knots: int, tanh_max_val: float
) -> Transformed:
    r"""Return a flow that begins near the identity but for the slopes of its splines.

    A layer is :math:`x \mapsto P \, T \, h^{-1}(s(h(x)))`, with h a tanh that is linear beyond `tanh_max_val`,
    s a spline per coordinate on [-1, 1], T lower triangular and affine, and P the reversal of the
    coordinates.  FlowJAX has a constructor for such a flow, which needs concrete numbers where a guide is
    built of traced ones.

    Parameters
    ----------
    key : PRNG key
        Draws the first triangles.
    base : AbstractDistribution
        What is mapped, a vector.
    flow_layers, knots : int
        Number of layers, and of inner knots of a spline.
    tanh_max_val : float
        Where the tanh becomes linear.
    """
    (dim,) = base.shape
    with jax.ensure_compile_time_eval():  # it turns constants into Python numbers
        squash = LeakyTanh(tanh_max_val, (dim,))

    def layer(key: Any) -> Chain:
        splines = eqx.filter_vmap(lambda: RationalQuadraticSpline(knots=knots, interval=1), axis_size=dim)()
        below = jnp.tril(jax.random.normal(key, (dim, dim)), -1) * FIRST_WEIGHTS / dim
        return Chain(
            [
                Sandwich(Vmap(splines, in_axes=eqx.if_array(0)), squash),
                TriangularAffine(jnp.zeros(dim), jnp.eye(dim) + below),
                Flip((dim,)),
            ]
        )

    return Transformed(base, Scan(eqx.filter_vmap(layer)(jax.random.split(key, flow_layers))))
