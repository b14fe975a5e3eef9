"""Which guides differ by more than noise.

Two guides count as different only where the difference of their ELBOs is beyond its error, which has
two parts: the draws that estimate each ELBO, and training.  Restart r of every guide begins at the same
point, so the differences between restarts of the same number show how reproducible the comparison is;
what a start does to both guides (which mode it leads to, say) cancels.  From a single start nothing is
known of that, and no two guides are called different.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import ndtr, stdtrit

from guidebench.results import Fit

#: Standard errors that a difference must exceed, where they are well known.
SIGNIFICANT = 3.0

#: The most errors of training that are asked for, however few restarts there are: of two, one pair of equal guides in
#: twenty is then called different, of three one in 160, of more one in 370.
MOST_ERRORS = -float(stdtrit(1, 0.025))

#: Differences below this many nats do not count: training is not called unsettled for less.
SMALLEST = 0.01

#: A restart so many nats below the best of its guide went wrong, and says nothing about noise.
BROKEN = 10.0


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference between the ELBOs of two guides on one problem.

    Attributes
    ----------
    first, second : str
        The guides.
    value : float
        ELBO of the first minus that of the second, in nats.
    error : float
        Its standard error, from draws and restarts together; not a number where there is one start.
    limit : float
        What noise may reach: three standard errors of the draws, and as many of training as a t distribution
        with so few restarts asks for, at most :data:`MOST_ERRORS`; infinite where there is one start.
    """

    first: str
    second: str
    value: float
    error: float
    limit: float

    @property
    def different(self) -> bool:
        """Whether the difference is beyond its limit and a hundredth of a nat."""
        return abs(self.value) > max(self.limit, SMALLEST)


def difference(first: Fit, second: Fit) -> Difference | None:
    r"""Return the difference of two ELBOs, or ``None`` where one has none.

    .. math:: \Delta = \mathrm{ELBO}_1 - \mathrm{ELBO}_2, \qquad
              \mathrm{se}^2 = \mathrm{MCSE}_1^2 + \mathrm{MCSE}_2^2 + \mathrm{var}_r(\Delta_r)

    with :math:`\Delta_r` the difference between the restarts from starting point r.  It is not divided by
    their number: the guides are represented by one restart each, not by a mean.  With fewer than two
    shared restarts the error is not a number.
    """
    one, other = first.metric("elbo"), second.metric("elbo")
    if one is None or other is None or not np.isfinite([one.value, other.value]).all():
        return None
    drawing = np.hypot(one.mcse or 0.0, other.mcse or 0.0)
    paired = _paired(first, second)
    training = np.std(paired, ddof=1) if len(paired) > 1 else np.nan
    quantile = min(-float(stdtrit(len(paired) - 1, ndtr(-SIGNIFICANT))), MOST_ERRORS) if len(paired) > 1 else np.inf
    return Difference(
        first=first.guide,
        second=second.guide,
        value=one.value - other.value,
        error=float(np.hypot(drawing, training)),
        limit=float(np.hypot(SIGNIFICANT * drawing, quantile * training)) if len(paired) > 1 else np.inf,
    )


def _paired(first: Fit, second: Fit) -> np.ndarray:
    """Return the differences between restarts from the same point, those that went wrong left out."""
    sides = []
    for fit in (first, second):
        elbos = {one.index: one.elbo for one in fit.restarts if one.elbo is not None and np.isfinite(one.elbo)}
        best = max(elbos.values(), default=0.0)
        sides.append({index: elbo for index, elbo in elbos.items() if elbo > best - BROKEN})
    shared = sides[0].keys() & sides[1].keys()
    return np.array([sides[0][index] - sides[1][index] for index in sorted(shared)])


def differences(fits: Sequence[Fit]) -> list[Difference]:
    """Return the differences between all pairs of guides that have an ELBO, the best guides first."""
    scored = sorted(
        (fit for fit in fits if difference(fit, fit) is not None), key=lambda fit: -(fit.value("elbo") or 0)
    )
    found = (difference(first, second) for first, second in combinations(scored, 2))
    return [one for one in found if one is not None]
