r"""How wrong draws may be that are called right, and what noise may do to a look at thousands of components.

An error is known with a Monte Carlo error. Looked at n of them, the largest noise is about
:math:`\sqrt{2 \log n}` of its errors, so that is allowed for, and two where there are few:

.. math:: z_n = \max(2, \sqrt{2 \log n})

Draws are wrong where an error is beyond its limit by more than :math:`z_n` of its Monte Carlo errors.  They are right
where none is beyond 80 % of its limit, or four of its errors below that limit, by more than what the noise of n adds
to that of one, :math:`\sqrt{2 \log n} - 1`, and at most by :data:`RESOLUTION`, as long as each is known to half its
limit: whoever is told that draws are right is to find them so.  An error is excused by noise only where it probably is
within its limit without it, judged by how much the errors of all differ
(:func:`~guidebench.results.noise.without_noise`): where they differ by more than noise, the largest is not the largest
by noise alone.  Between the two nothing can be told.  So neither word depends on how many latents there are, but on how
well each of their errors is known.  Of an sd no more noise is added than normal draws have, for that of a heavy tail is
in the draws themselves: who uses them meets it.

Draws that were repaired are used as they came out: what noise did to them is an error of theirs, and no excuse.  So for
them no more than :data:`SLACK` is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from guidebench.contracts import MetricValue
from guidebench.results.noise import added, allowance, without_noise

#: Largest errors of a mean, in sds of the posterior, and of an sd, as a share, in draws that are right.
MEAN_ERROR = 0.10
SD_ERROR = 0.15

#: The most, in the same units, by which an error that is known badly may be beyond its limit in draws called right;
#: and in draws that were repaired.
RESOLUTION = 0.08
SLACK = 0.02

#: The Monte Carlo error of an sd, as a share, that a few thousand normal draws on either side have at most.
NORMAL_NOISE = 0.02

#: An error is surely within its limit where it is so by so many of its Monte Carlo errors, or up to this share of it;
#: and it has to be known to that one.
MARGIN = 4.0
SURELY = 0.8
WELL_KNOWN = 0.5

#: Metrics by name, each with one value per component and one without a component's name, the largest.
Numbers = Mapping[str, Sequence[MetricValue]]


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


class _Seen(NamedTuple):
    """One metric of all components, held against its limit.

    Attributes
    ----------
    wrong : MetricValue or None
        The largest that is surely beyond, by the name of its component where it has one.
    known : bool
        Whether every one is known well enough, and is within, or seems not to be by noise alone.
    largest, room : float
        The largest value, and the largest that noise leaves room for.
    """

    wrong: MetricValue | None
    known: bool
    largest: float
    room: float


def errors(numbers: Numbers, mean: str, sd: str, resolution: float = RESOLUTION) -> Errors | None:
    """Return the errors that two metrics hold, or ``None`` where one of them is missing."""
    if not numbers.get(mean) or not numbers.get(sd):
        return None
    means = _seen(numbers[mean], MEAN_ERROR, resolution)
    sds = _seen(numbers[sd], SD_ERROR, resolution, most=NORMAL_NOISE)
    wrong = [
        text.format(one.value) + (f" ({one.variable})" if one.variable else "")
        for one, text in ((means.wrong, "a mean is off by {:.2f} sd"), (sds.wrong, "an sd is off by {:.0%}"))
        if one is not None
    ]
    if wrong:
        right, said = False, " and ".join(wrong)
    elif means.known and sds.known:
        right, said = (
            True,
            f"no mean is off by more than {means.largest:.2f} sd and no sd by more than {sds.largest:.0%}",
        )
    else:
        right, said = None, f"there is room for an error of {means.room:.2f} sd of a mean and {sds.room:.0%} of an sd"
    return Errors(right=right, said=said, mean=means.largest, sd=sds.largest)


def _seen(found: Sequence[MetricValue], limit: float, resolution: float, most: float = math.inf) -> _Seen:
    """Hold every component against the limit with its own error: one known badly must not hide one known well.

    No more of an error than `most` excuses what is beyond a limit.
    """
    count = sum(bool(one.variable) for one in found)
    allowed = allowance(count)
    noise = [(one, allowed * (one.mcse or 0.0)) for one in found]
    wrong = [one for one, by_chance in noise if not one.value - by_chance <= limit]  # and so is what is no number
    known = not wrong and all((one.mcse or 0.0) <= WELL_KNOWN * limit for one in found)
    return _Seen(
        wrong=max(wrong, key=lambda one: (one.value, bool(one.variable)), default=None),
        known=known and _within(found, limit, resolution, most),
        largest=max(one.value for one in found),
        room=max(one.value + by_chance for one, by_chance in noise),
    )


def _within(found: Sequence[MetricValue], limit: float, resolution: float, most: float) -> bool:
    """Return whether every component is surely within the limit, or seems not to be by noise alone."""
    each = [one for one in found if one.variable] or found  # without the largest, which is one of them
    values = np.array([one.value for one in each])
    errors = np.array([one.mcse or 0.0 for one in each])
    noise = np.minimum(errors, most)
    surely = limit - np.minimum((1 - SURELY) * limit, MARGIN * errors)
    excused = values <= surely + np.minimum(added(len(each)) * noise, resolution)
    if resolution > SLACK:
        excused &= without_noise(values, noise) <= limit
    return bool(np.all((values <= surely) | excused))
