r"""Directions that neither the data nor a proper prior hold: along them the posterior has no finite mass.

A walker follows the ridge of the target away from a point: one coordinate :math:`u_i` is moved outwards, each
step twice as far as the last, and Newton steps take the others to where the target is largest.  Laplace's
approximation of what the others integrate to,

.. math:: m(u_i) = \log \pi(\hat u) - \tfrac12 \log \det(-H_{\setminus i}(\hat u)),

must fall faster than :math:`-\log |u_i|` for the posterior to be proper.  The density alone would not do: in a centred
hierarchical model it grows without bound towards a scale of zero, while the posterior is proper, for it gets narrower.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int

from guidebench.inference.derivatives import Functions, covariance_of
from guidebench.inference.device.precision import double
from guidebench.inference.large import SAMPLE
from guidebench.inference.modes import in_double
from guidebench.inference.target import Target
from guidebench.inference.wiring import Wiring
from guidebench.results.work import Work

#: Dimensions up to which anything is looked for, and coordinates that are moved, each both ways: fewer where there are
#: more, for each step costs second derivatives in all of them.
MOST_DIMENSIONS = 200
MOST_AXES = 12
MOST_WORK = 400

#: The first distance, and how often it is doubled: no posterior is so wide.
NEAREST = 0.25
DOUBLINGS = 33

#: Points after which a walk that has to end tells anything, those below which it must hardly fall, in nats, and how far
#: it must have risen where there is one less.
LEAST = 4
SHORT = 8
HARDLY = 0.1
RISEN = 1.0

#: A walk ends where the posterior has fallen so far, in nats: what lies beyond has no weight.
FALLEN = 30.0

#: How fast it must fall, in nats per unit of the log of the distance; 1 is the slowest that is not enough.
SLOWEST = 1.05

#: Coordinates of bounded sites are logarithms; beyond this the sites themselves overflow.
FARTHEST = 300.0

#: Curvatures below which there is none, in those of the beginning, and how many times the smallest the largest may be
#: before float64 cannot tell the smallest.
FLATTEST = 1e-10
SHARPEST = 1e13

NEWTON_STEPS = 4

#: Coordinates that move along by so much of the largest move are named.
LOADING = 0.1


class Unheld(NamedTuple):
    """The coordinates, by name, of every direction along which a posterior does not fall; and what looking cost."""

    directions: tuple[tuple[str, ...], ...] = ()
    work: Work = Work()


class _Ridge(NamedTuple):
    """Points on ridges, shape ``(R, D)``, with the target and its derivatives there."""

    points: Float64[np.ndarray, "R D"]
    values: Float64[np.ndarray, " R"]
    gradients: Float64[np.ndarray, "R D"]
    hessians: Float64[np.ndarray, "R D D"]

    def better(self, other: _Ridge) -> _Ridge:
        """Return, ray by ray, the one where the target is larger."""
        other_is = (other.values > self.values) | np.isnan(self.values)
        return _Ridge(
            *(np.where(other_is.reshape(-1, *[1] * (b.ndim - 1)), b, a) for a, b in zip(self, other, strict=True))
        )


class _Rays(NamedTuple):
    """Where walks begin, the unit of each coordinate, and which coordinates are moved and in which direction."""

    base: Float64[np.ndarray, " D"]
    units: Float64[np.ndarray, " D"]
    axes: Int[np.ndarray, " R"]
    signs: Float64[np.ndarray, " R"]


def unheld(
    target: Target, base: Float64[np.ndarray, " D"], values: Mapping[str, Any], wired: Wiring, batch: int = 8
) -> Unheld:
    """Return the coordinates, by name, of every direction along which the posterior does not fall.

    Parameters
    ----------
    target : Target
        The posterior.
    base : ndarray
        Where to begin, shape ``(D,)``: amid the posterior, if it has a middle.
    values : mapping
        The traced arguments in the precision they were given in.
    wired : Wiring
        Which latent sites may have an improper prior; without any there is nothing to look for.
    batch : int
        Points whose derivatives are computed at a time; as many as in a search, whose program it then is.
    """
    local = target.minibatches is not None and bool(target.minibatches.local)
    if not wired.suspects or target.dim > MOST_DIMENSIONS or (target.rows and local):
        return Unheld()
    looked_at = target.on_sample(SAMPLE) if target.rows else target
    owners = np.repeat(list(target.shapes), [int(np.prod(shape)) for shape in target.shapes.values()])
    bounded = ~np.isin(owners, list(wired.real))
    suspects = np.flatnonzero(np.isin(owners, wired.suspects))
    names: list[tuple[str, ...]] = []
    with double(), np.errstate(all="ignore"):
        functions = Functions(looked_at, batch, in_double(target, values))
        with suppress(np.linalg.LinAlgError):
            moves, labels = _moves(functions, base, suspects, bounded), target.labels()
            names = [tuple(labels[index] for index in np.flatnonzero(one >= LOADING * one.max())) for one in moves]
    main = target.minibatches
    size = main.plates[main.main][0] if target.rows and main is not None else 0
    work = functions.work.of_part(SAMPLE, size) if size > SAMPLE else functions.work
    return Unheld(tuple(dict.fromkeys(names)), work)


def _moves(
    functions: Functions,
    base: Float64[np.ndarray, " D"],
    suspects: Int[np.ndarray, " K"],
    bounded: Bool[np.ndarray, " D"],
) -> list[Float64[np.ndarray, " D"]]:
    """Return the last move, in units of the coordinates, of every walk along which the posterior does not fall."""
    hessian = functions.second(base[None])[2][0]
    if not np.isfinite(hessian).all():
        return []
    chosen = _axes(hessian, suspects)
    curvature = np.abs(np.diag(hessian))
    units = np.where(curvature > FLATTEST, 1 / np.sqrt(np.maximum(curvature, FLATTEST)), 1.0)
    units = np.where(bounded, np.minimum(units, 1.0), units)
    rays = _Rays(base, units, np.repeat(chosen, 2), np.tile([1.0, -1.0], len(chosen)))
    return [np.abs(move) / units for move in _walk(functions, rays, bounded)]


def _axes(hessian: Float64[np.ndarray, "D D"], suspects: Int[np.ndarray, " K"]) -> Int[np.ndarray, " A"]:
    """Return the coordinates to move: those that are least held by the data, given that all others may follow."""
    held = np.abs(np.diag(hessian))
    freedom = np.where(held > FLATTEST, held * np.diag(covariance_of(hessian)), np.inf)
    most = min(MOST_AXES, max(MOST_WORK // len(held), 2))
    return np.sort(suspects[np.argsort(-freedom[suspects], kind="stable")[:most]])


def _walk(functions: Functions, rays: _Rays, bounded: Bool[np.ndarray, " D"]) -> list[Float64[np.ndarray, " D"]]:
    """Return the last move of every walk along which the posterior does not fall."""
    count = len(rays.axes)
    walked: list[list[float]] = [[] for _ in range(count)]
    points, moves = np.tile(rays.base, (count, 1)), np.zeros((count, functions.dim))
    live, began_flat, found = np.arange(count), np.zeros(count, bool), list[Float64[np.ndarray, " D"]]()
    for doubling in range(DOUBLINGS):
        own = rays._replace(axes=rays.axes[live], signs=rays.signs[live])
        ridge = _ridge(functions, own, points[live], NEAREST * 2.0**doubling)
        marginals, flattest, sharpest = _marginals(ridge, own)
        if doubling == 0:
            began_flat = flattest < FLATTEST
        least = np.where(began_flat[live], 1.0, flattest)
        seen = np.isfinite(ridge.points).all(axis=1) & (sharpest < SHARPEST * least) & (least > FLATTEST)
        seen &= ~np.isnan(marginals)
        seen &= ~(bounded & (np.abs(ridge.points) > FARTHEST)).any(axis=1) & (marginals < np.inf)
        going = []
        for index, ray in enumerate(live.tolist()):
            if seen[index]:
                walked[ray].append(float(marginals[index]))
                points[ray], moves[ray] = ridge.points[index], ridge.points[index] - points[ray]
                if walked[ray][-1] < max(walked[ray]) - FALLEN:
                    continue
                going.append(ray)
            if (not seen[index] or doubling == DOUBLINGS - 1) and _stays(walked[ray]):
                found.append(moves[ray])
        live = np.array(going, dtype=int)
        if not len(live):
            break
    return found


def _stays(walked: list[float]) -> bool:
    """Return whether a walk ended without a fall: over its last two doublings the posterior fell too slowly."""
    if len(walked) < LEAST - 1:
        return False
    most = -RISEN if len(walked) < LEAST else HARDLY if len(walked) < SHORT else SLOWEST * 2 * math.log(2)
    return walked[-1] - walked[-3] > -most


def _ridge(functions: Functions, rays: _Rays, last: Float64[np.ndarray, "R D"], distance: float) -> _Ridge:
    """Return the points of ridges at that distance, in units of the coordinate that is moved."""
    # The others stay where they are, or go on as they did; Newton steps do the rest.
    there = np.arange(len(last)), rays.axes
    moved = (rays.base + rays.signs[:, None] * distance * rays.units)[there[0], rays.axes]
    tries = []
    for points in (last.copy(), rays.base + 2 * (last - rays.base)):
        points[there] = moved
        tries.append(_Ridge(points, *functions.second(points)))
    ridge = tries[0].better(tries[1])
    damping = np.ones(len(last))
    for _ in range(NEWTON_STEPS):
        proposed = ridge.points + damping[:, None] * _steps(ridge, rays.axes)
        new = _Ridge(proposed, *functions.second(proposed))
        gains = new.values - ridge.values
        damping = np.where(gains > 0, 1.0, damping / 4)
        ridge = ridge.better(new)
        if not np.any((np.abs(gains) > 1e-6) | np.isnan(gains)):
            break
    return ridge


def _steps(ridge: _Ridge, axes: Int[np.ndarray, " R"]) -> Float64[np.ndarray, "R D"]:
    """Return a Newton step of every point in all coordinates but the one that is moved."""
    steps = np.zeros_like(ridge.points)
    for index, axis in enumerate(axes):
        others = np.arange(ridge.points.shape[1]) != axis
        gradient, hessian = ridge.gradients[index][others], ridge.hessians[index][np.ix_(others, others)]
        if others.any() and np.isfinite(hessian).all() and np.isfinite(gradient).all():
            steps[index][others] = covariance_of(hessian) @ gradient
    return steps


def _marginals(
    ridge: _Ridge, rays: _Rays
) -> tuple[Float64[np.ndarray, " R"], Float64[np.ndarray, " R"], Float64[np.ndarray, " R"]]:
    """Return Laplace's marginals, but for a constant; the smallest and the largest curvature, in the units of the rays.

    Where there is no density, nothing need be seen of its curvature.
    """
    marginals, flattest, sharpest = ridge.values.copy(), np.ones(len(rays.axes)), np.ones(len(rays.axes))
    for index, axis in enumerate(rays.axes):
        others = np.arange(ridge.points.shape[1]) != axis
        scaled = ridge.hessians[index] * rays.units[:, None] * rays.units[None, :]
        if marginals[index] == -np.inf or not others.any():
            continue
        if not np.isfinite(scaled).all():
            sharpest[index] = np.inf
            continue
        curvatures = np.abs(np.linalg.eigvalsh(scaled[np.ix_(others, others)]))
        flattest[index], sharpest[index] = curvatures.min(), curvatures.max()
        marginals[index] -= np.log(np.maximum(curvatures, FLATTEST)).sum() / 2
    return marginals, flattest, sharpest
