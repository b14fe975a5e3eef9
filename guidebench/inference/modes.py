r"""Where the posterior is, and how wide: modes and curvatures, found in float64 before any guide is trained.

From every start L-BFGS climbs the target :math:`\log \pi(u)`; Newton steps take it to the mode.
Along each path, local Gaussians

.. math:: \mathrm{N}(u - H^{-1} g,\; -H^{-1}), \qquad g = \nabla \log \pi(u),\; H = \nabla^2 \log \pi(u)

are compared by their ELBO, and the best one gives the location and the scales in which guides are
trained.  At the end of a path that is Laplace's approximation.  The best may lie earlier: the mode of
a funnel is far from its mass (Zhang et al. 2022, Pathfinder, JMLR 23(306), arXiv:2108.03782, with
exact second derivatives in the place of L-BFGS's).  Where no path ends at a mode, and in many coordinates,
it may lie on none of them: independent Gaussians of the largest ELBO
(:mod:`guidebench.inference.independent`) are one more.  The best is refined by a few variational steps
(:mod:`guidebench.inference.gaussians`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64

from guidebench.inference.derivatives import DRAWS, Functions, covariance_of, scaled_curvature
from guidebench.inference.device.precision import as_double, double
from guidebench.inference.gaussians import MOST_REFINED, Gaussian, along, best_of, elsewhere, far, refined
from guidebench.inference.independent import Independent
from guidebench.inference.peaks import Mode, apart, described, more_are_likely, probably_all, that_matter
from guidebench.inference.scattered import scattered
from guidebench.inference.target import Target
from guidebench.results.work import NOTHING, Work

#: Dimensions up to which second derivatives are computed.
MOST_DIMENSIONS = 400

#: Local Gaussians per path.
PER_PATH = 8

#: Starts that are chosen from a pool of points.
CHOSEN = 4

#: Climbs besides, where several modes were met and probably not all; after how many there are no more if as many again
#: are likely; and the dimensions up to which there are any.
MOST_FURTHER = 96
MOST_IN_VAIN = 48
MOST_DIMENSIONS_AGAIN = 50

MOST_ITERATIONS = 1_000
NEWTON_STEPS = 12

#: A mode is one where a Newton step would gain less than this, in nats.
SETTLED = 1e-6


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """What the search found.

    Attributes
    ----------
    best : Gaussian or None
        The local Gaussian with the largest ELBO, refined, or independent ones where theirs is larger; ``None`` where
        nothing was finite, or second derivatives would be too many.
    local : tuple of Gaussian
        The best along the path of each start, in their order; those that were chosen from a pool come last.
    places : tuple of Gaussian
        Where training may begin, for each start: its local Gaussian where that is another place as good
        as the best, else the best.
    modes : tuple of Mode
        Distinct modes that count, the heaviest first.
    minor : tuple of Mode
        Those that do not count (:func:`guidebench.inference.peaks.that_matter`).
    starts : int
        How many of the climbs ended at a mode.
    searches : int
        How many there were.
    kept : tuple of Gaussian
        Local Gaussians of all paths that are not much worse than the best and not much alike: they cover
        what no mode does, as the neck of a funnel.
    work : Work
        What the search has computed.
    """

    best: Gaussian | None
    local: tuple[Gaussian | None, ...] = ()
    places: tuple[Gaussian | None, ...] = ()
    modes: tuple[Mode, ...] = ()
    minor: tuple[Mode, ...] = ()
    starts: int = 0
    searches: int = 0
    kept: tuple[Gaussian, ...] = ()
    work: Work = NOTHING

    @property
    def lacking(self) -> bool:
        """Whether no more than a half of the modes are likely to have been found."""
        return more_are_likely(len(self.modes) + len(self.minor), self.starts)

    def described(self) -> str:
        """Return in words what was seen, and whether that is likely to be all; nothing where nothing was searched."""
        found = len(self.modes) + len(self.minor)
        return described(found, self.starts, self.searches) if self.searches else ""


def explore(
    target: Target,
    starts: Float[np.ndarray, "S D"],
    values: Mapping[str, Any],
    seed: int,
    pool: Float[np.ndarray, "P D"] | None = None,
) -> Landscape:
    """Search the target from every start, and from a few points of the pool.

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
    pool : ndarray, optional
        Points of which the target decides where else to start (:mod:`guidebench.inference.scattered`), shape
        ``(P, D)``.
    """
    nothing = (None,) * len(starts)
    if target.dim > MOST_DIMENSIONS:
        return Landscape(best=None, local=nothing, places=nothing)
    with double(), np.errstate(all="ignore"):
        chosen = 0 if pool is None else min(CHOSEN, len(pool))
        functions = Functions(target, len(starts) + chosen, in_double(target, values))
        found = Landscape(best=None, local=nothing, places=nothing)
        with suppress(np.linalg.LinAlgError):
            found = _explore(target, functions, starts, seed, pool if chosen else None)
    return replace(found, work=functions.work)


def ahead(target: Target, starts: int, values: Mapping[str, Any]) -> None:
    """Have what :func:`explore` runs from so many starts and a pool compiled in threads, while the pool is made."""
    if target.dim <= MOST_DIMENSIONS and not target.rows:
        with double(), np.errstate(all="ignore"):
            Functions(target, starts + CHOSEN, in_double(target, values)).ahead()


def _explore(
    target: Target,
    functions: Functions,
    starts: Float[np.ndarray, "S D"],
    seed: int,
    pool: Float[np.ndarray, "P D"] | None,
) -> Landscape:
    if pool is not None:
        starts = np.concatenate([starts, pool[scattered(pool, functions.many(pool), min(CHOSEN, len(pool)))]])
    paths = [_climb(functions, start) for start in starts]
    ends = _polish(functions, np.stack([path[-1] for path in paths]))
    paths = [np.concatenate([path, end[None]]) for path, end in zip(paths, ends, strict=True)]
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((DRAWS // 2, functions.dim))
    noise = np.concatenate([noise, -noise])  # the same for all of them, and without an error in the mean
    local, everywhere = along(functions, paths, noise)
    modes, ended, further = _all_modes(functions, ends, pool, rng)
    major, minor = that_matter(modes)
    seen = Landscape(
        best=None,
        local=tuple(local),
        places=tuple(local),
        modes=major,
        minor=minor,
        starts=ended,
        searches=len(starts) + further,
        kept=everywhere,
    )
    found = [one for one in local if one is not None]
    if not found:
        return seen
    first = max(found, key=lambda one: one.elbo)
    if ended and functions.dim <= MOST_REFINED:
        begun, best = first, refined(functions, first, noise)
    else:
        begun = best_of(functions, [first, *_independent(target, functions, starts[0], first, rng)], rng)
        on = refined(functions, begun, noise)
        best = begun if on is begun else best_of(functions, [begun, on], rng)
    # Where the best is far from the paths, these were all in the wrong place.
    there = not far(begun, first)
    places = [one if one is not None and there and elsewhere(one, begun) else best for one in local]
    return replace(seen, best=best, places=tuple(places))


def _independent(
    target: Target, functions: Functions, start: Float[np.ndarray, " D"], first: Gaussian, rng: np.random.Generator
) -> list[Gaussian]:
    """Return the independent Gaussians with the largest ELBO, from the best of the paths and from plain points."""
    independent = Independent(target, functions.traced, rng)
    begun = [independent.at(first.mean, first.conditional_sds()), *independent.plain(start)]
    begun = [one for one in begun if np.isfinite(one.elbo)]
    found = [independent.largest(begun)] if begun else []
    functions.work += independent.work
    if functions.dim > MOST_REFINED:
        return found
    return [replace(one, factor=np.diag(one.factor)) for one in found]


@runtime_checkable
class InBlocks(Protocol):
    """What may be evaluated block by block."""

    @property
    def rows(self) -> int:
        """Elements of the main plate that are evaluated at a time; 0 for all."""


def in_double(target: InBlocks, values: Mapping[str, Any]) -> Mapping[str, Any]:
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


def _all_modes(
    functions: Functions,
    ends: Float64[np.ndarray, "S D"],
    pool: Float[np.ndarray, "P D"] | None,
    rng: np.random.Generator,
) -> tuple[list[Mode], int, int]:
    """Return the distinct modes, how many climbs ended at one, and how many were made besides those that ended.

    Where there are several, and as long as these are probably not all, there are more climbs, from points of the pool
    as they come.
    """
    modes, ended = _distinct(functions, ends)
    further = 0
    if pool is None or functions.dim > MOST_DIMENSIONS_AGAIN or functions.in_blocks:
        return modes, ended, further
    order = rng.permutation(len(pool))[:MOST_FURTHER]
    while len(modes) > 1 and not probably_all(len(modes), ended) and further < len(order):
        if further >= MOST_IN_VAIN and more_are_likely(len(modes), ended):
            break
        starts = pool[order[further : further + functions.batch]]
        more = _polish(functions, np.stack([_climb(functions, start)[-1] for start in starts]))
        modes, again = _distinct(functions, more, modes)
        ended, further = ended + again, further + len(starts)
    return modes, ended, further


def _distinct(
    functions: Functions, ends: Float64[np.ndarray, "S D"], modes: Sequence[Mode] = ()
) -> tuple[list[Mode], int]:
    """Return the modes with those among the ends of paths that are none of them, and how many paths ended at one."""
    modes, ended = list(modes), 0
    values, gradients, hessians = functions.second(ends)
    for end, value, gradient, hessian in zip(ends, values, gradients, hessians, strict=True):
        if not (np.isfinite(value) and np.isfinite(hessian).all()):
            continue
        if np.linalg.eigvalsh(scaled_curvature(hessian)[0]).min() < 1e-10:
            continue
        covariance = covariance_of(hessian)
        if gradient @ covariance @ gradient / 2 > SETTLED:
            continue
        ended += 1
        if apart(end, modes):
            modes.append(Mode.at(end, value, np.linalg.cholesky(covariance)))
    return modes, ended
