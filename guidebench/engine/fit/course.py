"""How the sites of a guide moved in training: its draws at some steps, in the model's own units."""

from __future__ import annotations

import jax
import numpy as np
import xarray as xr

from guidebench.config.seeds import derive
from guidebench.engine.datasets import of_course
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.choose import Chosen, params_of
from guidebench.inference.device.compiled import LARGE
from guidebench.inference.train import Training
from guidebench.results import Work

#: Quantiles of each component: the median, and the ends of the central 90 % interval.
QUANTILES = (0.05, 0.5, 0.95)

#: Steps of which draws are made, evenly spaced on a logarithmic axis, and components of which they are told.
MOMENTS = 12
MOST_COMPONENTS = 200


def course_of(case: Case, training: Training, chosen: Chosen) -> tuple[xr.Dataset | None, Work]:
    """Return quantiles of the latent sites over the steps of training, and what computing them took.

    The noise is the same at all steps, so that what moves is the guide.  There is no course where it would be dear, or
    cannot be had: of many data or latents, of parameters that were not recorded at every step (those of networks), and
    of a guide that is drawn from by a method of its own, which holds at its last step only.

    Parameters
    ----------
    case : Case
        The guide on its problem.
    training : Training
        With snapshots of the parameters of the chosen start.
    chosen : Chosen
        That start, and the program that draws.
    """
    sites = case.prepared.structure.latents
    components = sum(int(np.prod(site.shape)) for site in sites)
    complete = training.params.keys() <= training.snapshots.keys()
    size = case.prepared.arguments.size() + case.prepared.structure.latent_dim
    if not complete or case.declaration.draw is not None or components > MOST_COMPONENTS or size > LARGE:
        return None, Work()
    steps = np.asarray(training.snapshot_steps)
    if len(steps) < 2 or case.bench.in_blocks or not _is_recorded(training, chosen.best):
        return None, Work()
    try:
        return _course(case, training, chosen)
    except Exception:  # noqa: BLE001 - what it is drawn from is sound, whatever it was on the way there
        return None, Work()


def _is_recorded(training: Training, start: int) -> bool:
    """Return whether the snapshots are of that start: under fixed noise only the best before the polish has any."""
    if not training.endings:
        return True
    losses = np.array([one.loss for one in training.endings])
    return int(np.argmin(np.where(np.isfinite(losses), losses, np.inf))) == start


def _course(case: Case, training: Training, chosen: Chosen) -> tuple[xr.Dataset, Work]:
    sites, final = case.prepared.structure.latents, params_of(training, chosen.best)
    steps = np.asarray(training.snapshot_steps)
    at = _spread(steps)
    moments = [
        (int(steps[index]), {name: values[chosen.best, index] for name, values in training.snapshots.items()})
        for index in at
    ]
    # Where it ended is where it is drawn from: after the polish, and averaged over its last steps.
    moments = [*(one for one in moments if one[0] < sum(training.rounds)), (sum(training.rounds), final)]
    key = jax.random.key(derive(case.config.seed, *case.names, "course"))
    quantiles: dict[str, list[np.ndarray]] = {site.name: [] for site in sites}
    work = Work()
    for _, snapshot in moments:
        draws = chosen.sampler({**final, **snapshot}, key)
        work += draws.work
        for name, values in draws.latents.items():
            quantiles[name].append(np.quantile(values, QUANTILES, axis=0).astype(np.float32))
    found = {name: np.stack(values, axis=1) for name, values in quantiles.items()}
    at_steps = np.array([step for step, _ in moments])
    return of_course(found, {site.name: site for site in sites}, QUANTILES, at_steps), work


def _spread(steps: np.ndarray) -> np.ndarray:
    """Return the numbers of some steps, the first and the last among them, evenly spaced on a logarithmic axis."""
    wanted = np.geomspace(max(steps[0], 1), steps[-1], MOMENTS)
    return np.unique([int(np.argmin(np.abs(steps - one))) for one in wanted])
