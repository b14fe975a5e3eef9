"""Draws by scalar component: ``theta`` with shape (3,) is ``theta[0]``, ``theta[1]``, ``theta[2]``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from guidebench.analysis.limits import MEAN_ERROR, SD_ERROR
from guidebench.contracts import MetricValue

Array: TypeAlias = NDArray[Any]

#: Dimensions of InferenceData that count draws; all others belong to the site.
SAMPLE_DIMS = ("chain", "draw")


#: Errors of single components by metric, each over the limit that draws are held against.
_ERRORS = {
    f"{moment}_{kind}": limit
    for moment, limit in (("mean", MEAN_ERROR), ("sd", SD_ERROR))
    for kind in ("error", "moved", "shift")
}


@dataclass(frozen=True)
class Component:
    """One scalar of a site."""

    site: str
    index: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The name used in figures and in ``metrics.csv``: ``w``, ``theta[3]``, ``L[1,0]``."""
        return f"{self.site}[{','.join(map(str, self.index))}]" if self.index else self.site


def component_of(name: str) -> Component:
    """Return the component of a name as ``metrics.csv`` has it."""
    site, _, index = name.removesuffix("]").partition("[")
    return Component(site, tuple(map(int, index.split(","))) if index else ())


def components(dataset: xr.Dataset, sites: Iterable[str]) -> Iterator[Component]:
    """Yield the scalar components of the sites that are there, in order."""
    for site in sites:
        if site not in dataset:
            continue
        sizes = [dataset.sizes[dim] for dim in dataset[site].dims if dim not in SAMPLE_DIMS]
        for index in np.ndindex(*sizes):
            yield Component(site, index)


def first(dataset: xr.Dataset, sites: Iterable[str], limit: int) -> tuple[list[Component], int]:
    """Return the first components, at most `limit`, and how many there are in all."""
    names = [site for site in sites if site in dataset]
    counts = [int(np.prod([n for d, n in dataset[s].sizes.items() if d not in SAMPLE_DIMS])) for s in names]
    return list(islice(components(dataset, names), limit)), sum(counts)


def worst(metrics: Iterable[MetricValue], sites: Iterable[str]) -> list[Component]:
    """Return the components of which an error is known, the one with the largest over its limit first."""
    known, errors = frozenset(sites), dict[Component, float]()
    for one in metrics:
        if one.metric in _ERRORS and (component := component_of(one.variable)).site in known:
            error = one.value / _ERRORS[one.metric]
            errors[component] = max(errors.get(component, 0.0), error if error == error else math.inf)
    return sorted(errors, key=lambda component: -errors[component])


def flat(dataset: xr.Dataset, variable: str) -> Array:
    """Return draws with chains joined: shape (draws, *site)."""
    array = dataset[variable]
    lead = [dim for dim in SAMPLE_DIMS if dim in array.dims]
    values = array.transpose(*lead, ...).values
    return np.asarray(values).reshape((-1, *values.shape[len(lead) :]))


def values(dataset: xr.Dataset, component: Component) -> Array:
    """Return the draws of one component as float64, chains joined."""
    index: Any = (..., *component.index)
    return np.asarray(flat(dataset, component.site)[index], dtype=float)


def truth_of(truth: Mapping[str, Any], component: Component) -> float | None:
    """Return the true value of a component, or ``None`` where it is not known."""
    if component.site not in truth:
        return None
    known = np.asarray(truth[component.site], dtype=float)
    try:
        return float(known[component.index])
    except (IndexError, TypeError):  # a truth of another shape says nothing about this component
        return None


def thin(length: int, limit: int) -> Array:
    """Return at most `limit` evenly spaced indices into `length`, both ends included."""
    return np.unique(np.linspace(0, length - 1, min(length, limit)).round().astype(int))


def weights(log_weight: Array) -> Array:
    """Return normalised weights; a non-finite log weight counts as zero.

    Normalised in float64 with the largest taken out first, as exp would overflow otherwise.
    """
    logs = np.asarray(log_weight, dtype=float).ravel()
    logs = np.where(np.isfinite(logs), logs, -np.inf)
    if not np.isfinite(logs).any():
        return np.full(logs.shape, np.nan)
    scaled = np.exp(logs - logs.max())
    return np.asarray(scaled / scaled.sum())


def moments(sample: Array, weight: Array | None = None) -> tuple[float, float]:
    """Return mean and sd of a sample, weighted where there are weights."""
    if weight is None:
        return float(sample.mean()), float(sample.std(ddof=1)) if sample.size > 1 else 0.0
    mean = float(weight @ sample)
    return mean, float(np.sqrt(weight @ (sample - mean) ** 2))


def correlation(columns: Sequence[Array]) -> Array:
    """Return the correlation matrix of columns; a column that does not vary has none (NaN)."""
    stacked = np.stack(columns)
    stacked = stacked[:, np.isfinite(stacked).all(axis=0)]
    centred = stacked - stacked.mean(axis=1, keepdims=True)
    sd = np.sqrt((centred**2).mean(axis=1))
    # Identical draws leave rounding errors behind, whose correlation would be noise.
    sd = np.where(sd > 1e-6 * np.maximum(np.abs(stacked).mean(axis=1), 1e-300), sd, np.nan)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.clip((centred @ centred.T) / centred.shape[1] / np.outer(sd, sd), -1.0, 1.0))
