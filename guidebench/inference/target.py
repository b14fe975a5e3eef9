r"""The posterior as a function of a flat vector: what every search and every sampler works on.

The unconstrained coordinates :math:`u \in \mathbb{R}^D` of a model are its latent sites under
NumPyro's ``biject_to`` of their supports, one after the other in the order of the model.  The target is

.. math:: \log \pi(u) = \log p(y, \theta(u)) + \log |d\theta / du|

The function is recorded as a jaxpr and shared, so that NumPyro traces the model once, not once for
every program that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jaxtyping import Array, Float, PRNGKeyArray, Shaped
from numpyro.distributions.transforms import biject_to
from numpyro.handlers import block, seed, substitute, trace
from numpyro.infer.util import log_density, potential_energy

from guidebench.inference import bundles, enumeration
from guidebench.inference.arguments import Arguments, is_array, runnable
from guidebench.inference.device.compiled import Soon, soon
from guidebench.inference.lanes import whole
from guidebench.inference.structure import ModelStructure
from guidebench.inference.subsampling import (
    AT_ONCE,
    Minibatches,
    block_size,
    in_blocks,
    on_a_part,
    on_some,
)
from guidebench.inference.wrappers import masked


def many_alike(structure: ModelStructure, minibatches: Minibatches | None) -> bool:
    """Return whether a model has so many latent sites that those which are alike are computed together."""
    plain = minibatches is None and not (structure.discrete or structure.control_flow or structure.params)
    return len(structure.latents) > bundles.MANY and plain


@dataclass(frozen=True, kw_only=True)
class Target:
    """The log density of a model over its unconstrained coordinates.

    Attributes
    ----------
    model : callable
        The NumPyro model, without ``numpyro.param`` sites of its own.
    arguments : Arguments
        Its training arguments.
    shapes : mapping of str to tuple
        Unconstrained shape of every latent site, in the order of the model.
    enumerated : bool
        Whether the model has discrete latent sites, which are summed out.
    minibatches : Minibatches or None
        How the model subsamples its data, where it does; `model` is then the one that sees all of them.
    rows : int
        Elements of the main plate that are evaluated at a time; 0 for all.
    sample : int
        Elements of the main plate, drawn once, that stand for all of them; 0 for all.
    many : mapping of str to tuple
        Shape of every latent site's own values where there are so many that those which are alike are computed
        together (:mod:`guidebench.inference.bundles`); empty where there are not.
    """

    model: Callable[..., Any]
    arguments: Arguments
    shapes: Mapping[str, tuple[int, ...]]
    enumerated: bool = False
    minibatches: Minibatches | None = None
    rows: int = 0
    sample: int = 0
    many: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    _recorded: dict[tuple[Any, ...], tuple[Callable[..., Any], Any]] = field(
        default_factory=dict, repr=False, compare=False
    )
    _compiled: dict[tuple[Any, ...], Soon] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        model: Callable[..., Any],
        arguments: Arguments,
        structure: ModelStructure,
        minibatches: Minibatches | None = None,
    ) -> Target:
        """Return the target of a model with that structure."""
        shapes = {site.name: site.unconstrained for site in structure.latents}
        rows = 0
        if minibatches is not None and arguments.size() > AT_ONCE:
            rows = block_size(minibatches, {name: jnp.zeros(shape) for name, shape in shapes.items()})
        many = many_alike(structure, minibatches)
        target = cls(
            model=model,
            arguments=arguments,
            shapes=shapes,
            enumerated=bool(structure.discrete),
            minibatches=minibatches,
            rows=rows,
            many={site.name: site.shape for site in structure.latents} if many else {},
        )
        target.record(arguments.arrays)
        return target

    @property
    def evaluated(self) -> int:
        """Numbers of the data that one evaluation holds at a time."""
        at_a_time = self.sample or self.rows
        if not at_a_time or self.minibatches is None:
            return self.arguments.size()
        return int(at_a_time * self.minibatches.values_per_element())

    def on_sample(self, count: int) -> Target:
        """Return a target in which `count` elements of the main plate stand for all of them."""
        return replace(self, sample=count, _recorded={}, _compiled={})

    def compiled(self, name: str, function: Callable[..., Any], *args: Any, level: int) -> Soon:
        """Return a function of the target, compiled for arguments like `args` when it is asked for first.

        Whoever asks for one of that name, for arguments of that shape, in the precision around it, is given the same.
        """
        leaves, structure = jax.tree.flatten(args)
        key = name, level, _kind(leaves), structure
        if key not in self._compiled:
            self._compiled[key] = soon(function, *args, level=level)
        return self._compiled[key]

    @property
    def dim(self) -> int:
        """Number of coordinates, D."""
        return sum(prod(shape) for shape in self.shapes.values())

    def flatten(self, values: Mapping[str, Shaped[np.ndarray, "S ..."]]) -> Shaped[np.ndarray, "S D"]:
        """Return unconstrained values by site, each with leading axis S, as rows of length D."""
        return np.concatenate([np.asarray(values[name]).reshape(len(values[name]), -1) for name in self.shapes], axis=1)

    def split(self, flat: Any) -> dict[str, Any]:
        """Return flat vectors, the last axis D, by site; the inverse of :meth:`flatten`."""
        found, begin = {}, 0
        for name, shape in self.shapes.items():
            found[name] = flat[..., begin : begin + prod(shape)].reshape(*flat.shape[:-1], *shape)
            begin += prod(shape)
        return found

    def labels(self) -> list[str]:
        """Return a name for every coordinate."""
        return [
            f"{name}[{','.join(map(str, index))}]" if index else name
            for name, shape in self.shapes.items()
            for index in np.ndindex(shape)
        ]

    def log_density(self, flat: Float[Array, " D"], traced: Mapping[str, Any]) -> Float[Array, ""]:
        """Return the target at one point u of shape ``(D,)``, in nats; `traced` are the model's traced arguments."""
        value: Float[Array, ""] = self._replayed(self._density, flat, traced)
        return value

    def _by_supports(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[dict[str, Array], Float[Array, ""]]:
        """Return the latent sites at one point, and the log Jacobian, from their supports alone."""
        values, log_jacobian = {}, jnp.zeros(())
        free = self.split(flat)
        for name, support in self.supports(traced).items():
            transform = biject_to(support)
            values[name] = transform(free[name])
            log_jacobian += jnp.sum(transform.log_abs_det_jacobian(free[name], values[name]))
        return values, log_jacobian

    def by_supports(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[dict[str, Array], Float[Array, ""]]:
        """Return the same as :meth:`constrain` without any density of the model: no digits of the data are in it."""
        if not self.many:
            return self._by_supports(flat, traced)
        known = self.alike(traced)
        vector, log_jacobian = bundles.packed(known, flat)
        sites = bundles.unpacked(known, vector)
        return {name: sites[name] for name in self.shapes}, log_jacobian

    def free(self, values: Mapping[str, Any], traced: Mapping[str, Any]) -> Float[Array, " D"]:
        """Return the point u at the own values of the latent sites; the inverse of :meth:`by_supports`."""
        if self.many:
            return self.unconstrained(jnp.concatenate([jnp.ravel(values[name]) for name in self.many]), traced)
        supports = self.supports(traced)
        return jnp.concatenate([jnp.ravel(biject_to(supports[name]).inv(values[name])) for name in self.shapes])

    def supports(self, traced: Mapping[str, Any]) -> dict[str, Any]:
        """Return the support of every latent site."""
        args, kwargs = self.arguments.call(self.model, traced)
        if self.many:
            return bundles.supports(self.model, args, kwargs, self.many)
        with block():
            sites = trace(runnable(self.model)).get_trace(*args, **kwargs)
        return {name: sites[name]["fn"].support for name in self.shapes}

    def alike(self, traced: Mapping[str, Any]) -> list[bundles.Bundle]:
        """Return which of many latent sites are alike."""
        return bundles.bundles(self.shapes, self.many, self.supports(traced))

    def pack(self, values: Mapping[str, Shaped[np.ndarray, "S ..."]]) -> Shaped[np.ndarray, "S N"]:
        """Return the own values of many latent sites, each with leading axis S, as rows."""
        return np.concatenate([np.asarray(values[name]).reshape(len(values[name]), -1) for name in self.many], axis=1)

    def unpack(self, rows: Shaped[np.ndarray, "S N"]) -> dict[str, Shaped[np.ndarray, "S ..."]]:
        """Return rows by latent site; the inverse of :meth:`pack`."""
        found, begin = {}, 0
        for name, shape in self.many.items():
            found[name] = rows[:, begin : begin + prod(shape)].reshape(len(rows), *shape)
            begin += prod(shape)
        return found

    def packed(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[Float[Array, " N"], Float[Array, ""]]:
        """Return the own values of many latent sites at one point u in one vector, and the log Jacobian of the map."""
        vector, log_jacobian = self._replayed(self._packed, flat, traced)
        return vector, log_jacobian

    def joint_packed(self, vector: Float[Array, " N"], traced: Mapping[str, Any]) -> Float[Array, ""]:
        """Return log p(y, theta) at the own values of many latent sites in one vector, in nats."""
        value: Float[Array, ""] = self._replayed(self._joint_packed, vector, traced)
        return value

    def unconstrained(self, vector: Float[Array, " N"], traced: Mapping[str, Any]) -> Float[Array, " D"]:
        """Return the point u at the own values of many latent sites in one vector."""
        return bundles.unconstrained(self.alike(traced), vector)

    def joint(self, values: Mapping[str, Any], traced: Mapping[str, Any]) -> Float[Array, ""]:
        """Return log p(y, theta) at the latent sites' own values, in nats."""
        if self.rows and self.minibatches is not None:
            return in_blocks(self.minibatches, values, traced, self.rows, constrained=True)
        args, kwargs = self.arguments.call(self.model, traced)
        if self.enumerated:
            return enumeration.log_density(self.model, args, kwargs, values)
        if self.many:
            return self.joint_packed(jnp.concatenate([jnp.ravel(values[name]) for name in self.many]), traced)
        with block():
            value, _ = log_density(seed(self.model, jax.random.key(0)), args, kwargs, dict(values))
        return jnp.asarray(value)

    def estimate(self, flat: Float[Array, " D"], traced: Mapping[str, Any], key: PRNGKeyArray) -> Float[Array, ""]:
        """Return an unbiased estimate of the target at one point, from random parts of the data."""
        assert self.minibatches is not None
        return on_a_part(self.minibatches, self.split(flat), traced, key)

    def constrain(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[dict[str, Array], Float[Array, ""]]:
        """Return the values of the latent sites at one point u, and the log Jacobian of the map."""
        values, log_jacobian = self._replayed(self._constrain, flat, traced)
        return values, log_jacobian

    def record(self, traced: Mapping[str, Any]) -> None:
        """Trace the model for arguments like `traced` in the present precision, once for all programs to come.

        To be called outside of all tracing.  Compiling the functions with ``jax.jit`` would trace them
        once, too, but JAX 0.10 remembers the image of a NumPy constant for as long as a program holds
        it, and hands out the same one in the other precision.  So the record holds copies.
        """
        given = jax.tree.map(jnp.asarray, dict(traced))
        point = jnp.zeros(self.dim)
        programs: list[tuple[Callable[..., Any], Array]] = [(self._density, point), (self._constrain, point)]
        if self.many:
            own = jnp.zeros(sum(map(prod, self.many.values())))
            programs += [(self._packed, point), (self._joint_packed, own)]
        for function, vector in programs:
            arguments = vector, given
            if self._key(function, *arguments) in self._recorded:
                continue
            closed, shape = jax.make_jaxpr(lambda *given, run=function: run(*given), return_shape=True)(*arguments)
            copied = ClosedJaxpr(
                closed.jaxpr, [np.array(const) if is_array(const) else const for const in closed.consts]
            )
            copied = whole(copied) if self.many else copied
            self._recorded[self._key(function, *arguments)] = (jaxpr_as_fun(copied), jax.tree.structure(shape))

    def _replayed(self, function: Callable[..., Any], flat: Float[Array, " D"], traced: Mapping[str, Any]) -> Any:
        """Return ``function(flat, traced)`` from its record, or by tracing the model again where there is none."""
        key = self._key(function, flat, traced)
        if key not in self._recorded:
            return function(flat, traced)
        recorded, structure = self._recorded[key]
        return jax.tree.unflatten(structure, recorded(*jax.tree.leaves((flat, dict(traced)))))

    @staticmethod
    def _key(function: Callable[..., Any], flat: Float[Array, " D"], traced: Mapping[str, Any]) -> tuple[Any, ...]:
        leaves, structure = jax.tree.flatten((flat, dict(traced)))
        return function.__name__, structure, _kind(leaves)

    def _density(self, flat: Float[Array, " D"], traced: Mapping[str, Any]) -> Float[Array, ""]:
        if self.sample and self.minibatches is not None:
            return on_some(self.minibatches, self.split(flat), traced, self.sample)
        if self.rows and self.minibatches is not None:
            return in_blocks(self.minibatches, self.split(flat), traced, self.rows)
        args, kwargs = self.arguments.call(self.model, traced)
        if self.enumerated:
            values, log_jacobian = self._by_supports(flat, traced)
            return enumeration.log_density(self.model, args, kwargs, values) + log_jacobian
        if self.many:
            vector, log_jacobian = bundles.packed(self.alike(traced), flat)
            return self._joint_packed(vector, traced) + log_jacobian
        with block():  # whoever calls this from inside a NumPyro program must not see these sites
            value: Float[Array, ""] = -potential_energy(
                seed(self.model, jax.random.key(0)), args, kwargs, self.split(flat)
            )
        return value

    def _packed(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[Float[Array, " N"], Float[Array, ""]]:
        return bundles.packed(self.alike(traced), flat)

    def _joint_packed(self, vector: Float[Array, " N"], traced: Mapping[str, Any]) -> Float[Array, ""]:
        args, kwargs = self.arguments.call(self.model, traced)
        return bundles.log_joint(self.model, args, kwargs, bundles.unpacked(self.alike(traced), vector))

    def _constrain(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[dict[str, Array], Float[Array, ""]]:
        args, kwargs = self.arguments.call(self.model, traced)
        if self.many:
            known = self.alike(traced)
            vector, log_jacobian = bundles.packed(known, flat)
            sites = bundles.unpacked(known, vector)
            return {name: sites[name] for name in self.shapes}, log_jacobian
        if self.minibatches is not None or self.enumerated:
            return self._by_supports(flat, traced)
        free = self.split(flat)

        def own(site: Mapping[str, Any]) -> Any:
            return biject_to(site["fn"].support)(free[site["name"]]) if site["name"] in free else None

        seeded = seed(self.model, jax.random.key(0))
        with block():
            sites = trace(substitute(seeded, substitute_fn=own)).get_trace(*args, **kwargs)
        values = {name: sites[name]["value"] for name in self.shapes}
        if all(_as_they_are(sites[name]) for name in self.shapes):
            return values, sum((_log_volume(sites[name], free[name]) for name in self.shapes), jnp.zeros(()))
        with block():  # what NumPyro makes of the volume under a mask or a scale, it alone knows
            log_joint, _ = log_density(seeded, args, kwargs, values)
        return values, self._density(flat, traced) - log_joint


def _kind(leaves: Iterable[Any]) -> tuple[Any, ...]:
    """Return what a program depends on besides its arguments' structure: the precision, and their shapes and types."""
    return str(jnp.result_type(float)), *((jnp.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves)


def _as_they_are(site: Mapping[str, Any]) -> bool:
    """Return whether the density of a latent site counts as it is."""
    return site["scale"] is None and not masked(site["fn"])


def _log_volume(site: Mapping[str, Any], free: Array) -> Float[Array, ""]:
    """Return the log Jacobian of the map to a site's own values, whose support may depend on other sites."""
    transform = biject_to(site["fn"].support)
    volume: Float[Array, ""] = jnp.sum(transform.log_abs_det_jacobian(free, site["value"]))
    return volume
