"""A posterior as chains see it: density, slopes and curvature in whitened coordinates, and the quantities watched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from guidebench.inference.chains.whitening import forward
from guidebench.inference.derivatives import hessian_product
from guidebench.inference.device.compiled import over_draws

#: Dimensions up to which the unconstrained coordinates are watched beside the sites.
MOST_WATCHED = 1_000


@runtime_checkable
class Posterior(Protocol):
    """What chains need of a :class:`~guidebench.inference.target.Target`."""

    @property
    def dim(self) -> int:
        """Number of coordinates, D."""

    @property
    def evaluated(self) -> int:
        """Numbers of the data that one evaluation holds at a time."""

    @property
    def rows(self) -> int:
        """Elements of the main plate that are evaluated at a time; 0 for all."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Unconstrained shape of every latent site."""

    @property
    def many(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every latent site's own values, where there are many of them."""

    def record(self, traced: Mapping[str, Any]) -> None:
        """Trace the model once."""

    def log_density(self, flat: Float[Array, " D"], traced: Mapping[str, Any]) -> Float[Array, ""]:
        """Return the log density of the coordinates at one point, in nats."""

    def constrain(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[dict[str, Array], Float[Array, ""]]:
        """Return the values of the latent sites at one point, and the log Jacobian of the map."""

    def packed(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[Float[Array, " N"], Float[Array, ""]]:
        """Return the same of many latent sites in one vector."""


class Whitened:
    """A posterior at :math:`u = m + F z`, with the whitening among the traced arguments.

    Its functions are to be traced: ``traced`` holds the data, what :meth:`Whitening.traced` returns, and the units,
    ``offset`` and ``scale``, of the quantities.

    Parameters
    ----------
    target : Posterior
        The posterior, as a function of some coordinates.
    data : mapping
        Its traced arguments.
    watches_u : bool
        Whether coordinates are watched beside the sites, where there are not too many of them.
    """

    def __init__(self, target: Posterior, data: Mapping[str, Any], *, watches_u: bool) -> None:
        self.target, self.watches_u = target, watches_u and target.dim <= MOST_WATCHED
        #: Numbers that one evaluation holds at a time.
        self.held = target.evaluated + target.dim
        point = np.zeros(target.dim)
        shapes = jax.eval_shape(lambda flat, data: target.constrain(flat, data)[0], point, dict(data))
        self.shapes = {name: tuple(shapes[name].shape) for name in target.shapes}
        self.sizes = {name: int(np.prod(shape)) for name, shape in self.shapes.items()}

    @property
    def dim(self) -> int:
        """Number of coordinates, D."""
        return self.target.dim

    @property
    def count(self) -> int:
        """How many quantities are watched: every component of every site, the log density, the coordinates."""
        return self.energy + 1 + (self.target.dim if self.watches_u else 0)

    @property
    def energy(self) -> int:
        """Where among the quantities the log density is."""
        return sum(self.sizes.values())

    def site_of(self, quantity: int) -> str:
        """Return the latent site that a quantity belongs to, or nothing for the log density."""
        sites = [name for name, size in self.sizes.items() for _ in range(size)]
        free = [name for name, shape in self.target.shapes.items() for _ in range(int(np.prod(shape)))]
        return [*sites, "", *free][quantity]

    def log_density(self, z: Float[Array, " D"], traced: Mapping[str, Any]) -> Float[Array, ""]:
        """Return the log density of u at one point, in nats; minus infinity where it is not finite."""
        value = self.target.log_density(forward(z, traced), traced["data"])
        return jnp.where(jnp.isfinite(value), value, -jnp.inf)

    def log_densities(self, z: Float[Array, "C D"], traced: Mapping[str, Any]) -> Float[Array, " C"]:
        """Return the log density at many points."""
        found: Float[Array, " C"] = over_draws(lambda point: self.log_density(point, traced), z, self.held)
        return found

    def slopes(
        self, z: Float[Array, "C D"], traced: Mapping[str, Any]
    ) -> tuple[Float[Array, " C"], Float[Array, "C D"]]:
        """Return the log density at many points, and its gradient with respect to z; 0 where that is not finite."""

        def one(point: Float[Array, " D"]) -> tuple[Float[Array, ""], Float[Array, " D"]]:
            value, gradient = jax.value_and_grad(self.log_density)(point, traced)
            return value, jnp.where(jnp.isfinite(gradient), gradient, 0.0)

        found: tuple[Float[Array, " C"], Float[Array, "C D"]] = over_draws(one, z, self.held)
        return found

    def turned(
        self, points: Float[Array, "P D"], direction: Float[Array, " D"], data: Mapping[str, Any]
    ) -> Float[Array, " D"]:
        """Return the product of a direction, in u, with the mean of minus the Hessian over points u."""

        def at(point: Float[Array, " D"]) -> Float[Array, " D"]:
            return hessian_product(self.target, point, direction, data)

        found: Float[Array, "P D"] = over_draws(at, points, self.held)
        return -jnp.mean(found, axis=0)

    def quantities(
        self, z: Float[Array, "C D"], log_density: Float[Array, " C"], traced: Mapping[str, Any]
    ) -> Float[Array, "C K"]:
        """Return the quantities watched at many points, in their units."""
        at = self.energy
        energy = (log_density - traced["offset"][at]) / traced["scale"][at]
        watched: Float[Array, "C K"] = over_draws(lambda point: self._at(point, traced), z, self.target.dim)
        return jnp.concatenate([watched[:, :at], energy[:, None], watched[:, at + 1 :]], axis=1)

    def _at(self, point: Float[Array, " D"], traced: Mapping[str, Any]) -> Float[Array, " K"]:
        u = forward(point, traced)
        if self.target.many:
            parts = [self.target.packed(u, traced["data"])[0]]
        else:
            sites, _ = self.target.constrain(u, traced["data"])
            parts = [jnp.ravel(sites[name]).astype(point.dtype) for name in self.target.shapes]
        coordinates = [u] if self.watches_u else []
        found = jnp.concatenate([*parts, jnp.zeros(1), *coordinates])
        standardised: Float[Array, " K"] = (found - traced["offset"]) / traced["scale"]
        return standardised
