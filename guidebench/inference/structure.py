"""What a model looks like from outside: its sites, their supports, plates and dependences.

Found by tracing the model abstractly: nothing is computed, so it costs milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpyro.distributions as dist
from numpyro.distributions.transforms import biject_to
from numpyro.handlers import seed, substitute, trace
from numpyro.ops.provenance import eval_provenance

from guidebench.errors import RequestError
from guidebench.inference.arguments import Arguments, runnable


@dataclass(frozen=True, kw_only=True)
class Site:
    """A sample or deterministic site.

    ``dims`` names every axis of its value: plate names for the axes of plates, ``NAME_dim_0`` and so
    on for the others.  ``size`` counts the unconstrained coordinates and ``unconstrained`` is their
    shape (0 and nothing for anything but a continuous latent).
    """

    name: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    support: str = ""
    discrete: bool = False
    size: int = 0
    unconstrained: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelStructure:
    """The sites of a model.

    Attributes
    ----------
    latents, observed, deterministics : tuple of Site
        In the order of the model; ``numpyro.factor`` statements are in none of them.
    params : tuple of str
        ``numpyro.param`` sites of the model itself.
    factors : tuple of str
        ``numpyro.factor`` sites.
    observed_arguments : tuple of str
        Arguments of the model whose values reach an observed site.
    dynamic : tuple of str
        Latent sites whose support depends on another latent site.
    subsampled : tuple of str
        Plates that show the model a random part of the data at a time.
    masked : tuple of str
        Observed sites under a mask.
    reweighted : tuple of str
        Sites whose log density is masked or scaled.
    improper : tuple of str
        Latent sites with an improper prior.
    """

    latents: tuple[Site, ...]
    observed: tuple[Site, ...]
    deterministics: tuple[Site, ...]
    params: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    observed_arguments: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    subsampled: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    reweighted: tuple[str, ...] = ()
    improper: tuple[str, ...] = ()

    @property
    def latent_dim(self) -> int:
        """Number of unconstrained coordinates."""
        return sum(site.size for site in self.latents)

    def unsupported(self) -> str | None:
        """Return why no guide can be trained on this model, or ``None``."""
        if not self.latents:
            return "the model has no latent sites"
        discrete = [site.name for site in self.latents if site.discrete]
        if discrete:
            return f"the model has discrete latent sites ({', '.join(discrete)}); marginalise them out"
        if self.subsampled:
            return (
                f"plate(s) {', '.join(self.subsampled)} subsample the data, and a score needs all of them; "
                "leave subsample_size out"
            )
        names = {site.name for site in self.observed}
        filled = [site.name for site in self.latents if site.name.replace("_unobserved", "_observed") in names]
        if filled:
            return f"obs_mask turns missing data into the latent site(s) {', '.join(filled)}; mask the site instead"
        if self.dynamic:
            return (
                f"the support of {', '.join(self.dynamic)} depends on another latent site; "
                "rewrite it as a fixed support with a deterministic transform"
            )
        return None


def site_dims(name: str, shape: tuple[int, ...], frames: Iterable[Any], event_dim: int = 0) -> tuple[str, ...]:
    """Return a name for every axis of a value, plate axes (`frames`) by the name of their plate."""
    dims = [f"{name}_dim_{axis}" for axis in range(len(shape))]
    batch = len(shape) - event_dim
    for frame in frames:
        axis = batch + frame.dim
        if 0 <= axis < batch and shape[axis] == frame.size:
            dims[axis] = frame.name
    return tuple(dims)


def inspect_model(model: Callable[..., Any], arguments: Arguments) -> ModelStructure:
    """Trace `model` abstractly and describe it.

    Raises
    ------
    RequestError
        Where the model does not run with these arguments.
    """
    found: dict[str, Any] = {}
    masked: set[str] = set()
    observed_masked: set[str] = set()
    scaled: set[str] = set()
    improper: set[str] = set()

    def run(traced: Mapping[str, Any]) -> None:
        args, kwargs = arguments.call(model, traced)
        sites = trace(runnable(model)).get_trace(*args, **kwargs)
        found.update({name: _describe(site) for name, site in sites.items()})
        masked.update(name for name, site in sites.items() if _wrapped(site, dist.MaskedDistribution))
        observed_masked.update(name for name in masked if sites[name]["is_observed"])
        scaled.update(name for name, site in sites.items() if site["type"] == "sample" and site["scale"] is not None)
        improper.update(name for name, site in sites.items() if _wrapped(site, dist.ImproperUniform))

    try:
        jax.eval_shape(run, dict(arguments.arrays))
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        raise RequestError(f"the model does not run with its arguments: {type(error).__name__}: {text}") from error

    def kind(*wanted: str) -> tuple[Site, ...]:
        return tuple(site for role, site in found.values() if role in wanted)

    latents = kind("latent")
    return ModelStructure(
        latents=latents,
        observed=kind("observed"),
        deterministics=kind("deterministic"),
        params=tuple(site.name for site in kind("param")),
        factors=tuple(site.name for site in kind("factor")),
        observed_arguments=_observed_arguments(model, arguments),
        dynamic=_dynamic_supports(model, arguments, latents),
        subsampled=tuple(site.name for site in kind("subsampled")),
        masked=tuple(sorted(observed_masked)),
        reweighted=tuple(sorted(masked | scaled)),
        improper=tuple(sorted(improper)),
    )


def _describe(site: Mapping[str, Any]) -> tuple[str, Site]:
    name = site["name"]
    shape = tuple(int(n) for n in getattr(site["value"], "shape", ()))
    if site["type"] == "deterministic":
        return "deterministic", Site(name=name, shape=shape, dims=site_dims(name, shape, site["cond_indep_stack"]))
    if site["type"] == "plate" and site["args"][1] is not None and site["args"][1] < site["args"][0]:
        return "subsampled", Site(name=name, shape=(), dims=())
    if site["type"] != "sample":
        return site["type"], Site(name=name, shape=shape, dims=tuple(f"{name}_dim_{i}" for i in range(len(shape))))
    fn = site["fn"]
    if is_factor(site):
        return "factor", Site(name=name, shape=shape, dims=())
    dims = site_dims(name, shape, site["cond_indep_stack"], fn.event_dim)
    support = type(fn.support).__name__.strip("_").lower()
    discrete = bool(fn.support.is_discrete)
    if site["is_observed"]:
        return "observed", Site(name=name, shape=shape, dims=dims, support=support, discrete=discrete)
    if discrete:
        return "latent", Site(name=name, shape=shape, dims=dims, support=support, discrete=True)
    free = tuple(biject_to(fn.support).inverse_shape(shape))
    return "latent", Site(name=name, shape=shape, dims=dims, support=support, size=math.prod(free), unconstrained=free)


def is_factor(site: Mapping[str, Any]) -> bool:
    """Return whether a site is a ``numpyro.factor`` statement: a term of the density, no observation."""
    fn = site["fn"]
    while not isinstance(fn, dist.Unit) and hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return isinstance(fn, dist.Unit)


def _wrapped(site: Mapping[str, Any], kind: type) -> bool:
    """Return whether a sample site's distribution is of that kind, under whatever wrappers."""
    if site["type"] != "sample":
        return False
    fn = site["fn"]
    while not isinstance(fn, kind) and hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return isinstance(fn, kind)


