"""Running a problem's model forward from the draws of a guide, and labelling everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import xarray as xr

from guidebench.config.seeds import derive
from guidebench.engine import datasets
from guidebench.engine.workbench import Workbench
from guidebench.inference.draws import Draws
from guidebench.inference.predict import Forward
from guidebench.inference.structure import Site
from guidebench.metrics.evidence import Heldout

#: Predictions at the training data are left out where fewer draws of them than this can be kept.
FEWEST = 100

#: What the forward programs of training data and the prediction grid are called, and the groups that they fill.
GROUPS = {"train": "posterior_predictive", "log_train": "log_likelihood", "predict": "predictions"}

#: How XLA says that there is not enough memory.
EXHAUSTED = "RESOURCE_EXHAUSTED"


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Forward draws by InferenceData group, each with the program that made it, and whether memory lacked for some."""

    groups: Mapping[str, tuple[Forward, Mapping[str, np.ndarray]]]
    exhausted: bool = False


def affordable(outputs: int) -> int:
    """Return for how many draws so many outputs each can be kept, in float32."""
    return datasets.may_be_kept(4 * outputs)


def run_forward(
    bench: Workbench, latents: Mapping[str, np.ndarray], fixed: Mapping[str, Any], seed: int
) -> tuple[Predictions, Heldout | None]:
    """Predict at the training data, on the prediction grid and at the held-out data.

    Every guide is given the same random numbers, so that differences between guides are theirs.
    `fixed` holds what the guide made of the model's own parameters.  Predictions that memory does not suffice for, as
    for a multinomial of a million, which NumPyro draws one by one, are left out: the fit is sound without them.
    """
    try:
        return _run_forward(bench, latents, fixed, seed)
    except jax.errors.JaxRuntimeError as error:
        if EXHAUSTED not in str(error):
            raise
        return Predictions(groups={}, exhausted=True), None


def _run_forward(
    bench: Workbench, latents: Mapping[str, np.ndarray], fixed: Mapping[str, Any], seed: int
) -> tuple[Predictions, Heldout | None]:
    structure = bench.prepared.structure
    few = {name: _affordable(bench, name, latents) for name in _programs(bench)}
    # All of them are traced before the first is waited for: they are compiled side by side.
    forward = {name: bench.forward(name, some, fixed) for name, some in few.items()}
    found = {
        name: program(jax.random.key(derive(seed, bench.prepared.problem.name, name)), few[name], fixed)
        for name, program in forward.items()
    }
    groups = {group: (forward[name], found[name]) for name, group in GROUPS.items() if name in found}
    heldout = None
    if "heldout" in found:
        predicted, log_likelihood = found["heldout"], found.get("log_heldout", {})
        values, counts = bench.observed("heldout"), bench.prepared.heldout_counts
        observed = [site.name for site in structure.observed if site.name in values]
        heldout = Heldout(
            observed={name: values[name][counts.get(name, ...)] for name in observed},
            predicted={name: predicted[name][:, counts.get(name, ...)] for name in observed},
            log_likelihood={name: value[:, counts.get(name, ...)] for name, value in log_likelihood.items()},
            discrete=frozenset(site.name for site in structure.observed if site.discrete),
        )
    return Predictions(groups=groups), heldout


def _programs(bench: Workbench) -> list[str]:
    """Return the names of the forward programs that the fits of a problem take."""
    prepared = bench.prepared
    # Given a draw of a discrete latent site, the density of an observation is not that given the others.
    logs = ["log_"] if not prepared.structure.discrete else []
    names = []
    if affordable(bench.outputs("train")) >= FEWEST:
        names += ["train", *(f"{log}train" for log in logs)]
    if bench.predict_values is not None:
        names += ["predict"]
    if prepared.problem.heldout is not None and prepared.structure.observed:
        names += [*(f"{log}heldout" for log in logs), "heldout"]
    return names


def _affordable(bench: Workbench, name: str, latents: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return as many of the draws as predictions by one program can be kept of."""
    count = max(affordable(bench.outputs(name.removeprefix("log_"))), FEWEST)
    return {site: value[:count] for site, value in latents.items()}


def label(bench: Workbench, draws: Draws, predictions: Predictions, *, weighted: bool) -> dict[str, xr.Dataset]:
    """Return the groups of the InferenceData of one fit; log q and weights only where they are those of its latents."""
    structure = bench.prepared.structure
    sites = {site.name: site for site in (*structure.latents, *structure.deterministics)}
    stats = {"log_p": draws.log_p}
    if weighted:
        stats |= {"log_q": draws.log_q, "log_weight": draws.log_weights}
    stat_sites = {name: Site(name=name, shape=(), dims=()) for name in stats}
    groups = {
        "posterior": datasets.of_draws(draws.latents, sites),
        **(_at_training(bench, draws, predictions) if "posterior_predictive" in predictions.groups else {}),
        "sample_stats": datasets.of_draws(stats, stat_sites),
        "observed_data": datasets.of_arrays(
            bench.observed("train"), {site.name: site.dims for site in structure.observed}
        ),
        "constant_data": datasets.constants(bench.prepared.values, structure, structure.observed),
    }
    if "predictions" in predictions.groups:
        forward, values = predictions.groups["predictions"]
        groups["predictions"] = datasets.of_draws(values, forward.sites)
        assert bench.predict_values is not None
        groups["predictions_constant_data"] = datasets.constants(
            bench.predict_values, structure, forward.sites.values()
        )
    return groups


def _at_training(bench: Workbench, draws: Draws, predictions: Predictions) -> dict[str, xr.Dataset]:
    """Return the groups that hold what was computed at the training data, and the posterior with its deterministics."""
    forward, values = predictions.groups["posterior_predictive"]
    observed = {site.name for site in bench.prepared.structure.observed}
    deterministic = {name: value for name, value in values.items() if name not in observed}
    predicted = {name: value for name, value in values.items() if name in observed}
    sites = {**{site.name: site for site in bench.prepared.structure.latents}, **forward.sites}
    groups = {}
    if "log_likelihood" in predictions.groups:
        log_forward, log_likelihood = predictions.groups["log_likelihood"]
        groups["log_likelihood"] = datasets.of_draws(log_likelihood, log_forward.sites)
    both = {**draws.latents, **deterministic}
    enough = datasets.may_be_kept(datasets.bytes_of(both)) >= len(draws.log_p)
    if enough and all(len(value) == len(draws.log_p) for value in deterministic.values()):
        groups["posterior"] = datasets.of_draws(both, sites)
    else:  # fewer draws than the latents have: beside the predictions, which have as few
        predicted |= deterministic
    return {"posterior_predictive": datasets.of_draws(predicted, forward.sites), **groups}
