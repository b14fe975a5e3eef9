"""Which guides differ by more than noise.

Two guides count as different only where the difference of their ELBOs is beyond its error, which has
two parts: the draws that estimate each ELBO, and training.  Restart r of every guide begins at the same
point, so the differences between restarts of the same number show how reproducible the comparison is;
what a start does to both guides (which mode it leads to, say) cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from guidebench.results import Fit

#: Standard errors that a difference must exceed.
SIGNIFICANT = 3.0

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
        Its standard error, from draws and restarts together.
    different : bool
        Whether it is more than noise.
    """

    first: str
    second: str
    value: float
    error: float

    @property
    def different(self) -> bool:
        """Whether the difference is beyond three standard errors and a hundredth of a nat."""
        return abs(self.value) > max(SIGNIFICANT * self.error, SMALLEST)


def difference(first: Fit, second: Fit) -> Difference | None:
    r"""Return the difference of two ELBOs, or ``None`` where one has none.

    .. math:: \Delta = \mathrm{ELBO}_1 - \mathrm{ELBO}_2, \qquad
              \mathrm{se}^2 = \mathrm{MCSE}_1^2 + \mathrm{MCSE}_2^2 + \mathrm{var}_r(\Delta_r) / R

    with :math:`\Delta_r` the difference between the restarts from starting point r.
    """
    one, other = first.metric("elbo"), second.metric("elbo")
    if one is None or other is None or not np.isfinite([one.value, other.value]).all():
        return None
    drawing = np.hypot(one.mcse or 0.0, other.mcse or 0.0)
    paired = _paired(first, second)
    training = np.std(paired, ddof=1) / np.sqrt(len(paired)) if len(paired) > 1 else 0.0
    return Difference(
        first=first.guide,
        second=second.guide,
        value=one.value - other.value,
        error=float(np.hypot(drawing, training)),
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


def ties(fits: Sequence[Fit]) -> dict[str, list[str]]:
    """Return for every guide with an ELBO those from which it does not differ by more than noise."""
    tied: dict[str, list[str]] = {fit.guide: [] for fit in fits if fit.metric("elbo") is not None}
    for one in differences(fits):
        if not one.different:
            tied[one.first].append(one.second)
            tied[one.second].append(one.first)
    return tied
