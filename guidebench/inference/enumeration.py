"""Discrete latent sites, summed out exactly: what is left is a density over the continuous ones.

NumPyro enumerates sites of finite support with the help of funsor, as its NUTS does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.handlers import block, infer_config, seed, trace

from guidebench.inference.arguments import Arguments, runnable
from guidebench.plugins.isolation.failures import reason


def obstacle(model: Callable[..., Any], arguments: Arguments) -> str | None:
    """Return why the discrete latent sites of a model cannot be summed out, or ``None``."""
    args, kwargs = arguments.call(model, arguments.arrays)
    found: dict[str, Any] = {}

    def look() -> None:
        found.update(trace(runnable(model)).get_trace(*args, **kwargs))

    jax.eval_shape(look)
    latent = {name: site for name, site in found.items() if site["type"] == "sample" and not site["is_observed"]}
    endless = [
        f"{name} ({type(site['fn']).__name__})"
        for name, site in latent.items()
        if site["fn"].support.is_discrete and not site["fn"].has_enumerate_support
    ]
    if endless:
        return f"{', '.join(endless)} takes infinitely many values"
    values = {
        name: jax.ShapeDtypeStruct(jnp.shape(site["value"]), jnp.result_type(float))
        for name, site in latent.items()
        if not site["fn"].support.is_discrete
    }
    try:
        jax.eval_shape(lambda given: log_density(model, args, kwargs, given), values)
    except ImportError:
        return "that takes funsor: pip install funsor"
    except Exception as error:  # noqa: BLE001 - whatever NumPyro's enumeration objects to is the reason
        return f"NumPyro cannot enumerate them: {reason(error, 200)}"
    return None


def log_density(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], values: Mapping[str, Any]
) -> Float[Array, ""]:
    """Return log p(y, theta) in nats at values of the continuous sites, the discrete ones summed out."""
    with warnings.catch_warnings(), block():
        warnings.simplefilter("ignore")  # funsor's own, on import
        from numpyro.contrib.funsor import config_enumerate, enum
        from numpyro.contrib.funsor import log_density as enumerated

        sites = trace(runnable(model)).get_trace(*args, **kwargs).values()
        depth = max((_plates(site) for site in sites if site["type"] == "sample"), default=0)
        counted = enum(config_enumerate(seed(model, jax.random.key(0))), -1 - depth)
        value, _ = enumerated(counted, args, dict(kwargs), dict(values))
    return jnp.asarray(value)


def marked(model: Callable[..., Any]) -> Callable[..., Any]:
    """Return a model whose discrete latent sites tell NumPyro to enumerate them."""

    def mark(site: Mapping[str, Any]) -> dict[str, Any]:
        latent = site["type"] == "sample" and not site["is_observed"]
        return {"enumerate": "parallel"} if latent and site["fn"].support.is_discrete else {}

    chosen: Callable[..., Any] = infer_config(model, mark)
    return chosen


def _plates(site: Mapping[str, Any]) -> int:
    """Return how many dimensions on the left of its event a site takes up."""
    return max([len(site["fn"].batch_shape), *(-int(frame.dim) for frame in site["cond_indep_stack"])])
