r"""log q of a trained guide at any point of the model's latent sites, not only at its own draws.

A guide that draws every site itself has the density of its sample statements there.  NumPyro's continuous guides draw
one flat vector, whose parts become the sites: the vector at a point is that of its unconstrained values, the sites in
the order of their names, and whether the guide makes the same point of it is looked at each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.handlers import block, seed, substitute, trace
from numpyro.infer.util import log_density

from guidebench.inference.coordinates import shown, split
from guidebench.inference.inversion import inverted
from guidebench.inference.own_sites import OwnSites
from guidebench.inference.train import Params
from guidebench.inference.wrappers import unwrapped


class NoDensityError(ValueError):
    """The density of the guide at a point is not known."""


class AtPoint(NamedTuple):
    """log q at a point in nats, and how far from it the guide itself would end up there, relatively."""

    log_q: Float[Array, ""]
    gap: Float[Array, ""]


def at_point(own: OwnSites, latents: Mapping[str, Any], params: Params, traced: Mapping[str, Any]) -> AtPoint:
    """Return log q of a guide at one point of the model's latents.

    Raises
    ------
    NoDensityError
        While it is traced, where the guide draws more than the sites, so that its density would be an integral.
    """
    values, log_jacobian, free = _as_shown(own, latents, traced)
    args, kwargs = own.call(traced)
    with block():
        guide = own.drawn_from(own.fresh(), params, args, kwargs)
        trained = seed(substitute(guide, data=params), jax.random.key(0))
        sites = trace(trained).get_trace(*args, **kwargs)
    drawn = {name: site for name, site in sites.items() if site["type"] == "sample" and not site["is_observed"]}
    more = [name for name in drawn if name not in values]
    extra = [name for name, site in sites.items() if site["type"] == "sample" and site["is_observed"]]
    if extra or len(more) > 1:
        raise NoDensityError(f"it draws {', '.join((*more, *extra))} besides, over which its density would be summed")
    if more:
        return _of_vector(own, trained, more[0], (values, log_jacobian, free), (args, kwargs))
    points = [name for name in values if isinstance(unwrapped(drawn[name]["fn"]), dist.Delta)]
    if points:
        raise NoDensityError(f"its site {points[0]} is a point, not a distribution")
    with block():
        log_q, _ = log_density(trained, args, kwargs, dict(values))
    return AtPoint(log_q - (log_jacobian if own.affine is not None else 0.0), jnp.zeros(()))


class _Shown(NamedTuple):
    """Values by the sites that the guide was shown, the log Jacobian to the own ones, and all in free coordinates."""

    values: dict[str, Any]
    log_jacobian: Float[Array, ""]
    free: dict[str, Any]


def _as_shown(own: OwnSites, latents: Mapping[str, Any], traced: Mapping[str, Any]) -> _Shown:
    point = own.target.free(latents, traced)
    _, log_jacobian = own.target.by_supports(point, traced)
    if own.affine is None:
        return _Shown(dict(latents), log_jacobian, own.target.split(point))
    center, factor = jnp.asarray(own.affine.center), jnp.asarray(own.affine.factor)
    if factor.ndim == 1:
        flat, log_scale = (point - center) / factor, jnp.sum(jnp.log(factor))
    else:
        flat = jax.scipy.linalg.solve_triangular(factor, point - center, lower=True)
        log_scale = jnp.sum(jnp.log(jnp.diagonal(factor)))
    values = split(own.target, flat)
    return _Shown({name: values[name] for name in shown(own.target)}, log_jacobian + log_scale, values)


def _of_vector(own: OwnSites, trained: Any, name: str, at: Any, call: Any) -> AtPoint:
    """Return log q of a guide that draws one vector and makes the sites of it."""
    (values, log_jacobian, free), (args, kwargs) = at, call
    vector = jnp.concatenate([jnp.ravel(free[site]) for site in sorted(free)])
    with block():
        sites = trace(substitute(trained, data={name: vector})).get_trace(*args, **kwargs)
    if jnp.shape(sites[name]["value"]) != vector.shape:
        raise NoDensityError(f"it draws {name}, of which its sites are made in a way of its own")
    # A vector whose order is another gives other values.
    gaps = [jnp.max(jnp.abs(sites[one]["value"] - value) / (1 + jnp.abs(value))) for one, value in values.items()]
    return AtPoint(_log_prob(sites[name]["fn"], vector) - log_jacobian, jnp.max(jnp.stack(gaps)))


def _log_prob(fn: Any, vector: Float[Array, " D"]) -> Float[Array, ""]:
    """Return the log density of a distribution of vectors, its transforms undone numerically where they have to be."""
    try:
        return jnp.sum(fn.log_prob(vector))
    except NotImplementedError:
        pass
    if not isinstance(fn, dist.TransformedDistribution):
        raise NoDensityError(f"the density of {type(fn).__name__} cannot be computed at a point")
    log_jacobian, point = jnp.zeros(()), vector
    for transform in reversed(fn.transforms):
        before = inverted(transform, point)
        log_jacobian += jnp.sum(transform.log_abs_det_jacobian(before, point))
        point = before
    found = jnp.sum(fn.base_dist.log_prob(point)) - log_jacobian
    return jnp.where(jnp.isnan(point).any(), -jnp.inf, found)  # the transform does not reach so far
