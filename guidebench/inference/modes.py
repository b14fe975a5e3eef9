r"""Where the posterior is, and how wide: modes and curvatures, found in float64 before any guide is trained.

From every start L-BFGS climbs the target :math:`\log \pi(u)`; Newton steps take it to the mode.
Along each path, local Gaussians

.. math:: \mathrm{N}(u - H^{-1} g,\; -H^{-1}), \qquad g = \nabla \log \pi(u),\; H = \nabla^2 \log \pi(u)

are compared by their ELBO, and the best one gives the location and the scales in which guides are
trained.  At the end of a path that is Laplace's approximation.  The best may lie earlier: the mode of
a funnel is far from its mass (Zhang et al. 2022, Pathfinder, JMLR 23(306), arXiv:2108.03782, with
exact second derivatives in the place of L-BFGS's).

A curvature at one point says little of a posterior that is far from Gaussian.  So the best is refined
towards the fixed point of Gaussian variational inference, at which

.. math:: \mathrm{E}_q[g] = 0, \qquad \Sigma^{-1} = -\mathrm{E}_q[H]

(Opper & Archambeau 2009, doi:10.1162/neco.2008.08-07-592), by damped steps that are kept as long as
the ELBO improves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from guidebench.inference.compiled import compile_for, over_draws
from guidebench.inference.precision import as_double, double
from guidebench.inference.target import Target

#: Dimensions up to which second derivatives are computed.
MOST_DIMENSIONS = 400

#: Local Gaussians per path, and draws that compare them.
PER_PATH = 8
DRAWS = 64

#: Steps towards the fixed point of Gaussian variational inference, their damping, and the dimensions they cost.
REFINEMENTS = 25
DAMPING = 0.4
MOST_REFINED = 100

#: A local Gaussian is a place of its own where its ELBO is within so many nats of the best one's and its
#: mean so many of the best one's standard deviations away, per square root of the dimension.
COMPARABLE = 3.0
APART = 3.0

MOST_ITERATIONS = 1_000
NEWTON_STEPS = 12

#: A mode is one where a Newton step would gain less than this, in nats.
SETTLED = 1e-6

#: Modes whose Laplace mass is below this share of the largest do not count.
SMALLEST_SHARE = 0.01


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """A Gaussian over the unconstrained coordinates.

    Attributes
    ----------
    mean : ndarray
        Shape ``(D,)``.
    factor : ndarray
        Lower Cholesky factor of the covariance, shape ``(D, D)``.
    elbo : float
        Its evidence lower bound, in nats (a few dozen draws).
    """

    mean: np.ndarray
    factor: np.ndarray
    elbo: float


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A local maximum of the target with its curvature.

    Attributes
    ----------
    location : ndarray
        Shape ``(D,)``.
    factor : ndarray
        Lower Cholesky factor of the inverse of the negative Hessian there, shape ``(D, D)``.
    log_mass : float
        Laplace's estimate of the log of the integral of exp(target) around it, in nats.
    """

    location: np.ndarray
    factor: np.ndarray
    log_mass: float


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """What the search found.

    Attributes
    ----------
    best : Gaussian or None
        The local Gaussian with the largest ELBO, refined; ``None`` where nothing was finite, or second
        derivatives would be too many.
    local : tuple of Gaussian
        The best along the path of each start, in their order.
    places : tuple of Gaussian
        Where training may begin, for each start: its local Gaussian where that is another place as good
        as the best, else the best.
    modes : tuple of Mode
        Distinct modes, the heaviest first.
    """

    best: Gaussian | None
    local: tuple[Gaussian | None, ...] = ()
    places: tuple[Gaussian | None, ...] = ()
    modes: tuple[Mode, ...] = field(default=())


