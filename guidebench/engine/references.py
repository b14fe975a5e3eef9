"""What the guides are measured against: exact draws, those that come with a problem, NUTS, or the user's own.

All but the exact ones have to pass the same checks.

A reference that fails its checks is named in the record with the reason, and used for nothing.
NUTS results, passed or failed, are kept in the cache and read back when model, data, settings and
versions are the same; nothing that is read is ever executed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from guidebench.config import RunConfig
from guidebench.config.errors import RequestError
from guidebench.config.seeds import derive
from guidebench.contracts import ReferenceDraws
from guidebench.engine import datasets
from guidebench.engine.features import features
from guidebench.engine.gate import Judgement, Reference, judge
from guidebench.engine.given import Given, arrange, read
from guidebench.engine.prepared import Prepared
from guidebench.engine.progress import Progress
from guidebench.engine.starts import Starts, find_starts
from guidebench.inference import nuts
from guidebench.inference.coordinates import Affine
from guidebench.inference.device import cache
from guidebench.inference.recipe import Recipe
from guidebench.inference.structure import ModelStructure
from guidebench.results import inference_data as idata

#: Draws from an exact posterior: enough that its own noise hardly counts.
EXACT_DRAWS = 40_000

#: Draws that are kept of longer chains.
MOST_DRAWS = 40_000

#: Numbers that the draws of all chains may hold.
MOST_NUMBERS = 40_000_000

SETTINGS = nuts.Settings()


def with_reference(
    ready: Prepared, config: RunConfig, recipe: Recipe, given: Mapping[str, Any] | None, watcher: Progress
) -> Prepared:
    """Return a problem with its reference, and with what the report needs to know of it.

    Parameters
    ----------
    ready : Prepared
        The problem.
    config : RunConfig
        Its ``reference`` says which one.
    recipe : Recipe
        As in training.
    given : mapping, optional
        Draws by site that the user gave in place of a file.
    watcher : Progress
        Is told what happens.

    Raises
    ------
    RequestError
        Where the reference that was asked for cannot be had.
    """
    found = _find(ready, config, recipe, given, watcher)
    record = replace(
        ready.record,
        reference=found.label,
        reference_checks=dict(found.checks),
        reference_note=found.note,
        features=features(ready, found),
    )
    return replace(ready, reference=found, record=record)


def _find(
    ready: Prepared, config: RunConfig, recipe: Recipe, given: Mapping[str, Any] | None, watcher: Progress
) -> Reference:
    sites = ready.structure.latents
    if given is not None:
        return _own("given draws", Given(arrange(given, sites, "reference")))
    if config.reference == "none":
        return Reference()
    if config.reference == "exact" or (config.reference == "auto" and ready.problem.reference is not None):
        return _exact(ready, config)
    if config.reference == "auto" and ready.problem.reference_draws is not None:
        return _made_earlier(ready)
    if config.reference in ("auto", "nuts"):
        return _by_nuts(ready, config, recipe, watcher)
    file = Path(config.reference)
    return _own(file.name, read(file, sites))


def _exact(ready: Prepared, config: RunConfig) -> Reference:
    """Return draws from the exact posterior."""
    problem = ready.problem
    if problem.reference is None:
        raise RequestError(
            f"problem {problem.name!r} cannot draw from its exact posterior; try nuts",
            option="reference",
            value="exact",
        )
    count = max(config.draws, EXACT_DRAWS)
    draws = problem.reference(derive(config.seed, problem.name, "reference"), count)
    found = {name: np.asarray(value) for name, value in draws.items()}
    for site in ready.structure.latents:
        if site.name not in found or found[site.name].shape != (count, *site.shape):
            given = found[site.name].shape if site.name in found else "nothing"
            raise RequestError(
                f"problem {problem.name!r}: its reference gives {given} for site {site.name}, "
                f"not draws of shape {(count, *site.shape)}"
            )
    chains = {site.name: found[site.name][None] for site in ready.structure.latents}
    return Reference(label="exact posterior" if chains else "", chains=chains, checks={"draws": float(count)})


def _made_earlier(ready: Prepared) -> Reference:
    """Return the draws that come with a problem."""
    problem = ready.problem
    assert problem.reference_draws is not None
    found = problem.reference_draws()
    if not isinstance(found, ReferenceDraws):
        raise RequestError(
            f"problem {problem.name!r}: reference_draws must return ReferenceDraws, not {type(found).__name__}"
        )
    where = f"problem {problem.name!r}: its reference draws"
    return _own(found.label, Given(arrange(found.chains, ready.structure.latents, where), found.divergences))


def _own(label: str, given: Given) -> Reference:
    """Return the user's own draws: checked where they are chains, and otherwise with a word of caution."""
    found = judge(given.chains, given.divergences)
    if found.checks["chains"] == 1:
        checks = {name: value for name, value in found.checks.items() if name != "rhat"}
        if given.divergences:
            return Reference(checks=checks, note=f"{label} is not used: {found.failure}.")
        note = f"Given by {label}; its convergence was not checked."
        return _used(label, given.chains, found._replace(checks=checks), note)
    if found.failure:
        return Reference(
            checks=found.checks, note=f"{label} failed its checks and is used for nothing: {found.failure}."
        )
    note = "" if given.divergences is not None else f"{label} does not say whether transitions diverged."
    return _used(label, given.chains, found, note)


