"""Data sets simulated from a model, and where the posterior of each is: made once, for every guide."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from guidebench.config.errors import RequestError
from guidebench.config.seeds import derive
from guidebench.config.settings import RunConfig
from guidebench.contracts import Family
from guidebench.engine.prepared import PreparedProblem
from guidebench.inference.arguments import Arguments
from guidebench.inference.coordinates import Frame, model_of, split, to_latents
from guidebench.inference.newton import Modes, modes
from guidebench.inference.recipe import Recipe
from guidebench.inference.simulate import Simulated, observing, refusal, simulate
from guidebench.inference.structure import ModelStructure
from guidebench.inference.target import Target
from guidebench.results import Work
from guidebench.results.work import NOTHING

#: Draws per data set, among which the true value is ranked.
DRAWS = 999

#: Optimiser steps per data set: in standardised coordinates, and from the mode, these are enough.
STEPS = 1_000

#: Numbers that all data sets may have, over all particles of a gradient.
MOST_NUMBERS = 250_000_000

#: Starting points of each search for a mode.
SEARCHES = 3


@dataclass(frozen=True, kw_only=True)
class Simulations:
    """N simulated data sets of one problem, ready for every guide, as data.

    Attributes
    ----------
    simulated : Simulated
        The true values and the observations.
    model, arguments
        The model as a function of its data and its observations, and arguments shaped like one data set.
    structure : ModelStructure
        Its sites.
    traced, axes
        All data sets as arguments of the model, and which of them have a leading axis N.
    found : Modes or None
        Where each posterior is, where that was searched.
    points : ndarray
        Unconstrained starting points, shape ``(N, D)``.
    work : Work
        Of the search.
    """

    simulated: Simulated
    model: Callable[..., Any]
    arguments: Arguments
    structure: ModelStructure
    traced: Mapping[str, Any]
    axes: Mapping[str, Any]
    found: Modes | None
    points: np.ndarray
    work: Work = NOTHING

    @property
    def count(self) -> int:
        """Number of data sets, N."""
        return len(self.points)

    def target(self) -> Target:
        """Return the posterior of one data set; made anew, for it holds programs."""
        return Target.of(self.model, self.arguments, self.structure)

    def frame(self, family: Family, target: Target) -> Frame:
        """Return the data sets as a guide of that family is shown them; `target` is that of this process."""
        if family == "none":
            latents = jax.device_get(_constrained(target, self.points, self.traced, self.axes))
            return Frame(model=target.model, arguments=Arguments(arrays=self.traced), starts=latents, axes=self.axes)
        center, factor = self._affine(family)
        arrays = {"data": self.traced, "center": center, "factor": factor}
        return Frame(
            model=model_of(target),
            arguments=Arguments(arrays=arrays),
            starts=split(target, np.zeros_like(self.points) if self.found else self.points),
            to_latents=lambda sites, traced: to_latents(target, sites, traced),
            axes={"data": self.axes, "center": 0, "factor": 0},
            kind="affine" if factor.ndim == 3 else "diagonal",
        )

    def _affine(self, family: Family) -> tuple[np.ndarray, np.ndarray]:
        """Return centre and factor of every data set's own map, with a leading axis N."""
        if self.found is None:
            return np.zeros_like(self.points), np.ones_like(self.points)
        factor = self.found.factor
        scales = np.sqrt(np.sum(factor**2, axis=2))
        return self.found.location, factor if family == "affine" else scales


def check(name: str, structure: ModelStructure) -> None:
    """Raise a RequestError where a problem cannot be simulated."""
    reason = structure.unsupported() or refusal(structure)
    if reason:
        raise RequestError(f"{name} cannot be simulated: {reason}", option="simulations")


def simulate_problem(prepared: PreparedProblem, config: RunConfig, recipe: Recipe) -> Simulations:
    """Draw data sets and find their posteriors.

    Raises
    ------
    RequestError
        Where the model cannot be simulated.
    """
    name, model = prepared.problem.name, prepared.problem.model
    arguments, structure = prepared.arguments, prepared.structure
    check(name, structure)
    count = config.simulations or 0
    _check_size(name, arguments.size(), structure, count, recipe.particles)
    simulated = simulate(model, arguments, structure, jax.random.key(derive(config.seed, name, "simulate")), count)
    count = len(next(iter(simulated.latents.values())))
    observing_model, one = observing(model, arguments, simulated)
    target = Target.of(observing_model, one, structure)
    traced = {"data": dict(arguments.arrays), "observed": {k: jnp.asarray(v) for k, v in simulated.observed.items()}}
    axes = {"data": None, "observed": 0}
    rng = np.random.default_rng(derive(config.seed, name, "simulated starts"))
    starts = rng.uniform(-2, 2, (count, SEARCHES, target.dim))  # as NumPyro's init_to_uniform
    began = time.perf_counter()
    found = modes(target, starts, traced, axes) if recipe.standardise else None
    searched = Work() if found is None else replace(found.work, seconds=time.perf_counter() - began)
    return Simulations(
        simulated=simulated,
        model=observing_model,
        arguments=one,
        structure=structure,
        traced=traced,
        axes=axes,
        found=found,
        points=starts[:, 0] if found is None else found.location,
        work=searched,
    )


def _check_size(name: str, size: int, structure: ModelStructure, count: int, particles: int) -> None:
    """Refuse more copies of the data than fit into memory."""
    numbers = count * max((size + structure.latent_dim) * particles, DRAWS * structure.latent_dim)
    if numbers > MOST_NUMBERS:
        raise RequestError(
            f"{name} has so much data that {count} copies of it do not fit into memory; "
            f"{int(MOST_NUMBERS * count / numbers)} would",
            option="simulations",
            value=count,
        )


def _constrained(target: Target, points: np.ndarray, traced: Any, axes: Any) -> dict[str, jax.Array]:
    run = jax.jit(jax.vmap(lambda point, own: target.constrain(point, own)[0], in_axes=(0, axes)))
    found: dict[str, jax.Array] = run(jnp.asarray(points), traced)
    return found


def recipe_for(recipe: Recipe, simulations: Simulations) -> Recipe:
    """Return how a guide is trained on simulated data: once, and briefly where the coordinates allow it."""
    steps = min(recipe.steps, STEPS) if simulations.found is not None else recipe.steps
    return replace(recipe, steps=steps, rounds=1, restarts=simulations.count)
