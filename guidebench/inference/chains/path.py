r"""One path of the chains: Hamilton's equations by leapfrog steps, with any slopes that are a function of the place.

A path moves by the slopes that it is given, and is accepted by the energies at its two ends.  With other slopes than
those of the density it still keeps volumes and can be gone backwards, so that the density at its ends alone decides
what is sampled; worse slopes only make fewer paths accepted (Neal 2011, MCMC using Hamiltonian dynamics, section 5.5,
doi:10.1201/b10905-6).  Slopes in single precision, with energies in double, are therefore as right as slopes in double
precision, at half of their price.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

#: Transitions of a block, which share a key.
BLOCK = 2

#: Shortest and longest trajectory, in standard deviations of the whitening, and the most leapfrog steps of one.  Along
#: one of length t a Gaussian of that scale keeps cos(t) of where it was, and cos(t)^2 of its square: on average over
#: these lengths -.03 and .11, so that its draws are all but independent.
SHORTEST, LONGEST = 1.0, 2.2
MOST_STEPS = 48

#: One transition in so many goes as many steps of a quarter of the size, for chains that are stuck where the posterior
#: is narrow.
CAREFUL = 8

#: ``slopes(z)`` returns log densities, shape ``(C,)``, and their gradients, shape ``(C, D)``, of points z.
Slopes = Callable[[Any], tuple[Any, Any]]


class Keys(NamedTuple):
    """What the random numbers of a transition are drawn with."""

    momentum: Key[Array, ""]
    length: Key[Array, ""]
    accepting: Key[Array, ""]
    care: Key[Array, ""]

    @classmethod
    def of(cls, key: Key[Array, ""], part: Int[Array, ""] | None) -> Keys:
        """Return those of a part of the chains, which shares the lengths with the others; `part` is None for all."""
        momentum, length, accepting, care = jax.random.split(key, 4)
        if part is not None:
            momentum, accepting = (jax.random.fold_in(one, part) for one in (momentum, accepting))
        return cls(momentum, length, accepting, care)


class Plan(NamedTuple):
    """How far a path goes: the size of leapfrog steps, how many, and whether they are smaller, for a careful path."""

    step: Float[Array, ""]
    steps: Int[Array, ""]
    careful: Bool[Array, ""]


class Path(NamedTuple):
    """Where paths have ended, with density and gradient by the slopes they went by, and the momenta at both ends."""

    z: Float[Array, "C D"]
    log_density: Float[Array, " C"]
    gradient: Float[Array, "C D"]
    begun: Float[Array, "C D"]
    ended: Float[Array, "C D"]


def planned(log_step: Float[Array, ""], keys: Keys) -> Plan:
    """Return how far the next paths go at a step size."""
    careful = jax.random.uniform(keys.care) < 1 / CAREFUL
    length = jax.random.uniform(keys.length, minval=SHORTEST, maxval=LONGEST)
    count = jnp.clip(jnp.ceil(length / jnp.exp(log_step)), 1, MOST_STEPS).astype(jnp.int32)
    return Plan(jnp.exp(log_step) * jnp.where(careful, 0.25, 1.0), count, careful)


def followed(slopes: Slopes, z: Float[Array, "C D"], gradient: Float[Array, "C D"], plan: Plan, keys: Keys) -> Path:
    """Return where paths from z end."""
    momentum = jax.random.normal(keys.momentum, z.shape, z.dtype)
    step = plan.step.astype(z.dtype)

    def leap(_: Any, point: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
        z, p, _, gradient = point
        p = p + step / 2 * gradient
        z = z + step * p
        value, gradient = slopes(z)
        return z, p + step / 2 * gradient, value, gradient

    start = z, momentum, jnp.zeros(len(z), z.dtype), gradient
    z, p, value, gradient = jax.lax.fori_loop(0, plan.steps, leap, start)
    return Path(z, value, gradient, momentum, p)


def gained(path: Path, before: Float[Array, " C"]) -> Float[Array, " C"]:
    """Return by how much log density less kinetic energy has grown along paths, in nats: minus what was lost."""
    kinetic = (jnp.sum(path.ended**2, axis=1) - jnp.sum(path.begun**2, axis=1)) / 2
    return path.log_density - before - kinetic
