"""Guides that break the contract, each in one way: exactly one check fails on each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions.transforms import biject_to
from numpyro.handlers import block, seed, trace
from numpyro.infer.autoguide import AutoContinuous, AutoDelta, AutoIAFNormal, AutoNormal
from numpyro.infer.initialization import init_to_uniform

from guidebench import Guide

Function = Callable[..., Any]


def latents(model: Function, args: Any, kwargs: Any) -> dict[str, Any]:
    """Return the latent sites of a model."""
    with block():
        sites = trace(seed(model, jax.random.key(0))).get_trace(*args, **kwargs)
    return {name: one for name, one in sites.items() if one["type"] == "sample" and not one["is_observed"]}


def location_and_scale(name: str, shape: tuple[int, ...]) -> tuple[Any, Any]:
    loc = numpyro.param(f"{name}_loc", jnp.zeros(shape))
    return loc, numpyro.param(f"{name}_scale", jnp.full(shape, 0.1), constraint=dist.constraints.softplus_positive)


def one_more_axis(model: Function) -> Function:
    """Every site has a leading axis too many."""

    def guide(*args: Any, **kwargs: Any) -> None:
        for name, site in latents(model, args, kwargs).items():
            transform = biject_to(site["fn"].support)
            shape = (2, *transform.inverse_shape(np.shape(site["value"])))
            base = dist.Normal(jnp.zeros(shape), 1.0).to_event(transform.domain.event_dim)
            numpyro.sample(name, dist.TransformedDistribution(base, transform))

    return guide


def real_line(model: Function) -> Function:
    """Every site is on the real line, whatever its support."""

    def guide(*args: Any, **kwargs: Any) -> None:
        for name, site in latents(model, args, kwargs).items():
            loc, scale = location_and_scale(name, np.shape(site["value"]))
            numpyro.sample(name, dist.Normal(loc, scale).to_event(site["fn"].event_dim))

    return guide


def without_jacobian(model: Function) -> Function:
    """The sites are transformed draws, whose density has no Jacobian."""

    def guide(*args: Any, **kwargs: Any) -> None:
        for name, site in latents(model, args, kwargs).items():
            transform = biject_to(site["fn"].support)
            shape = transform.inverse_shape(np.shape(site["value"]))
            base = dist.Normal(*location_and_scale(name, shape)).to_event(len(shape))
            free = numpyro.sample(f"{name}_free", base, infer={"is_auxiliary": True})
            numpyro.sample(name, dist.Delta(transform(free), event_dim=site["fn"].event_dim))

    return guide


def shifted(nats: float) -> Function:
    """Return the build of a mean field whose log density is off by a constant."""

    def build(model: Function, *, init_loc_fn: Any = None) -> Function:
        inner = AutoNormal(model, init_loc_fn=init_loc_fn or init_to_uniform)

        def guide(*args: Any, **kwargs: Any) -> Any:
            numpyro.factor("shift", jnp.asarray(nats))
            return inner(*args, **kwargs)

        return guide

    return build


class Unseeded(AutoContinuous):  # type: ignore[misc]
    """Its scale is no parameter, which training would bring to where it belongs, but another one in every guide."""

    def __init__(self, model: Function) -> None:
        super().__init__(model)
        self.scale = np.random.uniform(0.8, 1.2)  # noqa: NPY002 - the flaw

    def _get_posterior(self) -> Any:
        loc, _ = location_and_scale("auto", (self.latent_dim,))
        return dist.Normal(loc, self.scale).to_event(1)


def unseeded(model: Function) -> Any:
    return Unseeded(model)


def honest(model: Function, *, init_scale: float = 0.1) -> Any:
    return AutoNormal(model, init_scale=init_scale)


@wraps(honest)
def pretending(model: Function) -> Any:
    return AutoNormal(model)


def failing(model: Function) -> Any:
    raise RuntimeError("the weights file is missing")


class AutoLaplaceDistribution(AutoContinuous):  # type: ignore[misc]
    """Independent Laplace distributions: closed under scaling and shifting, and never a Gaussian."""

    def _get_posterior(self) -> Any:
        return dist.Laplace(*location_and_scale("auto", (self.latent_dim,))).to_event(1)


def guide(name: str, build: Function, **more: Any) -> Guide:
    return Guide(name=name, build=build, summary="Breaks the contract", **more)


def refusing(structure: Any) -> Any:
    raise KeyError("latents")


@dataclass(frozen=True)
class Broken:
    """A guide, the check that says what is wrong with it, and the toy problems on which that shows."""

    guide: Guide
    check: str
    problems: tuple[str, ...] = ("one-dimensional",)


#: By what is wrong.
BROKEN: Mapping[str, Broken] = {
    "no summary": Broken(Guide(name="x", build=honest, family="diagonal"), "check_declaration"),
    "options that build does not take": Broken(guide("x", pretending, family="diagonal"), "check_options_are_accepted"),
    "a wrong shape": Broken(guide("x", one_more_axis), "check_sites_and_shapes", ("hierarchical", "constrained")),
    "draws outside the support": Broken(
        guide("x", real_line), "check_draws_are_in_the_supports", ("one-dimensional", "constrained")
    ),
    "an exception in every build": Broken(guide("x", failing), "check_trains", ("one-dimensional", "correlated")),
    "a loss that is not finite": Broken(guide("x", shifted(float("nan"))), "check_trains"),
    "an exception on some models": Broken(
        guide("x", lambda model: AutoIAFNormal(model), family="affine"),
        "check_unsupported_models_have_a_reason",
        ("one-dimensional", "independent"),
    ),
    "an exception in supports": Broken(
        guide("x", honest, family="diagonal", supports=refusing), "check_unsupported_models_have_a_reason"
    ),
    "a point that claims an ELBO": Broken(guide("x", lambda model: AutoDelta(model)), "check_is_scored"),
    "draws that claim to be a point": Broken(guide("x", honest, bound="none"), "check_is_scored"),
    "randomness without a seed": Broken(guide("x", unseeded, family="diagonal"), "check_same_seed_same_draws"),
    "a density too high by a constant": Broken(guide("x", shifted(0.5)), "check_density_integrates_to_one"),
    "a density without its Jacobian": Broken(
        guide("x", without_jacobian), "check_density_integrates_to_one", ("one-dimensional", "constrained")
    ),
    "a density too low by a constant": Broken(guide("x", shifted(-0.5)), "check_elbo_is_a_bound"),
    "a family without Gaussians": Broken(
        guide("x", AutoLaplaceDistribution, family="diagonal"), "check_recovers_the_exact_answer", ("independent",)
    ),
    "a mean field that claims to be affine": Broken(
        guide("x", honest, family="affine"), "check_family", ("independent", "correlated")
    ),
}
