"""Calibration by simulation: one guide fitted to many data sets drawn from the model, in one program."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from guidebench.config.seeds import derive
from guidebench.contracts import MetricValue
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.making import make_guide, own_objective
from guidebench.engine.simulations import DRAWS, Simulations, recipe_for
from guidebench.inference import convergence
from guidebench.inference.coordinates import Frame
from guidebench.inference.density import draw
from guidebench.inference.device.compiled import compile_for
from guidebench.inference.draws import guide_to_draw_from
from guidebench.inference.recipe import Recipe
from guidebench.inference.target import Target
from guidebench.inference.train import Callbacks, Params, Training, train
from guidebench.metrics.evidence import scalars
from guidebench.metrics.simulated import calibration
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.failures import Failure
from guidebench.results import Status, Work

#: The improvement, in nats, that so few steps must be able to show to be called converged.
RESOLUTION = 0.3


class Calibrated(NamedTuple):
    """The ranks of the true values and what they say, or the failure that left none; seconds and work."""

    ranks: xr.Dataset | None
    metrics: tuple[MetricValue, ...]
    failure: Failure | None
    seconds: float
    work: Work | None = None


def reason_against(guide_fits_itself: bool, point: bool) -> str | None:
    """Return why a guide is not fitted to simulated data, or ``None``."""
    if guide_fits_itself:
        return "a guide that is fitted by a method of its own is not fitted to simulated data"
    if point:
        return "a point estimate has no intervals, so there is no calibration to simulate"
    return None


def calibrate(case: Case, simulations: Simulations, target: Target) -> Calibrated:
    """Fit a guide to every simulated data set; `target` is the posterior of one, in this process."""
    began = time.perf_counter()
    case.phase(f"fitting {simulations.count} simulated data sets")
    ranked: xr.Dataset | None = None
    work: Work | None = None
    metrics: tuple[MetricValue, ...] = ()
    with case.boundary("simulations") as at:  # the fit itself is sound, whatever happens here
        ranked, work = ranks(case, simulations, simulations.frame(case.declaration.family, target), at)
        by_component = {
            str(name): ranked["rank"].sel(component=name).to_numpy() for name in ranked["component"].to_numpy()
        }
        converged = MetricValue(value=float(ranked["converged"].mean()), metric="simulated_converged")
        metrics = (converged, *calibration(by_component, int(ranked.attrs["draws"])))
    seconds = time.perf_counter() - began
    if work is not None:
        work = replace(work, seconds=seconds)
        case.ended("simulations", work)
    return Calibrated(None if at.failure else ranked, () if at.failure else metrics, at.failure, seconds, work)


def ranks(case: Case, simulations: Simulations, frame: Frame, at: Boundary) -> tuple[xr.Dataset, Work]:
    """Fit the guide to every data set and rank the true values among its draws.

    Returns
    -------
    xarray.Dataset
        ``rank`` and ``truth`` with dims ``(simulation, component)``, and ``converged`` per simulation;
        a fit that broke down has no ranks and is counted in the attribute ``broken``.
    Work
        What that took: each data set counts as one problem of its size.

    Raises
    ------
    ValueError
        Where every fit broke down.
    """
    recipe, seed, names = recipe_for(case.recipe, simulations), case.config.seed, case.names
    training = train(
        make_guide(case.guide, frame.model),
        frame,
        recipe,
        jax.random.split(jax.random.key(derive(seed, *names, "simulated train")), simulations.count),
        loss=own_objective(case),
        callbacks=Callbacks(on_chunk=at.in_time(case.steps)),
    )
    truth = simulations.simulated.latents
    # Components that are the same in every data set, such as the zeros of a Cholesky factor, have no rank.
    varying = {name: np.asarray(one, np.float64) for name, one in scalars(truth) if np.ptp(one) > 0}
    components = list(varying)
    counts = [dict(scalars(one)) for one in _below(case, simulations, frame, training)]
    low, equal = (np.stack([one[name] for name in components], axis=1) for one in counts)
    # A true value among equal draws, which rounding makes, has any of their ranks.
    rng = np.random.default_rng(derive(seed, *names, "simulated ties"))
    counted = low + rng.integers(0, equal + 1)
    usable = training.finite & (low >= 0).all(axis=1)
    if not usable.any():
        raise ValueError(f"not one of {len(usable)} fits ended with finite draws")
    found = xr.Dataset(
        {
            "rank": (("simulation", "component"), counted[usable]),
            "truth": (("simulation", "component"), np.stack(list(varying.values()), axis=1)[usable]),
            "converged": ("simulation", _converged(training, recipe)[usable]),
        },
        coords={"component": components},
        attrs={"draws": DRAWS, "broken": int(np.sum(~usable)), "steps": recipe.steps},
    )
    return found, Work(gradients=training.gradients, densities=simulations.count * DRAWS)


def _converged(training: Training, recipe: Recipe) -> np.ndarray:
    """Return which of the fits have converged, shape ``(N,)``."""
    statuses = [
        convergence.judge(
            losses, skipped=int(skipped), finite=bool(finite), decayed=recipe.decayed(), resolution=RESOLUTION
        )
        for losses, skipped, finite in zip(training.losses, training.skipped, training.finite, strict=True)
    ]
    return np.array([one is Status.CONVERGED for one in statuses])


def _below(
    case: Case, simulations: Simulations, frame: Frame, training: Training
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return how many draws lie below the true value and how many are equal to it, per site.

    Where a draw is not finite, -1 lie below.
    """
    sites = tuple(simulations.simulated.latents)
    make, to_draw_from = make_guide(case.guide, frame.model), case.declaration.draw

    def program(
        params: Params,
        draw_keys: jax.Array,
        starts: Mapping[str, Any],
        truth: Mapping[str, Any],
        traced: Mapping[str, Any],
    ) -> dict[str, jax.Array]:
        def one(key: jax.Array, params: Params, start: Any, true: Any, own: Any) -> dict[str, jax.Array]:
            args, kwargs = frame.arguments.call(frame.model, own)
            guide = guide_to_draw_from(make(start), params, frame.model, args, kwargs, to_draw_from)

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

    draw_keys = jax.random.split(
        jax.random.key(derive(case.config.seed, *case.names, "simulated draws")), simulations.count
    )
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