def _observed_arguments(model: Callable[..., Any], arguments: Arguments) -> tuple[str, ...]:
    if not arguments.arrays:
        return ()

    def observations(**traced: Any) -> list[Any]:
        args, kwargs = arguments.call(model, traced)
        sites = trace(runnable(model)).get_trace(*args, **kwargs)
        return [
            site["value"]
            for site in sites.values()
            if site["type"] == "sample" and site["is_observed"] and not is_factor(site)
        ]

    reached = frozenset().union(*jax.tree.leaves(_provenance(observations, arguments.arrays), is_leaf=_is_set))
    return tuple(name for name in arguments.arrays if name in reached)


def _dynamic_supports(model: Callable[..., Any], arguments: Arguments, latents: tuple[Site, ...]) -> tuple[str, ...]:
    values = {site.name: jax.ShapeDtypeStruct(site.shape, float) for site in latents if not site.discrete}

    def supports(**sites: Any) -> dict[str, Any]:
        args, kwargs = arguments.call(model, arguments.arrays)
        traced = trace(substitute(seed(model, jax.random.key(0)), sites)).get_trace(*args, **kwargs)
        return {name: jax.tree.leaves(traced[name]["fn"].support) for name in sites}

    found = _provenance(supports, values) if values else {}
    return tuple(name for name, leaves in found.items() if any(leaf - {name} for leaf in leaves))


def _provenance(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    return eval_provenance(function, **values)


def _is_set(value: Any) -> bool:
    return isinstance(value, frozenset)
