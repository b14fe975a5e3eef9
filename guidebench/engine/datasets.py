"""Labelling arrays: from named draws to the groups of an InferenceData."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from guidebench.inference.structure import ModelStructure, Site
from guidebench.inference.train import Evaluations, Training

#: Numbers that one variable of an InferenceData may hold; longer ones keep fewer draws.
MOST_VALUES = 20_000_000

#: Numbers that a constant may have to be written beside the draws of every guide.
MOST_CONSTANT = 1_000_000


def thin(values: np.ndarray) -> np.ndarray:
    """Return the leading draws of `values` (shape ``(S, ...)``) that fit in bounded memory."""
    per_draw = max(values[0].size, 1)
    return values[: max(MOST_VALUES // per_draw, 1)]


def of_draws(values: Mapping[str, np.ndarray], sites: Mapping[str, Site]) -> xr.Dataset:
    """Return draws of sites, shape ``(S, ...)`` each, as a Dataset with dims ``(chain, draw, ...)``."""
    kept = {name: thin(draws) for name, draws in values.items()}
    count = min((len(draws) for draws in kept.values()), default=0)
    variables = {name: (("chain", "draw", *sites[name].dims), draws[None, :count]) for name, draws in kept.items()}
    return _with_coords(variables)


def in_place_of(drawn: xr.Dataset, values: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Return other draws of sites, shape ``(S, ...)`` each, with the dims that they have in a Dataset of draws."""
    dims = {name: tuple(str(dim) for dim in drawn[name].dims[2:]) for name in values}
    sites = {name: Site(name=name, shape=values[name].shape[1:], dims=dims[name]) for name in values}
    return of_draws(values, sites)


def of_arrays(values: Mapping[str, Any], dims: Mapping[str, tuple[str, ...]]) -> xr.Dataset:
    """Return named arrays as a Dataset."""
    return _with_coords({name: (dims[name], np.asarray(value)) for name, value in values.items()})


def _with_coords(variables: Mapping[str, tuple[tuple[str, ...], np.ndarray]]) -> xr.Dataset:
    sizes: dict[str, int] = {}
    renamed = {}
    for name, (dims, values) in variables.items():
        fitted = tuple(
            dim if sizes.setdefault(dim, size) == size else f"{name}_{dim}"
            for dim, size in zip(dims, values.shape, strict=True)
        )
        sizes.update(zip(fitted, values.shape, strict=True))
        renamed[name] = (fitted, values)
    return xr.Dataset(renamed, coords={dim: np.arange(size) for dim, size in sizes.items()})


def argument_dims(values: Mapping[str, np.ndarray], sites: Iterable[Site]) -> dict[str, tuple[str, ...]]:
    """Return dims for a model's arguments: an axis as long as exactly one plate takes the plate's name."""
    plates: dict[int, set[str]] = {}
    for site in sites:
        for dim, size in zip(site.dims, site.shape, strict=True):
            if not dim.startswith(f"{site.name}_dim_"):
                plates.setdefault(size, set()).add(dim)
    dims: dict[str, tuple[str, ...]] = {}
    for name, value in values.items():
        labels: list[str] = []
        for axis, size in enumerate(value.shape):
            names = plates.get(size, set())
            label = next(iter(names)) if len(names) == 1 else f"{name}_dim_{axis}"
            labels.append(label if label not in labels else f"{name}_dim_{axis}")
        dims[name] = tuple(labels)
    return dims


def constants(values: Mapping[str, Any], structure: ModelStructure, sites: Iterable[Site]) -> xr.Dataset:
    """Return the arguments of a model that are arrays and not observations; those with many values are left out."""
    arrays = {
        name: np.asarray(value)
        for name, value in values.items()
        if name not in structure.observed_arguments
        and isinstance(value, np.ndarray)
        and value.dtype.kind in "biuf"
        and value.size <= MOST_CONSTANT
    }
    return of_arrays(arrays, argument_dims(arrays, sites))


def of_training(training: Training, best: int) -> dict[str, xr.Dataset]:
    """Return the groups ``training`` (loss of every restart) and ``training_parameters`` (of the best)."""
    restarts, steps = training.losses.shape
    loss = xr.Dataset(
        {"loss": (("restart", "step"), training.losses.astype(np.float32))} if steps else {},
        coords={"restart": np.arange(restarts), "step": np.arange(1, steps + 1)},
    )
    if training.evaluations is not None:
        loss = _with_evaluations(loss, training.evaluations)
    snapshots = {
        name: (("snapshot", *(f"{name}_dim_{axis}" for axis in range(values.ndim - 2))), values[best])
        for name, values in training.snapshots.items()
    }
    parameters = xr.Dataset(snapshots, coords={"snapshot": training.snapshot_steps})
    return {"training": loss, "training_parameters": parameters}


def _with_evaluations(loss: xr.Dataset, found: Evaluations) -> xr.Dataset:
    """Return the group ``training`` with the course of the ELBO on rows that were kept from training."""
    variables = {
        "validation_loss": (("restart", "evaluation"), found.losses),
        "kept_step": ("restart", found.kept),
    }
    with_them = loss.assign(variables).assign_coords(evaluation_step=("evaluation", found.steps))
    return with_them if found.patience is None else with_them.assign_attrs(patience=found.patience)
