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

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Float64

from guidebench.inference.component import Component
from guidebench.inference.covering import about, covering, worth_of_a_gaussian
from guidebench.inference.incremental import Grown, grow
from guidebench.inference.modes import Landscape
from guidebench.inference.peaks import Mode
from guidebench.inference.pointwise import Pointwise
from guidebench.inference.weighing import POINTS, SURE, Mixture, Sampled, log_density, sampled
from guidebench.inference.weighted import moments
from guidebench.results.work import NOTHING

#: Coordinates up to which a mixture stands about what the search found, and about draws.
MOST_DIMENSIONS = 30
MOST_REPEATED = 50

#: Share of what the weights would be worth were the posterior a Gaussian that the whole mixture stands at, below which
#: it has another shape, and what is missing need not show: another mixture must agree, up to so much of a mean, in sds,
#: and of an sd, as a share.
LIKE_A_GAUSSIAN = 0.5
MEAN_CONFIRMED = 0.05
SD_CONFIRMED = 0.075
UNCONFIRMED = "its weights are worth little for so few coordinates, and nothing that it grew out of confirms it"

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
        mixture, count = grow(mixture, partial(log_density, pointwise), found.points[some], found.log_p[some], rng)
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


def _out_of_reach(dim: int, landscape: Landscape, components: Sequence[Component], *, by_itself: bool) -> str:
    """Return why no points are worth drawing, or nothing."""
    if landscape.lacking:
        return f"more modes are likely than the {len(landscape.modes)} it would stand at"
    most = MOST_DIMENSIONS if by_itself else MOST_REPEATED
    if dim > most:
        return f"it reaches {most} coordinates, and there are {dim:,}"
    return "" if components or not by_itself else "the search has found nothing to put it at"


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
