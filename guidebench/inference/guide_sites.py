"""Whether a hand-written guide fits its model: found by tracing both abstractly, before anything is trained.

A guide that lacks a site, or whose draws the model cannot take, is no approximation of the posterior;
NumPyro warns of some of it and trains.  What cannot be decided from the traces alone is not complained of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints
from numpyro.distributions.transforms import ComposeTransform, IndependentTransform
from numpyro.handlers import seed, trace

from guidebench.config.errors import RequestError
from guidebench.inference.arguments import Arguments, runnable
from guidebench.inference.structure import ModelStructure, is_factor
from guidebench.inference.wrappers import unwrapped
from guidebench.plugins.isolation.failures import reason

#: Bounds that differ by no more than this, relatively, are the same: one may have been rounded to float32.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Region:
    """The set of values of a distribution: a box in every coordinate, or the named set inside a box.

    A bound is ``None`` where it is finite but not known: it is computed from data or parameters.
    """

    low: Any = -np.inf
    high: Any = np.inf
    shape: str = ""


@dataclass(frozen=True)
class SampleSite:
    """A sample site as a trace has it."""

    shape: tuple[int, ...]
    distribution: str
    discrete: bool
    observed: bool
    auxiliary: bool
    point: bool
    region: Region | None


#: Sets that are no box, with the box around them; NumPyro has one object for each.
_SHAPES: Mapping[str, Region] = {
    "simplex": Region(0.0, 1.0, "vectors of shares that sum to one"),
    "ordered_vector": Region(shape="ordered vectors"),
    "positive_ordered_vector": Region(low=0.0, shape="ordered vectors of positive numbers"),
    "sphere": Region(-1.0, 1.0, "vectors of length one"),
    "corr_cholesky": Region(-1.0, 1.0, "Cholesky factors of correlation matrices"),
    "corr_matrix": Region(-1.0, 1.0, "correlation matrices"),
    "lower_cholesky": Region(shape="Cholesky factors"),
    "softplus_lower_cholesky": Region(shape="Cholesky factors"),
    "scaled_unit_lower_cholesky": Region(shape="Cholesky factors"),
    "positive_definite": Region(shape="positive definite matrices"),
}

#: Those in which no box fits, however small.
_THIN = {
    _SHAPES[name].shape
    for name in ("simplex", "sphere", "corr_cholesky", "corr_matrix", "lower_cholesky", "positive_definite")
}

#: Which of these sets lie in which others.
_WITHIN = {
    ("positive_ordered_vector", "ordered_vector"),
    ("corr_cholesky", "lower_cholesky"),
    ("corr_matrix", "positive_definite"),
}


def disagreement(
    guide: Callable[..., Any],
    model: Callable[..., Any],
    arguments: Arguments,
    structure: ModelStructure,
    *,
    in_parts: bool = False,
) -> str | None:
    """Return in one line what keeps `guide` from being a guide for `model`, or ``None``.

    Parameters
    ----------
    guide : callable
        Takes the arguments of the model.
    model, arguments, structure
        The model, its training arguments, and what :func:`~guidebench.inference.structure.inspect_model`
        found.
    in_parts : bool
        Whether training shows a part of the data at a time: shapes are then not compared.
    """
    try:
        given = _sites(guide, model, arguments, seeded=True)
    except RequestError as error:
        return str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's function raises is told
        return f"it does not run with the model's arguments: {reason(error)}"
    wanted = _sites(model, model, arguments, seeded=False)
    latents = [site.name for site in structure.latents]
    return (
        _missing(given, latents)
        or _unknown(given, wanted, latents, [site.name for site in structure.discrete])
        or _first(_mismatch(name, given[name], wanted[name], in_parts) for name in latents)
    )


def is_point(guide: Callable[..., Any], model: Callable[..., Any], arguments: Arguments) -> bool:
    """Return whether nothing in `guide` is random: every sample site is a Delta."""
    sites = _sites(guide, model, arguments, seeded=True).values()
    return bool(sites) and all(site.point for site in sites)


def _sites(
    function: Callable[..., Any], model: Callable[..., Any], arguments: Arguments, *, seeded: bool
) -> dict[str, SampleSite]:
    """Return the sample sites of a guide or of the model itself."""
    found: dict[str, SampleSite] = {}

    def run(traced: Mapping[str, Any]) -> None:
        args, kwargs = arguments.call(model, traced)
        started = seed(function, jax.random.key(0)) if seeded else runnable(function)
        sites = trace(started).get_trace(*args, **kwargs)
        found.update(
            {name: _describe(site) for name, site in sites.items() if site["type"] == "sample" and not is_factor(site)}
        )

    jax.eval_shape(run, dict(arguments.arrays))
    return found


def _describe(site: Mapping[str, Any]) -> SampleSite:
    fn = unwrapped(site["fn"])
    return SampleSite(
        shape=tuple(int(size) for size in np.shape(site["value"])),
        distribution=type(fn).__name__,
        discrete=_discrete(fn),
        observed=bool(site["is_observed"]),
        auxiliary=bool(site["infer"].get("is_auxiliary")),
        point=isinstance(fn, dist.Delta),
        region=_filled(fn),
    )


def _discrete(fn: Any) -> bool:
    try:
        return bool(fn.support.is_discrete)
    except NotImplementedError:  # a support that depends on the value of something else
        return False


def _missing(given: Mapping[str, SampleSite], latents: list[str]) -> str | None:
    missing = [name for name in latents if name not in given]
    if not missing:
        return None
    return (
        f"it lacks the model's latent site{'s' if len(missing) > 1 else ''} {_listed(missing)}; "
        f"expected is a numpyro.sample for each of {_listed(latents)}"
    )


def _unknown(
    given: Mapping[str, SampleSite], wanted: Mapping[str, SampleSite], latents: list[str], discrete: list[str]
) -> str | None:
    for name, site in given.items():
        if name in discrete:
            return (
                f"its site {name!r} is discrete in the model, which sums it out; "
                f"expected are the continuous sites alone: {_listed(latents)}"
            )
        if name in wanted and wanted[name].observed:
            return (
                f"its site {name!r} is observed in the model; expected are its latent sites alone: {_listed(latents)}"
            )
        if site.observed:
            return f"its site {name!r} is observed (obs=...); expected is a draw, for a guide observes nothing"
        if name not in latents and not site.auxiliary:
            return (
                f"its site {name!r} is no latent site of the model; expected are {_listed(latents)} "
                "(an auxiliary site needs infer={'is_auxiliary': True})"
            )
    return None


def _mismatch(name: str, given: SampleSite, wanted: SampleSite, lenient: bool) -> str | None:
    """Return what is wrong with one site, or ``None``."""
    if given.discrete and not wanted.discrete:
        return (
            f"its site {name!r} is discrete ({given.distribution}); "
            f"expected is a continuous distribution, as the model's {wanted.distribution}"
        )
    if given.shape != wanted.shape and not lenient:
        return f"its site {name!r} has the shape {given.shape}; expected is the model's, {wanted.shape}"
    degenerate = wanted.shape[-1:] == (1,)
    if given.region is None or wanted.region is None or degenerate or inside(given.region, wanted.region) is not False:
        return None
    return (
        f"its site {name!r} ({given.distribution}) takes {describe(given.region)}; "
        f"expected are {describe(wanted.region)}, as of the model's {wanted.distribution}"
    )


def _first(found: Iterable[str | None]) -> str | None:
    return next((text for text in found if text is not None), None)


def _listed(names: list[str]) -> str:
    return ", ".join(names)


# Supports


def inside(given: Region, wanted: Region) -> bool | None:
    """Return whether one set of values lies in another, but for boundaries; ``None`` where that is not known."""
    if wanted.shape and not given.shape:
        # A box has an inside, which a simplex has not.  Where others have one, a bounded box may lie in it.
        return False if _open(given.low) or _open(given.high) or wanted.shape in _THIN else None
    if wanted.shape and given.shape != wanted.shape:
        names = {region.shape: name for name, region in _SHAPES.items()}
        return any((names[given.shape], name) in _WITHIN for name in _SHAPES if _SHAPES[name].shape == wanted.shape)
    low, high = _above(given.low, wanted.low), _above(_negative(wanted.high), _negative(given.high), swap=True)
    if low is False or high is False:
        return False
    return None if low is None or high is None else True


def _negative(bound: Any) -> Any:
    return None if bound is None else -np.asarray(bound)


def _above(bound: Any, limit: Any, *, swap: bool = False) -> bool | None:
    """Return whether a lower bound is nowhere below a limit; ``None`` where that is not known."""
    if swap:
        bound, limit = limit, bound
    if limit is not None and np.all(np.isneginf(limit)):
        return True
    if bound is not None and np.all(np.isneginf(bound)):
        return False
    if bound is None or limit is None:
        return None
    try:
        slack = ROUNDING * np.maximum(np.abs(bound), np.abs(limit))
        return bool(np.all(np.asarray(bound) >= np.asarray(limit) - slack))
    except ValueError:  # shapes that do not go together
        return None


def describe(region: Region) -> str:
    """Return the values of a set in words."""
    if region.shape:
        return region.shape
    below, above = _open(region.low), _open(region.high)
    if below and above:
        return "all real numbers"
    if above:
        return "positive numbers" if _shown(region.low) == "0" else f"numbers above {_shown(region.low)}"
    if below:
        return f"numbers below {_shown(region.high)}"
    return f"numbers between {_shown(region.low)} and {_shown(region.high)}"


def _open(bound: Any) -> bool:
    return bound is not None and bool(np.all(np.isinf(bound)))


def _shown(bound: Any) -> str:
    if bound is None:
        return "a bound"
    values = np.unique(np.asarray(bound, float))
    return f"{values[0]:g}" if values.size == 1 else "bounds"


def _filled(fn: Any) -> Region | None:
    """Return the set of values that a distribution has, where its word can be taken for it.

    A Delta calls everything its support, and a transformed distribution the whole image of its
    transform, whatever goes into it.
    """
    if isinstance(fn, dist.Delta):
        return None
    declared = type(fn).support is dist.TransformedDistribution.support
    if isinstance(fn, dist.TransformedDistribution) and declared and not _onto(fn):
        return None
    return _region(fn.support)


def _onto(fn: Any) -> bool:
    """Return whether each transform is given all values that it takes."""
    parts = [part for one in fn.transforms for part in _parts(one)]
    before = _filled(unwrapped(fn.base_dist))
    for part in parts:
        taken = _region(part.domain)
        if before is None or taken is None or not _same(before, taken):
            return False
        before = _region(part.codomain)
    return True


def _parts(transform: Any) -> list[Any]:
    if isinstance(transform, ComposeTransform):
        return [part for one in transform.parts for part in _parts(one)]
    return _parts(transform.base_transform) if isinstance(transform, IndependentTransform) else [transform]


def _same(one: Region, other: Region) -> bool:
    return one.shape == other.shape and inside(one, other) is True and inside(other, one) is True


def _region(constraint: Any) -> Region | None:
    """Return the set that a NumPyro constraint describes, or ``None`` where it is none of those known here."""
    while isinstance(constraint, constraints.independent):
        constraint = constraint.base_constraint
    if isinstance(constraint, type(constraints.real)):
        return Region()
    if isinstance(constraint, constraints.interval):
        return Region(_known(constraint.lower_bound), _known(constraint.upper_bound))
    if isinstance(constraint, constraints.greater_than):
        return Region(low=_known(constraint.lower_bound))
    if isinstance(constraint, constraints.less_than):
        return Region(high=_known(constraint.upper_bound))
    for name, region in _SHAPES.items():
        if type(constraint) is type(getattr(constraints, name, None)):
            return region
    return None


def _known(bound: Any) -> Any:
    return None if isinstance(bound, jax.core.Tracer) else np.asarray(bound, float)
