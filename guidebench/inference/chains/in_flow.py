r"""The posterior in the coordinates that a trained flow draws from.

A flow is a map T from a standard normal x to a posterior in unconstrained coordinates u.  In x the posterior has the
density

.. math:: \log \pi_T(x) = \log \pi(T(x)) + \log |\det dT / dx|

and is the standard normal itself where the flow is exact.  What is narrow in u, as the neck of a funnel, is as wide as
all else in x as far as the flow has learnt it, so that chains of one step size go where they could not go before.

References
----------
Hoffman, Sountsov, Dillon, Langmore, Tran & Vasudevan (2019), NeuTra-lizing bad geometry in Hamiltonian Monte Carlo
using neural transport, arXiv:1903.03704.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from guidebench.inference.chains.moves import Moves
from guidebench.inference.coordinates import Frame, apply
from guidebench.inference.flow_density import flow_of
from guidebench.inference.target import Target
from guidebench.inference.train import MakeGuide, Params
from guidebench.inference.wrappers import unwrapped


class InFlow:
    """A target as a function of what a flow draws from; in the place of a :class:`Target` for chains.

    Parameters
    ----------
    target : Target
        The posterior.
    make_guide : callable
        As for :func:`guidebench.inference.train.train`.
    frame : Frame
        The standardised model that the guide was trained on.
    """

    rows = 0

    def __init__(self, target: Target, make_guide: MakeGuide, frame: Frame) -> None:
        self._target, self._make_guide, self._frame = target, make_guide, frame
        self.dim, self.evaluated = target.dim, target.evaluated
        self.shapes, self.many = target.shapes, target.many

    def record(self, traced: Mapping[str, Any]) -> None:
        """Trace the model once."""
        self._target.record(traced["data"])

    def log_density(self, flat: Float[Array, " D"], traced: Mapping[str, Any]) -> Float[Array, ""]:
        """Return the density at one x, in nats."""
        u, log_jacobian = self.mapped(flat, traced)
        return self._target.log_density(u, traced["data"]) + log_jacobian

    def constrain(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[dict[str, Array], Float[Array, ""]]:
        """Return the values of the latent sites at one x, and the log Jacobian of the map."""
        u, log_jacobian = self.mapped(flat, traced)
        values, own = self._target.constrain(u, traced["data"])
        return values, own + log_jacobian

    def packed(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[Float[Array, " N"], Float[Array, ""]]:
        """Return the values of many latent sites at one x in one vector, and the log Jacobian of the map."""
        u, log_jacobian = self.mapped(flat, traced)
        vector, own = self._target.packed(u, traced["data"])
        return vector, own + log_jacobian

    def mapped(self, flat: Float[Array, " D"], traced: Mapping[str, Any]) -> tuple[Float[Array, " D"], Array]:
        """Return T at one x, and its log Jacobian."""
        given = {name: traced[name] for name in ("data", "center", "factor")}
        flow, places = flow_of(self._make_guide(traced["start"]), self._frame, traced["params"], given, flat)
        base = unwrapped(flow.base_dist)
        value, log_jacobian = base.loc + base.scale * flat, jnp.sum(jnp.log(base.scale))
        for transform in flow.transforms:
            before = value
            value, between = transform.call_with_intermediates(before)
            log_jacobian += jnp.sum(transform.log_abs_det_jacobian(before, value, between))
        u, log_scale = apply(traced["center"], traced["factor"], value[places])
        return u, log_jacobian + log_scale


def moves_in_flow(
    target: Target, values: Mapping[str, Any], make_guide: MakeGuide, frame: Frame, params: Params
) -> Moves:
    """Return the program of chains in the coordinates of a flow.

    The guide is one that :func:`~guidebench.inference.flow_density.is_flow` holds for.
    """
    arrays = frame.arguments.arrays
    given = {
        "data": dict(values),
        "center": arrays["center"],
        "factor": arrays["factor"],
        "params": params,
        "start": frame.first(),
    }
    return Moves(InFlow(target, make_guide, frame), given, watches_u=False)
