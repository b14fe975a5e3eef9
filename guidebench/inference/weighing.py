"""Points of a mixture, weighed by the posterior, and whether their weights may be believed.

They may where their tail has a mean and more (Pareto k-hat of at most 0.7), or what is lacking beyond it is little,
where they are worth more than 400 draws for every mean and sd, and where the mean of the summands of every variance
settles, too.  Why these limits is told in :mod:`guidebench.inference.mixture`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped
from scipy.special import logsumexp

from guidebench.inference.component import Part, log_mixture
from guidebench.inference.peaks import Mode, nearest
from guidebench.inference.pointwise import Pointwise
from guidebench.inference.weighted import Tail, effective, lacking, resampled, tails
from guidebench.results.inference_data import log_mean_of_smoothed, pareto_smooth
from guidebench.results.work import NOTHING, Work

#: Points that are drawn of a mixture.
POINTS = 40_000

#: Draws that are made of the weighted points.
DRAWS = 20_000

#: What weights must reach.
MOST_KHAT = 0.7
LEAST_ESS = 1_000.0

#: Beyond it what they are lacking must be no more than that.
MOST_LACKING = 0.02

#: How many independent draws they must be worth for every mean and every sd.
LEAST_EFFECTIVE = 400.0

#: Largest tail shape of what the variance of a component is the mean of, as for any mean of weighted draws; beyond it
#: what it is lacking must be no more than that: half of it is what an sd is short of.
MOST_KHAT_OF_SQUARES = 0.7
MOST_LACKING_OF_SQUARES = 0.05

#: Share of the points that the weights must be worth to be sure: in a funnel they are worth a twentieth, and miss a
#: fifth of the mass.
SURE = 0.1


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """What importance sampling found of a posterior, and whether it may be believed.

    Attributes
    ----------
    accepted : bool
        Whether k-hat and the effective sample size are good enough, and nothing contradicts them.
    reason : str
        Why it was refused.
    contradicts : bool
        Whether it was refused for nothing but that it contradicts the draws that it stands about.
    khat, ess : float
        Pareto tail shape of the weights, and the effective sample size of the smoothed ones.
    log_evidence, log_evidence_mcse : float
        Log of the integral of exp(target), in nats, and the standard error of the mean of the smoothed weights; what
        these are short of where no point fell is not in it.
    draws : mapping of str to ndarray
        Latent sites, resampled from the smoothed weights in proportion, shape ``(M, ...)``; some are there
        more than once.
    effective : mapping of str to float
        Per scalar component (``name`` or ``name[i,j]``), how many independent draws they are worth for its
        mean and for its sd, whichever is less; one that does not vary is left out.
    masses : tuple of float
        Per mode of the search that counts, the share of the weights that are nearer to it than to any other.
    points : int
        How many points it stands on.
    work : Work
        The densities that were computed.
    """

    accepted: bool
    reason: str = ""
    contradicts: bool = False
    khat: float = float("nan")
    ess: float = 0.0
    log_evidence: float = float("nan")
    log_evidence_mcse: float = float("nan")
    draws: Mapping[str, Shaped[np.ndarray, "M ..."]] = field(default_factory=dict, repr=False)
    effective: Mapping[str, float] = field(default_factory=dict, repr=False)
    masses: tuple[float, ...] = ()
    points: int = 0
    work: Work = NOTHING


class Sampled(NamedTuple):
    """Points of a mixture with their smoothed weights, and what was found by them."""

    points: Float64[np.ndarray, "S D"]
    log_p: Float64[np.ndarray, " S"]
    weights: Float64[np.ndarray, " S"]
    result: Mixture
    #: Whether nothing speaks against them but that they may be worth too little.
    settles: bool = False

    @property
    def worth(self) -> float:
        """Of all points, the share that the weights are worth."""
        return self.result.ess / max(len(self.points), 1)

    def unsure(self) -> str:
        """Return why weights that are not refused are worth too little to be sure, or nothing."""
        if not self.result.accepted or self.worth > SURE:
            return ""
        return (
            f"its weights are worth {self.result.ess:,.0f} draws (more than {SURE * len(self.points):,.0f} are needed)"
        )

    def refused(self, reason: str, *, contradicts: bool = False, settles: bool = False) -> Sampled:
        """Return the same, not to be believed."""
        result = replace(self.result, accepted=False, reason=reason, contradicts=contradicts)
        return self._replace(result=result, settles=settles)


def sampled(
    pointwise: Pointwise,
    components: Sequence[Part],
    modes: Sequence[Mode],
    rng: np.random.Generator,
    count: int = POINTS,
) -> Sampled:
    """Draw so many points from a mixture, weigh them, and say whether the weights may be believed."""
    points = _stratified(components, count, rng)
    log_p, latents = pointwise(points)
    log_p = _usable(log_p, latents)
    log_weights = log_p - log_mixture(components, points)
    if np.isposinf(log_weights).any():
        return _useless(points, pointwise.work(len(points)), "the density is infinite at some points")
    usable = np.isfinite(log_weights)
    if not usable.any():
        return _useless(points, pointwise.work(len(points)), "the density is zero, or no number, at all points")
    # What is no number counts as nothing: so far below the others that no smoothing brings it back.
    log_weights = np.where(usable, log_weights, log_weights[usable].min() - 1e4)
    smoothed, khat = pareto_smooth(log_weights)
    weights = np.where(usable, np.exp(smoothed - logsumexp(smoothed)), 0.0)
    ess = 1 / float(np.sum(weights**2))
    shown = resampled(weights, DRAWS, rng)
    belongs = nearest(modes, points[usable]) if modes else np.zeros(int(usable.sum()), int)
    finite = {name: np.where(_rows(usable, value), value, value[usable][:1]) for name, value in latents.items()}
    worth = effective(finite, weights, DRAWS)
    reason = _refusal(Tail(khat, lacking(log_weights, khat)), ess, worth) or _of_squares(tails(finite, weights))
    result = Mixture(
        accepted=not reason,
        reason=reason,
        khat=khat,
        ess=ess,
        log_evidence=log_mean_of_smoothed(log_weights, smoothed),
        log_evidence_mcse=float(weights.std() * np.sqrt(len(weights))),
        draws={name: value[shown] for name, value in finite.items()},
        effective=worth,
        masses=tuple(np.bincount(belongs, weights[usable], len(modes)).tolist()) if modes else (),
        points=len(points),
        work=pointwise.work(len(points)),
    )
    return Sampled(points, log_p, weights, result, settles=not reason)


def log_density(pointwise: Pointwise, points: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, " S"]:
    """Return the target at points, in nats: minus infinity where it, or a latent site, is no number."""
    return _usable(*pointwise(points))


def _usable(
    log_p: Float64[np.ndarray, " S"], latents: Mapping[str, Shaped[np.ndarray, "S ..."]]
) -> Float64[np.ndarray, " S"]:
    """Return the log density, minus infinity where it, or a latent site, is no number."""
    usable = ~np.isnan(log_p)
    for value in latents.values():
        usable &= np.isfinite(value.reshape(len(log_p), -1)).all(axis=1)
    return np.where(usable, log_p, -np.inf)


def _stratified(components: Sequence[Part], count: int, rng: np.random.Generator) -> Float64[np.ndarray, "S D"]:
    """Return points of the mixture, of each component as many as its share says."""
    ends = np.round(np.cumsum([one.share for one in components]) * count).astype(int)
    counts = np.diff(ends, prepend=0)
    return np.concatenate([one.draw(int(some), rng) for one, some in zip(components, counts, strict=True)])


def _rows(usable: np.ndarray, like: np.ndarray) -> np.ndarray:
    return usable.reshape(-1, *[1] * (like.ndim - 1))


def _useless(points: Float64[np.ndarray, "S D"], work: Work, reason: str) -> Sampled:
    result = Mixture(accepted=False, reason=reason, points=len(points), work=work)
    return Sampled(points, np.full(len(points), -np.inf), np.zeros(len(points)), result)


def _refusal(tail: Tail, ess: float, worth: Mapping[str, float]) -> str:
    """Return why weights are not good enough, or nothing."""
    said = []
    if not (tail.khat <= MOST_KHAT or tail.lacking <= MOST_LACKING):
        said.append(f"k-hat of its weights is {tail.khat:.2f} (at most {MOST_KHAT} is needed)")
    if not ess > LEAST_ESS:
        said.append(f"its weights are worth {ess:,.0f} draws (more than {LEAST_ESS:,.0f} are needed)")
    worst = min(worth, key=lambda name: worth[name], default=None)
    if not said and worst is not None and not worth[worst] > LEAST_EFFECTIVE:
        said.append(
            f"they tell of {worst} what {worth[worst]:,.0f} draws do (more than {LEAST_EFFECTIVE:.0f} are needed)"
        )
    return " and ".join(said)


def _of_squares(tails: Mapping[str, Tail]) -> str:
    """Return why the variance of a component cannot be told, or nothing."""
    heavy = [name for name, one in tails.items() if one.khat > MOST_KHAT_OF_SQUARES]
    worst = max(heavy, key=lambda name: tails[name].lacking, default=None)
    if worst is None or tails[worst].lacking <= MOST_LACKING_OF_SQUARES:
        return ""
    khat, part = tails[worst]
    return f"few points decide the sd of {worst} (k-hat {khat:.2f}, and about {part:.0%} of its variance is lacking)"
