"""A problem made ready: what its model looks like and where to start, as data that can go to another process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import xarray as xr

from guidebench.config import RunConfig
from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.engine import datasets
from guidebench.engine.looks import look
from guidebench.engine.minibatches import inspect_problem
from guidebench.engine.record import coords_of, record_of
from guidebench.engine.starts import Starts, find_starts
from guidebench.engine.validation import Validation, with_validation
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.modes import MOST_DIMENSIONS, Landscape
from guidebench.inference.predict import observed_values, unmasked
from guidebench.inference.recipe import Recipe
from guidebench.inference.structure import ModelStructure, sizes_of
from guidebench.inference.subsampling import Minibatches
from guidebench.inference.target import Target
from guidebench.results import ProblemRecord, Work


@dataclass(frozen=True, kw_only=True)
class PreparedProblem:
    """A problem made ready, as data: its structure, its starting points and what a search has found.

    Attributes
    ----------
    problem : Problem
        What is trained on: without the rows that are kept from training, with its minibatches undone.
    values, arguments
        The model's arguments by name, and the same split into those that are traced and those that are not.
    structure : ModelStructure
        The sites of the model.
    starts, valid, points
        As in :class:`~guidebench.engine.starts.Starts`.
    landscape : Landscape or None
        What the search has found, where there was one.
    has_target : bool
        Whether the posterior is a function of a flat vector, which can be searched.
    minibatches : Minibatches or None
        How the model subsamples.
    refusal : str or None
        Why no guide can be trained on it.
    record : ProblemRecord
        What the report needs to know of it.
    heldout_counts : mapping
        Which held-out observations count, for the observed sites under a mask.
    validation : Validation or None
        The rows that are kept from training.
    observed : mapping
        Observed values by site, of the ``heldout`` data where there are any.
    token : str
        Stands for this very object wherever copies of it are.
    """

    problem: Problem
    values: Mapping[str, Any]
    arguments: Arguments
    structure: ModelStructure
    starts: Mapping[str, np.ndarray]
    valid: np.ndarray
    points: np.ndarray | None
    landscape: Landscape | None
    has_target: bool
    minibatches: Minibatches | None
    refusal: str | None
    record: ProblemRecord
    heldout_counts: Mapping[str, np.ndarray] = field(default_factory=dict)
    validation: Validation | None = None
    observed: Mapping[str, dict[str, np.ndarray]] = field(default_factory=dict)
    token: str = field(default_factory=lambda: uuid4().hex)

    def coords(self) -> dict[str, tuple[str, ...]]:
        """Return the names of levels by dimension."""
        return coords_of(self.problem, self.structure)

    def named(self, groups: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
        """Return groups with the names of levels; rows that are predicted elsewhere are others than those named."""
        coords = self.coords()
        inner = sizes_of((*self.structure.latents, *self.structure.discrete))
        of_latents = {dim: names for dim, names in coords.items() if dim in inner}
        return {
            name: datasets.with_coords(one, of_latents if name.startswith("predictions") else coords)
            for name, one in groups.items()
        }

    def heldout_values(self) -> dict[str, Any] | None:
        """Return the arguments of the held-out data."""
        return _heldout_values(self.problem, self.values)


class Preparation(NamedTuple):
    """A prepared problem, and the target that its search has compiled programs of."""

    problem: PreparedProblem
    target: Target | None


def _heldout_values(problem: Problem, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of the held-out data: they replace those of prediction, and those of training."""
    if problem.heldout is None:
        return None
    return {**values, **as_arrays(problem.predict or {}), **as_arrays(problem.heldout)}


def prepare(problem: Problem, config: RunConfig, recipe: Recipe) -> Preparation:
    """Inspect a problem and find starting points.

    Raises
    ------
    RequestError
        Where the model does not run, or the request does not fit it.
    """
    problem, validation = with_validation(problem, config)
    inspected = inspect_problem(problem, config.minibatch)
    problem, values, arguments, structure, minibatches = inspected
    _check_names(problem, values)
    coords_of(problem, structure)  # what does not fit the model is said before anything is searched
    refusal = structure.unsupported()
    found, began = Starts(values={}, valid=np.ones(recipe.restarts, bool)), time.perf_counter()
    if refusal is None:
        found = find_starts(inspected, config, recipe)
        refusal = _no_start(problem, config, found)
    seen = look(inspected, found if structure.unsupported() is None else None)
    searched = found.work + seen.work + Work(gradients=_expanding(found, minibatches))
    searched = replace(searched, seconds=time.perf_counter() - began)
    _check_heldout(problem, structure)
    held = _heldout_values(problem, values)
    observed = {} if held is None else {"heldout": observed_values(problem.model, held, structure)}
    counts = unmasked(problem.model, held, structure) if held and structure.masked else {}
    heldout_size = sum(
        int(np.count_nonzero(counts[name])) if name in counts else value.size
        for name, value in observed.get("heldout", {}).items()
    )
    ready = PreparedProblem(
        problem=problem,
        values=values,
        arguments=arguments,
        structure=structure,
        starts=found.values,
        valid=found.valid,
        points=found.points,
        landscape=found.landscape,
        has_target=found.target is not None,
        minibatches=minibatches,
        refusal=refusal,
        record=record_of(inspected, heldout_size, found.landscape, seen.lines, searched, found.target),
        heldout_counts=counts,
        validation=validation,
        observed=observed,
    )
    return Preparation(ready, found.target)


def _expanding(found: Starts, minibatches: Minibatches | None) -> int:
    """Return the gradients of the expansion about the best Gaussian that training on parts of the data needs.

    Every process makes it for itself; it counts once.
    """
    if minibatches is None or found.target is None or found.landscape is None or found.landscape.best is None:
        return 0
    return 1 + found.target.dim if found.target.dim <= MOST_DIMENSIONS else 0


def _no_start(problem: Problem, config: RunConfig, found: Starts) -> str | None:
    """Return why there is nowhere to start from, where that is so."""
    if found.valid.any():
        return None
    if config.init.startswith("value:"):
        raise RequestError(
            f"the log density of {problem.name} or its gradient is not finite there; "
            "are all values inside the supports of their sites?",
            option="init",
            value=repr(config.init),
        )
    return (
        f"no starting point with a finite log density and gradient was found with --init {config.init}; "
        "check the model and its data, or start elsewhere"
    )


def _check_names(problem: Problem, values: Mapping[str, Any]) -> None:
    for part in ("predict", "heldout"):
        unknown = sorted(set(getattr(problem, part) or {}) - set(values))
        if unknown:
            raise RequestError(
                f"problem {problem.name!r}: {part} names {', '.join(unknown)}, "
                f"but the model's arguments are {', '.join(values)}"
            )


def _check_heldout(problem: Problem, structure: ModelStructure) -> None:
    lacking = [name for name in structure.observed_arguments if name not in (problem.heldout or {})]
    if problem.heldout is not None and lacking:
        raise RequestError(
            f"problem {problem.name!r}: heldout lacks the observed argument(s) {', '.join(lacking)}; "
            "those of training would be scored in their place"
        )
