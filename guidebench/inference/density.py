r"""The log weight of a draw: one estimator for training and for scoring every guide.

For a draw :math:`\theta \sim q` the log weight is :math:`\log p(y, \theta) - \log q(\theta)`; its
mean over draws is the ELBO.  Both densities are sums over *all* sample sites of a trace: the
auxiliary sites of NumPyro's continuous autoguides and their Delta sites, whose log density is the
Jacobian of the constraining transform, are counted, so no further correction is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.handlers import replay, seed
from numpyro.infer.elbo import ELBO
from numpyro.infer.util import log_density


class Draw(NamedTuple):
    """One draw from a guide: log p(y, theta) and log q(theta) in nats, and the traces of model and guide."""

    log_p: Float[Array, ""]
    log_q: Float[Array, ""]
    trace: Mapping[str, Any]
    guide_trace: Mapping[str, Any]


def draw(
    key: PRNGKeyArray,
    params: Mapping[str, Any],
    model: Callable[..., Any],
    guide: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    model_key: PRNGKeyArray | None = None,
) -> Draw:
    """Draw once from `guide` and replay the whole guide trace against `model`.

    What the model itself draws, a part of its data, it draws with `model_key` where one is given.

    Raises
    ------
    ValueError
        Where the guide does not have exactly the model's latent sites: the difference of the log
        densities would then be no log weight.
    """
    own_key, _ = jax.random.split(key)
    model_key = own_key if model_key is None else model_key
    log_q, guide_trace = draw_guide(key, params, guide, args, kwargs)
    log_p, model_trace = log_density(replay(seed(model, model_key), guide_trace), args, dict(kwargs), dict(params))
    check_sites(model_trace, guide_trace)
    return Draw(log_p, log_q, model_trace, guide_trace)


def draw_guide(
    key: PRNGKeyArray,
    params: Mapping[str, Any],
    guide: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> tuple[Float[Array, ""], Mapping[str, Any]]:
    """Draw once from `guide` as :func:`draw` does, without the model: log q(theta) in nats, and the guide's trace."""
    _, guide_key = jax.random.split(key)  # in the order of NumPyro, for the same draws
    log_q, trace = log_density(seed(guide, guide_key), args, dict(kwargs), dict(params))
    return jnp.asarray(log_q), trace  # of a guide without sites it is Python's zero


def check_sites(model_trace: Mapping[str, Any], guide_trace: Mapping[str, Any]) -> None:
    """Raise a ValueError where a guide does not have exactly the model's latent sites."""
    wanted = {name for name, site in model_trace.items() if site["type"] == "sample" and not site["is_observed"]}
    given = {
        name
        for name, site in guide_trace.items()
        if site["type"] == "sample" and not site["is_observed"] and not site["infer"].get("is_auxiliary")
    }
    if wanted - given:
        raise ValueError(f"the guide lacks the model's latent site(s) {', '.join(sorted(wanted - given))}")
    if given - wanted:
        raise ValueError(
            f"the guide has site(s) that are no latent sites of the model: {', '.join(sorted(given - wanted))} "
            "(an auxiliary one needs infer={'is_auxiliary': True})"
        )


class TraceELBO(ELBO):  # type: ignore[misc]
    """The ELBO of :class:`numpyro.infer.Trace_ELBO`, its terms added in the order of the traces.

    A model that subsamples shows all particles of a step the same part of its data.

    NumPyro adds them in the order of a Python set of site names, which depends on the hash seed of
    the process: the compiled program then differs between processes and is never found again in
    JAX's persistent compilation cache.
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
        """Return the negative mean log weight of ``num_particles`` draws, in nats."""
        # One part of the data serves all particles: looking rows up costs more than computing with them.
        shared = jax.random.fold_in(rng_key, 0)

        def log_weight(key: PRNGKeyArray) -> Float[Array, ""]:
            one = draw(key, param_map, model, guide, args, kwargs, shared)
            return one.log_p - one.log_q

        if self.num_particles == 1:
            return {"loss": -log_weight(rng_key), "mutable_state": None}
        keys = jax.random.split(rng_key, self.num_particles)
        return {"loss": -jnp.mean(self.vectorize_particles_fn(log_weight, keys)), "mutable_state": None}
