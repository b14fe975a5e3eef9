"""A flow of FlowJAX as one of NumPyro's continuous autoguides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro
import paramax
from flowjax.bijections import Affine
from flowjax.distributions import Normal, Transformed
from flowjax.experimental.numpyro import distribution_to_numpyro
from numpyro.infer.autoguide import AutoContinuous

#: ``make(key, base)`` returns a flow from the base distribution, with weights that the key draws.
MakeFlow = Callable[[Any, Any], Transformed]


class AutoFlow(AutoContinuous):  # type: ignore[misc]
    r"""A flow over the flat vector of all unconstrained latents.

    .. math:: z = m + s \, f_\phi(\epsilon), \qquad \epsilon \sim N(0, I)

    with f the flow and m, s a location and a scale per coordinate; m begins at the starting point.  The
    parameters are one list of arrays, ``auto_flow``.

    Parameters
    ----------
    model : callable
        A NumPyro model.
    make : callable
        Makes the flow.
    """

    def __init__(self, model: Callable[..., Any], make: MakeFlow) -> None:
        super().__init__(model)
        self._make = make

    def _get_posterior(self) -> Any:
        def arrays_of(key: Any) -> tuple[Any, Any]:
            arrays, rest = eqx.partition(
                self._flow(key), eqx.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable)
            )
            return arrays, rest

        # What is no weight, the permutations above all, has to be the same in every program: it has a key of its own.
        like, rest = arrays_of(jax.random.key(0))
        # The leaves alone: modules of two programs do not count as the same tree.
        leaves = numpyro.param(f"{self.prefix}_flow", lambda key: jax.tree.leaves(arrays_of(key)[0]))
        flow = eqx.combine(jax.tree.unflatten(jax.tree.structure(like), leaves), rest)
        return distribution_to_numpyro(paramax.unwrap(flow))

    def _flow(self, key: Any) -> Transformed:
        flow = self._make(key, Normal(jnp.zeros(self.latent_dim)))
        return Transformed(flow, Affine(self._init_latent, jnp.ones(self.latent_dim)))
