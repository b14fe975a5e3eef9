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
from guidebench.inference.device.compiled import split
from guidebench.inference.enumeration import marked
from guidebench.inference.gaussians import Gaussian
from guidebench.inference.large import explore_large
from guidebench.inference.modes import Landscape, ahead
from guidebench.inference.recipe import Recipe
from guidebench.inference.start import (
    FiniteAt,
    prior_points,
    starting_points,
    starting_points_of_many,
    strategy,
    uniform_points,
)
from guidebench.inference.subsampling import Stratified
from guidebench.inference.target import Target, many_alike
from guidebench.results.work import NOTHING, Work

#: Starting points of the search for modes, at least.
SEARCHES = 8

#: As many come from the prior: a half of them chosen among many draws by the search itself, the others as they come,
#: some of these moved away from the middle of the prior, and how far.
PRIOR = 4
OVERDISPERSED = 2
FARTHER = 2.0

#: Draws from the prior, and numbers that they may hold.
POOL = 1_024
MOST_NUMBERS = 4_000_000


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
    work : Work
        What it took to find them, the search included.  Where NumPyro draws until a point is valid (by a strategy
        other than the uniform one, of parts of the data, or where discrete sites are summed out), the first of each
        start counts: how many it tries is not known.
    """

    values: Mapping[str, np.ndarray]
    valid: np.ndarray
    points: np.ndarray | None = None
    target: Target | None = None
    landscape: Landscape | None = None
    work: Work = NOTHING

    def first(self, count: int) -> Starts:
        """Return the first so many."""
        return replace(
            self, values={name: value[:count] for name, value in self.values.items()}, valid=self.valid[:count]
        )


def find_starts(inspected: Inspected, config: RunConfig, recipe: Recipe) -> Starts:
    """Return the common starting points: the strategy's, or points about what a search from those found.

    The search begins at as many points of the prior besides, for no point near the origin leads to a mode
    that is far from it.  A model with parameters of its own is another one for every guide: nothing is
    searched.
    """
    problem, values, arguments, structure, minibatches = inspected
    searching = recipe.standardise and not structure.params
    count = max(recipe.restarts, SEARCHES) if searching else recipe.restarts
    many = many_alike(structure, minibatches)
    alone = searching and not (structure.discrete or minibatches)
    finite_at = None
    if many or (alone and config.init == "uniform"):
        finite_at = FiniteAt(Target.of(problem.model, arguments, structure, minibatches), count)
    tried, unconstrained = _by_strategy(inspected, config, count, finite_at)
    plain = tried.first(recipe.restarts)
    if not tried.valid.any() or structure.params or not (searching or minibatches or structure.discrete):
        return plain
    target = finite_at.target if finite_at else Target.of(problem.model, arguments, structure, minibatches)
    points = target.flatten(unconstrained).astype(np.float64)
    if not searching:
        return replace(plain, points=points, target=target)
    own, seed, given = points[tried.valid], config.seed, search_values(values, arguments, target)
    ahead(target, len(own) + PRIOR, given)
    few, pool = _from_the_prior(seed, problem.name, target, *_looked_at(inspected))
    landscape = explore_large(
        target,
        np.concatenate([own, few]),
        given,
        derive(seed, problem.name, "search"),
        pool,
    )
    work = plain.work + landscape.work
    found = replace(plain, points=points[: recipe.restarts], target=target, landscape=landscape, work=work)
    if config.init != "uniform":
        return found
    local = dict(zip(np.flatnonzero(tried.valid).tolist(), landscape.places[: len(own)], strict=True))
    return _scattered(found, finite_at or FiniteAt(target, len(found.valid)), local, seed, problem.name)


def _looked_at(inspected: Inspected) -> tuple[Callable[..., Any], Arguments]:
    """Return the model, and its arguments, that says where the density is finite."""
    problem, _, arguments, structure, minibatches = inspected
    if structure.discrete:
        return marked(problem.model), arguments
    if minibatches is not None and not minibatches.local:  # a part of the data says as well what is finite
        return Stratified(minibatches.model), minibatches.arguments
    return problem.model, arguments


def _by_strategy(
    inspected: Inspected, config: RunConfig, count: int, finite_at: FiniteAt | None
) -> tuple[Starts, Mapping[str, np.ndarray]]:
    """Return the points of the strategy, and the same in unconstrained coordinates."""
    problem, _, arguments, structure, minibatches = inspected
    names = problem.name, "start"
    if finite_at is not None and config.init == "uniform":
        found = uniform_points([derive(config.seed, *names, index) for index in range(count)], finite_at)
    else:
        start_keys, init = keys(config.seed, count, *names), strategy(config.init, structure)
        if finite_at is not None:
            found = starting_points_of_many(start_keys, finite_at, problem.model, arguments, init)
        else:
            found = starting_points(start_keys, *_looked_at(inspected), init)
    looked = Work(gradients=found.gradients)
    if minibatches is not None and not minibatches.local:
        size, part = minibatches.plates[minibatches.main]
        looked = looked.of_part(part, size)
    return Starts(values=found.values, valid=np.asarray(found.valid), work=looked), found.unconstrained


def _scattered(found: Starts, finite_at: FiniteAt, local: Mapping[int, Any], seed: int, name: str) -> Starts:
    """Return the starts moved about what the search found from each of them, where the density is finite there."""
    assert found.points is not None
    scattered = np.stack(
        [
            _scatter(point, local.get(index), derive(seed, name, "scatter", index))
            for index, point in enumerate(found.points)
        ]
    )
    before = finite_at.computed
    moved, finite = finite_at(scattered)
    keep = np.asarray(finite)
    return replace(
        found,
        values={
            name: np.where(keep.reshape(-1, *[1] * (value.ndim - 1)), moved[name], value)
            for name, value in found.values.items()
        },
        valid=keep | found.valid,
        points=np.where(keep[:, None], scattered, found.points),
        work=found.work + Work(gradients=finite_at.computed - before),
    )


def _from_the_prior(
    seed: int, name: str, target: Target, model: Callable[..., Any], arguments: Arguments
) -> tuple[np.ndarray, np.ndarray]:
    """Return a few draws from the prior in unconstrained coordinates, and a pool of many.

    Some of both are twice as far from the middle of the prior.
    """
    count = max(PRIOR, min(POOL, MOST_NUMBERS // target.dim))
    found = split(jax.random.key(derive(seed, name, "prior starts")), count)
    try:
        points = prior_points(found, target, model, arguments).astype(np.float64)
    except Exception:  # noqa: BLE001 - a model whose prior cannot be drawn from can be searched and trained all the same
        points = np.zeros((0, target.dim))
    middle = np.median(points, axis=0) if len(points) else 0.0
    farther = middle + FARTHER * (points - middle)
    few = np.concatenate([points[: PRIOR - OVERDISPERSED], farther[PRIOR - OVERDISPERSED : PRIOR]])
    return few, np.concatenate([points[PRIOR::2], farther[PRIOR + 1 :: 2]])


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
