r"""Gaussians along the paths of a search: which of them is closest to the posterior.

Local Gaussians :math:`\mathrm{N}(u - H^{-1} g, -H^{-1})` are compared by their ELBO under common draws.
The best is refined towards the fixed point of Gaussian variational inference, at which

.. math:: \mathrm{E}_q[g] = 0, \qquad \Sigma^{-1} = -\mathrm{E}_q[H]

(Opper & Archambeau 2009, doi:10.1162/neco.2008.08-07-592): a curvature at one point says little of a
posterior that is far from Gaussian.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from guidebench.inference.derivatives import Functions, covariance_of
from guidebench.inference.peaks import whitened

#: Steps towards the fixed point of Gaussian variational inference, their damping, and the dimensions they cost.
REFINEMENTS = 25
DAMPING = 0.4
MOST_REFINED = 100

#: Draws under which Gaussians of different origins are compared.
CHECKED = 256

#: Standard deviations of the round Gaussians that are tried at the end of each path, whatever the curvature says.
PLAIN_SCALES = (0.01, 0.1, 1.0)

#: Scales beyond this, or below one over it, are no posterior's.
LARGEST = 1e15

#: Nor could draws so many standard deviations from zero be told apart in float32.
FARTHEST = 1e7

#: A local Gaussian is a place of its own where its ELBO is within so many nats of the best one's and its
#: mean so many of the best one's standard deviations away, per square root of the dimension.
COMPARABLE = 3.0
APART = 3.0

#: Local Gaussians that are kept of all paths besides: how many, how far below the best by their ELBO, in nats, and by
#: how many of their standard deviations per square root of the dimension, or of what factor per dimension in size,
#: they differ.
MOST_KEPT = 16
BELOW = 8.0
DIFFERENT = 0.5


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """A Gaussian over the unconstrained coordinates.

    Attributes
    ----------
    mean : ndarray
        Shape ``(D,)``.
    factor : ndarray
        Lower Cholesky factor of the covariance, shape ``(D, D)``, or the standard deviations of
        independent coordinates, shape ``(D,)``.
    elbo : float
        Its evidence lower bound, in nats, under some dozens of draws, or some hundreds.
    """

    mean: Float64[np.ndarray, " D"]
    factor: Float64[np.ndarray, "D D"] | Float64[np.ndarray, " D"]
    elbo: float

    def dense(self) -> Float64[np.ndarray, "D D"]:
        """Return the factor as a matrix."""
        return np.asarray(np.diag(self.factor) if self.factor.ndim == 1 else self.factor)

    def covariance(self) -> Float64[np.ndarray, "D D"]:
        """Return the covariance, shape ``(D, D)``."""
        factor = self.dense()
        return np.asarray(factor @ factor.T)

    def conditional_sds(self) -> Float64[np.ndarray, " D"]:
        r"""Return the standard deviation of each coordinate given all others, shape ``(D,)``.

        It is :math:`(\Sigma^{-1})_{ii}^{-1/2}`, the scale of the independent Gaussians closest to this one
        by KL(q || p) (Bishop 2006, Pattern Recognition and Machine Learning, section 10.1.2).
        """
        if self.factor.ndim == 1:
            return self.factor
        inverse = np.linalg.inv(self.factor)
        return np.asarray(1 / np.sqrt(np.sum(inverse**2, axis=0)))


def along(
    functions: Functions, paths: list[Float64[np.ndarray, "_ D"]], noise: Float64[np.ndarray, "S D"]
) -> tuple[list[Gaussian | None], tuple[Gaussian, ...]]:
    """Return the local Gaussian with the largest ELBO of each path, and different ones of all paths, the best first."""
    points = np.concatenate(paths)
    owner = np.repeat(np.arange(len(paths)), [len(path) for path in paths])
    _, gradients, hessians = functions.second(points)
    means, factors = points.copy(), np.zeros((len(points), functions.dim, functions.dim))
    usable = np.isfinite(hessians).all(axis=(1, 2)) & np.isfinite(gradients).all(axis=1)
    for index in np.flatnonzero(usable):
        covariance = covariance_of(hessians[index])
        try:
            factors[index] = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            usable[index] = False
            continue
        means[index] += covariance @ gradients[index]
    ends = np.stack([path[-1] for path in paths])
    for scale in PLAIN_SCALES:
        means, owner = np.concatenate([means, ends]), np.concatenate([owner, np.arange(len(paths))])
        factors = np.concatenate([factors, np.tile(scale * np.eye(functions.dim), (len(ends), 1, 1))])
        usable = np.concatenate([usable, np.isfinite(ends).all(axis=1)])
    sizes = np.diagonal(factors, axis1=1, axis2=2)
    usable &= (sizes > 1 / LARGEST).all(axis=1) & (sizes < LARGEST).all(axis=1)
    usable &= (np.abs(means) < FARTHEST * np.sqrt(np.sum(factors**2, axis=2))).all(axis=1)
    elbos = _elbos(functions, means, factors, noise)
    elbos = np.where(usable & np.isfinite(elbos), elbos, -np.inf)
    found: list[Gaussian | None] = []
    for number in range(len(paths)):
        own = np.flatnonzero(owner == number)
        best = own[np.argmax(elbos[own])]
        finite = np.isfinite(elbos[best])
        found.append(Gaussian(mean=means[best], factor=factors[best], elbo=float(elbos[best])) if finite else None)
    everywhere = [
        Gaussian(mean=means[index], factor=factors[index], elbo=float(elbos[index]))
        for index in np.argsort(-elbos, kind="stable")
        if elbos[index] > elbos.max() - BELOW
    ]
    return found, _different(everywhere)


def _different(ordered: list[Gaussian]) -> tuple[Gaussian, ...]:
    """Return the first of those Gaussians that are much alike, as many as are kept."""
    kept: list[Gaussian] = []
    for one in ordered:
        if len(kept) == MOST_KEPT:
            break
        if all(_unlike(one, other) for other in kept):
            kept.append(one)
    return tuple(kept)


def _unlike(one: Gaussian, other: Gaussian) -> bool:
    dim = len(one.mean)
    sizes = [np.log(np.diag(side.factor)).sum() / dim for side in (one, other)]
    if abs(sizes[0] - sizes[1]) > DIFFERENT:
        return True
    distance = float(np.linalg.norm(whitened((one.mean - other.mean)[None], other.factor)))
    return bool(distance > DIFFERENT * np.sqrt(dim))


def _elbos(
    functions: Functions,
    means: Float64[np.ndarray, "K D"],
    factors: Float64[np.ndarray, "K D D"],
    noise: Float64[np.ndarray, "S D"],
) -> Float64[np.ndarray, " K"]:
    """Return the ELBOs of Gaussians with means ``(K, D)`` and factors ``(K, D, D)``, under common draws."""
    densities = functions.density(means[:, None] + noise @ factors.transpose(0, 2, 1))
    elbos: Float64[np.ndarray, " K"] = densities.mean(axis=1) + _entropies(factors)
    return elbos


def _entropies(factors: Float64[np.ndarray, "K D D"]) -> Float64[np.ndarray, " K"]:
    log_scales = np.log(np.maximum(np.diagonal(factors, axis1=1, axis2=2), 1e-300)).sum(axis=1)
    return np.asarray(log_scales + factors.shape[1] / 2 * (1 + np.log(2 * np.pi)))


def _elbo(
    functions: Functions,
    mean: Float64[np.ndarray, " D"],
    factor: Float64[np.ndarray, "D D"],
    noise: Float64[np.ndarray, "S D"],
) -> float:
    return float(_elbos(functions, mean[None], factor[None], noise)[0])


def best_of(functions: Functions, candidates: Sequence[Gaussian], rng: np.random.Generator) -> Gaussian:
    """Return the one with the largest ELBO under new noise, which no candidate was made to fit."""
    half = rng.standard_normal((CHECKED // 2, functions.dim))
    noise = np.concatenate([half, -half])
    factors = np.stack([one.dense() for one in candidates])
    points = np.stack([one.mean for one in candidates])[:, None] + noise @ factors.transpose(0, 2, 1)
    densities = functions.many(points.reshape(-1, functions.dim)).reshape(len(candidates), CHECKED)
    elbos = densities.mean(axis=1) + _entropies(factors)
    best = int(np.argmax(np.where(np.isfinite(elbos), elbos, -np.inf)))
    return replace(candidates[best], elbo=float(elbos[best]))


def refined(functions: Functions, start: Gaussian, noise: Float64[np.ndarray, "S D"]) -> Gaussian:
    """Take damped steps towards the fixed point of Gaussian variational inference; return the best Gaussian met."""
    if functions.dim > MOST_REFINED:
        return start
    factor = start.dense()
    best, damping = replace(start, factor=factor, elbo=_elbo(functions, start.mean, factor, noise)), DAMPING
    precision = np.linalg.inv(start.covariance())
    for _ in range(REFINEMENTS):
        _, gradients, hessians = functions.second(best.mean + noise @ best.factor.T)
        if not (np.isfinite(gradients).all() and np.isfinite(hessians).all()):
            break
        try:
            wanted = np.linalg.inv(covariance_of(_mean_hessian(best.factor, gradients, hessians.mean(axis=0), noise)))
            proposed = (1 - damping) * precision + damping * wanted
            covariance = covariance_of(-proposed)
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            break
        mean = best.mean + damping * covariance @ gradients.mean(axis=0)
        elbo = _elbo(functions, mean, factor, noise)
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


def _mean_hessian(
    factor: Float64[np.ndarray, "D D"],
    gradients: Float64[np.ndarray, "S D"],
    hessian: Float64[np.ndarray, "D D"],
    noise: Float64[np.ndarray, "S D"],
) -> Float64[np.ndarray, "D D"]:
    r"""Return E_q[H] from second derivatives and, for the curvature that sits in kinks, from gradients.

    By Stein's identity :math:`\mathrm{E}[F^T g\, \epsilon^T] = F^T \mathrm{E}[H] F` at
    :math:`u = m + F \epsilon`.  The part that second derivatives explain is taken from them, without
    noise; what they miss (all of it for a Laplace likelihood) from the gradients.
    """
    seen = factor.T @ hessian @ factor
    missed = (gradients @ factor - noise @ seen).T @ noise / len(noise)
    inverse = np.linalg.inv(factor)
    mean: Float64[np.ndarray, "D D"] = inverse.T @ (seen + (missed + missed.T) / 2) @ inverse
    return mean


def elsewhere(one: Gaussian, best: Gaussian) -> bool:
    """Return whether a local Gaussian is another place, about as good as the best."""
    return one.elbo >= best.elbo - COMPARABLE and far(one, best)


def far(one: Gaussian, best: Gaussian) -> bool:
    """Return whether the means of two Gaussians are many sds of either apart, per square root of the dimension."""
    distances = [
        float(np.linalg.norm(whitened((one.mean - best.mean)[None], side.factor))) / np.sqrt(len(one.mean))
        for side in (one, best)
    ]
    return bool(min(distances) > APART)
