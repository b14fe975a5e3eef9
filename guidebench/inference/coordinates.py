r"""Standardised coordinates: the same posterior in coordinates in which its location is 0 and its scale 1.

Coefficients of size 1e4 or correlations of 0.999 defeat an optimiser that knows nothing of them.  So
a guide whose family an affine map leaves unchanged is trained in :math:`z` with

.. math:: u = m + F z

where u are the model's unconstrained coordinates.  It is shown a model with the same sites, each of
its unconstrained shape, whose log density over z is that of the posterior, the Jacobians included.
Every log weight is unchanged, and draws are mapped back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from guidebench.contracts import Family
from guidebench.inference.arguments import Arguments
from guidebench.inference.gaussians import Gaussian
from guidebench.inference.target import Target

#: ``to_latents(sites, arrays)`` returns values of the model's own latents and the log Jacobian of the map.
ToLatents = Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[dict[str, Any], Any]]


@dataclass(frozen=True, kw_only=True)
class Affine:
    """The map u = center + factor z.

    Attributes
    ----------
    center : ndarray
        Shape ``(D,)``, float64.
    factor : ndarray
        Shape ``(D,)`` (coordinate-wise) or ``(D, D)``, lower triangular; float64.
    """

    center: np.ndarray
    factor: np.ndarray

    @classmethod
    def for_family(cls, family: Family, gaussian: Gaussian | None, dim: int) -> Affine:
        """Return the standardisation that a family allows; the identity without a Gaussian."""
        if gaussian is None:
            return cls(center=np.zeros(dim), factor=np.ones(dim))
        factor = gaussian.factor
        return cls(center=gaussian.mean, factor=factor if family == "affine" else np.sqrt(np.sum(factor**2, axis=1)))

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """Return z of rows u, in float64."""
        centred = np.asarray(points, np.float64) - self.center
        return centred / self.factor if self.factor.ndim == 1 else np.linalg.solve(self.factor, centred.T).T


def apply(center: jax.Array, factor: jax.Array, flat: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return u of one z, and log |du/dz|."""
    if jnp.ndim(factor) == 1:
        return center + factor * flat, jnp.sum(jnp.log(factor))
    return center + factor @ flat, jnp.sum(jnp.log(jnp.diagonal(factor)))


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A model as a guide is shown it.

    Attributes
    ----------
    model, arguments
        What is trained on: the problem's own, or the same posterior in standardised coordinates.
    starts : mapping of str to ndarray
        Starting values of its latent sites, leading axis R.
    to_latents : callable or None
        Maps values of its sites to those of the problem's; ``None`` where they are the same.
    axes : pytree
        Which traced arguments have a leading axis R, where every restart has its own data.
    kind : {"own", "unconstrained", "diagonal", "affine"}
        How it was standardised.
    """

    model: Callable[..., Any]
    arguments: Arguments
    starts: Mapping[str, np.ndarray]
    to_latents: ToLatents | None = None
    axes: Any = None
    kind: Literal["own", "unconstrained", "diagonal", "affine"] = "own"


def standardised(target: Target, affine: Affine, starts: np.ndarray) -> Frame:
    """Return the posterior in standardised coordinates.

    Parameters
    ----------
    target : Target
        The posterior over the unconstrained coordinates u.
    affine : Affine
        From z to u.
    starts : ndarray
        Starting points u, shape ``(R, D)``.
    """
    kind: Literal["unconstrained", "diagonal", "affine"] = "affine" if affine.factor.ndim == 2 else "diagonal"
    if kind == "diagonal" and np.all(affine.factor == 1) and not affine.center.any():
        kind = "unconstrained"
    arrays = {"data": dict(target.arguments.arrays), "center": affine.center, "factor": affine.factor}
    return Frame(
        model=model_of(target),
        arguments=Arguments(arrays=arrays),
        starts=target.split(affine.inverse(starts)),
        to_latents=lambda sites, traced: to_latents(target, sites, traced),
        kind=kind,
    )


def model_of(target: Target) -> Callable[..., Any]:
    """Return the target over z as a NumPyro model, with a real site for every latent site."""

    def standardised_model(data: Mapping[str, Any], center: jax.Array, factor: jax.Array) -> None:
        sites = [
            # Samples like a standard normal where a guide asks for a prior draw, but adds no density.
            numpyro.sample(name, dist.Normal(0, 1).expand(shape).to_event(len(shape)).mask(False))
            for name, shape in target.shapes.items()
        ]
        flat = jnp.concatenate([jnp.ravel(site) for site in sites])
        point, log_jacobian = apply(center, factor, flat)
        numpyro.factor("log_density", target.log_density(point, data) + log_jacobian)

    return standardised_model


def to_latents(target: Target, sites: Mapping[str, Any], traced: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return the problem's latents at standardised sites, and the log Jacobian of the map."""
    flat = jnp.concatenate([jnp.ravel(sites[name]) for name in target.shapes])
    point, log_scale = apply(jnp.asarray(traced["center"]), jnp.asarray(traced["factor"]), flat)
    values, log_jacobian = target.constrain(point, traced["data"])
    return values, log_scale + log_jacobian
