"""How a model is wired: latent sites that are a scale as they are, priors that may be improper, arguments left out.

Like its structure, it is found by tracing the model abstractly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.extend.core import ClosedJaxpr
from numpyro.distributions import constraints
from numpyro.handlers import seed, substitute, trace

from guidebench.inference.arguments import Arguments, runnable
from guidebench.inference.structure import ModelStructure, Site, is_factor
from guidebench.inference.wrappers import unwrapped

#: Operations that give an array another shape, or take parts of it, and leave its numbers alone.
_SAME_NUMBERS = {
    "broadcast_in_dim",
    "convert_element_type",
    "copy",
    "dynamic_slice",
    "expand_dims",
    "gather",
    "reshape",
    "slice",
    "squeeze",
    "transpose",
}

#: Programs within a program.
_CALLS = {"pjit", "jit", "closed_call", "core_call", "remat", "checkpoint"}

#: Supports of parameters; NumPyro keeps the classes to itself.
_POSITIVE = type(constraints.greater_than(0.0)), type(constraints.softplus_positive)
_INTERVAL = type(constraints.interval(0.0, 1.0))
_INDEPENDENT = type(constraints.independent(constraints.real, 1))

#: Arguments of a model, and shapes for each, that are tried at most.
MOST_ARGUMENTS = 6
MOST_SHAPES = 6


class Use(NamedTuple):
    """A latent site on the whole real line that is, as it is, a parameter which must be positive, or within bounds."""

    latent: str
    prior: str
    parameter: str
    site: str
    bounded: bool


class Wiring(NamedTuple):
    """What is fed into what.

    Attributes
    ----------
    uses : tuple of Use
        At most one per latent site.
    suspects : tuple of str
        Latent sites whose prior may be improper: an improper one, one that is masked, one of a class that is not
        NumPyro's; all of them where a ``numpyro.factor`` may undo what priors hold.  Without any, and without
        parameters of the model's own, the posterior is proper: a density times the density of the data.
    real : frozenset of str
        Latent sites on the whole real line.
    """

    uses: tuple[Use, ...] = ()
    suspects: tuple[str, ...] = ()
    real: frozenset[str] = frozenset()


class LeftOut(NamedTuple):
    """An argument that is ``None``, and the latent sites that would be observed if it were given."""

    argument: str
    sites: tuple[str, ...]


class _Parameter(NamedTuple):
    name: str
    site: str
    bounded: bool


def wiring(model: Callable[..., Any], arguments: Arguments, structure: ModelStructure) -> Wiring:
    """Return how a model is wired."""
    free = {site.name: jax.ShapeDtypeStruct(site.shape, jnp.result_type(float)) for site in structure.latents}
    priors: dict[str, Any] = {}
    masked: set[str] = set()
    factors: list[str] = []
    parameters: list[_Parameter] = []

    def run(values: Mapping[str, Any], traced: Mapping[str, Any]) -> list[Any]:
        args, kwargs = arguments.call(model, traced)
        sites = trace(substitute(seed(model, jax.random.key(0)), dict(values))).get_trace(*args, **kwargs)
        found = []
        for name, site in sites.items():
            if site["type"] != "sample":
                continue
            if is_factor(site):
                factors.append(name)
                continue
            layers = list(_layers(site["fn"]))
            if name in free:
                priors[name] = unwrapped(site["fn"])
                masked.update({name} if any(isinstance(one, dist.MaskedDistribution) for one in layers) else ())
            for parameter, bounded, value in _held(layers):
                parameters.append(_Parameter(parameter, name, bounded))
                found.append(value)
        return found

    program = jax.make_jaxpr(run)(free, dict(arguments.arrays)).jaxpr
    real = frozenset(name for name, prior in priors.items() if _is_real(prior.support))
    odd = {
        name
        for name, prior in priors.items()
        if isinstance(prior, dist.ImproperUniform) or not type(prior).__module__.startswith("numpyro.")
    }
    names = sorted(free)  # as JAX flattens a dictionary
    uses: dict[str, Use] = {}
    for parameter, var in zip(parameters, program.outvars, strict=True):
        source = _source(program, var)
        if source is not None and source < len(names) and names[source] in real:
            latent = names[source]
            uses.setdefault(latent, Use(latent, type(priors[latent]).__name__, *parameter))
    suspects = tuple(name for name in free if factors or name in odd | masked)
    return Wiring(tuple(uses.values()), suspects, real)


def left_out(model: Callable[..., Any], arguments: Arguments, structure: ModelStructure) -> tuple[LeftOut, ...]:
    """Return the arguments that are ``None`` and would be the value of what is a latent site now.

    Each is given an array of the shape of a latent site, that of its own name first; the model is only traced.
    """
    sites = (*structure.latents, *structure.discrete)
    missing = [name for name, value in arguments.static.items() if value is None][:MOST_ARGUMENTS]
    return tuple(LeftOut(name, found) for name in missing if (found := _observed_with(name, model, arguments, sites)))


def _observed_with(
    name: str, model: Callable[..., Any], arguments: Arguments, sites: tuple[Site, ...]
) -> tuple[str, ...]:
    """Return the latent sites that are observed once the argument of that name is given."""
    static = {key: value for key, value in arguments.static.items() if key != name}
    tried = dict.fromkeys((site.shape, site.discrete) for site in sorted(sites, key=lambda one: one.name != name))
    for shape, discrete in list(tried)[:MOST_SHAPES]:
        value = jax.ShapeDtypeStruct(shape, jnp.result_type(int if discrete else float))
        trial = Arguments(arrays={**arguments.arrays, name: value}, static=static)
        observed: set[str] = set()

        def run(traced: Mapping[str, Any], trial: Arguments = trial, observed: set[str] = observed) -> None:
            args, kwargs = trial.call(model, traced)
            found = trace(runnable(model)).get_trace(*args, **kwargs)
            observed.update(key for key, site in found.items() if site["type"] == "sample" and site["is_observed"])

        with suppress(Exception):  # it does not fit, or is no data
            jax.eval_shape(run, dict(trial.arrays))
            if found := tuple(site.name for site in sites if site.name in observed):
                return found
    return ()


def _layers(fn: Any) -> Iterator[Any]:
    """Yield a distribution and those that it is made of."""
    yield fn
    for part in ("base_dist", "component_distribution", "_component_distribution"):
        if isinstance(inner := vars(fn).get(part), dist.Distribution):
            yield from _layers(inner)


def _held(layers: list[Any]) -> Iterator[tuple[str, bool, Any]]:
    """Yield the parameters that must not be negative: name, whether they are bounded above as well, and value."""
    for fn in layers:
        for name, constraint in type(fn).arg_constraints.items():
            value = vars(fn).get(name)
            held = isinstance(constraint, (_INTERVAL, *_POSITIVE)) and not constraint.lower_bound < 0
            if held and isinstance(value, jax.core.Tracer):
                yield name, isinstance(constraint, _INTERVAL), value


def _is_real(support: Any) -> bool:
    """Return whether a support is the whole real line, or vectors of it."""
    while isinstance(support, _INDEPENDENT):
        support = support.base_constraint
    return support is constraints.real


def _source(program: Any, var: Any) -> int | None:
    """Return which input of a program a variable is, but for its shape; ``None`` where it is computed."""
    inputs = {id(one): index for index, one in enumerate(program.invars)}
    makers = {id(out): (step, index) for step in program.eqns for index, out in enumerate(step.outvars)}
    while id(var) not in inputs:
        if id(var) not in makers:
            return None
        step, index = makers[id(var)]
        operation = step.primitive.name
        if operation in _SAME_NUMBERS:
            var = step.invars[0]
        elif operation in _CALLS and "jaxpr" in step.params:
            inner = step.params["jaxpr"]
            inner = inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
            source = _source(inner, inner.outvars[index])
            if source is None:
                return None
            var = step.invars[source]
        else:
            return None
    return inputs[id(var)]
