"""Which numbers of single components are kept where there are thousands: those of the components that are worst."""

from __future__ import annotations

from collections.abc import Sequence

from guidebench.analysis.sources import DECIDING
from guidebench.contracts import MetricValue

#: Components whose numbers are kept, about.
MOST_LISTED = 1_000


def listed(metrics: Sequence[MetricValue], most: int = MOST_LISTED) -> tuple[tuple[MetricValue, ...], str]:
    """Return the metrics to keep, and what is said of the others; nothing where all are kept.

    The verdict rests on all components.  Of more than `most`, the worst by each error are kept, with the smallest and
    the largest value of every metric, and all that is of no single component.

    Parameters
    ----------
    metrics : sequence of MetricValue
        Those of one fit.
    most : int
        How many components may be kept.
    """
    components = dict.fromkeys(one.variable for one in metrics if one.variable)
    if len(components) <= most:
        return tuple(metrics), ""
    by_metric: dict[str, list[MetricValue]] = {}
    for one in metrics:
        if one.variable:
            by_metric.setdefault(one.metric, []).append(one)
    deciding = [name for name in by_metric if name in DECIDING]
    kept: set[str] = set()
    for name in deciding:
        ordered = sorted(by_metric[name], key=lambda one: -one.value)
        kept.update(one.variable for one in ordered[: most // len(deciding)])
    for found in by_metric.values():
        kept.update(pick(found, key=lambda one: one.value).variable for pick in (min, max))
    if not deciding:
        kept.update(list(components)[:most])
    said = f"numbers of {len(kept):,} of {len(components):,} components are kept, those with the largest errors"
    return tuple(one for one in metrics if not one.variable or one.variable in kept), said
