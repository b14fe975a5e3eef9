r"""The posterior as a function of a flat vector: what every search and every sampler works on.

The unconstrained coordinates :math:`u \in \mathbb{R}^D` of a model are its latent sites under
NumPyro's ``biject_to`` of their supports, one after the other in the order of the model.  The target is

.. math:: \log \pi(u) = \log p(y, \theta(u)) + \log |d\theta / du|

The function is recorded as a jaxpr and shared, so that NumPyro traces the model once, not once for
every program that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from numpyro.handlers import block, seed
from numpyro.infer.util import constrain_fn, log_density, potential_energy

from guidebench.inference.arguments import Arguments, is_array
from guidebench.inference.structure import ModelStructure


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
    """

    model: Callable[..., Any]
    arguments: Arguments
    shapes: Mapping[str, tuple[int, ...]]
    _recorded: dict[tuple[Any, ...], tuple[Callable[..., Any], Any]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def of(cls, model: Callable[..., Any], arguments: Arguments, structure: ModelStructure) -> Target:
        """Return the target of a model with that structure."""
        shapes = {site.name: site.unconstrained for site in structure.latents}
        target = cls(model=model, arguments=arguments, shapes=shapes)
        target.record(arguments.arrays)
        return target

    @property
    def dim(self) -> int:
        """Number of coordinates, D."""
        return sum(prod(shape) for shape in self.shapes.values())

    def flatten(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
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

    def log_density(self, flat: jax.Array, traced: Mapping[str, Any]) -> jax.Array:
        """Return the target at one point u of shape ``(D,)``, in nats; `traced` are the model's traced arguments."""
        value: jax.Array = self._replayed(self._density, flat, traced)
        return value

    def constrain(self, flat: jax.Array, traced: Mapping[str, Any]) -> tuple[dict[str, jax.Array], jax.Array]:
        """Return the values of the latent sites at one point u, and the log Jacobian of the map."""
        values, log_jacobian = self._replayed(self._constrain, flat, traced)
        return values, log_jacobian

    def record(self, traced: Mapping[str, Any]) -> None:
        """Trace the model for arguments like `traced` in the present precision, once for all programs to come.

        To be called outside of all tracing.  Compiling the functions with ``jax.jit`` would trace them
        once, too, but JAX 0.10 remembers the image of a NumPy constant for as long as a program holds
        it, and hands out the same one in the other precision.  So the record holds copies.
        """
        arguments = jnp.zeros(self.dim), jax.tree.map(jnp.asarray, dict(traced))
        for function in (self._density, self._constrain):
            closed, shape = jax.make_jaxpr(lambda *given, run=function: run(*given), return_shape=True)(*arguments)
            copied = ClosedJaxpr(
                closed.jaxpr, [np.array(const) if is_array(const) else const for const in closed.consts]
            )
            self._recorded[self._key(function, *arguments)] = (jaxpr_as_fun(copied), jax.tree.structure(shape))

    def _replayed(self, function: Callable[..., Any], flat: jax.Array, traced: Mapping[str, Any]) -> Any:
        """Return ``function(flat, traced)`` from its record, or by tracing the model again where there is none."""
        key = self._key(function, flat, traced)
        if key not in self._recorded:
            return function(flat, traced)
        recorded, structure = self._recorded[key]
        return jax.tree.unflatten(structure, recorded(*jax.tree.leaves((flat, dict(traced)))))

    @staticmethod
    def _key(function: Callable[..., Any], flat: jax.Array, traced: Mapping[str, Any]) -> tuple[Any, ...]:
        leaves, structure = jax.tree.flatten((flat, dict(traced)))
        return (
            function.__name__,
            str(jnp.result_type(float)),
            structure,
            *((jnp.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves),
        )

    def _density(self, flat: jax.Array, traced: Mapping[str, Any]) -> jax.Array:
        args, kwargs = self.arguments.call(self.model, traced)
        with block():  # whoever calls this from inside a NumPyro program must not see these sites
            value: jax.Array = -potential_energy(seed(self.model, jax.random.key(0)), args, kwargs, self.split(flat))
        return value

    def _constrain(self, flat: jax.Array, traced: Mapping[str, Any]) -> tuple[dict[str, jax.Array], jax.Array]:
        args, kwargs = self.arguments.call(self.model, traced)
        seeded = seed(self.model, jax.random.key(0))
        with block():
            found = constrain_fn(seeded, args, kwargs, self.split(flat))
            values = {name: found[name] for name in self.shapes}
            log_joint, _ = log_density(seeded, args, kwargs, values)
        return values, self._density(flat, traced) - log_joint
