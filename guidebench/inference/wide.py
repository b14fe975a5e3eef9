r"""Where a posterior of hundreds to many thousands of coordinates is, and how wide: gradients only, and bounded memory.

L-BFGS climbs from a few starts.  At points of each path independent Gaussians are compared by their ELBO, with the
scales

.. math:: s_i = (-H_{ii})^{-1/2}, \qquad \mathrm{diag}(H) = \mathrm{E}[v \odot H v]

for random signs v (Hutchinson's estimate of a diagonal; each costs two gradients).  Given all others a coordinate has
this standard deviation, which is where independent Normals end up.

From the best of them, and from two plain points, come the independent Gaussians with the largest ELBO
(:mod:`guidebench.inference.independent`).  Where climbs ended at several modes, the mass of each is the ELBO of those
that it leads to.

References
----------
Bekas, Kokiopoulou & Saad (2007), An estimator for the diagonal of a matrix, Applied Numerical Mathematics 57(11),
doi:10.1016/j.apnum.2007.01.003.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from guidebench.inference.derivatives import BATCH_SHARE, hessian_product
from guidebench.inference.device.compiled import level_for_few, over_draws, soon
from guidebench.inference.device.precision import double
from guidebench.inference.gaussians import PLAIN_SCALES, Gaussian, elsewhere, far
from guidebench.inference.independent import DRAWS, FEW, Independent, possible
from guidebench.inference.modes import Landscape, in_double
from guidebench.inference.peaks import Mode, that_matter
from guidebench.inference.target import Target
from guidebench.results.work import Work

#: Starts that are climbed from: the first of those there are, and the last.
EACH = 4

ROUNDS = 3
MOST_ITERATIONS = 200

#: Points of each path at which there may be a Gaussian, the more the earlier: a path may end where the density has no
#: bound, far from all mass.
PER_PATH = 6

#: Random signs of an estimate.
PROBES = 16

#: Two independent Gaussians that modes led to are of different ones where some mean is farther off than so many sds;
#: the noise that they were found with moves the worst of thousands by two.
DIFFERENT = 3.0

#: A path ended at a mode where steps of its scales would gain less than this, in nats.
SETTLED = 1e-2

#: Two ends are one mode where the target between them is nowhere lower than at both by more than this, in nats.
DIP = 1e-2


class _Functions:
    """The compiled pieces of the search, in float64, and the work that all calls so far have made."""

    def __init__(self, target: Target, traced: Mapping[str, Any], seed: int) -> None:
        self.dim, self._work = target.dim, Work()
        self._traced = jax.tree.map(jnp.asarray, dict(traced))
        target.record(self._traced)
        self._rng = np.random.default_rng(seed)
        #: Independent Gaussians on the target.
        self.independent = Independent(target, self._traced, self._rng)

        def slope(flat: Float[Array, " D"], traced: Mapping[str, Any]) -> tuple[Float[Array, ""], Float[Array, " D"]]:
            return jax.value_and_grad(target.log_density)(flat, traced)

        def diagonal(
            point: Float[Array, " D"], signs: Float[Array, "K D"], traced: Mapping[str, Any]
        ) -> Float[Array, " D"]:
            def at(sign: Float[Array, " D"]) -> Float[Array, " D"]:
                return sign * hessian_product(target, point, sign, traced)

            return jnp.mean(over_draws(at, signs, BATCH_SHARE * (target.evaluated + self.dim)), axis=0)

        few, like = level_for_few(target.evaluated + self.dim), np.zeros((PROBES, self.dim))
        self._slope = soon(slope, like[0], self._traced, level=1)
        self._diagonal = soon(diagonal, like[0], like, self._traced, level=few)

    @property
    def work(self) -> Work:
        """What all calls so far have computed."""
        return self._work + self.independent.work

    def slope(self, flat: Float64[np.ndarray, " D"]) -> tuple[float, Float64[np.ndarray, " D"]]:
        """Return the target and its gradient at one point."""
        self._work += Work(gradients=1)
        value, gradient = self._slope(flat, self._traced)
        return float(value), np.asarray(gradient)

    def scales(self, flat: Float64[np.ndarray, " D"]) -> Float64[np.ndarray, " D"] | None:
        """Return the standard deviation of each coordinate given all others, or ``None`` where it curves upwards."""
        signs = self._rng.choice([-1.0, 1.0], (PROBES, self.dim))
        self._work += Work(gradients=2 * PROBES)  # one, and a product with the Hessian
        curvature = -np.asarray(self._diagonal(flat, signs, self._traced))
        positive = curvature > 0
        if not np.isfinite(curvature).all() or positive.mean() < 0.5:
            return None
        # Where noise has made it negative, or the target is flat, the others say what size is usual.
        return np.asarray(1 / np.sqrt(np.where(positive, curvature, np.median(curvature[positive]))))

    def between(self, one: Float64[np.ndarray, " D"], other: Float64[np.ndarray, " D"]) -> float:
        """Return the lowest value of the target at points between two."""
        parts = np.linspace(0, 1, DRAWS)[:, None]
        return float(np.min(self.independent.densities(one + parts * (other - one))))


def explore_wide(
    target: Target,
    starts: Float[np.ndarray, "S D"],
    values: Mapping[str, Any],
    seed: int,
    pool: Float[np.ndarray, "P D"] | None = None,
) -> Landscape:
    """Search a target of many coordinates from the first few starts and the last few.

    The parameters are those of :func:`guidebench.inference.modes.explore`; nothing is chosen from the pool,
    whose points are all alike in so many dimensions.
    """
    del pool
    climbed = sorted({*range(min(EACH, len(starts))), *range(max(len(starts) - EACH, 0), len(starts))})
    local: list[Gaussian | None] = [None] * len(starts)
    modes: list[tuple[Mode, float]] = []
    ended = 0
    with double(), np.errstate(all="ignore"):
        functions = _Functions(target, in_double(target, values), seed)
        for index in climbed:
            path = _climb(functions, starts[index])
            local[index] = _best(functions, path)
            end = _mode(functions, path[-1])
            if end is not None:
                ended += 1
                if all(_separate(functions, end, other) for other in modes):
                    modes.append(end)
        usable = [one for one in local if one is not None]
        first = max(usable, key=lambda one: one.elbo, default=None)
        begun = [*([] if first is None else [first]), *functions.independent.plain(starts[0])]
        best = functions.independent.largest(begun) if begun else None
        found = [mode for mode, _ in modes]
        if best is not None and len(found) > 1:
            found = _weighed(functions, best, found)
    # Where the best are far from the climbs, these were all in the wrong place.
    there = first is not None and best is not None and not far(first, best)
    places = [
        one if one is not None and first is not None and there and elsewhere(one, first) else best for one in local
    ]
    major, minor = that_matter(found)
    return Landscape(
        best=best,
        local=tuple(local),
        places=tuple(places),
        modes=major,
        minor=minor,
        starts=ended,
        searches=len(climbed),
        work=functions.work,
    )


def _climb(functions: _Functions, start: Float[np.ndarray, " D"]) -> Float64[np.ndarray, "K D"]:
    """Return a few points of an ascent, the last of them its end, shape ``(K, D)``.

    Every round is L-BFGS in units of the scales where the last one ended: where they span many orders of magnitude, the
    first does not come far.
    """
    path = [np.asarray(start, np.float64)]
    scales = np.ones(functions.dim)
    for _ in range(ROUNDS):
        taken = _ascent(functions, path[-1], scales)
        path += taken
        found = functions.scales(path[-1])
        if not taken or found is None:
            break
        scales = found
    kept = np.unique(np.round(np.geomspace(1, len(path), PER_PATH)).astype(int)) - 1
    return np.stack([path[index] for index in kept])


def _ascent(
    functions: _Functions, start: Float64[np.ndarray, " D"], scales: Float64[np.ndarray, " D"]
) -> list[Float64[np.ndarray, " D"]]:
    """Return the points of one round of L-BFGS in units of `scales`."""
    from scipy.optimize import minimize

    taken: list[Float64[np.ndarray, " D"]] = []

    def negative(steps: Float64[np.ndarray, " D"]) -> tuple[float, Float64[np.ndarray, " D"]]:
        value, gradient = functions.slope(start + scales * steps)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return np.inf, np.zeros_like(steps)  # the line search steps back
        return -value, -gradient * scales

    options = {"maxiter": MOST_ITERATIONS, "maxfun": 4 * MOST_ITERATIONS, "ftol": 1e-13, "gtol": 1e-9, "maxcor": 10}
    minimize(
        negative,
        np.zeros_like(start),
        jac=True,
        method="L-BFGS-B",
        options=options,
        callback=lambda steps: taken.append(start + scales * steps),
    )
    return taken


def _best(functions: _Functions, path: Float64[np.ndarray, "K D"]) -> Gaussian | None:
    """Return the independent Gaussians along a path that have the largest ELBO."""
    candidates = [(point, functions.scales(point)) for point in path]
    candidates += [(path[-1], np.full(functions.dim, scale)) for scale in PLAIN_SCALES]
    best: Gaussian | None = None
    for mean, scales in candidates:
        if scales is None or not possible(mean, scales):
            continue
        found = functions.independent.at(mean, scales)
        if np.isfinite(found.elbo) and (best is None or found.elbo > best.elbo):
            best = found
    return best


def _mode(functions: _Functions, end: Float64[np.ndarray, " D"]) -> tuple[Mode, float] | None:
    """Return the mode that a path ended at with the target there, or ``None`` where it ended at none."""
    value, gradient = functions.slope(end)
    scales = functions.scales(end)
    if scales is None or not np.isfinite(value) or not np.sum((gradient * scales) ** 2) / 2 < SETTLED:
        return None
    return Mode.at(end, value, scales), value


def _weighed(functions: _Functions, best: Gaussian, modes: Sequence[Mode]) -> list[Mode]:
    """Return the best independent Gaussians and those that modes lead to, each with its ELBO for its mass.

    Of two that are one, one.  How high a mode of many coordinates is, and how curved there, says next to nothing of the
    mass around it: that of a hierarchical model is where none of its groups is at its mode, and no climb may end near.
    """
    found = [Mode(location=best.mean, factor=best.factor, log_mass=best.elbo)]
    for mode in modes:
        start = functions.independent.at(mode.location, np.asarray(mode.factor))
        end = functions.independent.climbed(start, FEW)
        if not np.isfinite(end.elbo) or not _different(end, found):
            continue
        end = functions.independent.climbed(end, DRAWS)  # as many as found the best
        if _different(end, found):
            found.append(Mode(location=end.mean, factor=end.factor, log_mass=end.elbo))
    return found


def _different(one: Gaussian, modes: Sequence[Mode]) -> bool:
    """Return whether independent Gaussians are others than those of the modes."""
    return all(np.max(np.abs(one.mean - other.location) / other.factor) > DIFFERENT for other in modes)


def _separate(functions: _Functions, one: tuple[Mode, float], other: tuple[Mode, float]) -> bool:
    """Return whether two ends are different modes: whether the target is lower somewhere between them.

    Distances do not tell: along a direction in which the posterior is long, ends of one mode lie many of the
    scales of single coordinates apart.
    """
    lowest = functions.between(one[0].location, other[0].location)
    return not lowest >= min(one[1], other[1]) - DIP
