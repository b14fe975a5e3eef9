"""Calibration by simulation: one guide fitted to many data sets drawn from the model, in one program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from guidebench.config import RunConfig
from guidebench.config.errors import RequestError
from guidebench.config.seeds import derive
from guidebench.contracts import Family
from guidebench.inference import convergence
from guidebench.inference.arguments import Arguments
from guidebench.inference.coordinates import Affine, Frame, model_of, to_latents
from guidebench.inference.density import draw
from guidebench.inference.device.compiled import compile_for
from guidebench.inference.draws import guide_to_draw_from
from guidebench.inference.newton import Modes, modes
from guidebench.inference.recipe import Recipe
from guidebench.inference.simulate import Simulated, observing, refusal, simulate
from guidebench.inference.structure import ModelStructure
from guidebench.inference.target import Target
from guidebench.inference.train import Callbacks, MakeGuide, Params, Training, train
from guidebench.metrics.evidence import scalars
from guidebench.results import Status

#: Draws per data set, among which the true value is ranked.
DRAWS = 999

#: Optimiser steps per data set: in standardised coordinates, and from the mode, these are enough.
STEPS = 1_000

#: The improvement, in nats, that so few steps must be able to show to be called converged.
RESOLUTION = 0.3

#: Numbers that all data sets may have, over all particles of a gradient.
MOST_NUMBERS = 250_000_000

#: Starting points of each search for a mode.
SEARCHES = 3


@dataclass(frozen=True, kw_only=True)
class Simulations:
    """N simulated data sets of one problem, ready for every guide.

    Attributes
    ----------
    simulated : Simulated
        The true values and the observations.
    target : Target
        The posterior of one data set.
    traced, axes
        All data sets as arguments of the target, and which of them have a leading axis N.
    found : Modes or None
        Where each posterior is, where that was searched.
    points : ndarray
        Unconstrained starting points, shape ``(N, D)``.
    """

    simulated: Simulated
    target: Target
    traced: Mapping[str, Any]
    axes: Mapping[str, Any]
    found: Modes | None
    points: np.ndarray

    @property
    def count(self) -> int:
        """Number of data sets, N."""
        return len(self.points)

    def frame(self, family: Family) -> Frame:
        """Return the data sets as a guide of that family is shown them."""
        if family == "none":
            latents = jax.device_get(_constrained(self.target, self.points, self.traced, self.axes))
            return Frame(
                model=self.target.model, arguments=Arguments(arrays=self.traced), starts=latents, axes=self.axes
            )
        affine = self._affine(family)
        arrays = {"data": self.traced, "center": affine.center, "factor": affine.factor}
        target = self.target
        return Frame(
            model=model_of(target),
            arguments=Arguments(arrays=arrays),
            starts=target.split(np.zeros_like(self.points) if self.found else self.points),
            to_latents=lambda sites, traced: to_latents(target, sites, traced),
            axes={"data": self.axes, "center": 0, "factor": 0},
            kind="affine" if affine.factor.ndim == 3 else "diagonal",
        )

    def _affine(self, family: Family) -> Affine:
        if self.found is None:
            return Affine(center=np.zeros_like(self.points), factor=np.ones_like(self.points))
        factor = self.found.factor
        scales = np.sqrt(np.sum(factor**2, axis=2))
        return Affine(center=self.found.location, factor=factor if family == "affine" else scales)


def check(name: str, structure: ModelStructure) -> None:
    """Raise a RequestError where a problem cannot be simulated."""
    reason = structure.unsupported() or refusal(structure)
    if reason:
        raise RequestError(f"{name} cannot be simulated: {reason}", option="simulations")


def prepare(
    name: str,
    model: Callable[..., Any],
    arguments: Arguments,
    structure: ModelStructure,
    config: RunConfig,
    recipe: Recipe,
) -> Simulations:
    """Draw data sets and find their posteriors.

    Raises
    ------
    RequestError
        Where the model cannot be simulated.
    """
    check(name, structure)
    count = config.simulations or 0
    numbers = count * max((arguments.size() + structure.latent_dim) * recipe.particles, DRAWS * structure.latent_dim)
    if numbers > MOST_NUMBERS:
        raise RequestError(
            f"{name} has so much data that {count} copies of it do not fit into memory; "
            f"{int(MOST_NUMBERS * count / numbers)} would",
            option="simulations",
            value=count,
        )
    simulated = simulate(model, arguments, structure, jax.random.key(derive(config.seed, name, "simulate")), count)
    count = len(next(iter(simulated.latents.values())))
    observing_model, one = observing(model, arguments, simulated)
    target = Target.of(observing_model, one, structure)
    traced = {"data": dict(arguments.arrays), "observed": {k: jnp.asarray(v) for k, v in simulated.observed.items()}}
    axes = {"data": None, "observed": 0}
    rng = np.random.default_rng(derive(config.seed, name, "simulated starts"))
    starts = rng.uniform(-2, 2, (count, SEARCHES, target.dim))  # as NumPyro's init_to_uniform
    found = modes(target, starts, traced, axes) if recipe.standardise else None
    points = starts[:, 0] if found is None else found.location
    return Simulations(simulated=simulated, target=target, traced=traced, axes=axes, found=found, points=points)


def _constrained(target: Target, points: np.ndarray, traced: Any, axes: Any) -> dict[str, jax.Array]:
    run = jax.jit(jax.vmap(lambda point, own: target.constrain(point, own)[0], in_axes=(0, axes)))
    found: dict[str, jax.Array] = run(jnp.asarray(points), traced)
    return found


def recipe_for(recipe: Recipe, simulations: Simulations) -> Recipe:
    """Return how a guide is trained on simulated data: once, and briefly where the coordinates allow it."""
    steps = min(recipe.steps, STEPS) if simulations.found is not None else recipe.steps
    return replace(recipe, steps=steps, rounds=1, restarts=simulations.count)


def ranks(
    simulations: Simulations,
    frame: Frame,
    make_guide: MakeGuide,
    recipe: Recipe,
    seed: int,
    names: tuple[str, ...],
    *,
    loss: Any = None,
    to_draw_from: Callable[[Any, Params], Any] | None = None,
    on_chunk: Callable[[int, int, float], None] | None = None,
) -> xr.Dataset:
    """Fit a guide to every data set and rank the true values among its draws.

    Returns
    -------
    xarray.Dataset
        ``rank`` and ``truth`` with dims ``(simulation, component)``, and ``converged`` per simulation;
        a fit that broke down has no ranks and is counted in the attribute ``broken``.

    Raises
    ------
    ValueError
        Where every fit broke down.
    """
    training = train(
        make_guide,
        frame,
        recipe,
        jax.random.split(jax.random.key(derive(seed, *names, "simulated train")), simulations.count),
        loss=loss,
        callbacks=Callbacks(on_chunk=on_chunk),
    )
    truth = simulations.simulated.latents
    below = _below(simulations, frame, make_guide, training, seed, names, to_draw_from)
    # Components that are the same in every data set, such as the zeros of a Cholesky factor, have no rank.
    varying = {name: np.asarray(one, np.float64) for name, one in scalars(truth) if np.ptp(one) > 0}
    components = list(varying)
    values = np.stack(list(varying.values()), axis=1)
    counts = [dict(scalars(one)) for one in below]
    low, equal = (np.stack([one[name] for name in components], axis=1) for one in counts)
    # A true value among equal draws, which rounding makes, has any of their ranks.
    rng = np.random.default_rng(derive(seed, *names, "simulated ties"))
    counted = low + rng.integers(0, equal + 1)
    usable = training.finite & (low >= 0).all(axis=1)
    if not usable.any():
        raise ValueError(f"not one of {len(usable)} fits ended with finite draws")
    statuses = [
        convergence.judge(
            losses, skipped=int(skipped), finite=bool(finite), decayed=recipe.decayed(), resolution=RESOLUTION
        )
        for losses, skipped, finite in zip(training.losses, training.skipped, training.finite, strict=True)
    ]
    return xr.Dataset(
        {
            "rank": (("simulation", "component"), counted[usable]),
            "truth": (("simulation", "component"), values[usable]),
            "converged": ("simulation", np.array([one is Status.CONVERGED for one in statuses])[usable]),
        },
        coords={"component": components},
        attrs={"draws": DRAWS, "broken": int(np.sum(~usable)), "steps": recipe.steps},
    )


def _below(
    simulations: Simulations,
    frame: Frame,
    make_guide: MakeGuide,
    training: Training,
    seed: int,
    names: tuple[str, ...],
    to_draw_from: Callable[[Any, Params], Any] | None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return how many draws lie below the true value and how many are equal to it, per site.

    Where a draw is not finite, -1 lie below.
    """
    sites = tuple(simulations.simulated.latents)

    def program(
        params: Params,
        draw_keys: jax.Array,
        starts: Mapping[str, Any],
        truth: Mapping[str, Any],
        traced: Mapping[str, Any],
    ) -> dict[str, jax.Array]:
        def one(key: jax.Array, params: Params, start: Any, true: Any, own: Any) -> dict[str, jax.Array]:
            args, kwargs = frame.arguments.call(frame.model, own)
            guide = guide_to_draw_from(make_guide(start), params, frame.model, args, kwargs, to_draw_from)

            def latents(key: jax.Array) -> dict[str, jax.Array]:
                found = draw(key, params, frame.model, guide, args, kwargs).trace
                values = {name: found[name]["value"] for name in sites}
                return values if frame.to_latents is None else frame.to_latents(values, own)[0]

            drawn = jax.vmap(latents)(jax.random.split(key, DRAWS))
            found = {}
            for name in sites:
                finite = jnp.all(jnp.isfinite(drawn[name]), axis=0)
                below = jnp.where(finite, jnp.sum(drawn[name] < true[name], axis=0), -1)
                found[name] = jnp.stack([below, jnp.sum(drawn[name] == true[name], axis=0)])
            return found

        mapped = jax.vmap(one, in_axes=(0, 0, 0, 0, frame.axes))
        found: dict[str, jax.Array] = mapped(draw_keys, params, starts, truth, traced)
        return found

    draw_keys = jax.random.split(jax.random.key(derive(seed, *names, "simulated draws")), simulations.count)
    given = (
        training.params,
        draw_keys,
        dict(frame.starts),
        simulations.simulated.latents,
        dict(frame.arguments.arrays),
    )
    found = jax.device_get(compile_for(program, *given, level=1)(*given))
    # In the order of the model; JAX sorts by name.
    return tuple({name: np.asarray(found[name])[:, part] for name in sites} for part in range(2))  # type: ignore[return-value]
