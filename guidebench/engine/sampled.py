"""Draws by NUTS as a reference: until they pass their checks, and read back where an earlier run has made them.

NUTS results, passed or failed, are kept in the cache and read back when model, data, settings and
versions are the same; nothing that is read is ever executed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from guidebench.config.errors import DiskFullError
from guidebench.config.seeds import derive
from guidebench.engine import datasets
from guidebench.engine.events import PhaseBegan
from guidebench.engine.gate import Judgement, Reference, judge, used
from guidebench.engine.prepared import PreparedProblem
from guidebench.engine.searching import Asked, no_density, unaffordable
from guidebench.inference import nuts
from guidebench.inference.coordinates import Affine
from guidebench.inference.device import cache
from guidebench.inference.structure import ModelStructure
from guidebench.plugins.isolation.failures import reason
from guidebench.results import Work
from guidebench.results import inference_data as idata
from guidebench.results.files import digest, put

#: Numbers that the draws of all chains may hold.
MOST_NUMBERS = 40_000_000

SETTINGS = nuts.Settings()

#: Gradients that its first round takes, at least: three leapfrog steps, the fewest with a turn, for each of its own.
LEAST = 3 * SETTINGS.chains * (SETTINGS.warmup + SETTINGS.draws)
LABEL = "NUTS"


class _Sampled(NamedTuple):
    """What NUTS gave, what checks found, how long it took, and whether it was read back."""

    chains: nuts.Chains
    found: Judgement
    seconds: float
    reused: bool = False


def by_nuts(asked: Asked) -> Reference | str:
    """Return draws by NUTS, used for nothing where they fail their checks, or why there are none."""
    obstacle = _obstacle(asked.problem)
    if obstacle is not None:
        return obstacle
    if asked.by_itself and asked.bench.in_blocks:
        size = asked.problem.arguments.size()
        return Reference(note=f"NUTS was not run on {size:,} numbers of data; --reference nuts does, and takes long.")
    if asked.meter.most(LEAST) < LEAST:
        return unaffordable("NUTS", asked.meter)
    try:
        sampled = _sampled(asked)
        return sampled if isinstance(sampled, Reference) else _judged(sampled)
    except Exception as error:  # noqa: BLE001 - guides can be trained on what NUTS fails on
        return reason(error)


def _obstacle(prepared: PreparedProblem) -> str | None:
    """Return why NUTS cannot run on a model, or ``None``."""
    obstacle = no_density(prepared)
    if obstacle is None and _affordable(prepared.structure) < 1:
        return f"draws of {prepared.structure.latent_dim:,} coordinates are too many to keep"
    return obstacle


def _affordable(structure: ModelStructure) -> int:
    """Return how many times the draws of a first round can be kept."""
    per_draw = max(structure.latent_dim, sum(int(np.prod(site.shape)) for site in structure.latents))
    return MOST_NUMBERS // (SETTINGS.chains * SETTINGS.draws * per_draw)


def _judge(chains: nuts.Chains) -> Judgement:
    return judge(chains.draws, int(chains.diverging.sum()))


def _judged(sampled: _Sampled) -> Reference:
    chains, found = sampled.chains, sampled.found
    work = {"nuts": Work(gradients=chains.gradients, seconds=sampled.seconds)}
    count, length = chains.diverging.shape
    how = (
        f"{count} chains of {length:,} draws after {SETTINGS.warmup:,} steps of warm-up, "
        f"{'kept from an earlier run, where they took' if sampled.reused else 'in'} {sampled.seconds:.1f} s"
    )
    if found.failure:
        note = f"NUTS failed its checks and is used for nothing: {found.failure}.{found.disagreement()} It ran {how}."
        return Reference(checks=found.checks, doubts=found.doubts, note=note, seconds=sampled.seconds, work=work)
    return replace(used(LABEL, chains.draws, found, f"{LABEL}: {how}."), seconds=sampled.seconds, work=work)


def _sampled(asked: Asked) -> _Sampled | Reference:
    """Run NUTS until its draws pass or there is no point in going on, or read what an earlier run kept.

    Where the budget does not last, it says so; what an earlier run kept costs what it cost that.
    """
    began = time.perf_counter()
    prepared, name = asked.problem, asked.problem.problem.name
    asked.tell(PhaseBegan(name, "reference", "NUTS"))
    search = asked.searched
    target, landscape, points = search.target, search.landscape, search.points
    if target is None or landscape is None or points is None:
        raise ValueError("no starting point with a finite log density and gradient was found")
    values = {name: prepared.values[name] for name in prepared.arguments.arrays}
    # The same for every seed of a run, so that a reference is made once.
    seed = derive(0, name, "nuts")
    lengths = replace(SETTINGS, doublings=min(SETTINGS.doublings, _affordable(prepared.structure).bit_length() - 1))
    program = nuts.fingerprint(target, values)
    # A search that found more modes has more to say: chains that started elsewhere do not stand in for it.
    modes = min(len(landscape.modes), lengths.chains)
    file = None if program is None else _file(program, prepared.structure, lengths, seed, modes)
    kept = None if file is None else _read(file, prepared.structure)
    if kept is not None:
        if asked.meter.over(0 if asked.meter.timed else kept.chains.gradients):
            return unaffordable("NUTS", asked.meter)
        return kept
    taken, found = 0, None

    def enough(gradients: int) -> bool:
        nonlocal taken
        taken = gradients
        return asked.meter.over(gradients)

    affine = Affine.for_family("affine", landscape.best, target.dim)
    starts = nuts.chain_starts(landscape, points, lengths.chains, derive(seed, "starts"))
    for chains in nuts.rounds(
        target,
        values,
        affine,
        starts,
        seed,
        lengths,
        lambda done, total: asked.tell(PhaseBegan(name, "reference", f"NUTS, step {done:,} of {total:,}")),
        enough,
    ):
        found = _judge(chains)
        if not found.failure or found.checks["divergences"]:
            break  # divergences do not get fewer by waiting
    if found is None or (found.failure and not found.checks["divergences"] and asked.meter.over(taken)):
        work = Work(gradients=taken, seconds=time.perf_counter() - began)
        return unaffordable("NUTS", asked.meter, {"nuts": work}, "ended")
    sampled = _Sampled(chains, found, time.perf_counter() - began)
    if file is not None:
        _keep(sampled, prepared.structure, file)
    return sampled


# What is kept between runs


def _file(program: str, structure: ModelStructure, *settings: object) -> Path:
    """Return where the draws of that program under those settings are kept."""
    versions = [f"{name} {version(name)}" for name in ("guidebench", "jax", "numpyro")]
    text = "\n".join([program, repr(structure.latents), *map(repr, settings), *versions])
    return cache.folder() / "references" / f"{hashlib.sha256(text.encode()).hexdigest()}.nc"


def _keep(sampled: _Sampled, structure: ModelStructure, file: Path) -> None:
    """Write draws for later runs, in one step; a folder that cannot be written is no reason to stop."""
    attrs = {"seconds": sampled.seconds, "gradients": sampled.chains.gradients}
    data = labelled(sampled.chains.draws, structure, {}, sampled.chains.diverging, **attrs)
    with suppress(OSError, DiskFullError):
        written = put(file, idata.to_bytes(data))
        put(_digest_file(file), written.encode())


def _digest_file(file: Path) -> Path:
    """Return what says of kept draws whether they are whole."""
    return file.with_suffix(".sha256")


def _read(file: Path, structure: ModelStructure) -> _Sampled | None:
    """Return the draws that an earlier run kept, or ``None``; what cannot be read is made anew."""
    try:
        content = file.read_bytes()
        if digest(content) != _digest_file(file).read_text(encoding="ascii"):
            return None
        data = idata.from_bytes(content)
        posterior, stats = idata.group(data, "posterior"), idata.group(data, "sample_stats")
        if posterior is None or stats is None:
            return None
        diverging = stats["diverging"].to_numpy().astype(bool)
        draws = {site.name: posterior[site.name].to_numpy() for site in structure.latents}
        if any(draws[site.name].shape != (*diverging.shape, *site.shape) for site in structure.latents):
            return None
        chains = nuts.Chains(draws, diverging, int(posterior.attrs["gradients"]))
        return _Sampled(chains, _judge(chains), float(posterior.attrs["seconds"]), reused=True)
    except Exception:  # noqa: BLE001 - what a broken NetCDF file makes h5py and xarray raise is not documented
        return None


def labelled(
    chains: Mapping[str, np.ndarray],
    structure: ModelStructure,
    coords: Mapping[str, Sequence[str]],
    diverging: np.ndarray | None = None,
    **attrs: float,
) -> idata.InferenceData:
    """Return draws of chains as InferenceData with one group, ``posterior``, levels named by `coords`."""
    sites = {site.name: site for site in (*structure.latents, *structure.deterministics)}
    made, each = (next(iter(chains.values())).shape[1], sum(value[:, :1].nbytes for value in chains.values()))
    most = min(datasets.may_be_kept(each, groups=1), made)
    cut = {} if most == made else {"kept": datasets.said_of_kept(most, made, each) + ", of every chain"}
    # The labels of the first chain are those of all.
    first = datasets.of_draws({name: value[0, :most] for name, value in chains.items()}, sites)
    count = len(next(iter(chains.values())))
    numbers = {dim: np.arange(count if dim == "chain" else size) for dim, size in first.sizes.items()}
    posterior = {name: (first[name].dims, value[:, : first.sizes["draw"]]) for name, value in chains.items()}
    drawn = datasets.with_coords(xr.Dataset(posterior, coords=numbers, attrs={**attrs, **cut}), coords)
    groups = {"posterior": drawn}
    if diverging is not None:
        groups["sample_stats"] = xr.Dataset({"diverging": (("chain", "draw"), diverging)})
    return idata.from_groups(groups)
