r"""How wrong draws may be that are called right, and what noise may do to a look at thousands of components.

An error is known with a Monte Carlo error. Looked at n of them, the largest noise is about
:math:`\sqrt{2 \log n}` of its errors, so that is allowed for, and two where there are few:

.. math:: z_n = \max(2, \sqrt{2 \log n})

Draws are wrong where an error is beyond its limit by more than :math:`z_n` of its Monte Carlo errors.  They are right
where none is, and every one is known well enough: what is allowed to noise is never more than :data:`RESOLUTION`.
Between the two nothing can be told.  So neither word depends on how many latents there are, but on how well each of
their errors is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guidebench.contracts import MetricValue

#: Largest errors of a mean, in sds of the posterior, and of an sd, as a share, in draws that are right.
MEAN_ERROR = 0.10
SD_ERROR = 0.15

#: The most, in the same units, by which an error that is known badly may be beyond its limit in draws called right.
RESOLUTION = 0.05

#: Monte Carlo errors that are allowed to noise, however few components there are.
LEAST_ALLOWED = 2.0

#: Metrics by name, each with one value per component and one without a component's name, the largest.
Numbers = Mapping[str, Sequence[MetricValue]]


def allowance(components: int) -> float:
    """Return how many Monte Carlo errors the noise of the largest of so many errors may take."""
    return max(LEAST_ALLOWED, math.sqrt(2 * math.log(max(components, 1))))


@dataclass(frozen=True, kw_only=True)
class Errors:
    """The errors of means and sds of all components, held against their limits.

    Attributes
    ----------
    right : bool or None
        Whether all are within the limits; ``None`` where they are not known well enough to tell.
    said : str
        What was seen, as a clause.
    mean, sd : float
        The largest error of a mean, in sds, and of an sd, as a share.
    """

    right: bool | None
    said: str
    mean: float
    sd: float


def errors(numbers: Numbers, mean: str, sd: str) -> Errors | None:
    """Return the errors that two metrics hold, or ``None`` where one of them is missing."""
    means, sds = numbers.get(mean, ()), numbers.get(sd, ())
    if not means or not sds:
        return None
    beyond = [
        text.format(worst.value) + (f" ({worst.variable})" if worst.variable else "")
        for found, limit, text in (
            (means, MEAN_ERROR, "a mean is off by {:.2f} sd"),
            (sds, SD_ERROR, "an sd is off by {:.0%}"),
        )
        if (worst := _worst(_beyond(found, limit))) is not None
    ]
    largest_mean, largest_sd = (max(one.value for one in found) for found in (means, sds))
    if beyond:
        return Errors(right=False, said=" and ".join(beyond), mean=largest_mean, sd=largest_sd)
    if _known(means, MEAN_ERROR) and _known(sds, SD_ERROR):
        said = f"no mean is off by more than {largest_mean:.2f} sd and no sd by more than {largest_sd:.0%}"
        return Errors(right=True, said=said, mean=largest_mean, sd=largest_sd)
    mean_room, sd_room = _room(means), _room(sds)
    said = f"there is room for an error of {mean_room:.2f} sd of a mean and {sd_room:.0%} of an sd"
    return Errors(right=None, said=said, mean=largest_mean, sd=largest_sd)


def _allowed(found: Sequence[MetricValue]) -> float:
    return allowance(sum(bool(one.variable) for one in found))


def _room(found: Sequence[MetricValue]) -> float:
    """Return how large an error may be, noise included."""
    allowed = _allowed(found)
    return max(one.value + allowed * (one.mcse or 0.0) for one in found)


def _beyond(found: Sequence[MetricValue], limit: float) -> list[MetricValue]:
    """Return what is surely beyond its limit; each counts with its own error, and what is no number is beyond."""
    allowed = _allowed(found)
    return [one for one in found if not one.value - allowed * (one.mcse or 0.0) <= limit]


def _known(found: Sequence[MetricValue], limit: float) -> bool:
    allowed = _allowed(found)
    return all(one.value <= limit + min(allowed * (one.mcse or 0.0), RESOLUTION) for one in found)


def _worst(found: Sequence[MetricValue]) -> MetricValue | None:
    """Return the largest, by the name of its component where it has one."""
    return max(found, key=lambda one: (one.value, bool(one.variable)), default=None)
