r"""What may make a problem hard for a guide: numbers on the shape of its posterior.

All are of the unconstrained coordinates :math:`u \in \mathbb{R}^D` (the logarithm of a positive latent,
for example), in which guides are Gaussians and flows.  They come from the draws of the reference, with
covariance :math:`\Sigma` and correlations :math:`R`; where there is none, from the Gaussian that the
search before training found.

=============== =============================================================================================
``dimension``   :math:`D`
``correlation`` :math:`\max_{i \ne j} |R_{ij}|`: what a mean field cannot follow
``condition``   condition number of :math:`R`, :math:`\lambda_{\max} / \lambda_{\min}`: the same for all at once
``scale_range`` :math:`\max_i \sigma_i / \min_i \sigma_i`
``skewness``    :math:`\max_i |\mathrm{E}[(u_i - \mu_i)^3]| / \sigma_i^3`: what no Gaussian can follow
``curvature``   :math:`\mathrm{KL}(\mathrm{N}(m, L) \,\|\, \mathrm{N}(\mu, \Sigma)) / D` in nats, with :math:`m` the
                heaviest mode and :math:`L` the inverse of the negative Hessian there: how little the curvature
                at the mode says of the whole
=============== =============================================================================================

From M draws, correlations that are zero look like :math:`\sqrt{2 \log(D^2 / 2) / M}` at the largest of
them, and the curvature of a Gaussian like :math:`D / (4 M)`; where tails are heavy the skewness is mostly
noise.  A feature that cannot be computed is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from guidebench.engine.gate import Reference
from guidebench.engine.workbench import Workbench
from guidebench.inference.device.compiled import once
from guidebench.inference.device.precision import double
from guidebench.inference.modes import in_double
from guidebench.inference.target import Target

#: Draws that are looked at, and coordinates up to which the matrices of them are.
MOST_DRAWS = 10_000
MOST_DIMENSIONS = 400

#: Draws per coordinate that a covariance needs.
LEAST_PER_DIMENSION = 10

#: NumPyro's maps of the supports of these kinds to the real line.
PLAIN: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "real": np.asarray,
    "realvector": np.asarray,
    "positive": np.log,
}


class _Shape(NamedTuple):
    """Mean, covariance and, from draws, the largest skewness."""

    mean: np.ndarray
    covariance: np.ndarray
    skewness: float | None = None


def features(bench: Workbench, reference: Reference) -> dict[str, float]:
    """Return the features of a problem, those that could be computed."""
    found = {"dimension": float(bench.prepared.structure.latent_dim)}
    try:
        with np.errstate(all="ignore"):
            found |= {name: value for name, value in _of_shape(bench, reference) if np.isfinite(value)}
    except Exception:  # noqa: BLE001 - what a model or somebody's support makes of draws is not known; a run goes on
        return found
    return found


def _of_shape(bench: Workbench, reference: Reference) -> Iterator[tuple[str, float]]:
    shape = _shape(bench, reference)
    if shape is None:
        return
    sds = np.sqrt(np.diag(shape.covariance))
    if not (sds > 0).all():
        return
    yield "scale_range", float(sds.max() / sds.min())
    if shape.skewness is not None:
        yield "skewness", shape.skewness
    if len(sds) > 1:
        correlation = shape.covariance / np.outer(sds, sds)
        yield "correlation", largest_correlation(correlation)
        yield "condition", condition(correlation)
    landscape = bench.prepared.landscape
    if landscape is not None and landscape.modes:
        mode = landscape.modes[0]
        yield "curvature", divergence(mode.location, mode.factor, shape.mean, shape.covariance) / len(sds)


def _shape(bench: Workbench, reference: Reference) -> _Shape | None:
    """Return the shape of the reference, or that of the best Gaussian of the search; ``None`` with neither."""
    if bench.target is None or not 0 < bench.target.dim <= MOST_DIMENSIONS:
        return None
    if reference.chains and not reference.unchecked:
        supports = {site.name: site.support for site in bench.prepared.structure.latents}
        points = unconstrained(bench.target, reference.draws, supports)
        points = points[np.isfinite(points).all(axis=1)]  # a draw may round to the edge of its support
        if len(points) < LEAST_PER_DIMENSION * bench.target.dim:
            return None
        return shape_of(points)
    best = None if bench.prepared.landscape is None else bench.prepared.landscape.best
    return None if best is None else _Shape(best.mean, best.covariance())


def unconstrained(
    target: Target, draws: Mapping[str, np.ndarray], supports: Mapping[str, str] | None = None
) -> np.ndarray:
    """Return evenly spaced draws of the latent sites in unconstrained coordinates, shape ``(M, D)``.

    Parameters
    ----------
    target : Target
        The posterior.
    draws : mapping
        Draws by site, each with leading axis M.
    supports : mapping of str to str
        Kinds of supports, as in :class:`~guidebench.inference.structure.Site`.  The two that nearly all sites
        have need no JAX: running the model to ask for its supports, and compiling their maps for each new shape,
        take longer than all else here.
    """
    count = len(next(iter(draws.values())))
    chosen = np.arange(count) if count <= MOST_DRAWS else np.arange(MOST_DRAWS) * count // MOST_DRAWS
    values = {name: draws[name][chosen].astype(np.float64) for name in target.shapes}
    kinds = supports or {}
    if all(kinds.get(name) in PLAIN for name in target.shapes):
        return target.flatten({name: PLAIN[kinds[name]](value) for name, value in values.items()})
    with double():
        arrays = jax.tree.map(jnp.asarray, dict(in_double(target, target.arguments.arrays)))
        return np.asarray(once(jax.vmap(target.free, in_axes=(0, None)), values, arrays))


def shape_of(points: np.ndarray) -> _Shape:
    """Return mean, covariance and largest absolute skewness of draws, shape ``(M, D)``."""
    mean = points.mean(axis=0)
    centred = points - mean
    variances = np.mean(centred**2, axis=0)
    skewness = float(np.max(np.abs(np.mean(centred**3, axis=0)) / variances**1.5))
    return _Shape(mean, centred.T @ centred / len(points), skewness)


def largest_correlation(correlation: np.ndarray) -> float:
    """Return the largest absolute correlation between two coordinates."""
    return float(np.max(np.abs(correlation - np.diag(np.diag(correlation)))))


def condition(correlation: np.ndarray) -> float:
    """Return the ratio of the largest and the smallest eigenvalue; infinite where that is not positive."""
    values = np.linalg.eigvalsh(correlation)
    return float(values[-1] / values[0]) if values[0] > 0 else float("inf")


def divergence(mean: np.ndarray, factor: np.ndarray, other_mean: np.ndarray, other: np.ndarray) -> float:
    r"""Return the Kullback-Leibler divergence from one Gaussian to another, in nats.

    .. math:: \mathrm{KL} = \tfrac12 \left[\mathrm{tr}(\Sigma^{-1} L) + (m - \mu)^T \Sigma^{-1} (m - \mu) - D
              + \log \frac{|\Sigma|}{|L|}\right]

    Parameters
    ----------
    mean, factor : ndarray
        Of the first: m of shape ``(D,)``, and the lower Cholesky factor of L.
    other_mean, other : ndarray
        Of the second: its mean and covariance.
    """
    root = np.linalg.cholesky(other)
    ratio = np.linalg.solve(root, factor)
    offset = np.linalg.solve(root, mean - other_mean)
    logs = 2 * (np.log(np.diag(root)).sum() - np.log(np.diag(factor)).sum())
    return float((np.sum(ratio**2) + offset @ offset - len(mean) + logs) / 2)
