"""Searching the posterior of large data: on a sample of them first, then a few steps on all.

A sample that stands for all data shows where the modes are and how they are curved, up to its noise; a
few Newton steps with that curvature and the gradient of all data take each mode to its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from guidebench.inference.coordinates import Expansion
from guidebench.inference.derivatives import Functions, covariance_of
from guidebench.inference.device.precision import double
from guidebench.inference.gaussians import Gaussian
from guidebench.inference.modes import MOST_DIMENSIONS, SETTLED, Landscape, explore, in_double
from guidebench.inference.peaks import Mode, apart
from guidebench.inference.target import Target
from guidebench.inference.wide import explore_wide

#: Elements of the main plate that stand for all of them in the first search.
SAMPLE = 20_000

#: Newton steps on all data, at most, and halvings of each.
STEPS = 12
HALVINGS = 6


def explore_large(
    target: Target,
    starts: Float[np.ndarray, "R D"],
    values: Mapping[str, Any],
    seed: int,
    pool: Float[np.ndarray, "P D"] | None = None,
) -> Landscape:
    """Search a target of large data; the parameters are those of :func:`guidebench.inference.modes.explore`."""
    size = target.minibatches.plates[target.minibatches.main][0] if target.minibatches else 0
    if not target.rows or target.minibatches is None or target.minibatches.local or size <= 2 * SAMPLE:
        return _explored(target, starts, values, seed, pool)
    found = _explored(target.on_sample(SAMPLE), starts, values, seed, pool)
    found = replace(found, work=found.work.of_part(SAMPLE, size))
    if not found.modes:
        return found
    if target.dim > MOST_DIMENSIONS:
        again = explore_wide(target, np.stack([mode.location for mode in found.modes]), values, seed)
        everywhere = (again.best,) * len(found.local)
        again = replace(again, work=found.work + again.work)
        return replace(again, local=everywhere, places=everywhere, starts=found.starts, searches=found.searches)
    with double(), np.errstate(all="ignore"):
        functions = Functions(target, 1, values)
        modes: list[Mode] = []
        for mode in sorted((_moved(functions, mode) for mode in found.modes), key=lambda one: -one.log_mass):
            if apart(mode.location, modes):
                modes.append(mode)  # two of a sample may be one of all data
    best = Gaussian(mean=modes[0].location, factor=modes[0].factor, elbo=modes[0].log_mass)
    all_alike = (best,) * len(found.local)
    work = found.work + functions.work
    return replace(found, best=best, local=all_alike, places=all_alike, modes=tuple(modes), work=work)


def _explored(
    target: Target,
    starts: Float[np.ndarray, "R D"],
    values: Mapping[str, Any],
    seed: int,
    pool: Float[np.ndarray, "P D"] | None,
) -> Landscape:
    """Search with second derivatives where there are not too many of them."""
    search = explore if target.dim <= MOST_DIMENSIONS else explore_wide
    return search(target, starts, values, seed, pool)


def expand(target: Target, center: Float64[np.ndarray, " D"], values: Mapping[str, Any]) -> Expansion:
    """Return the target on all data near a point, to second order; the parameters are as for :func:`explore_large`."""
    with double(), np.errstate(all="ignore"):
        functions = Functions(target, 1, in_double(target, values))
        value, gradient, hessian = functions.second(center[None])
    return Expansion(center=center, value=value[0], gradient=gradient[0], hessian=hessian[0])


def _moved(functions: Functions, mode: Mode) -> Mode:
    """Return the mode of all data near one of a sample, with its curvature and mass."""
    covariance = mode.factor @ mode.factor.T
    point = mode.location
    value, gradient = functions.slope(point)
    for _ in range(STEPS):
        step = covariance @ gradient
        if gradient @ step / 2 < SETTLED:
            break
        for halving in range(HALVINGS):
            proposed = point + step / 2**halving
            new_value, new_gradient = functions.slope(proposed)
            if new_value > value:
                point, value, gradient = proposed, new_value, new_gradient
                break
        else:
            break
    hessian = functions.second(point[None])[2][0]
    try:
        factor = np.linalg.cholesky(covariance_of(hessian))
    except np.linalg.LinAlgError:
        factor = mode.factor
    return Mode.at(point, value, factor)
