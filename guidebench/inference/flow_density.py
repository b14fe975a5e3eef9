r"""A flow as a map of its base and as a density at any point, not only at its own draws.

NumPyro's continuous autoguides draw a flat latent vector z from one distribution and hand out its parts, in an order
of their own, as the sites of the model.  In standardised coordinates :math:`u = m + F z'`, with :math:`z'` the parts in
the order of the model, so

.. math:: \log q(u) = \log q_z(P z') - \log |\det F|, \qquad z' = F^{-1} (u - m)

with a permutation P, which is read off the parts of :math:`(0, 1, \ldots, D - 1)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, Float64, Int
from numpyro.distributions import constraints
from numpyro.handlers import block, seed, substitute, trace

from guidebench.inference.coordinates import Affine, Frame
from guidebench.inference.device.compiled import compile_for
from guidebench.inference.train import MakeGuide, Params
from guidebench.inference.wrappers import unwrapped

#: Points of one call of the program.
AT_A_TIME = 4_000


class NoFlowError(ValueError):
    """The guide is not one transformed distribution of a flat latent vector."""


class FlowDensity:
    """log q of a trained flow over the unconstrained coordinates of the problem; one compiled program.

    Parameters
    ----------
    make_guide : callable
        As for :func:`guidebench.inference.train.train`.
    frame : Frame
        The standardised model that the guide was trained on.
    params : dict
        Its parameters.

    Raises
    ------
    NoFlowError
        Where the guide is of another kind, or a Gaussian, or was not trained in standardised coordinates.
    """

    def __init__(self, make_guide: MakeGuide, frame: Frame, params: Params) -> None:
        if frame.to_latents is None:
            raise NoFlowError("it is trained in the model's own coordinates")
        arrays = frame.arguments.arrays
        self._affine = Affine(center=np.asarray(arrays["center"]), factor=np.asarray(arrays["factor"]))
        self._make_guide, self._frame, self._params = make_guide, frame, params
        given = jnp.zeros((AT_A_TIME, len(self._affine.center)), jnp.float32)
        self._given = params, frame.first(), dict(arrays)
        self._program = compile_for(self._log_density, given, *self._given, level=1)

    def __call__(self, points: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, " S"]:
        """Return log q at rows u in nats; minus infinity where it is no number, as far out."""
        free = self._affine.inverse(points).astype(np.float32)
        filled = np.concatenate([free, np.repeat(free[-1:], -len(free) % AT_A_TIME, axis=0)])
        batches = [filled[first : first + AT_A_TIME] for first in range(0, len(filled), AT_A_TIME)]
        found = np.concatenate([np.asarray(self._program(one, *self._given), np.float64) for one in batches])
        factor = self._affine.factor
        log_scale = np.log(factor if factor.ndim == 1 else np.diagonal(factor)).sum()
        return np.where(np.isfinite(found), found - log_scale, -np.inf)[: len(points)]

    def _log_density(
        self,
        points: Float[Array, "S D"],
        params: Params,
        start: Mapping[str, Any],
        traced: Mapping[str, Any],
    ) -> Float[Array, " S"]:
        flow, places = flow_of(self._make_guide(start), self._frame, params, traced, points[0])
        ordered = jnp.zeros_like(points).at[:, places].set(points)
        value: Float[Array, " S"] = jax.vmap(flow.log_prob)(ordered)
        return value


def is_flow(make_guide: MakeGuide, frame: Frame, params: Params) -> bool:
    """Return whether a guide is a map of normals onto all of space, found by tracing it."""

    def look(params: Params, start: Mapping[str, Any], traced: Mapping[str, Any]) -> Any:
        like = jnp.zeros(sum(np.size(value) for value in start.values()))
        flow, places = flow_of(make_guide(start), frame, params, traced, like)
        if not isinstance(unwrapped(flow.base_dist), dist.Normal) or not _is_real(flow.support):
            raise NoFlowError("it is no map of normals onto all of space")
        return places

    try:
        jax.eval_shape(look, params, frame.first(), dict(frame.arguments.arrays))
    except Exception:  # noqa: BLE001 - of other kinds of guides nothing is known here
        return False
    return True


def flow_of(
    guide: Callable[..., Any],
    frame: Frame,
    params: Params,
    traced: Mapping[str, Any],
    like: Float[Array, " D"],
) -> tuple[dist.TransformedDistribution, Int[Array, " D"]]:
    """Return the distribution of a guide's flat latent vector, and where in it each coordinate of the model is.

    Raises
    ------
    NoFlowError
        Where a guide is no flow.
    """
    args, kwargs = frame.arguments.call(frame.model, traced)
    seeded = seed(guide, jax.random.key(0))

    def at(values: Mapping[str, Any]) -> Mapping[str, Any]:
        with block():
            sites: Mapping[str, Any] = trace(substitute(seeded, data={**params, **values})).get_trace(*args, **kwargs)
        return sites

    name = _flat_latent(at({}))
    parts = at({name: jnp.arange(len(like), dtype=like.dtype)})
    places = jnp.concatenate([jnp.ravel(parts[site]["value"]) for site in frame.starts]).astype(int)
    return at({name: jnp.zeros_like(like)})[name]["fn"], places


def _is_real(support: Any) -> bool:
    while isinstance(support, type(constraints.real_vector)):
        support = support.base_constraint
    return support is constraints.real


def _flat_latent(sites: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the name of the one auxiliary site that a flow draws."""
    names = [name for name, site in sites.items() if site["type"] == "sample" and site["infer"].get("is_auxiliary")]
    if len(names) != 1 or not isinstance(sites[names[0]]["fn"], dist.TransformedDistribution):
        raise NoFlowError("it is no transformed distribution of one flat vector")
    return names[0]
