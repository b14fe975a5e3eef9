"""Training objectives by name, with their arguments: ``RenyiELBO:alpha=0.5``.

Scores never depend on the objective: every guide is scored by its ELBO.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions.kl import kl_divergence
from numpyro.distributions.util import scale_and_mask
from numpyro.infer import RenyiELBO, TraceGraph_ELBO
from numpyro.infer.elbo import ELBO

from guidebench.config import specs
from guidebench.config.errors import RequestError, opt
from guidebench.inference.density import TraceELBO, draw
from guidebench.plugins.isolation.failures import said


class MeanFieldELBO(ELBO):  # type: ignore[misc]
    r"""The ELBO of :class:`numpyro.infer.TraceMeanField_ELBO`: analytic divergences where they are right.

    The estimate of a draw is the log weight with, for every site whose divergence is known,
    :math:`\log q - \log p` at the draw replaced by its expectation :math:`KL(q \,\|\, p)`.  NumPyro does
    so, and warns, even where the guide has its sites in another order than the model, so that the
    replacement may be wrong; here the log weight is then left as it is.  The prior of a model in
    standardised coordinates is part of its density, and no divergence from it is known.
    """

    def loss_with_mutable_state(
        self,
        rng_key: PRNGKeyArray,
        param_map: Mapping[str, Any],
        model: Callable[..., Any],
        guide: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the negative mean over ``num_particles`` draws, in nats."""

        def one(key: PRNGKeyArray) -> Float[Array, ""]:
            log_p, log_q, model_trace, guide_trace = draw(key, param_map, model, guide, args, kwargs)
            shared = [name for name, site in model_trace.items() if site["type"] == "sample" and name in guide_trace]
            value: Float[Array, ""] = log_p - log_q
            if shared == [name for name in guide_trace if name in shared]:
                for name in shared:
                    value += _noise(guide_trace[name], model_trace[name])
            return value

        keys = jax.random.split(rng_key, self.num_particles)
        return {"loss": -jnp.mean(self.vectorize_particles_fn(one, keys)), "mutable_state": None}


def _noise(in_guide: Mapping[str, Any], in_model: Mapping[str, Any]) -> Any:
    """Return by how much log q - log p of one site is above its expectation; 0 where that is not known."""
    if in_guide["is_observed"]:
        return 0.0
    try:
        divergence = kl_divergence(in_guide["fn"], in_model["fn"])
    except NotImplementedError:
        return 0.0
    drawn = (
        jnp.sum(scale_and_mask(site["fn"].log_prob(in_guide["value"]), scale=site["scale"]))
        for site in (in_guide, in_model)
    )
    log_q, log_p = drawn
    return log_q - log_p - jnp.sum(scale_and_mask(divergence, scale=in_guide["scale"]))


def _trace(particles: int, *, vectorize_particles: bool = True) -> Any:
    return TraceELBO(num_particles=particles, vectorize_particles=vectorize_particles)


def _mean_field(particles: int, *, vectorize_particles: bool = True) -> Any:
    return MeanFieldELBO(num_particles=particles, vectorize_particles=vectorize_particles)


def _graph(particles: int, *, vectorize_particles: bool = True) -> Any:
    return TraceGraph_ELBO(num_particles=particles, vectorize_particles=vectorize_particles)


def _renyi(particles: int, *, alpha: float = 0.0) -> Any:
    if alpha == 1:
        raise ValueError("at alpha = 1 it is the ELBO itself; take Trace_ELBO")
    return RenyiELBO(alpha=alpha, num_particles=particles)


#: Objectives by name: the draws per step, and the keyword-only arguments that a user may give.
OBJECTIVES: Mapping[str, Callable[..., Any]] = {
    "Trace_ELBO": _trace,
    "TraceMeanField_ELBO": _mean_field,
    "TraceGraph_ELBO": _graph,
    "RenyiELBO": _renyi,
}


def objective(spec: str, particles: int) -> Any:
    """Return the objective that ``NAME[:opt=val,...]`` names, with `particles` draws per step.

    Raises
    ------
    RequestError
        Where no objective has that name, or it no such argument, or refuses its value.
    """
    name, text = specs.split(spec)
    if name not in OBJECTIVES:
        raise RequestError(f"{opt('loss')} {spec!r} is not known; choose one of {', '.join(OBJECTIVES)}")
    make = OBJECTIVES[name]
    known = {
        one.name: one.default for one in inspect.signature(make).parameters.values() if one.kind is one.KEYWORD_ONLY
    }
    owner = f"{opt('loss')} {spec!r}: {name}"
    if text is not None and "num_particles" in (pair.partition("=")[0].strip() for pair in text.split(",")):
        raise RequestError(f"{owner}: give its number of particles as {opt('particles')}")
    try:
        return make(particles, **({} if text is None else specs.options(owner, text, known)))
    except ValueError as error:
        raise RequestError(f"{owner}: {said(error)}") from None
