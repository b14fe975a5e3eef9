"""Labelling arrays: from named draws to the groups of an InferenceData."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from guidebench.inference.structure import ModelStructure, Site
from guidebench.inference.train import Evaluations, Training

#: Bytes that the draws in one file may take, and groups of it that share them: a guide's draws, refreshed ones,
#: predictions, their densities, and predictions elsewhere.
MOST_BYTES = 400_000_000
GROUPS = 5

#: Single precision is fine where its steps are at most such a part of an sd.
FINE = 1e-3

#: Numbers that a constant may have to be written beside the draws of every guide.
MOST_CONSTANT = 1_000_000


def may_be_kept(bytes_per_draw: int, groups: int = GROUPS) -> int:
    """Return how many draws of so many bytes each may be kept in one group of a file, one at least.

    Parameters
    ----------
    bytes_per_draw : int
        Of all variables of the group together.
    groups : int
        How many groups the file has.
    """
    return max(MOST_BYTES // groups // max(bytes_per_draw, 1), 1)


def said_of_kept(kept: int, made: int, bytes_per_draw: int) -> str:
    """Return what is said of draws of which not all are kept."""
    size = made * bytes_per_draw
    unit, text = (1e9, "GB") if size >= 1e9 else (1e6, "MB")
    return f"kept {kept:,} of {made:,} draws: all of them would take {size / unit:.1f} {text}"


def bytes_of(values: Mapping[str, np.ndarray]) -> int:
    """Return what one draw of sites takes, of shape ``(S, ...)`` each."""
    return sum(draws[:1].nbytes for draws in values.values())


def fitting(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return draws of sites, in single precision where all would take too much in double and nothing is lost by it.

    Nothing is where the steps of single precision are at most a thousandth of the sd of every component, and no draw
    becomes 0 or infinite, or 1 where all are below that, which may be outside a support.
    """
    made = min((len(draws) for draws in values.values()), default=0)
    if made <= may_be_kept(bytes_of(values)):
        return dict(values)
    return {name: _rounded(draws) for name, draws in values.items()}


def _rounded(draws: np.ndarray) -> np.ndarray:
    if draws.dtype != np.float64:
        return draws
    with np.errstate(all="ignore"):
        found = draws.astype(np.float32)
        steps = np.max(np.abs(draws), axis=0) * np.finfo(np.float32).eps
        fine = np.all((steps <= FINE * np.std(draws, axis=0)) | (np.ptp(draws, axis=0) == 0))
    edges = (0, 1) if np.all(draws <= 1) else (0,)
    fine &= all(np.array_equal(found == edge, draws == edge) for edge in edges)
    return found if fine and np.array_equal(np.isfinite(found), np.isfinite(draws)) else draws


def of_draws(values: Mapping[str, np.ndarray], sites: Mapping[str, Site]) -> xr.Dataset:
    """Return draws of sites, shape ``(S, ...)`` each, as a Dataset with dims ``(chain, draw, ...)``.

    The first of them where all would take too much; its attribute ``kept`` then says so.
    """
    made = min((len(draws) for draws in values.values()), default=0)
    each = bytes_of(values)
    count = min(made, may_be_kept(each))
    # In arrays of their own where some are left out: a part of an array holds on to all of it.
    kept = {name: draws[:count].copy() if len(draws) > count else draws for name, draws in values.items()}
    variables = {name: (("chain", "draw", *sites[name].dims), draws[None]) for name, draws in kept.items()}
    found = _with_coords(variables)
    return found.assign_attrs(kept=said_of_kept(count, made, each)) if count < made else found


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


def with_coords(dataset: xr.Dataset, coords: Mapping[str, Sequence[str]]) -> xr.Dataset:
    """Return a Dataset with the names of levels where one of its dimensions has as many."""
    return dataset.assign_coords(
        {dim: np.array(names) for dim, names in coords.items() if dataset.sizes.get(dim) == len(names)}
    )


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


def of_course(
    quantiles: Mapping[str, np.ndarray], sites: Mapping[str, Site], levels: Sequence[float], steps: np.ndarray
) -> xr.Dataset:
    """Return the group ``training_course``: quantiles of sites over steps, shape ``(Q, T, ...)`` each."""
    variables = {name: (("quantile", "step", *sites[name].dims), values) for name, values in quantiles.items()}
    return _with_coords(variables).assign_coords(quantile=list(levels), step=steps)


def _with_evaluations(loss: xr.Dataset, found: Evaluations) -> xr.Dataset:
    """Return the group ``training`` with the course of the ELBO on rows that were kept from training."""
    variables = {
        "validation_loss": (("restart", "evaluation"), found.losses),
        "kept_step": ("restart", found.kept),
    }
    with_them = loss.assign(variables).assign_coords(evaluation_step=("evaluation", found.steps))
    return with_them if found.patience is None else with_them.assign_attrs(patience=found.patience)
