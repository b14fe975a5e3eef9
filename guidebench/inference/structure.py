"""What a model looks like from outside: its sites, their supports, plates and dependences.

Found by tracing the model abstractly: nothing is computed, so it costs milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions.transforms import biject_to
from numpyro.handlers import seed, substitute, trace
from numpyro.ops.provenance import eval_provenance
from numpyro.primitives import Messenger

from guidebench.config.errors import RequestError
from guidebench.config.text import is_storable
from guidebench.inference import enumeration
from guidebench.inference.arguments import Arguments, is_array, runnable
from guidebench.inference.wrappers import unwrapped
from guidebench.plugins.isolation.failures import reason


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
        In the order of the model; ``numpyro.factor`` statements are in none of them, nor are discrete latents.
    discrete : tuple of Site
        Discrete latent sites.
    obstacle : str
        Why these cannot be summed out, where they cannot.
    params : tuple of str
        ``numpyro.param`` sites of the model itself.
    factors : tuple of str
        ``numpyro.factor`` sites.
    observed_arguments : tuple of str
        Arguments of the model whose values reach an observed site.
    dynamic : tuple of str
        Latent sites whose support depends on another latent site.
    subsampled : mapping of str to (int, int)
        Size and subsample size of the plates that show the model a random part of the data at a time.
    masked : tuple of str
        Observed sites under a mask.
    reweighted : tuple of str
        Sites whose log density is masked or scaled.
    improper : tuple of str
        Latent sites with an improper prior.
    joint : tuple of str
        Observed sites whose first axis is no batch of independent observations: multivariate, or in a ``scan``.
    control_flow : bool
        Whether the model has a ``scan`` or a ``cond``.
    """

    latents: tuple[Site, ...]
    observed: tuple[Site, ...]
    deterministics: tuple[Site, ...]
    discrete: tuple[Site, ...] = ()
    obstacle: str = ""
    params: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    observed_arguments: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    subsampled: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    masked: tuple[str, ...] = ()
    reweighted: tuple[str, ...] = ()
    improper: tuple[str, ...] = ()
    joint: tuple[str, ...] = ()
    control_flow: bool = False

    @property
    def latent_dim(self) -> int:
        """Number of unconstrained coordinates."""
        return sum(site.size for site in self.latents)

    def unsupported(self) -> str | None:
        """Return why no guide can be trained on this model, or ``None``."""
        discrete = ", ".join(site.name for site in self.discrete)
        if self.obstacle:
            return f"the model has discrete latent sites ({discrete}) and cannot be rid of them: {self.obstacle}"
        if not self.latents:
            return f"the model has no {'continuous ' if discrete else ''}latent sites"
        if self.subsampled and self.control_flow:
            return "the model subsamples a plate and has a scan or cond, whose sites cannot be shown in parts"
        if discrete and (self.params or self.subsampled):
            what = "parameters of its own" if self.params else "plates that subsample"
            return f"the model has {what} beside discrete latent sites ({discrete}); marginalise these by hand"
        names = {site.name for site in self.observed}
        latents = (*self.latents, *self.discrete)
        filled = [site.name for site in latents if site.name.replace("_unobserved", "_observed") in names]
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


def sizes_of(sites: Iterable[Site]) -> dict[str, int]:
    """Return how long each named dimension of some sites is."""
    return {dim: size for site in sites for dim, size in zip(site.dims, site.shape, strict=True)}


