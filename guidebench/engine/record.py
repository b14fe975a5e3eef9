"""What the report needs to know of a problem, read off its model and its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import softmax

from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.engine.minibatches import Inspected, describe
from guidebench.inference.arguments import Arguments
from guidebench.inference.modes import Landscape
from guidebench.inference.peaks import Mode
from guidebench.inference.predict import observation_sd
from guidebench.inference.structure import ModelStructure, sizes_of
from guidebench.inference.target import Target
from guidebench.metrics.evidence import scalars
from guidebench.results import ModeRecord, ProblemRecord, Work

#: Modes differ in a component where they are so many of their sds apart, at least.
APART = 0.1

#: A value is zero where it is less than so much of the range of all modes.
NOTHING = 1e-9

#: Modes that are told, with where they are in so many components, in no more dimensions than these.
MOST_MODES, MOST_COMPONENTS, MOST_DIMENSIONS = 12, 6, 400


def record_of(
    inspected: Inspected,
    heldout_size: int,
    landscape: Landscape | None = None,
    warnings: tuple[str, ...] = (),
    searched: Work | None = None,
    target: Target | None = None,
) -> ProblemRecord:
    """Return the record of a problem, without what is still to be found out about its reference.

    `warnings` is what was said of it before training, `searched` what looking at it took, and `target` what was
    searched.

    Raises
    ------
    RequestError
        Where what is said of the true values does not fit the model.
    """
    problem, values, arguments, structure, _ = inspected
    truth = _truth(problem, structure)
    noise: dict[str, np.ndarray] = {}
    if truth.keys() == {site.name for site in structure.latents} and truth and not structure.discrete:
        noise = observation_sd(problem.model, arguments, structure, truth)
    along = [
        name
        for name, value in (problem.predict or {}).items()
        if np.ndim(value) == 1 and np.ndim(values[name]) == 1 and name not in structure.observed_arguments
    ]
    return ProblemRecord(
        name=problem.name,
        summary=problem.summary,
        cite=problem.cite,
        latents=tuple(site.name for site in structure.latents),
        observed=tuple(site.name for site in structure.observed),
        truth={name: np.asarray(value).tolist() for name, value in truth.items()},
        noise_sd={name: value.tolist() for name, value in noise.items()},
        log_evidence=problem.log_evidence,
        predictor=along[0] if len(along) == 1 else None,
        heldout_size=heldout_size,
        notes=(*warnings, *_notes(inspected)),
        search="" if landscape is None else landscape.described(),
        modes=() if landscape is None or target is None else _modes(landscape, target, arguments),
        warnings=warnings,
        work={} if searched is None else {"search": searched},
        levels=_levels(structure, coords_of(problem, structure)),
    )


def _modes(landscape: Landscape, target: Target, arguments: Arguments) -> tuple[ModeRecord, ...]:
    """Return where the modes are that count, where there are several, in the components in which they differ most."""
    modes = landscape.modes[:MOST_MODES]
    if len(modes) < 2 or target.dim > MOST_DIMENSIONS:
        return ()
    shares = softmax([one.log_mass for one in landscape.modes])[:MOST_MODES]
    constrain = jax.jit(lambda flat, traced: target.constrain(flat, traced)[0])
    at = [jax.device_get(constrain(jnp.asarray(one.location), dict(arguments.arrays))) for one in modes]
    found = [dict(scalars({name: np.asarray(value)[None] for name, value in one.items()})) for one in at]
    each = {name: np.array([float(one[name][0]) for one in found]) for name in found[0]}
    apart = _apart(modes, target, found[0], each)
    most = sorted((name for name in apart if apart[name] > APART), key=lambda name: -apart[name])[:MOST_COMPONENTS]
    names = [name for name in apart if name in most]
    each = {name: np.where(np.abs(each[name]) < NOTHING * np.ptp(each[name]), 0.0, each[name]) for name in names}
    return tuple(
        ModeRecord(share=float(share), values={name: float(each[name][number]) for name in names})
        for number, share in enumerate(shares)
    )


def _apart(
    modes: Sequence[Mode], target: Target, first: Mapping[str, Any], each: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Return by component how far apart modes are, in their own sds.

    Within a site whose components are not its coordinates it is in proportion to the range of their values.
    """
    locations = np.stack([one.location for one in modes])
    factors = [one.factor if one.factor.ndim > 1 else one.factor[:, None] for one in modes]
    sds = np.max([np.sqrt(np.sum(one**2, axis=1)) for one in factors], axis=0)
    found: dict[str, float] = {}
    distances = np.ptp(locations, axis=0) / np.maximum(sds, 1e-300)
    for site, far in target.split(distances[None]).items():
        names = [name for name in first if name.partition("[")[0] == site]
        ranges = np.array([np.ptp(each[name]) for name in names])
        scores = far.ravel() if far.size == len(names) else far.max() * ranges / max(ranges.max(), 1e-300)
        found |= dict(zip(names, np.nan_to_num(scores).tolist(), strict=True))
    return found


