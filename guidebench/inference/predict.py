"""Running the model forward from posterior draws, with its observations unset.

These programs depend on the model and its arguments alone, so one compilation serves every guide.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Key, Shaped
from numpyro.handlers import seed, substitute, trace
from numpyro.primitives import Messenger

from guidebench.inference.arguments import Arguments, runnable
from guidebench.inference.device.compiled import Soon, once, over_draws, soon, split
from guidebench.inference.structure import ModelStructure, Site, is_factor, site_dims


class Unobserved(Messenger):  # type: ignore[misc]
    """Turn observations into draws; ``numpyro.factor`` is not an observation."""

    def process_message(self, msg: dict[str, Any]) -> None:
        """Forget the observed value of a sample site."""
        if msg["type"] == "sample" and msg["is_observed"] and not is_factor(msg):
            msg["is_observed"] = False
            msg["value"] = None


def without_observations(
    model: Callable[..., Any], values: Mapping[str, Any], structure: ModelStructure
) -> dict[str, Any]:
    """Return `values` with each observed argument set to ``None`` where that is its default."""
    parameters = inspect.signature(model).parameters

    def optional(name: str) -> bool:
        return name not in parameters or parameters[name].default is None

    return {
        name: None if name in structure.observed_arguments and optional(name) else value
        for name, value in values.items()
    }


@dataclass(frozen=True, kw_only=True)
class Forward:
    """A program from latent draws to named sites, and how their axes are called."""

    program: Soon
    traced: Mapping[str, Any]
    sites: Mapping[str, Site]

    def __call__(
        self, key: Key[Array, ""], latents: Mapping[str, Shaped[np.ndarray, "S ..."]], fixed: Mapping[str, Any]
    ) -> dict[str, Shaped[np.ndarray, "S ..."]]:
        """Return each site's values, shape ``(S, ...)``; `fixed` are values of the model's own parameters."""
        count = len(next(iter(latents.values())))
        found = self.program(split(key, count), dict(latents), dict(fixed), self.traced)
        return {name: np.asarray(value) for name, value in jax.device_get(found).items()}


def make_predictive(
    model: Callable[..., Any],
    values: Mapping[str, Any],
    structure: ModelStructure,
    latents: Mapping[str, Shaped[np.ndarray, "S ..."]],
    fixed: Mapping[str, Any],
) -> Forward:
    """Trace prediction at the arguments `values`: deterministic sites and unset observations.

    Parameters
    ----------
    model : callable
        The NumPyro model.
    values : mapping
        Arguments by name, as for training; observations are unset here.
    structure : ModelStructure
        Of the model with its training arguments.
    latents : mapping of str to ndarray
        Draws shaped like those to come, leading axis S.
    fixed : mapping
        Values of the model's own ``numpyro.param`` sites.
    """
    unset = without_observations(model, values, structure)
    # Some models cannot run without their observations (a scan along them, say); those keep theirs.
    arguments = Arguments.split(model, unset if runs(model, unset) else values)
    names = [site.name for site in (*structure.deterministics, *structure.observed)]

    def sites(
        key: Key[Array, ""], latents: Mapping[str, Any], fixed: Mapping[str, Any], traced: Mapping[str, Any]
    ) -> dict[str, Any]:
        args, kwargs = arguments.call(model, traced)
        run = seed(Unobserved(substitute(model, {**fixed, **latents})), key)
        return {name: site for name, site in trace(run).get_trace(*args, **kwargs).items() if name in names}

    return _compile(
        sites, lambda site: (site["value"], getattr(site.get("fn"), "event_dim", 0)), arguments, latents, fixed
    )


def runs(model: Callable[..., Any], values: Mapping[str, Any]) -> bool:
    """Return whether `model` can be traced with these arguments."""
    arguments = Arguments.split(model, values)
    args, kwargs = arguments.call(model, arguments.arrays)
    try:
        jax.eval_shape(lambda: runnable(model)(*args, **kwargs) and None)
    except Exception:  # noqa: BLE001 - the question is whether it does, not why
        return False
    return True


def make_log_likelihood(
    model: Callable[..., Any],
    values: Mapping[str, Any],
    structure: ModelStructure,
    latents: Mapping[str, Shaped[np.ndarray, "S ..."]],
    fixed: Mapping[str, Any],
) -> Forward:
    """Trace the log likelihood of every single observation at the arguments `values`, in nats."""
    arguments = Arguments.split(model, values)
    names = [site.name for site in structure.observed]

    def sites(
        key: Key[Array, ""], latents: Mapping[str, Any], fixed: Mapping[str, Any], traced: Mapping[str, Any]
    ) -> dict[str, Any]:
        args, kwargs = arguments.call(model, traced)
        run = seed(substitute(model, {**fixed, **latents}), key)
        return {name: site for name, site in trace(run).get_trace(*args, **kwargs).items() if name in names}

    return _compile(sites, lambda site: (site["fn"].log_prob(site["value"]), 0), arguments, latents, fixed)


def _compile(
    sites: Callable[..., dict[str, Any]],
    read: Callable[[Any], Any],
    arguments: Arguments,
    latents: Mapping[str, Shaped[np.ndarray, "S ..."]],
    fixed: Mapping[str, Any],
) -> Forward:
    described: dict[str, Site] = {}

    def program(
        keys: Key[Array, " S"], latents: Mapping[str, Any], fixed: Mapping[str, Any], traced: Mapping[str, Any]
    ) -> dict[str, Any]:
        def one(draw: tuple[Key[Array, ""], Mapping[str, Any]]) -> dict[str, Any]:
            found = {}
            for name, site in sites(*draw, fixed, traced).items():
                value, event_dim = read(site)
                found[name] = jnp.asarray(value)
                shape = found[name].shape
                dims = site_dims(name, shape, site["cond_indep_stack"], event_dim)
                described[name] = Site(name=name, shape=shape, dims=dims)
            return found

        found: dict[str, Any] = over_draws(one, (keys, latents), 3 * arguments.size())
        return found

    count = len(next(iter(latents.values())))
    traced = dict(arguments.arrays)
    compiled = soon(program, split(jax.random.key(0), count), dict(latents), dict(fixed), traced, level=1)
    return Forward(program=compiled, traced=traced, sites=described)


def observed_values(
    model: Callable[..., Any], values: Mapping[str, Any], structure: ModelStructure
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return the values of the observed sites at the arguments `values`."""
    arguments = Arguments.split(model, values)
    names = {site.name for site in structure.observed}

    def read(traced: Mapping[str, Any]) -> dict[str, Any]:
        args, kwargs = arguments.call(model, traced)
        sites = trace(runnable(model)).get_trace(*args, **kwargs)
        return {name: jnp.asarray(site["value"]) for name, site in sites.items() if name in names}

    return {name: np.asarray(value) for name, value in once(read, dict(arguments.arrays)).items()}


