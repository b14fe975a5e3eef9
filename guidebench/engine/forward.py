"""Running a problem's model forward from the draws of a guide, and labelling everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import xarray as xr

from guidebench import datasets
from guidebench.engine.prepared import Prepared
from guidebench.inference.draws import Draws
from guidebench.inference.predict import Forward
from guidebench.inference.structure import Site
from guidebench.metrics.evidence import Heldout
from guidebench.seeds import derive


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Forward draws by InferenceData group, each with the program that made it."""

    groups: Mapping[str, tuple[Forward, Mapping[str, np.ndarray]]]


def run_forward(
    ready: Prepared, latents: Mapping[str, np.ndarray], fixed: Mapping[str, Any], seed: int
) -> tuple[Predictions, Heldout | None]:
    """Predict at the training data, on the prediction grid and at the held-out data.

    Every guide is given the same random numbers, so that differences between guides are theirs.
    `fixed` holds what the guide made of the model's own parameters.
    """

    def run(name: str) -> tuple[Forward, dict[str, np.ndarray]]:
        forward = ready.forward(name, latents, fixed)
        return forward, forward(jax.random.key(derive(seed, ready.problem.name, name)), latents, fixed)

    groups = {"posterior_predictive": run("train"), "log_likelihood": run("log_train")}
    if ready.predict_values is not None:
        groups["predictions"] = run("predict")
    heldout = None
    observed = [site.name for site in ready.structure.observed]
    if ready.heldout_values is not None and observed and not ready.structure.masked:
        _, log_likelihood = run("log_heldout")
        _, predicted = run("heldout")
        values = ready.observed("heldout")
        heldout = Heldout(
            observed={name: values[name] for name in observed if name in values},
            predicted={name: predicted[name] for name in observed if name in values},
            log_likelihood=log_likelihood,
            discrete=frozenset(site.name for site in ready.structure.observed if site.discrete),
        )
    return Predictions(groups=groups), heldout


def label(ready: Prepared, draws: Draws, predictions: Predictions, *, point: bool) -> dict[str, xr.Dataset]:
    """Return the groups of the InferenceData of one fit."""
    structure = ready.structure
    sites = {site.name: site for site in (*structure.latents, *structure.deterministics)}
    train_forward, at_training = predictions.groups["posterior_predictive"]
    observed = {site.name for site in structure.observed}
    deterministic = {name: value for name, value in at_training.items() if name not in observed}
    log_forward, log_likelihood = predictions.groups["log_likelihood"]
    stats = {"log_p": draws.log_p}
    if not point:
        stats |= {"log_q": draws.log_q, "log_weight": draws.log_weights}
    stat_sites = {name: Site(name=name, shape=(), dims=()) for name in stats}
    groups = {
        "posterior": datasets.of_draws({**draws.latents, **deterministic}, {**sites, **train_forward.sites}),
        "posterior_predictive": datasets.of_draws(
            {name: value for name, value in at_training.items() if name in observed}, train_forward.sites
        ),
        "log_likelihood": datasets.of_draws(log_likelihood, log_forward.sites),
        "sample_stats": datasets.of_draws(stats, stat_sites),
        "observed_data": datasets.of_arrays(
            ready.observed("train"), {site.name: site.dims for site in structure.observed}
        ),
        "constant_data": datasets.constants(ready.values, structure, structure.observed),
    }
    if "predictions" in predictions.groups:
        forward, values = predictions.groups["predictions"]
        groups["predictions"] = datasets.of_draws(values, forward.sites)
        assert ready.predict_values is not None
        groups["predictions_constant_data"] = datasets.constants(
            ready.predict_values, structure, forward.sites.values()
        )
    return groups
