r"""A trained guide over the model's own latent sites, as any NumPyro script has one.

What was trained in standardised coordinates z draws there, and the map is folded in:

.. math:: \theta = T(m + F z), \qquad \log q(\theta) = \log q(z) - \log |\det F| - \log |dT / du|

with T the map from unconstrained coordinates u to the supports of the sites.  Only the shapes and supports of the sites
come into it, and of the data nothing, but for a guide that looks at the model's density while it draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.handlers import block, seed, substitute
from numpyro.infer.util import log_density

from guidebench.inference.arguments import Arguments
from guidebench.inference.coordinates import Affine, apply, model_of, own_coordinates, shown
from guidebench.inference.density import draw_guide
from guidebench.inference.draws import guide_to_draw_from
from guidebench.inference.subsampling import Whole
from guidebench.inference.target import Target
from guidebench.inference.train import MakeGuide, Params

#: ``make(model)`` returns a maker of fresh guides for a model.
MakeMaker = Callable[[Callable[..., Any]], MakeGuide]


@dataclass(frozen=True, kw_only=True)
class OwnSites:
    """A trained guide and the model that it is a guide for.

    Attributes
    ----------
    maker : callable
        Returns a maker of fresh guides for a model.
    target : Target
        The model, which sees all of its data, with its training arguments.
    params : dict
        The trained parameters.
    start : mapping
        What a fresh guide starts at.
    affine : Affine or None
        From the coordinates that it was trained in to the unconstrained ones; ``None`` in the model's own.
    to_draw_from : callable, optional
        ``to_draw_from(guide, params)`` returns the guide to draw from instead of the trained one.
    whole : bool
        Show the guide all elements of every plate.
    """

    maker: MakeMaker
    target: Target
    params: Params
    start: Mapping[str, Any]
    affine: Affine | None = None
    to_draw_from: Callable[[Any, Params], Any] | None = None
    whole: bool = False

    @cached_property
    def shown(self) -> Callable[..., Any]:
        """The model as the guide was shown it."""
        if self.affine is not None:
            return model_of(self.target)
        return own_coordinates(self.target) if self.target.enumerated else self.target.model

    @property
    def arguments(self) -> Arguments:
        """The arguments of that model."""
        if self.affine is None:
            return self.target.arguments
        center, factor = self.affine.center, self.affine.factor
        return Arguments(arrays={"data": dict(self.target.arguments.arrays), "center": center, "factor": factor})

    def fresh(self) -> Callable[..., Any]:
        """Return a guide that was never called; every trace needs one of its own."""
        return self.maker(self.shown)(in_precision(self.start))

    def call(self, traced: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that the guide is called with, given those of the model that are data."""
        given = dict(traced) if self.affine is None else {**self.arguments.arrays, "data": dict(traced)}
        return self.arguments.call(self.shown, given)

    def own(self, values: Mapping[str, Any], traced: Mapping[str, Any]) -> tuple[dict[str, Any], Float[Array, ""]]:
        """Return the model's latents at values of the sites that the guide was shown, and the log Jacobian."""
        if self.affine is None:
            return {name: values[name] for name in self.target.shapes}, jnp.zeros(())
        flat = jnp.concatenate([jnp.ravel(values[name]) for name in shown(self.target)])
        point, log_scale = apply(jnp.asarray(self.affine.center), jnp.asarray(self.affine.factor), flat)
        latents, log_jacobian = self.target.by_supports(point, traced)
        return latents, log_scale + log_jacobian

    def draw(
        self, key: PRNGKeyArray, params: Params, traced: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Float[Array, ""]]:
        """Return one draw of the model's latents, and log q of it; of an augmented guide, of its whole path."""
        args, kwargs = self.call(traced)
        guide = self.drawn_from(self.fresh(), params, args, kwargs)
        log_q, sites = draw_guide(key, params, guide, args, kwargs)
        latents, log_jacobian = self.own({name: site["value"] for name, site in sites.items()}, traced)
        return latents, log_q - log_jacobian

    def drawn_from(
        self, guide: Callable[..., Any], params: Params, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Callable[..., Any]:
        """Return what is drawn from: a guide that was never called, or what its declaration makes of it."""
        found = guide_to_draw_from(guide, params, self.shown, args, kwargs, self.to_draw_from)
        return Whole(found) if self.whole else found


def in_precision(tree: Any) -> Any:
    """Return a tree with its arrays of real numbers in the precision that JAX computes in now."""

    def convert(value: Any) -> Any:
        array = jnp.asarray(value)
        return array.astype(jnp.result_type(float)) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(convert, tree)


def as_numpyro(own: OwnSites) -> Callable[..., dict[str, Any]]:
    """Return the guide as a function with ``numpyro.param`` and ``numpyro.sample`` over the model's own sites.

    Its parameters are there by their names, with the trained values as their initial ones.  Each site is a Delta at its
    value, the first with log q of all of them, as NumPyro's own continuous guides do it.  It takes any arguments, and
    always draws for the data that it was trained on.
    """

    def guide(*_: Any, **__: Any) -> dict[str, Any]:
        key = numpyro.prng_key()
        latents, log_q = _run(own, jax.random.key(0) if key is None else key)
        values: dict[str, Any] = {}
        for name, value in latents.items():
            density = log_q if not values else jnp.zeros_like(log_q)
            point = dist.Delta(value, log_density=density, event_dim=jnp.ndim(value))
            values[name] = numpyro.sample(name, point)
        return values

    return guide


def _typed(key: Any) -> PRNGKeyArray:
    """Return a key of the new style, as guides are trained with; NumPyro's handlers still pass the old one on."""
    found: PRNGKeyArray = key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)
    return found


def _run(own: OwnSites, key: PRNGKeyArray) -> tuple[dict[str, Any], Float[Array, ""]]:
    """Draw once, letting nothing be seen from outside but the parameters; return the latents and log q."""
    traced = own.target.arguments.arrays
    args, kwargs = own.call(traced)
    guide = own.fresh()
    params = in_precision(own.params)
    first, second = jax.random.split(_typed(key))
    with block(hide_fn=lambda site: site["type"] != "param"):
        trained = seed(substitute(Whole(guide) if own.whole else guide, data=params), second)
        log_q, sites = log_density(trained, args, kwargs, {})
    if own.to_draw_from is not None:
        found = {name: site["value"] for name, site in sites.items() if site["type"] == "param"}
        with block():
            chosen = own.drawn_from(own.fresh(), {**params, **found}, args, kwargs)
            log_q, sites = log_density(seed(chosen, first), args, kwargs, {**params, **found})
    latents, log_jacobian = own.own({name: site["value"] for name, site in sites.items()}, traced)
    return latents, log_q - log_jacobian
