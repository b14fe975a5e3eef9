"""Where training starts: the same points for every guide, one per restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from guidebench.config import RunConfig
from guidebench.contracts import Problem
from guidebench.inference.arguments import Arguments
from guidebench.inference.gaussians import Gaussian
from guidebench.inference.modes import Landscape, explore
from guidebench.inference.recipe import Recipe
from guidebench.inference.start import check, starting_points, strategy
from guidebench.inference.structure import ModelStructure
from guidebench.inference.target import Target
from guidebench.seeds import derive

#: Starting points of the search for modes, at least.
SEARCHES = 8


@dataclass(frozen=True, kw_only=True)
class Starts:
    """Where the restarts begin, and what was found out about the posterior on the way there.

    Attributes
    ----------
    values : mapping of str to ndarray
        Latent sites, leading axis R.
    valid : ndarray of bool
        Whether the log density and its gradient are finite there, shape ``(R,)``.
    points : ndarray or None
        The same points in unconstrained coordinates, shape ``(R, D)``, where there is a `target`.
    """

    values: Mapping[str, np.ndarray]
    valid: np.ndarray
    points: np.ndarray | None = None
    target: Target | None = None
    landscape: Landscape | None = None


def find_starts(
    problem: Problem,
    values: Mapping[str, Any],
    arguments: Arguments,
    structure: ModelStructure,
    config: RunConfig,
    recipe: Recipe,
) -> Starts:
    """Return the common starting points: the strategy's, or points about what a search from those found.

    A model with parameters of its own is another one for every guide: nothing is searched.
    """
    searching = recipe.standardise and not structure.params
    count = max(recipe.restarts, SEARCHES) if searching else recipe.restarts
    start_keys = keys(config.seed, count, problem.name, "start")
    sites, unconstrained, valid = starting_points(
        start_keys, problem.model, arguments, strategy(config.init, structure)
    )
    kept = {name: value[: recipe.restarts] for name, value in sites.items()}
    plain = Starts(values=kept, valid=np.asarray(valid)[: recipe.restarts])
    if not searching or not np.any(valid):
        return plain
    target = Target.of(problem.model, arguments, structure)
    points = target.flatten(unconstrained).astype(np.float64)
    traced = {name: values[name] for name in arguments.arrays}
    landscape = explore(target, points[np.asarray(valid)], traced, derive(config.seed, problem.name, "search"))
    if config.init != "uniform":
        return replace(plain, points=points[: recipe.restarts], target=target, landscape=landscape)
    local = dict(zip(np.flatnonzero(valid).tolist(), landscape.places, strict=True))
    scattered = np.stack(
        [
            _scatter(point, local.get(index), derive(config.seed, problem.name, "scatter", index))
            for index, point in enumerate(points[: recipe.restarts])
        ]
    )
    moved, finite = check(target, scattered)
    keep = np.asarray(finite)
    return Starts(
        values={
            name: np.where(keep.reshape(-1, *[1] * (value.ndim - 1)), moved[name], value)
            for name, value in kept.items()
        },
        valid=keep | plain.valid,
        points=np.where(keep[:, None], scattered, points[: recipe.restarts]),
        target=target,
        landscape=landscape,
    )


def _scatter(point: np.ndarray, found: Gaussian | None, seed: int) -> np.ndarray:
    """Return a point within a standard deviation of the Gaussian that was found from `point`."""
    if found is None:
        return point
    return np.asarray(found.mean + found.factor @ np.random.default_rng(seed).uniform(-1, 1, len(point)))


def keys(seed: int, count: int, *names: str) -> jax.Array:
    """Return one key per restart, each derived from its own name."""
    return jnp.stack([jax.random.key(derive(seed, *names, index)) for index in range(count)])