def _used(label: str, chains: Mapping[str, np.ndarray], found: Judgement, note: str) -> Reference:
    kept = {name: _thinned(value) for name, value in chains.items()}
    size = float(np.prod(next(iter(kept.values())).shape[:2]))
    effective = {name: min(value, size) for name, value in found.effective.items()}
    return Reference(label=label, chains=kept, effective=effective, checks=found.checks, note=note)


def _thinned(chains: np.ndarray) -> np.ndarray:
    """Return evenly spaced draws of every chain, as many as are kept."""
    count, most = chains.shape[1], max(MOST_DRAWS // len(chains), 1)
    return chains if count <= most else chains[:, np.arange(most) * count // most]


# NUTS


class _Sampled(NamedTuple):
    """What NUTS gave, what checks found, how long it took, and whether it was read back."""

    chains: nuts.Chains
    found: Judgement
    seconds: float
    reused: bool = False


def _by_nuts(ready: Prepared, config: RunConfig, recipe: Recipe, watcher: Progress) -> Reference:
    """Return draws by NUTS, or the reason why there are none; a refusal where NUTS was asked for by name."""
    reason = _obstacle(ready)
    if reason is None and config.reference == "auto" and ready.in_blocks:
        size = ready.arguments.size()
        return Reference(note=f"NUTS was not run on {size:,} numbers of data; --reference nuts does, and takes long.")
    if reason is None:
        try:
            return _judged(_sampled(ready, config, recipe, watcher))
        except Exception as error:  # noqa: BLE001 - guides can be trained on what NUTS fails on
            text = " ".join(str(error).split())[:300]
            reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if config.reference == "nuts":
        raise RequestError(f"problem {ready.problem.name!r}: {reason}", option="reference", value="nuts")
    return Reference(note=f"There is no reference, for NUTS cannot run here: {reason}.")


def _obstacle(ready: Prepared) -> str | None:
    """Return why NUTS cannot run on a model, or ``None``."""
    if ready.refusal is not None:
        return ready.refusal
    if ready.structure.params:
        return (
            f"the model has parameters of its own ({', '.join(ready.structure.params)}), so it is one for every guide"
        )
    if _affordable(ready.structure) < 1:
        return f"draws of {ready.structure.latent_dim:,} coordinates are too many to keep"
    return None


def _affordable(structure: ModelStructure) -> int:
    """Return how many times the draws of a first round can be kept."""
    per_draw = max(structure.latent_dim, sum(int(np.prod(site.shape)) for site in structure.latents))
    return MOST_NUMBERS // (SETTINGS.chains * SETTINGS.draws * per_draw)


def _judge(chains: nuts.Chains) -> Judgement:
    return judge(chains.draws, int(chains.diverging.sum()))


def _judged(sampled: _Sampled) -> Reference:
    chains, found = sampled.chains, sampled.found
    count, length = chains.diverging.shape
    how = (
        f"{count} chains of {length:,} draws after {SETTINGS.warmup:,} steps of warm-up, "
        f"{'kept from an earlier run, where they took' if sampled.reused else 'in'} {sampled.seconds:.1f} s"
    )
    if found.failure:
        note = f"NUTS failed its checks and is used for nothing: {found.failure}. It ran {how}."
        return Reference(checks=found.checks, note=note)
    return _used("NUTS", chains.draws, found, f"NUTS: {how}.")


def _sampled(ready: Prepared, config: RunConfig, recipe: Recipe, watcher: Progress) -> _Sampled:
    """Run NUTS until its draws pass or there is no point in going on, or read what an earlier run kept."""
    began = time.perf_counter()
    name = ready.problem.name
    watcher.phase(name, "reference", "NUTS")
    search = _search(ready, config, recipe)
    target, landscape, points = search.target, search.landscape, search.points
    if target is None or landscape is None or points is None:
        raise ValueError("no starting point with a finite log density and gradient was found")
    values = {name: ready.values[name] for name in ready.arguments.arrays}
    # The same for every seed of a run, so that a reference is made once.
    seed = derive(0, name, "nuts")
    settings = replace(SETTINGS, doublings=min(SETTINGS.doublings, _affordable(ready.structure).bit_length() - 1))
    program = nuts.fingerprint(target, values)
    # A search that found more modes has more to say: chains that started elsewhere do not stand in for it.
    modes = min(len(landscape.modes), settings.chains)
    file = None if program is None else _file(program, ready.structure, settings, seed, modes)
    kept = None if file is None else _read(file, ready.structure)
    if kept is not None:
        return kept
    affine = Affine.for_family("affine", landscape.best, target.dim)
    starts = nuts.chain_starts(landscape, points, settings.chains, derive(seed, "starts"))
    for chains in nuts.rounds(
        target,
        values,
        affine,
        starts,
        seed,
        settings,
        lambda done, total: watcher.phase(name, "reference", f"NUTS, step {done:,} of {total:,}"),
    ):
        found = _judge(chains)
        if not found.failure or found.checks["divergences"]:
            break  # divergences do not get fewer by waiting
    sampled = _Sampled(chains, found, time.perf_counter() - began)
    if file is not None:
        _keep(sampled, ready.structure, file)
    return sampled


def _search(ready: Prepared, config: RunConfig, recipe: Recipe) -> Starts:
    """Return starting points from all over: those of training where they are, and others where they are not."""
    own = Starts(
        values=ready.starts, valid=ready.valid, points=ready.points, target=ready.target, landscape=ready.landscape
    )
    if own.target is not None and config.init == "uniform" and config.seed == 0:
        return own  # the search of seed 0: what is kept must not depend on who came first
    found = find_starts(
        ready.problem,
        ready.values,
        ready.arguments,
        ready.structure,
        config.model_copy(update={"init": "uniform", "seed": 0}),
        replace(recipe, standardise=True),
    )
    return own if found.target is None else found


# What is kept between runs


def _file(program: str, structure: ModelStructure, *settings: object) -> Path:
    """Return where the draws of that program under those settings are kept."""
    versions = [f"{name} {version(name)}" for name in ("guidebench", "jax", "numpyro")]
    text = "\n".join([program, repr(structure.latents), *map(repr, settings), *versions])
    return cache.folder() / "references" / f"{hashlib.sha256(text.encode()).hexdigest()}.nc"


def _keep(sampled: _Sampled, structure: ModelStructure, file: Path) -> None:
    """Write draws for later runs, in one step; a folder that cannot be written is no reason to stop."""
    data = _labelled(sampled.chains.draws, structure, sampled.chains.diverging, seconds=sampled.seconds)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=file.parent) as folder:
            partial = Path(folder) / file.name
            idata.save(data, partial)
            partial.replace(file)
    except OSError:
        pass


def _read(file: Path, structure: ModelStructure) -> _Sampled | None:
    """Return the draws that an earlier run kept, or ``None``; what cannot be read is made anew."""
    try:
        data = idata.load(file)
        posterior, stats = idata.group(data, "posterior"), idata.group(data, "sample_stats")
        if posterior is None or stats is None:
            return None
        diverging = stats["diverging"].to_numpy().astype(bool)
        draws = {site.name: posterior[site.name].to_numpy() for site in structure.latents}
        if any(draws[site.name].shape != (*diverging.shape, *site.shape) for site in structure.latents):
            return None
        chains = nuts.Chains(draws, diverging)
        return _Sampled(chains, _judge(chains), float(posterior.attrs["seconds"]), reused=True)
    except Exception:  # noqa: BLE001 - what a broken NetCDF file makes h5py and xarray raise is not documented
        return None


def reference_data(ready: Prepared) -> idata.InferenceData:
    """Return the reference draws of a problem as InferenceData with one group, ``posterior``."""
    return _labelled(ready.reference.chains, ready.structure)


def _labelled(
    chains: Mapping[str, np.ndarray], structure: ModelStructure, diverging: np.ndarray | None = None, **attrs: float
) -> idata.InferenceData:
    sites = {site.name: site for site in structure.latents}
    # The labels of the first chain are those of all.
    first = datasets.of_draws({name: value[0] for name, value in chains.items()}, sites)
    count = len(next(iter(chains.values())))
    coords = {dim: np.arange(count if dim == "chain" else size) for dim, size in first.sizes.items()}
    posterior = {name: (first[name].dims, value[:, : first.sizes["draw"]]) for name, value in chains.items()}
    groups = {"posterior": xr.Dataset(posterior, coords=coords, attrs=attrs)}
    if diverging is not None:
        groups["sample_stats"] = xr.Dataset({"diverging": (("chain", "draw"), diverging)})
    return idata.from_groups(groups)