def explore(target: Target, starts: np.ndarray, values: Mapping[str, Any], seed: int) -> Landscape:
    """Search the target from every start.

    Parameters
    ----------
    target : Target
        The posterior.
    starts : ndarray
        Unconstrained points, shape ``(S, D)``.
    values : mapping
        The traced arguments in the precision they were given in.
    seed : int
        Of the draws that compare local Gaussians.
    """
    if target.dim > MOST_DIMENSIONS:
        return Landscape(best=None, local=(None,) * len(starts), places=(None,) * len(starts))
    with double(), np.errstate(all="ignore"):
        functions = _Functions(target, starts, as_double(dict(values)))
        paths = [_climb(functions, start) for start in starts]
        ends = _polish(functions, np.stack([path[-1] for path in paths]))
        paths = [np.concatenate([path, end[None]]) for path, end in zip(paths, ends, strict=True)]
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((DRAWS // 2, target.dim))
        noise = np.concatenate([noise, -noise])  # the same for all of them, and without an error in the mean
        local = _along(functions, paths, noise)
        modes = _distinct(functions, ends)
        found = [one for one in local if one is not None]
        if not found:
            return Landscape(best=None, local=tuple(local), places=tuple(local), modes=modes)
        first = max(found, key=lambda one: one.elbo)
        best = _refined(functions, first, noise)
    places = [one if one is not None and _elsewhere(one, first) else best for one in local]
    return Landscape(best=best, local=tuple(local), places=tuple(places), modes=modes)


class _Functions:
    """The compiled pieces of a search, in float64."""

    def __init__(self, target: Target, starts: np.ndarray, traced: Mapping[str, Any]) -> None:
        self.batch, self.dim = starts.shape
        # One transfer of the data; the programs are called hundreds of times.
        self.traced = jax.tree.map(jnp.asarray, dict(traced))
        target.record(self.traced)

        def slope(flat: jax.Array, traced: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
            return jax.value_and_grad(target.log_density)(flat, traced)

        def second(flat: jax.Array, traced: Mapping[str, Any]) -> tuple[jax.Array, jax.Array, jax.Array]:
            return *slope(flat, traced), jax.hessian(target.log_density)(flat, traced)

        def many(flat: jax.Array, traced: Mapping[str, Any]) -> jax.Array:
            size = target.arguments.size() + self.dim
            densities: jax.Array = over_draws(lambda one: target.log_density(one, traced), flat, size)
            return densities

        points = np.zeros((self.batch, self.dim))
        self._slope = compile_for(slope, points[0], self.traced, level=1)
        self._second = compile_for(jax.vmap(second, in_axes=(0, None)), points, self.traced, level=1)
        self._many = compile_for(many, np.zeros((self.batch * DRAWS, self.dim)), self.traced, level=1)

    def slope(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the target and its gradient at one point."""
        value, gradient = self._slope(flat, self.traced)
        return float(value), np.asarray(gradient)

    def second(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return target, gradient and Hessian at any number of points."""
        value, gradient, hessian = _in_batches(lambda batch: self._second(batch, self.traced), points, self.batch)
        return value, gradient, hessian

    def density(self, points: np.ndarray) -> np.ndarray:
        """Return the target at points of shape ``(K, DRAWS, D)``, as ``(K, DRAWS)``."""
        flat = points.reshape(-1, self.dim)
        (values,) = _in_batches(lambda batch: (self._many(batch, self.traced),), flat, self.batch * DRAWS)
        return values.reshape(len(points), DRAWS)


def _in_batches(function: Callable[[np.ndarray], Any], points: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """Apply a program compiled for `size` points to any number of them, filling up the last batch."""
    missing = -len(points) % size
    filled = np.concatenate([points, np.repeat(points[-1:], missing, axis=0)])
    parts = [jax.device_get(function(filled[i : i + size])) for i in range(0, len(filled), size)]
    return tuple(np.concatenate(one)[: len(points)] for one in zip(*parts, strict=True))


def _climb(functions: _Functions, start: np.ndarray) -> np.ndarray:
    """Return the points of an L-BFGS ascent, thinned, shape ``(K, D)``; the start comes first."""
    from scipy.optimize import minimize

    path = [np.asarray(start, np.float64)]

    def negative(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = functions.slope(flat)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return np.inf, np.zeros_like(flat)  # the line search steps back
        return -value, -gradient

    # SciPy's own tolerances stop nats short of the mode where curvatures span many orders of magnitude.
    options = {"maxiter": MOST_ITERATIONS, "maxfun": 4 * MOST_ITERATIONS, "ftol": 1e-13, "gtol": 1e-9, "maxcor": 30}
    minimize(
        negative, path[0], jac=True, method="L-BFGS-B", options=options, callback=lambda flat: path.append(flat.copy())
    )
    kept = np.unique(np.round(np.linspace(0, len(path) - 1, PER_PATH - 1)).astype(int))
    return np.stack([path[index] for index in kept])


def _covariance(hessian: np.ndarray) -> np.ndarray:
    """Return the inverse of the negative Hessian, made positive definite where it is not.

    Directions of negative curvature count with its absolute value, flat ones with the smallest that
    float64 tells from zero.
    """
    # The coordinates' own scales first: an eigenvalue is then small for flatness, not for its unit.
    scale = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    scaled = -(hessian * scale[:, None] * scale)
    values, vectors = np.linalg.eigh((scaled + scaled.T) / 2)
    values = np.maximum(np.abs(values), 1e-12 * np.abs(values).max())
    rotated = scale[:, None] * vectors
    return np.asarray((rotated / values) @ rotated.T)


def _polish(functions: _Functions, points: np.ndarray) -> np.ndarray:
    """Take damped Newton steps from each point, as long as they gain."""
    points = points.copy()
    values, gradients, hessians = functions.second(points)
    for _ in range(NEWTON_STEPS):
        proposed, gains = points.copy(), np.zeros(len(points))
        for index, (gradient, hessian) in enumerate(zip(gradients, hessians, strict=True)):
            if np.isfinite(hessian).all() and np.isfinite(gradient).all():
                step = _covariance(hessian) @ gradient
                gains[index] = gradient @ step / 2
                proposed[index] += step
        if not np.any(gains > SETTLED / 100):
            break
        new_values, new_gradients, new_hessians = functions.second(proposed)
        better = new_values > values
        if not better.any():
            break
        points[better], values[better] = proposed[better], new_values[better]
        gradients[better], hessians[better] = new_gradients[better], new_hessians[better]
    return points


def _along(functions: _Functions, paths: list[np.ndarray], noise: np.ndarray) -> list[Gaussian | None]:
    """Return the local Gaussian with the largest ELBO of each path."""
    points = np.concatenate(paths)
    owner = np.repeat(np.arange(len(paths)), [len(path) for path in paths])
    _, gradients, hessians = functions.second(points)
    means, factors = points.copy(), np.zeros((len(points), functions.dim, functions.dim))
    usable = np.isfinite(hessians).all(axis=(1, 2)) & np.isfinite(gradients).all(axis=1)
    for index in np.flatnonzero(usable):
        covariance = _covariance(hessians[index])
        try:
            factors[index] = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            usable[index] = False
            continue
        means[index] += covariance @ gradients[index]
    elbos = _elbos(functions, means, factors, noise)
    elbos = np.where(usable & np.isfinite(elbos), elbos, -np.inf)
    found: list[Gaussian | None] = []
    for number in range(len(paths)):
        own = np.flatnonzero(owner == number)
        best = own[np.argmax(elbos[own])]
        finite = np.isfinite(elbos[best])
        found.append(Gaussian(mean=means[best], factor=factors[best], elbo=float(elbos[best])) if finite else None)
    return found


def _elbos(functions: _Functions, means: np.ndarray, factors: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the ELBOs of Gaussians with means ``(K, D)`` and factors ``(K, D, D)``, under common draws."""
    densities = functions.density(means[:, None] + noise @ factors.transpose(0, 2, 1))
    log_scales = np.log(np.maximum(np.diagonal(factors, axis1=1, axis2=2), 1e-300)).sum(axis=1)
    elbos: np.ndarray = densities.mean(axis=1) + log_scales + functions.dim / 2 * (1 + np.log(2 * np.pi))
    return elbos


def _refined(functions: _Functions, start: Gaussian, noise: np.ndarray) -> Gaussian:
    """Take damped steps towards the fixed point of Gaussian variational inference; return the best Gaussian met."""
    if functions.dim > MOST_REFINED:
        return start
    best, damping = start, DAMPING
    precision = np.linalg.inv(start.factor @ start.factor.T)
    for _ in range(REFINEMENTS):
        _, gradients, hessians = functions.second(best.mean + noise @ best.factor.T)
        if not (np.isfinite(gradients).all() and np.isfinite(hessians).all()):
            break
        wanted = np.linalg.inv(_covariance(hessians.mean(axis=0)))
        proposed = (1 - damping) * precision + damping * wanted
        covariance = _covariance(-proposed)
        mean = best.mean + damping * covariance @ gradients.mean(axis=0)
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            break
        elbo = float(_elbos(functions, mean[None], factor[None], noise)[0])
        if np.isfinite(elbo) and elbo > best.elbo:
            settled = elbo < best.elbo + 1e-4
            best, precision = Gaussian(mean=mean, factor=factor, elbo=elbo), proposed
            if settled:
                break
        else:
            damping /= 2
            if damping < DAMPING / 16:
                break
    return best


def _elsewhere(one: Gaussian, best: Gaussian) -> bool:
    """Return whether a local Gaussian is another place, about as good as the best."""
    if one.elbo < best.elbo - COMPARABLE:
        return False
    distances = [
        float(np.linalg.norm(np.linalg.solve(side.factor, one.mean - best.mean))) / np.sqrt(len(one.mean))
        for side in (one, best)
    ]
    return bool(min(distances) > APART)


def _distinct(functions: _Functions, ends: np.ndarray) -> tuple[Mode, ...]:
    """Return the distinct modes among the ends of the paths, the heaviest first."""
    values, gradients, hessians = functions.second(ends)
    modes: list[Mode] = []
    for end, value, gradient, hessian in zip(ends, values, gradients, hessians, strict=True):
        if not (np.isfinite(value) and np.isfinite(hessian).all()):
            continue
        scale = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
        if np.linalg.eigvalsh(-(hessian * scale[:, None] * scale)).min() < 1e-10:
            continue
        covariance = _covariance(hessian)
        if gradient @ covariance @ gradient / 2 > SETTLED:
            continue
        factor = np.linalg.cholesky(covariance)
        mass = float(value + functions.dim / 2 * np.log(2 * np.pi) + np.log(np.diag(factor)).sum())
        if all(np.linalg.norm(np.linalg.solve(one.factor, end - one.location)) > 0.1 for one in modes):
            modes.append(Mode(location=end, factor=factor, log_mass=mass))
    modes.sort(key=lambda one: -one.log_mass)
    return tuple(one for one in modes if one.log_mass > modes[0].log_mass + np.log(SMALLEST_SHARE))