def inspect_model(model: Callable[..., Any], arguments: Arguments, observed: tuple[str, ...] = ()) -> ModelStructure:
    """Trace `model` abstractly and describe it.

    Parameters
    ----------
    model : callable
        The NumPyro model.
    arguments : Arguments
        Its arguments.
    observed : tuple of str
        The arguments that hold observations; without any they are found by tracing.

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
    joint: set[str] = set()
    flows: set[str] = set()

    def run(traced: Mapping[str, Any]) -> None:
        args, kwargs = arguments.call(model, traced)
        controlled = _Controlled()
        with controlled:
            sites = trace(runnable(model)).get_trace(*args, **kwargs)
        flows.update(controlled.found)
        _refuse_texts(sites)
        found.update({name: _describe(site) for name, site in sites.items()})
        joint.update(name for name, site in sites.items() if _is_joint(site))
        masked.update(name for name, site in sites.items() if _wrapped(site, dist.MaskedDistribution))
        observed_masked.update(name for name in masked if sites[name]["is_observed"])
        scaled.update(name for name, site in sites.items() if site["type"] == "sample" and site["scale"] is not None)
        improper.update(name for name, site in sites.items() if _wrapped(site, dist.ImproperUniform))

    try:
        jax.eval_shape(run, dict(arguments.arrays))
    except (Exception, SystemExit) as error:
        raise RequestError(f"the model does not run with its arguments: {reason(error)}") from error

    for name in found:
        if not is_storable(name):
            raise RequestError(f"the model has a site called {name!a}, which no file can hold: call it otherwise")

    def kind(*wanted: str) -> tuple[Site, ...]:
        return tuple(site for role, site in found.values() if role in wanted)

    latents, discrete = kind("latent"), kind("discrete")
    return ModelStructure(
        latents=latents,
        discrete=discrete,
        obstacle=(enumeration.obstacle(model, arguments) or "") if discrete else "",
        observed=kind("observed"),
        deterministics=kind("deterministic"),
        params=tuple(site.name for site in kind("param")),
        factors=tuple(site.name for site in kind("factor")),
        observed_arguments=observed or _observed_arguments(model, arguments),
        dynamic=_dynamic_supports(model, arguments, latents),
        subsampled={site.name: (site.shape[0], site.shape[1]) for site in kind("subsampled")},
        masked=tuple(sorted(observed_masked)),
        reweighted=tuple(sorted(masked | scaled)),
        improper=tuple(sorted(improper)),
        joint=tuple(site.name for site in kind("observed") if site.name in joint or flows),
        control_flow=bool(flows),
    )


def _describe(site: Mapping[str, Any]) -> tuple[str, Site]:
    name = site["name"]
    shape = tuple(int(n) for n in getattr(site["value"], "shape", ()))
    if site["type"] == "deterministic":
        return "deterministic", Site(name=name, shape=shape, dims=site_dims(name, shape, site["cond_indep_stack"]))
    if site["type"] == "plate" and site["args"][1] is not None and site["args"][1] < site["args"][0]:
        return "subsampled", Site(name=name, shape=site["args"], dims=())
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
        return "discrete", Site(name=name, shape=shape, dims=dims, support=support, discrete=True)
    free = tuple(biject_to(fn.support).inverse_shape(shape))
    return "latent", Site(name=name, shape=shape, dims=dims, support=support, size=math.prod(free), unconstrained=free)


class _Controlled(Messenger):  # type: ignore[misc]
    """Notice control flow."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def process_message(self, msg: dict[str, Any]) -> None:
        """Remember a scan or a cond."""
        if msg["type"] == "control_flow":
            self.found.add(str(msg["name"] if "name" in msg else msg["type"]))


def _is_joint(site: Mapping[str, Any]) -> bool:
    """Return whether the first axis of an observation belongs to one multivariate distribution."""
    if site["type"] != "sample" or not site["is_observed"] or is_factor(site):
        return False
    fn, axes = site["fn"], len(getattr(site["value"], "shape", ()))
    return bool(0 < axes <= unwrapped(fn).event_dim)


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


def _refuse_texts(sites: Mapping[str, Any]) -> None:
    """Refuse observations that are no numbers, which NumPyro takes as long as nobody asks for their density."""
    for name, site in sites.items():
        if site["type"] == "sample" and isinstance(site["value"], str):
            raise TypeError(f"site {name} observes the text {site['value']!r}, which is no number")


def _observed_arguments(model: Callable[..., Any], arguments: Arguments) -> tuple[str, ...]:
    constants = _observed_constants(model, arguments)
    if not arguments.arrays:
        return constants

    def observations(**traced: Any) -> list[Any]:
        args, kwargs = arguments.call(model, traced)
        sites = trace(runnable(model)).get_trace(*args, **kwargs)
        return [
            site["value"]
            for site in sites.values()
            if site["type"] == "sample" and site["is_observed"] and not is_factor(site)
        ]

    reached = frozenset().union(*jax.tree.leaves(_provenance(observations, arguments.arrays), is_leaf=_is_set))
    return (*(name for name in arguments.arrays if name in reached), *constants)


def _observed_constants(model: Callable[..., Any], arguments: Arguments) -> tuple[str, ...]:
    """Return the arrays which the model sees the contents of and which are the very values of an observed site."""
    values: list[np.ndarray] = []

    def run(traced: Mapping[str, Any]) -> None:
        args, kwargs = arguments.call(model, traced)
        values.extend(
            np.asarray(site["value"])
            for site in trace(runnable(model)).get_trace(*args, **kwargs).values()
            if site["type"] == "sample" and site["is_observed"] and not isinstance(site["value"], jax.core.Tracer)
        )

    arrays = {name: value for name, value in arguments.static.items() if is_array(value) and np.ndim(value)}
    if arrays:
        jax.eval_shape(run, dict(arguments.arrays))
    return tuple(name for name, array in arrays.items() if any(np.array_equal(array, value) for value in values))


def _dynamic_supports(model: Callable[..., Any], arguments: Arguments, latents: tuple[Site, ...]) -> tuple[str, ...]:
    values = {site.name: jax.ShapeDtypeStruct(site.shape, jnp.result_type(float)) for site in latents}

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