def coords_of(problem: Problem, structure: ModelStructure) -> dict[str, tuple[str, ...]]:
    """Return the names of levels of a problem by dimension.

    Raises
    ------
    RequestError
        Where they are of no dimension of the model, or not as many as it has levels.
    """
    latents = (*structure.latents, *structure.discrete)
    sites = (*latents, *structure.deterministics, *structure.observed)
    sizes = sizes_of(sites)
    of_data = sizes.keys() - sizes_of(latents).keys()
    alone = {site.name: site.dims[0] for site in sites if len(site.dims) == 1}
    found: dict[str, tuple[str, ...]] = {}
    for name, levels in (problem.coords or {}).items():
        dim, names = name if name in sizes else alone.get(name, name), tuple(levels)
        if dim not in sizes:
            known = ", ".join(sizes) or "none"
            raise RequestError(
                f"problem {problem.name!r}: coords name {name}, which is no dimension (there are: {known})"
            )
        if len(names) != sizes[dim] and dim in of_data:
            continue  # rows, some of which were held out
        if len(names) != sizes[dim]:
            raise RequestError(
                f"problem {problem.name!r}: coords give {len(names):,} names to {name}, which has {sizes[dim]:,} levels"
            )
        if dim in found and found[dim] != names:
            raise RequestError(f"problem {problem.name!r}: coords name the levels of {dim} twice, and not alike")
        found[dim] = names
    return found


def _levels(structure: ModelStructure, coords: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the names of levels along the axes of the latent sites that have any."""
    return {
        site.name: tuple(coords.get(dim, ()) for dim in site.dims)
        for site in structure.latents
        if coords.keys() & set(site.dims)
    }


def _truth(problem: Problem, structure: ModelStructure) -> Mapping[str, Any]:
    shapes = {site.name: site.shape for site in structure.latents}
    truth = dict(problem.truth or {})
    for name, value in truth.items():
        if name not in shapes:
            raise RequestError(f"problem {problem.name!r}: truth names {name}, which is no latent site")
        if np.asarray(value).dtype.kind not in "biuf" or np.shape(value) != shapes[name]:
            raise RequestError(f"problem {problem.name!r}: truth of {name} must be numbers of shape {shapes[name]}")
    return truth


def _notes(inspected: Inspected) -> Iterator[str]:
    """Yield what a reader should know of the model."""
    problem, structure = inspected.problem, inspected.structure
    yield from problem.notes
    if inspected.minibatches is not None:
        yield describe(inspected.minibatches)
    if structure.params:
        yield (
            f"The model itself has parameters ({', '.join(structure.params)}): every guide tunes them, "
            "so each guide's ELBO belongs to another model."
        )
    if structure.factors:
        yield (
            f"The model has numpyro.factor terms ({', '.join(structure.factors)}); they are part of the "
            "density but no observation, so nothing is predicted for them."
        )
    circular = [site.name for site in structure.latents if site.support == "circular"]
    if circular:
        yield (
            f"{', '.join(circular)} is an angle, and guides see it cut open at ±π: where the posterior has mass "
            "there, use numpyro.handlers.reparam with CircularReparam."
        )
    if structure.discrete:
        yield (
            f"The discrete latent sites ({', '.join(site.name for site in structure.discrete)}) are summed out: guides "
            "are trained on the others, and predictions draw them from their prior given these. There is no log "
            "density of single observations."
        )
    if structure.masked and problem.heldout is not None:
        yield f"{', '.join(structure.masked)} is observed under a mask: only held-out data that count are scored."
