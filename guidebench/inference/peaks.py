r"""Modes of a posterior: what one is, which of them matter, and how many a search may have missed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Integer
from scipy.special import softmax

#: Modes nearer than so many standard deviations are one.
APART = 0.1

#: Where only the scales of the coordinates are known: nearer than so many of them in each.
APART_IN_EACH = 1.0

#: A mode counts from this share of the posterior on, by Laplace's estimate of all masses,
SMALLEST_SHARE = 0.01

#: and below that where leaving it out moves a mean by so many standard deviations, or an sd by such a share.
MEAN_MOVED = 0.03
SD_MOVED = 0.03

#: A search has probably found all modes where it expects no more than this part of another (Boender & Rinnooy Kan).
PROBABLY_ALL = 0.5


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A local maximum of the target with its curvature; of many coordinates, the independent Gaussians that it led to.

    Attributes
    ----------
    location : ndarray
        Shape ``(D,)``.
    factor : ndarray
        Lower Cholesky factor of the inverse of the negative Hessian there, shape ``(D, D)``; where
        second derivatives would be too many, the scales of the coordinates, shape ``(D,)``.
    log_mass : float
        Laplace's estimate of the log of the integral of exp(target) around it, in nats; of the Gaussians, their ELBO.
    """

    location: Float64[np.ndarray, " D"]
    factor: Float64[np.ndarray, "D D"] | Float64[np.ndarray, " D"]
    log_mass: float

    @classmethod
    def at(
        cls,
        location: Float64[np.ndarray, " D"],
        value: float,
        factor: Float64[np.ndarray, "D D"] | Float64[np.ndarray, " D"],
    ) -> Mode:
        """Return the mode with that value of the target there."""
        log_mass = value + len(location) / 2 * np.log(2 * np.pi) + log_volume(factor)
        return cls(location=location, factor=factor, log_mass=float(log_mass))


def log_volume(factor: Float64[np.ndarray, "D D"] | Float64[np.ndarray, " D"]) -> float:
    """Return the log of the determinant of a lower triangular factor, or of the scales of coordinates."""
    return float(np.log(factor if factor.ndim == 1 else np.diag(factor)).sum())


def whitened(
    offsets: Float64[np.ndarray, "S D"], factor: Float64[np.ndarray, "D D"] | Float64[np.ndarray, " D"]
) -> Float64[np.ndarray, "S D"]:
    """Return rows in units of a lower triangular factor, or of the scales of coordinates."""
    from scipy.linalg import solve_triangular

    if factor.ndim == 1:
        return np.asarray(offsets / factor)
    return np.asarray(solve_triangular(factor, offsets.T, lower=True, check_finite=False).T)


def apart(location: Float64[np.ndarray, " D"], modes: Sequence[Mode]) -> bool:
    """Return whether a point is none of the modes: farther than a tenth of a standard deviation from each."""

    def far(one: Mode) -> bool:
        distances = whitened((location - one.location)[None], one.factor)[0]
        if one.factor.ndim == 1:  # two modes may differ in one coordinate of thousands
            return bool(np.abs(distances).max() > APART_IN_EACH)
        return bool(np.linalg.norm(distances) > APART)

    return all(far(one) for one in modes)


def nearest(modes: Sequence[Mode], points: Float64[np.ndarray, "S D"]) -> Integer[np.ndarray, " S"]:
    r"""Return the number of the mode that each point belongs to.

    It is the one whose Gaussian :math:`\mathrm{N}(m_k, F_k F_k^T)`, weighted by its share, has the
    largest density there.
    """
    scores = [
        one.log_mass - log_volume(one.factor) - 0.5 * np.sum(whitened(points - one.location, one.factor) ** 2, axis=1)
        for one in modes
    ]
    return np.asarray(np.argmax(np.stack(scores), axis=0))


