r"""The posterior itself, in few dimensions, by importance sampling from a mixture wider than what a search found.

At every mode, at the best Gaussian and at others along the paths of the search stand multivariate Student t
densities, each at the scale that was found there and at three times that.  All points are weighed against the
whole mixture,

.. math:: w_s = \frac{\pi(u_s)}{\sum_k a_k\, t_{\nu_k}(u_s \mid m_k, F_k)}

(the balance heuristic), so that a point far out of one component costs nothing where another covers it, and no
weight is large where any covers it.  Nothing is differentiated.

What the weights say is believed where their tail has a mean and more (Pareto k-hat of at most 0.7), or what is lacking
beyond it is little (2 %), they are worth a tenth of the points, and for every mean and sd more than 400 draws, and
where the mean of the summands of every variance settles, too (k-hat of at most 0.7, or 5 %); in trials k-hat of the
weights alone let an sd pass that was 16 % off, and without the last an sd at the mouth of a funnel that was 80 % off.
All of this is checked once more with four times as many points, and these are what counts: where a tail is not covered,
more points do not make it better known, but show that it is there.

A mixture that is refused grows where its weights are large (:mod:`guidebench.inference.incremental`), three times at
most, and passes the same checks with points of its own.  So does one that passes them with weights worth less than
half of what they would be, were the posterior a Gaussian at which all of it stands: a posterior of another shape, as a
banana, may have arms where no point fell, of which no weight tells (in trials an sd was 12 to 25 % short).  If what it
grows into is worth no more than that either, the one that passes is believed only where the two have the same moments,
within .05 sd and 7.5 %.  In 25 dimensions and more half of that is less than a tenth of the points, and says nothing.

Where draws of chains are at hand, which know of correlations and tails that no curvature at a mode tells, another one
stands about these, in more dimensions.  It is believed only where it agrees with them.

What no component covers is not seen: a mode that no search has met, and no tail of another reaches.  Where the search
itself expects as many modes again as it has met, nothing is believed.

References
----------
Owen & Zhou (2000), Safe and effective importance sampling, JASA 95(449), doi:10.1080/01621459.2000.10473909;
Veach & Guibas (1995), Optimally combining sampling techniques, SIGGRAPH 95, doi:10.1145/218380.218498;
Vehtari et al. (2024), Pareto Smoothed Importance Sampling, JMLR 25(72), arXiv:1507.02646.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped
from scipy.special import logsumexp

from guidebench.inference.component import Component, Part, log_mixture
from guidebench.inference.incremental import Grown, grow
from guidebench.inference.modes import Landscape
from guidebench.inference.peaks import Mode, nearest
from guidebench.inference.pointwise import Pointwise
from guidebench.inference.weighted import Tail, effective, lacking, moments, resampled, tails
from guidebench.results.inference_data import log_mean_of_smoothed, pareto_smooth
from guidebench.results.work import NOTHING, Work

#: Coordinates up to which a mixture stands about what the search found, and about draws.
MOST_DIMENSIONS = 30
MOST_REPEATED = 50

POINTS = 40_000

#: Draws that are made of the weighted points.
DRAWS = 20_000

#: Degrees of freedom, and the scales at which every place is covered.
FREEDOM = 3.0
SCALES = (1.0, 3.0)

#: Share of the Gaussians along the paths of the search, which are there for what no mode covers.
ALONG_PATHS = 0.3

#: Shares and degrees of freedom about draws, at their scale and at twice that.  The rest is what covers all that the
#: search found: chains from one mode alone must not hide the others.
ABOUT_DRAWS = ((0.65, 7.0, 1.0), (0.25, 3.0, 2.0))

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

#: Share of what the weights would be worth were the posterior a Gaussian that the whole mixture stands at, below which
#: it has another shape, and what is missing need not show: another mixture must agree, up to so much of a mean, in sds,
#: and of an sd, as a share.
LIKE_A_GAUSSIAN = 0.5
MEAN_CONFIRMED = 0.05
SD_CONFIRMED = 0.075
UNCONFIRMED = "its weights are worth little for so few coordinates, and nothing that it grew out of confirms it"

#: Quantiles of a distance, to take a mean over it.
QUANTILES = 2_000

#: How many times the points are drawn for the second look.
MORE = 4

#: How often a mixture grows, at most; where its weights are not worth so many times as much after that, nor what is
#: sure, there is no other time.
GROWTHS = 3
GAIN = 1.5

#: Largest difference of the log evidence of two looks, in nats, beyond four of its standard errors.
EVIDENCE_APART = 0.1

#: Largest difference of a mean, in sds, and of an sd, as a share, from the draws that a mixture stands about.
MEAN_APART = 0.1
SD_APART = 0.15


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


def witness(
    pointwise: Pointwise, landscape: Landscape, seed: int, draws: Float64[np.ndarray, "S D"] | None = None
) -> Mixture:
    """Return the posterior by importance sampling: from the first mixture, or from what it grows into.

    Parameters
    ----------
    pointwise : Pointwise
        The target and its latent sites at points.
    landscape : Landscape
        What a search has found of it.
    seed : int
        Of all random numbers.
    draws : ndarray, optional
        Unconstrained draws that stand for the posterior, as those of settled chains do: the mixture stands about them,
        and nothing is added to it.
    """
    components = covering(landscape)
    refusal = _out_of_reach(pointwise.dim, landscape, components, by_itself=draws is None)
    if refusal:
        return Mixture(accepted=False, reason=refusal)
    rng = np.random.default_rng(seed)
    look = partial(_looked_at, pointwise, landscape.modes, rng)
    if draws is None:
        return _grown(pointwise, Grown(components), look, rng)
    around = about(draws, components)
    if around is None:
        return Mixture(accepted=False, reason="the draws that it stands about have no covariance")
    return look(around, draws).result


def _grown(pointwise: Pointwise, mixture: Grown, look: Callable[..., Sampled], rng: np.random.Generator) -> Mixture:
    """Return what the first mixture tells that passes its checks; each has grown out of the one before."""
    points, work = 0, NOTHING
    enough = LIKE_A_GAUSSIAN * worth_of_a_gaussian(pointwise.dim)
    before: Sampled | None = None
    for growth in range(GROWTHS + 1):
        found = look(mixture.components)
        points, work = points + found.result.points, work + found.result.work
        if found.result.accepted and found.worth >= enough:
            break
        if before is not None and _confirmed(before, found):
            found = found if found.result.accepted else before
            break
        hopeless = before is not None and found.worth < min(GAIN * before.worth, SURE)
        if growth == GROWTHS or hopeless or not found.worth:
            found = found.refused(UNCONFIRMED) if found.result.accepted else found
            break
        before, some = found, slice(None, None, max(len(found.points) // POINTS, 1))
        mixture, count = grow(mixture, partial(_log_density, pointwise), found.points[some], found.log_p[some], rng)
        points, work = points + count, work + pointwise.work(count)
    return replace(found.result, points=points, work=work)


def _confirmed(before: Sampled, found: Sampled) -> bool:
    """Return whether a mixture and the one that it grew out of, of which one is accepted, have the same moments.

    The other may have too few points in the right places, but none of its sums may rest on few of them.
    """
    if not (before.settles and found.settles and (before.result.accepted or found.result.accepted)):
        return False
    shift, share = _off(found, *moments(before.points, before.weights))
    return bool(np.all(shift <= MEAN_CONFIRMED) and np.all(share <= SD_CONFIRMED))


def _off(
    found: Sampled, mean: Float64[np.ndarray, " D"], sd: Float64[np.ndarray, " D"]
) -> tuple[Float64[np.ndarray, " D"], Float64[np.ndarray, " D"]]:
    """Return how far other means are from those of weighted points, in sds of these, and other sds, as a share."""
    own, spread = moments(found.points, found.weights)
    return np.abs(mean - own) / spread, np.abs(sd / spread - 1)


def worth_of_a_gaussian(dim: int) -> float:
    r"""Return what the weights would be worth were the posterior a Gaussian at which all of the mixture stands.

    As a share of the points: :math:`1 / \mathrm{E}_p[p / q]`, where p is the standard normal of so many coordinates and
    q the components about it, by the quantiles of :math:`\chi^2_D`, for both depend on the distance alone.
    """
    from scipy.stats import chi2

    at = np.sqrt(chi2.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES, dim))
    points = np.concatenate([at[:, None], np.zeros((QUANTILES, dim - 1))], axis=1)
    around = tuple(_standing([(np.zeros(dim), np.eye(dim))], 1.0))
    normal = -dim / 2 * np.log(2 * np.pi) - at**2 / 2
    return 1 / float(np.mean(np.exp(normal - log_mixture(around, points))))


def _looked_at(
    pointwise: Pointwise,
    modes: Sequence[Mode],
    rng: np.random.Generator,
    components: Sequence[Component],
    draws: Float64[np.ndarray, "S D"] | None = None,
) -> Sampled:
    """Return points of a mixture that passes its checks once more with more of them, or those that it failed with."""
    first = sampled(pointwise, components, modes, rng)
    reason = first.unsure() if draws is None else _differing(first, draws) if first.result.accepted else ""
    if reason:
        return first.refused(reason, contradicts=draws is not None, settles=draws is None)
    if not first.result.accepted:
        return first
    again = sampled(pointwise, components, modes, rng, MORE * POINTS)
    reason = f"with more points {again.result.reason}" if not again.result.accepted else _apart(first, again)
    result = replace(
        again.result, points=first.result.points + again.result.points, work=first.result.work + again.result.work
    )
    again = again._replace(result=result)
    return again.refused(reason) if reason else again


def _log_density(pointwise: Pointwise, points: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, " S"]:
    return _usable(*pointwise(points))


def _usable(
    log_p: Float64[np.ndarray, " S"], latents: Mapping[str, Shaped[np.ndarray, "S ..."]]
) -> Float64[np.ndarray, " S"]:
    """Return the log density, minus infinity where it, or a latent site, is no number."""
    usable = ~np.isnan(log_p)
    for value in latents.values():
        usable &= np.isfinite(value.reshape(len(log_p), -1)).all(axis=1)
    return np.where(usable, log_p, -np.inf)


def covering(landscape: Landscape) -> tuple[Component, ...]:
    """Return the components of the first mixture.

    They stand at every mode, however light, at the best Gaussian, and at local ones along the paths of the search: a
    funnel has no mode in its neck, nor anywhere else.
    """
    main = [(one.location, one.factor) for one in (*landscape.modes, *landscape.minor)]
    if landscape.best is not None:
        main.append((landscape.best.mean, landscape.best.factor))
    kept = [(one.mean, one.factor) for one in landscape.kept]
    shared = ALONG_PATHS if main and kept else 0.0
    return (*_standing(main, 1 - shared), *_standing(kept, shared or 1.0))


def _standing(places: Sequence[tuple[Any, Any]], share: float) -> Iterator[Component]:
    """Yield Student t densities at places, at every scale, which get that share together."""
    for location, factor in places:
        for scale in SCALES:
            part = share / len(places) / len(SCALES)
            yield Component(location=location, factor=scale * factor, freedom=FREEDOM, share=part)


def about(draws: Float64[np.ndarray, "S D"], first: Sequence[Component] = ()) -> tuple[Component, ...] | None:
    """Return the components about draws, or ``None`` where these have no covariance.

    Parameters
    ----------
    draws : ndarray
        Shape ``(S, D)``.
    first : sequence of Component
        What covers all that the search found, and gets what is left of the shares.
    """
    mean = draws.mean(axis=0)
    covariance = np.atleast_2d(np.cov(draws.T))
    if not np.isfinite(covariance).all():
        return None
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return None
    rest = 1 - sum(share for share, _, _ in ABOUT_DRAWS) if first else 0.0
    near = [
        # A t has more variance than its scale says.
        Component(
            location=mean,
            factor=scale * np.sqrt((freedom - 2) / freedom) * factor,
            freedom=freedom,
            share=share / sum(share for share, _, _ in ABOUT_DRAWS) * (1 - rest),
        )
        for share, freedom, scale in ABOUT_DRAWS
    ]
    return (*near, *(replace(one, share=one.share * rest) for one in first))


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


def _out_of_reach(dim: int, landscape: Landscape, components: Sequence[Component], *, by_itself: bool) -> str:
    """Return why no points are worth drawing, or nothing."""
    if landscape.lacking:
        return f"more modes are likely than the {len(landscape.modes)} it would stand at"
    most = MOST_DIMENSIONS if by_itself else MOST_REPEATED
    if dim > most:
        return f"it reaches {most} coordinates, and there are {dim:,}"
    return "" if components or not by_itself else "the search has found nothing to put it at"


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


def _apart(first: Sampled, again: Sampled) -> str:
    """Return how two sets of points of one mixture contradict each other, or nothing."""
    one, two = first.result, again.result
    difference = abs(one.log_evidence - two.log_evidence)
    if difference <= EVIDENCE_APART + 4 * float(np.hypot(one.log_evidence_mcse, two.log_evidence_mcse)):
        return ""
    return f"two rounds of it give log evidences that are {difference:.2f} nat apart"


def _differing(found: Sampled, draws: Float64[np.ndarray, "S D"]) -> str:
    """Return how weighted points contradict the draws that they stand about, or nothing."""
    shift, share = _off(found, draws.mean(axis=0), draws.std(axis=0))
    if np.all(shift <= MEAN_APART) and np.all(share <= SD_APART):
        return ""
    return (
        f"it contradicts the chains that it stands about: means by up to {shift.max():.2f} sd, "
        f"sds by up to {share.max():.0%}"
    )
