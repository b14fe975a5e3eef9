"""Where training starts: the same points for every guide, one per restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from guidebench.config import RunConfig
from guidebench.config.seeds import derive
from guidebench.engine.minibatches import Inspected
from guidebench.inference.arguments import Arguments
from guidebench.inference.enumeration import marked
from guidebench.inference.gaussians import Gaussian
from guidebench.inference.large import explore_large
from guidebench.inference.modes import Landscape
from guidebench.inference.recipe import Recipe
from guidebench.inference.start import check, prior_points, starting_points, strategy
from guidebench.inference.subsampling import Stratified
from guidebench.inference.target import Target

#: Starting points of the search for modes, at least, and as many from the prior.
SEARCHES = 8

#: Those of the prior that are moved away from its middle, and how far.
OVERDISPERSED = 3
FARTHER = 2.0


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


def find_starts(inspected: Inspected, config: RunConfig, recipe: Recipe) -> Starts:
    """Return the common starting points: the strategy's, or points about what a search from those found.

    The search begins at as many points of the prior besides, for no point near the origin leads to a mode
    that is far from it.  A model with parameters of its own is another one for every guide: nothing is
    searched.
    """
    problem, values, arguments, structure, minibatches = inspected
    searching = recipe.standardise and not structure.params
    count = max(recipe.restarts, SEARCHES) if searching else recipe.restarts
    start_keys = keys(config.seed, count, problem.name, "start")
    looked_at = problem.model, arguments
    if minibatches is not None and not minibatches.local:  # a part of the data says as well what is finite
        looked_at = Stratified(minibatches.model), minibatches.arguments
    if structure.discrete:
        looked_at = marked(problem.model), arguments
    sites, unconstrained, valid = starting_points(start_keys, *looked_at, strategy(config.init, structure))
    kept = {name: value[: recipe.restarts] for name, value in sites.items()}
    plain = Starts(values=kept, valid=np.asarray(valid)[: recipe.restarts])
    if not np.any(valid) or structure.params or not (searching or minibatches or structure.discrete):
        return plain
    target = Target.of(problem.model, arguments, structure, minibatches)
    points = target.flatten(unconstrained).astype(np.float64)
    if not searching:
        return replace(plain, points=points, target=target)
    traced = search_values(values, arguments, target)
    own = points[np.asarray(valid)]
    prior_keys = keys(config.seed, SEARCHES, problem.name, "prior start")
    everywhere = np.concatenate([own, _from_the_prior(prior_keys, target, *looked_at)])
    landscape = explore_large(target, everywhere, traced, derive(config.seed, problem.name, "search"))
    if config.init != "uniform":
        return replace(plain, points=points[: recipe.restarts], target=target, landscape=landscape)
    local = dict(zip(np.flatnonzero(valid).tolist(), landscape.places[: len(own)], strict=True))
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


def _from_the_prior(
    prior_keys: jax.Array, target: Target, model: Callable[..., Any], arguments: Arguments
) -> np.ndarray:
    """Return draws from the prior in unconstrained coordinates, shape ``(_, D)``, the last of them moved outwards."""
    points = prior_points(prior_keys, target, model, arguments).astype(np.float64)
    if len(points):
        middle = np.median(points, axis=0)
        points[-OVERDISPERSED:] = middle + FARTHER * (points[-OVERDISPERSED:] - middle)
    return points


def search_values(values: Mapping[str, Any], arguments: Arguments, target: Target | None) -> dict[str, Any]:
    """Return the traced arguments as they were given, or where they are many as they are on the device."""
    if target is not None and target.rows:
        return dict(arguments.arrays)
    return {name: values[name] for name in arguments.arrays}


def _scatter(point: np.ndarray, found: Gaussian | None, seed: int) -> np.ndarray:
    """Return a point near the middle of the Gaussian that was found from `point`.

    It is within a standard deviation given all other coordinates, in each: from farther away along a direction
    in which the posterior is long and narrow, independent scales would take very long to come back.
    """
    if found is None:
        return point
    return np.asarray(found.mean + found.conditional_sds() * np.random.default_rng(seed).uniform(-1, 1, len(point)))


def keys(seed: int, count: int, *names: str) -> jax.Array:
    """Return one key per restart, each derived from its own name."""
    return jnp.stack([jax.random.key(derive(seed, *names, index)) for index in range(count)])
