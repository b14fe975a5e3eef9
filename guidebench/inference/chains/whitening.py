r"""Whitening: coordinates in which chains find every direction about as wide as any other.

In few dimensions a full matrix of the draws' moments does it.  In many, where draws are too few for that, coordinates
are scaled one by one and a few directions as well:

.. math:: u = m + S (I + V (L - I) V^T) z

with the scales S of single coordinates and the lengths L along orthonormal directions V.  The directions are those in
which the scaled curvature :math:`A = -S\, \mathrm{E}[H]\, S` is farthest from what it mostly is, found by Lanczos'
iteration from products with the Hessian at a few draws: each costs two gradients, and none is as noisy as a covariance
of draws.  A hierarchical model has a few such directions, along which its population moves with all of its groups.
Where that is more even, scales are those of what the directions leave of the draws, and these are found once more.

References
----------
Golub & Van Loan (2013), Matrix Computations, 4th edition, section 10.1, for Lanczos' iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Float64

from guidebench.inference.coordinates import Affine, apply

#: Directions that are scaled, at most, half of them wide and half of them narrow.
DIRECTIONS = 8

#: Products with the Hessian that they are found by, and draws that each is a mean over.
PRODUCTS, PROBES = 24, 8

#: A direction counts where its curvature, in units of what is usual, is beyond these; and where it is known so well.
USUAL = 0.5, 2.0
KNOWN = 0.1

#: Draws that widths are those of, at most.
MOST_DRAWS = 1_024

#: Share of a coordinate's sd below which directions are most of it.
MOSTLY = 0.2

#: Lengths along directions, at most, and at least one over it.
LONGEST = 30.0


@dataclass(frozen=True, kw_only=True)
class Whitening:
    """The map from z to unconstrained coordinates.

    Attributes
    ----------
    affine : Affine
        Centre, and scales or a full lower triangular factor.
    vectors : ndarray
        Orthonormal directions in scaled coordinates, shape ``(D, 8)``, some of them zero; ``(D, 0)`` beside a full
        factor.
    lengths : ndarray
        By which z is stretched along each, shape ``(8,)``.
    """

    affine: Affine
    vectors: Float64[np.ndarray, "D K"]
    lengths: Float64[np.ndarray, " K"]

    def forward(self, z: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, "S D"]:
        """Return u of rows z."""
        factor = self.affine.factor
        if factor.ndim == 2:
            return np.asarray(self.affine.center + z @ factor.T)
        stretched = z + ((z @ self.vectors) * (self.lengths - 1)) @ self.vectors.T
        return np.asarray(self.affine.center + stretched * factor)

    def inverse(self, u: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, "S D"]:
        """Return z of rows u."""
        scaled = self.affine.inverse(u)
        return np.asarray(scaled + ((scaled @ self.vectors) * (1 / self.lengths - 1)) @ self.vectors.T)

    def unclipped(self) -> Float64[np.ndarray, "D L"]:
        """Return the directions that are as long as they were found, not as long as is believed at most."""
        return self.vectors[:, (self.lengths < LONGEST) & (self.lengths > 1 / LONGEST)]

    def traced(self) -> dict[str, Float64[np.ndarray, "..."]]:
        """Return the arguments of :func:`forward`."""
        return {
            "center": self.affine.center,
            "factor": self.affine.factor,
            "vectors": self.vectors,
            "lengths": self.lengths,
        }


def forward(z: Float[Array, " D"], traced: Mapping[str, Any]) -> Float[Array, " D"]:
    """Return u of one z; the Jacobian of the map is a constant."""
    vectors = traced["vectors"]
    if vectors.shape[1]:
        z = z + vectors @ ((traced["lengths"] - 1) * (vectors.T @ z))
    u, _ = apply(traced["center"], traced["factor"], z)
    return u


def plain(affine: Affine) -> Whitening:
    """Return the whitening without directions of its own."""
    count = 0 if affine.factor.ndim == 2 else DIRECTIONS
    return Whitening(affine=affine, vectors=np.zeros((len(affine.center), count)), lengths=np.ones(count))


def by_moments(points: Float64[np.ndarray, "S D"], *, dense: bool) -> Affine:
    """Return the map by the moments of draws; a full one shrinks correlations as far as few draws ask for."""
    center, count, dim = points.mean(axis=0), *points.shape
    sds = np.maximum(points.std(axis=0), 1e-12 * (1 + np.abs(center)))
    if not dense:
        return Affine(center=center, factor=sds)
    scaled = (points - center) / sds
    share = min(1.0, dim / (10 * count)) + 1e-9
    correlation = (1 - share) * (scaled.T @ scaled / count) + share * np.eye(dim)
    return Affine(center=center, factor=sds[:, None] * np.linalg.cholesky(correlation))


class Directions(NamedTuple):
    """Orthonormal directions, shape ``(D, K)``, the curvature along each, shape ``(K,)``, and what products it took."""

    vectors: Float64[np.ndarray, "D K"]
    curvatures: Float64[np.ndarray, " K"]
    products: int


def unusual(product: Callable[[Float64[np.ndarray, " D"]], Float64[np.ndarray, " D"]], dim: int) -> Directions:
    """Return the directions in which a symmetric matrix is farthest from what it mostly is.

    Parameters
    ----------
    product : callable
        Returns the product of the matrix with a vector.
    dim : int
        Its dimension, D.
    """
    rng = np.random.default_rng(0)
    vector = rng.standard_normal(dim)
    basis, diagonal, beside = [vector / np.linalg.norm(vector)], [], []
    for _ in range(min(PRODUCTS, dim)):
        turned = product(basis[-1])
        if not np.isfinite(turned).all():
            break
        diagonal.append(float(basis[-1] @ turned))
        known = np.stack(basis)
        for _ in range(2):  # once is not enough where two are nearly the same
            turned = turned - known.T @ (known @ turned)
        beside.append(float(np.linalg.norm(turned)))
        if beside[-1] < 1e-8 * max(map(abs, diagonal)):
            break
        basis.append(turned / beside[-1])
    if not diagonal:
        return Directions(np.zeros((dim, 0)), np.zeros(0), 1)
    count = len(diagonal)
    values, parts = np.linalg.eigh(
        np.diag(diagonal) + np.diag(beside[: count - 1], 1) + np.diag(beside[: count - 1], -1)
    )
    # What of a random vector lies along each says how many eigenvalues it stands for.
    usual = values[np.searchsorted(np.cumsum(parts[0] ** 2), 0.5)]
    if not usual > 0:
        return Directions(np.zeros((dim, 0)), np.zeros(0), count)
    known = np.abs(beside[-1] * parts[-1]) < KNOWN * np.maximum(np.abs(values), KNOWN * usual)
    low = np.flatnonzero(known & (values < USUAL[0] * usual))[: DIRECTIONS // 2]
    high = np.flatnonzero(known & (values > USUAL[1] * usual))[-(DIRECTIONS // 2) :]
    chosen = np.concatenate([low, high])
    return Directions(np.stack(basis[:count], axis=1) @ parts[:, chosen], values[chosen], count)


#: ``curvature(scales)`` returns the product with the scaled curvature as a function.
Curvature = Callable[[Float64[np.ndarray, " D"]], Callable[[Float64[np.ndarray, " D"]], Float64[np.ndarray, " D"]]]


def by_curvature(points: Float64[np.ndarray, "S D"], curvature: Curvature, *, arrived: bool) -> tuple[Whitening, int]:
    """Return the whitening by draws and by the curvature where they are, and how many products that took.

    Parameters
    ----------
    points : ndarray
        Draws, shape ``(S, D)``.
    curvature : callable
        Returns the product of a vector with the mean of minus the Hessian, in units of scales.
    arrived : bool
        Whether the draws are those of chains, which know how long a direction is; before, the curvature has to do.
    """
    points = points[np.linspace(0, len(points) - 1, min(len(points), MOST_DRAWS)).astype(int)]
    affine = by_moments(points, dense=False)
    first = unusual(curvature(affine.factor), len(affine.center))
    if not first.vectors.shape[1]:
        return plain(affine), first.products
    scaled = affine.inverse(points)
    left = (scaled - (scaled @ first.vectors) @ first.vectors.T).std(axis=0)
    # A coordinate of which next to nothing is left is a direction itself, and has its scale already.
    narrower = Affine(center=affine.center, factor=affine.factor * np.where(left < MOSTLY, 1.0, left))
    second = unusual(curvature(narrower.factor), len(affine.center))
    found = [_stretched(points, *one, arrived=arrived) for one in ((affine, first), (narrower, second))]
    return min(found, key=lambda one: _unevenness(one, points)), first.products + second.products


def _stretched(
    points: Float64[np.ndarray, "S D"], affine: Affine, directions: Directions, *, arrived: bool
) -> Whitening:
    """Return the whitening along directions, as long as draws or the curvature have them."""
    if arrived:
        return along(affine, directions.vectors, (affine.inverse(points) @ directions.vectors).std(axis=0))
    with np.errstate(all="ignore"):
        lengths = np.where(directions.curvatures > 0, directions.curvatures, 0.0) ** -0.5
    return along(affine, directions.vectors, lengths)


def _unevenness(whitening: Whitening, points: Float64[np.ndarray, "S D"]) -> float:
    """Return by what factor the variances of single coordinates differ, whitened."""
    variances = whitening.inverse(points).var(axis=0)
    return float(variances.max() / variances.min())


def along(affine: Affine, vectors: Float64[np.ndarray, "D K"], lengths: Float64[np.ndarray, " K"]) -> Whitening:
    """Return the whitening with these directions, none of them longer than any is believed."""
    found, count = plain(affine), vectors.shape[1]
    found.vectors[:, :count], found.lengths[:count] = vectors, np.clip(lengths, 1 / LONGEST, LONGEST)
    return found