def unmasked(
    model: Callable[..., Any], values: Mapping[str, Any], structure: ModelStructure
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return which observations count, for every observed site under a mask at the arguments `values`."""
    arguments = Arguments.split(model, values)

    def read(traced: Mapping[str, Any]) -> dict[str, Any]:
        args, kwargs = arguments.call(model, traced)
        sites = trace(runnable(model)).get_trace(*args, **kwargs)
        return {name: _mask(sites[name]["fn"]) for name in structure.masked if name in sites}

    return {name: np.asarray(value) for name, value in once(read, dict(arguments.arrays)).items()}


def _mask(fn: Any) -> Bool[Array, "..."]:
    """Return the mask of a distribution, over its batch, under whatever wrappers."""
    mask, inner = jnp.ones(fn.batch_shape, bool), fn
    while hasattr(inner, "base_dist"):
        if isinstance(inner, dist.MaskedDistribution):
            mask &= jnp.broadcast_to(inner._mask, fn.batch_shape)
        inner = inner.base_dist
    return mask


def observation_sd(
    model: Callable[..., Any], arguments: Arguments, structure: ModelStructure, truth: Mapping[str, Any]
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return the sd of every observation given the latent values `truth`, where it is finite."""
    names = {site.name for site in structure.observed}

    def read(traced: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, Any]:
        args, kwargs = arguments.call(model, traced)
        sites = trace(seed(substitute(model, truth), jax.random.key(0))).get_trace(*args, **kwargs)
        found = {}
        for name in names & sites.keys():
            try:
                variance = sites[name]["fn"].variance
            except NotImplementedError:
                continue
            found[name] = jnp.broadcast_to(jnp.sqrt(variance), jnp.shape(sites[name]["value"]))
        return found

    values = once(read, dict(arguments.arrays), {name: jnp.asarray(value) for name, value in truth.items()})
    return {name: np.asarray(value) for name, value in values.items() if np.isfinite(value).all()}
