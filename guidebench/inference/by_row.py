"""Whether the rows of a model can be predicted apart: each is the same whatever other rows stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from numpyro.handlers import seed, substitute, trace

from guidebench.inference.arguments import Arguments
from guidebench.inference.predict import Unobserved, runs, without_observations
from guidebench.inference.structure import ModelStructure

#: How far numbers may be apart that are the same but for rounding: relatively, and absolutely.
SAME = 1e-4, 1e-5


def each_alone(
    model: Callable[..., Any],
    structure: ModelStructure,
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    rows: int,
    shared: int,
) -> bool:
    """Return whether the rows that two sets of arguments share are the same in both.

    A model that centres a column, or tells a mean over all rows, says something else of each with other rows beside it.

    Parameters
    ----------
    model : callable
        The NumPyro model.
    structure : ModelStructure
        Of the model with its training arguments.
    one, other : mapping
        Arguments by name, of the same shapes.
    given : mapping
        One value of each latent site, and of each parameter of the model's own.
    rows, shared : int
        How many rows each has, and how many of them, the first, are the same in both.
    """
    first, second = (_sites(model, structure, values, given) for values in (one, other))
    for site in (*structure.deterministics, *structure.observed):
        if site.name not in first or site.name not in second:
            return False
        mine, theirs = first[site.name], second[site.name]
        if not _same(_told(mine, mine["value"]), _told(theirs, mine["value"]), shared, rows):
            return False
    return True


def _sites(
    model: Callable[..., Any], structure: ModelStructure, values: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    unset = without_observations(model, values, structure)
    arguments = Arguments.split(model, unset if runs(model, unset) else values)
    args, kwargs = arguments.call(model, arguments.arrays)
    run = seed(Unobserved(substitute(model, dict(given))), jax.random.key(0))
    found: dict[str, Any] = trace(run).get_trace(*args, **kwargs)
    return found


def _told(site: Mapping[str, Any], value: Any) -> np.ndarray:
    """Return the value of a deterministic site, or what the distribution of another says of a value."""
    return np.asarray(site["value"] if site["type"] == "deterministic" else site["fn"].log_prob(value))


def _same(one: np.ndarray, other: np.ndarray, shared: int, rows: int) -> bool:
    """Compare the rows that are shared, or all of what has no rows."""
    if one.shape != other.shape:
        return False
    if one.shape[:1] == (rows,):
        one, other = one[:shared], other[:shared]
    return bool(np.allclose(one, other, rtol=SAME[0], atol=SAME[1], equal_nan=True))