def that_matter(modes: Sequence[Mode]) -> tuple[tuple[Mode, ...], tuple[Mode, ...]]:
    """Return the modes that count and those that do not, each the heaviest first.

    One counts that holds more than 1 % of the mass, and so does a lighter one where the posterior
    without it, and without all that are lighter still, would have a mean that is off by more than
    0.03 standard deviations, or a standard deviation that is off by more than 3 %: a thousandth of the
    mass, a hundred standard deviations away, is most of a variance.
    """
    ordered = sorted(modes, key=lambda one: -one.log_mass)
    if len(ordered) < 2:
        return tuple(ordered), ()
    shares = softmax([one.log_mass for one in ordered])
    means, variances = _of_each(ordered)
    mean, sd = _moments(shares, means, variances)
    kept = len(ordered)
    while kept > 1 and shares[kept - 1] <= SMALLEST_SHARE * shares[0]:
        new_mean, new_sd = _moments(shares[: kept - 1], means[: kept - 1], variances[: kept - 1])
        if np.any(np.abs(new_mean - mean) > MEAN_MOVED * sd) or np.any(np.abs(new_sd / sd - 1) > SD_MOVED):
            break
        kept -= 1
    return tuple(ordered[:kept]), tuple(ordered[kept:])


def moved_without(modes: Sequence[Mode], numbers: Collection[int]) -> float:
    """Return by how much a posterior of these modes would be off without some of them.

    It is the largest change of a mean, in sds, or two thirds of that of an sd, as a share; infinite without any mode.
    """
    if len(numbers) == len(modes):
        return float("inf")
    shares = softmax([one.log_mass for one in modes])
    means, variances = _of_each(modes)
    rest = np.array([number not in numbers for number in range(len(modes))])
    mean, sd = _moments(shares, means, variances)
    new_mean, new_sd = _moments(shares[rest], means[rest], variances[rest])
    return float(max(np.max(np.abs(new_mean - mean) / sd), 2 / 3 * np.max(np.abs(new_sd / sd - 1))))


def _of_each(modes: Sequence[Mode]) -> tuple[Float64[np.ndarray, "K D"], Float64[np.ndarray, "K D"]]:
    """Return means and variances of all modes."""
    means = np.stack([one.location for one in modes])
    return means, np.stack([one.factor**2 if one.factor.ndim == 1 else np.sum(one.factor**2, axis=1) for one in modes])


def _moments(
    shares: Float64[np.ndarray, " K"], means: Float64[np.ndarray, "K D"], variances: Float64[np.ndarray, "K D"]
) -> tuple[Float64[np.ndarray, " D"], Float64[np.ndarray, " D"]]:
    """Return means and standard deviations of a mixture."""
    weights = shares / shares.sum()
    mean = weights @ means
    sd: Float64[np.ndarray, " D"] = np.sqrt(weights @ (variances + (means - mean) ** 2))
    return mean, sd


def expected_number(found: int, searches: int) -> float:
    r"""Return how many modes there are to be expected where `searches` climbs ended at `found` different ones.

    .. math:: \mathrm{E}[k \mid w, n] = \frac{w (n - 1)}{n - w - 2}

    under a uniform prior on their number and on the sizes of their basins; infinite where n is at most w + 2.

    References
    ----------
    Boender & Rinnooy Kan (1987), Bayesian stopping rules for multistart global optimization methods,
    Mathematical Programming 37, doi:10.1007/BF02591684.
    """
    return found * (searches - 1) / (searches - found - 2) if searches > found + 2 else float("inf")


def more_are_likely(found: int, searches: int) -> bool:
    """Return whether of several modes no more than a half are likely to have been found."""
    return found > 1 and expected_number(found, searches) >= 2 * found


def probably_all(found: int, searches: int) -> bool:
    """Return whether hardly any more modes are to be expected than have been found."""
    return expected_number(found, searches) <= found + PROBABLY_ALL


def described(found: int, ended: int, searches: int) -> str:
    """Return in words what a search saw, and whether it is likely to have seen all.

    Parameters
    ----------
    found : int
        Different modes.
    ended : int
        Climbs that ended at one of them.
    searches : int
        All climbs.
    """
    starts = f"{searches} start{'s' * (searches != 1)}"
    if not found:
        return f"{starts}, no mode: the density rises without end, or has no curvature where it is highest"
    modes = f"{found} mode{'s' * (found != 1)}"
    if ended < searches:
        starts += f" ({searches - ended} of which ended at none)"
    expected = expected_number(found, ended)
    if probably_all(found, ended):
        return f"{starts}, {modes}, probably all"
    more = f"about {expected:.0f} in all are to be expected" if expected < 2 * found else "more are likely"
    return f"{starts}, {modes}: {more}"
