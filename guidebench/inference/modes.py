r"""Where the posterior is, and how wide: modes and curvatures, found in float64 before any guide is trained.

From every start L-BFGS climbs the target :math:`\log \pi(u)`; Newton steps take it to the mode.
Along each path, local Gaussians

.. math:: \mathrm{N}(u - H^{-1} g,\; -H^{-1}), \qquad g = \nabla \log \pi(u),\; H = \nabla^2 \log \pi(u)

are compared by their ELBO, and the best one gives the location and the scales in which guides are
trained.  At the end of a path that is Laplace's approximation.  The best may lie earlier: the mode of
a funnel is far from its mass (Zhang et al. 2022, Pathfinder, JMLR 23(306), arXiv:2108.03782, with
exact second derivatives in the place of L-BFGS's).  The best is refined by a few variational steps
(:mod:`guidebench.inference.gaussians`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from guidebench.inference.derivatives import DRAWS, Functions, covariance_of, scaled_curvature
from guidebench.inference.device.precision import as_double, double
from guidebench.inference.gaussians import Gaussian, along, elsewhere, refined
from guidebench.inference.target import Target

#: Dimensions up to which second derivatives are computed.
MOST_DIMENSIONS = 400

#: Local Gaussians per path.
PER_PATH = 8

MOST_ITERATIONS = 1_000
NEWTON_STEPS = 12

#: A mode is one where a Newton step would gain less than this, in nats.
SETTLED = 1e-6

#: Modes nearer than so many standard deviations are one.
APART = 0.1

#: Modes whose Laplace mass is below this share of the largest do not count.
SMALLEST_SHARE = 0.01


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

    location: Float64[np.ndarray, " D"]
    factor: Float64[np.ndarray, "D D"]
    log_mass: float

    @classmethod
    def at(cls, location: Float64[np.ndarray, " D"], value: float, factor: Float64[np.ndarray, "D D"]) -> Mode:
        """Return the mode with that value of the target there."""
        log_mass = value + len(location) / 2 * np.log(2 * np.pi) + np.log(np.diag(factor)).sum()
        return cls(location=location, factor=factor, log_mass=float(log_mass))


def apart(location: Float64[np.ndarray, " D"], modes: Sequence[Mode]) -> bool:
    """Return whether a point is none of the modes: farther than a tenth of a standard deviation from each."""
    return all(bool(np.linalg.norm(np.linalg.solve(one.factor, location - one.location)) > APART) for one in modes)


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
    modes: tuple[Mode, ...] = ()


def explore(target: Target, starts: Float[np.ndarray, "S D"], values: Mapping[str, Any], seed: int) -> Landscape:
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
    nothing = (None,) * len(starts)
    if target.dim <= MOST_DIMENSIONS:
        with suppress(np.linalg.LinAlgError):
            return _explore(target, starts, values, seed)
    return Landscape(best=None, local=nothing, places=nothing)


def _explore(target: Target, starts: Float[np.ndarray, "S D"], values: Mapping[str, Any], seed: int) -> Landscape:
    with double(), np.errstate(all="ignore"):
        functions = Functions(target, starts, in_double(target, values))
        paths = [_climb(functions, start) for start in starts]
        ends = _polish(functions, np.stack([path[-1] for path in paths]))
        paths = [np.concatenate([path, end[None]]) for path, end in zip(paths, ends, strict=True)]
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((DRAWS // 2, target.dim))
        noise = np.concatenate([noise, -noise])  # the same for all of them, and without an error in the mean
        local = along(functions, paths, noise)
        modes = _distinct(functions, ends)
        found = [one for one in local if one is not None]
        if not found:
            return Landscape(best=None, local=tuple(local), places=tuple(local), modes=modes)
        first = max(found, key=lambda one: one.elbo)
        best = refined(functions, first, noise)
    places = [one if one is not None and elsewhere(one, first) else best for one in local]
    return Landscape(best=best, local=tuple(local), places=tuple(places), modes=modes)


def in_double(target: Target, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data in float64, or as they are where they are so many that each block becomes float64 in turn."""
    return dict(values) if target.rows else as_double(dict(values))


def _climb(functions: Functions, start: Float[np.ndarray, " D"]) -> Float64[np.ndarray, "K D"]:
    """Return the points of an L-BFGS ascent, thinned, shape ``(K, D)``; the start comes first."""
    from scipy.optimize import minimize

    path = [np.asarray(start, np.float64)]

    def negative(flat: Float64[np.ndarray, " D"]) -> tuple[float, Float64[np.ndarray, " D"]]:
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


def _polish(functions: Functions, points: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, "S D"]:
    """Take damped Newton steps from each point, as long as they gain."""
    points = points.copy()
    values, gradients, hessians = functions.second(points)
    for _ in range(NEWTON_STEPS):
        proposed, gains = points.copy(), np.zeros(len(points))
        for index, (gradient, hessian) in enumerate(zip(gradients, hessians, strict=True)):
            if np.isfinite(hessian).all() and np.isfinite(gradient).all():
                step = covariance_of(hessian) @ gradient
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


def _distinct(functions: Functions, ends: Float64[np.ndarray, "S D"]) -> tuple[Mode, ...]:
    """Return the distinct modes among the ends of the paths, the heaviest first."""
    values, gradients, hessians = functions.second(ends)
    modes: list[Mode] = []
    for end, value, gradient, hessian in zip(ends, values, gradients, hessians, strict=True):
        if not (np.isfinite(value) and np.isfinite(hessian).all()):
            continue
        if np.linalg.eigvalsh(scaled_curvature(hessian)[0]).min() < 1e-10:
            continue
        covariance = covariance_of(hessian)
        if gradient @ covariance @ gradient / 2 > SETTLED:
            continue
        factor = np.linalg.cholesky(covariance)
        if apart(end, modes):
            modes.append(Mode.at(end, value, factor))
    modes.sort(key=lambda one: -one.log_mass)
    return tuple(one for one in modes if one.log_mass > modes[0].log_mass + np.log(SMALLEST_SHARE))
