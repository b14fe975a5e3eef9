r"""The posterior by importance sampling from a guide that is defended by wide tails.

A guide's own weights are blind where it has no draws.  Half of the points therefore come from the mixture about what
the search found (:mod:`guidebench.inference.mixture`), half from the guide, and all are weighed against both,

.. math:: w_s = \frac{\pi(u_s)}{q(u_s) / 2 + \sum_k a_k\, t_{\nu_k}(u_s \mid m_k, F_k) / 2}

so that no weight is large where either covers the point: at most twice what it is under the guide alone, or under the
mixture alone.  A flow that is nearly right is thereby known to be so where neither chains settle nor Student t
densities fit, as at the neck of a funnel.

References
----------
Hesterberg (1995), Weighted average importance sampling and defensive mixture distributions, Technometrics 37(2),
doi:10.1080/00401706.1995.10484303.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from guidebench.inference.covering import covering
from guidebench.inference.mixture import MOST_DIMENSIONS
from guidebench.inference.modes import Landscape
from guidebench.inference.pointwise import Pointwise
from guidebench.inference.weighing import Mixture, sampled

#: The guide's share.
SHARE = 0.5

#: Largest tail shape of the weights: a guide has not as many draws as a second look with more of them needs, and of a
#: banana in ten dimensions k-hat of .65 let an sd pass that was 24 % short.
MOST_KHAT_AT_ONCE = 0.5

#: Draws of the guide that are weighed.
MOST_DRAWN = 20_000

LogDensity = Callable[[Float64[np.ndarray, "S D"]], Float64[np.ndarray, " S"]]


@dataclass(frozen=True, kw_only=True)
class OfGuide:
    """A guide as a part of a mixture.

    Attributes
    ----------
    draws : ndarray
        Independent draws of it, shape ``(S, D)``.
    density : callable
        Its log density at any points, in nats.
    share : float
        Of the mixture.
    """

    draws: Float64[np.ndarray, "S D"]
    density: LogDensity
    share: float = SHARE

    def draw(self, count: int, rng: np.random.Generator) -> Float64[np.ndarray, "C D"]:
        """Return so many of its draws, each once as long as there are enough."""
        order = rng.permutation(len(self.draws))
        return self.draws[np.resize(order, count)]

    def log_density(self, points: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, " S"]:
        """Return the log density of points, in nats."""
        return self.density(points)


def defended(pointwise: Pointwise, landscape: Landscape, guide: OfGuide, seed: int) -> Mixture:
    """Return the posterior by importance sampling from a guide and what the search found.

    Parameters
    ----------
    pointwise : Pointwise
        The target and its latent sites at points.
    landscape : Landscape
        What a search has found of it.
    guide : OfGuide
        The guide.
    seed : int
        Of all random numbers.
    """
    if pointwise.dim > MOST_DIMENSIONS:
        reason = f"it reaches {MOST_DIMENSIONS} coordinates, and there are {pointwise.dim:,}"
        return Mixture(accepted=False, reason=reason)
    if landscape.lacking:
        return Mixture(accepted=False, reason=f"more modes are likely than the {len(landscape.modes)} that were met")
    around = [replace(one, share=one.share * (1 - guide.share)) for one in covering(landscape)]
    if not around:
        return Mixture(accepted=False, reason="the search has found nothing to defend it with")
    found = sampled(pointwise, (guide, *around), landscape.modes, np.random.default_rng(seed))
    reason = found.unsure() or _heavy(found.result)
    return found.refused(reason).result if reason else found.result


def _heavy(found: Mixture) -> str:
    """Return why weights that are looked at once are not good enough, or nothing."""
    if not found.accepted or found.khat <= MOST_KHAT_AT_ONCE:
        return ""
    return f"k-hat of its weights is {found.khat:.2f} (at most {MOST_KHAT_AT_ONCE} is needed)"
