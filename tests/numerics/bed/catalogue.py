"""All problems of the test bed, by name."""

from __future__ import annotations

from tests.numerics.bed import (
    boundaries,
    changepoints,
    collinear,
    counts,
    funnels,
    heavy,
    improper,
    labels,
    many_gaussian,
    many_other,
    modes,
    offsets,
    ridges,
    scales,
    spikes,
)
from tests.numerics.bed.problem import BedProblem

#: One module a class, in the order in which they are shown.
CLASSES = (
    heavy,
    scales,
    funnels,
    ridges,
    spikes,
    modes,
    labels,
    boundaries,
    collinear,
    offsets,
    counts,
    changepoints,
    improper,
    many_gaussian,
    many_other,
)

KINDS = tuple(module.KIND for module in CLASSES)


def problems() -> dict[str, BedProblem]:
    """Return every problem by its name."""
    found = [one for module in CLASSES for one in module.problems()]
    names = [one.name for one in found]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"these names are used more than once: {sorted(repeated)}")
    return dict(zip(names, found, strict=True))
