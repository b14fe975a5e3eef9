"""What draws of a posterior say of new rows, in bounded memory: a block of rows at a time, by one compiled program.

Rows are taken apart where the model lets them be: its observations are independent given the latents, the sites grow
with the rows, and a row is the same whatever others stand beside it.  A model that is otherwise sees all of its rows at
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from guidebench.config.errors import RequestError
from guidebench.config.seeds import derive
from guidebench.engine.perform import TURN
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.by_row import each_alone
from guidebench.inference.predict import (
    Forward,
    make_log_likelihood,
    make_predictive,
    observed_values,
    runs,
    without_observations,
)
from guidebench.inference.structure import ModelStructure, inspect_model
from guidebench.metrics.parts import INTERVAL_LEVELS
from guidebench.metrics.predictive import covered, crps_of
from guidebench.request.loading.rows import row_arguments

#: Numbers that the draws of one block may hold, all of its sites together.
BLOCK_VALUES = 4_000_000

#: The quantiles that are told, in percent.
QUANTILES = (5, 50, 95)

#: The columns of a summary.
COLUMNS = ("mean", "sd", *(f"q{one}" for one in QUANTILES))


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """Summaries of the posterior predictive.

    Attributes
    ----------
    rows : int
        How many rows were predicted.
    sites : mapping of str to ndarray
        Per observed and deterministic site an array of shape ``(5, ...)``: mean, sd, and quantiles.
    by_row : tuple of str
        The sites of which the first axis is that of the rows.
    scores : mapping of str to (float, float)
        How well observations were predicted, with standard errors over rows: ``coverage_50`` to ``coverage_95``,
        ``crps``, and ``log_density`` in nats per observation; nothing where there are none.
    draws : int
        How many draws of the posterior it was made of.
    """

    rows: int
    sites: Mapping[str, np.ndarray]
    by_row: tuple[str, ...]
    scores: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    draws: int = 0


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A model at new arguments, with draws of its latents."""

    model: Callable[..., Any]
    structure: ModelStructure
    values: Mapping[str, Any]
    latents: Mapping[str, np.ndarray]
    fixed: Mapping[str, Any]
    observed: tuple[str, ...]
    seed: int

    def at(self, values: Mapping[str, Any]) -> _Asked:
        return replace(self, values=values)


def predict(
    model: Callable[..., Any],
    structure: ModelStructure,
    values: Mapping[str, Any],
    latents: Mapping[str, np.ndarray],
    *,
    fixed: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Predicted:
    """Return summaries of the posterior predictive at new arguments.

    Parameters
    ----------
    model : callable
        The NumPyro model.
    structure : ModelStructure
        Of the model with its training arguments.
    values : mapping
        The new arguments by name; with observations, these are scored.
    latents : mapping
        Draws by latent site, shape ``(S, ...)``.
    fixed : mapping, optional
        Values of the model's own parameters.
    seed : int
        Of the predictive draws.

    Raises
    ------
    RequestError
        Where the model does not run with the arguments, or its latents then have other shapes.
    """
    values = as_arrays(values)
    observed = tuple(name for name in structure.observed_arguments if values.get(name) is not None)
    asked = _Asked(
        model=model,
        structure=structure,
        values=values,
        latents=latents,
        fixed=dict(fixed or {}),
        observed=observed,
        seed=seed,
    )
    with TURN:
        shapes = _shapes(asked, values)
        _check_latents(structure, shapes)
        count = _count(values)
        size = _block(asked, shapes, count)
        blocks = [(0, count)] if size is None else _blocks(count, size)
        return _joined(list(_each(asked, blocks, whole=size is None)), count, _sites_by_row(shapes, count), latents)


def _count(values: Mapping[str, Any]) -> int:
    """Return how many rows there are: the most common length of the first axis, the longest of several."""
    lengths = [len(value) for value in values.values() if isinstance(value, np.ndarray) and value.ndim]
    return max(lengths, key=lambda one: (lengths.count(one), one), default=1)


def _shapes(asked: _Asked, values: Mapping[str, Any]) -> ModelStructure:
    model, structure = asked.model, asked.structure
    unset = without_observations(model, values, structure)
    arguments = Arguments.split(model, unset if runs(model, unset) else values)
    return inspect_model(model, arguments, structure.observed_arguments)


def _check_latents(structure: ModelStructure, found: ModelStructure) -> None:
    now = {site.name: site.shape for site in found.latents}
    outputs = {site.name for site in structure.observed}
    for site in structure.latents:
        if now.get(site.name) != site.shape:
            told = f"shape {now[site.name]}" if site.name in now else "no such site"
            raise RequestError(
                f"the latent site {site.name} has shape {site.shape} in training and {told} for the new data, so what "
                "was trained cannot predict them"
            )
    more = [name for name in now if name not in {site.name for site in structure.latents} | outputs]
    if more:
        raise RequestError(f"for the new data the model has a latent site {more[0]}, which nothing was trained for")


def _outputs(structure: ModelStructure, found: ModelStructure) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what is predicted; an observed site without its observation is a latent one."""
    wanted = {site.name for site in (*structure.deterministics, *structure.observed)}
    everything = (*found.deterministics, *found.observed, *found.latents, *found.discrete)
    return {site.name: site.shape for site in everything if site.name in wanted}


def _sites_by_row(found: ModelStructure, count: int) -> tuple[str, ...]:
    everything = (*found.deterministics, *found.observed, *found.latents, *found.discrete)
    return tuple(site.name for site in everything if site.shape[:1] == (count,))


def _block(asked: _Asked, found: ModelStructure, count: int) -> int | None:
    """Return how many rows may be predicted at a time, or ``None`` where they must be together."""
    outputs = _outputs(asked.structure, found)
    draws = len(next(iter(asked.latents.values())))
    total = sum(int(np.prod(shape)) for shape in outputs.values()) * draws
    if total <= BLOCK_VALUES:
        return None
    size = max(BLOCK_VALUES * count // total, 1)
    names = row_arguments(asked.values, count)
    arguments = Arguments.split(asked.model, dict(asked.values))
    if asked.structure.joint or not names or any(name in arguments.static for name in names):
        return None
    if any(isinstance(value, int) and value == count for value in asked.values.values()):
        return None  # the number of rows itself is an argument
    sizes = size, size + 1  # no more than there are: all of them are more than a block
    try:
        one, other = (
            _outputs(asked.structure, _shapes(asked, _rows(asked.values, names, np.arange(rows)))) for rows in sizes
        )
    except RequestError:
        return None
    for name, shape in outputs.items():
        as_whole = shape[:1] == (count,)
        expected = [(rows, *shape[1:]) if as_whole else shape for rows in sizes]
        if [one.get(name), other.get(name)] != expected:
            return None
    return size if _apart(asked, names, size, count) else None


def _apart(asked: _Asked, names: tuple[str, ...], size: int, count: int) -> bool:
    """Return whether the first half of a block is the same beside the rows after it and beside the last there are."""
    shared = (size + 1) // 2
    beside = np.arange(size), np.concatenate([np.arange(shared), np.arange(count - (size - shared), count)])
    one, other = (_rows(asked.values, names, places) for places in beside)
    given = {**asked.fixed, **{name: value[0] for name, value in asked.latents.items()}}
    return each_alone(asked.model, asked.structure, one, other, given, rows=size, shared=shared)


def _rows(values: Mapping[str, Any], names: tuple[str, ...], places: np.ndarray) -> dict[str, Any]:
    """Return the arguments with these of their rows."""
    return {name: value[places] if name in names else value for name, value in values.items()}


def _blocks(count: int, size: int) -> list[tuple[int, int]]:
    return [(first, size) for first in range(0, count, size)]


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Summaries of one block, and the scores of each of its observations."""

    sites: Mapping[str, np.ndarray]
    scores: Mapping[str, np.ndarray]


def _each(asked: _Asked, blocks: list[tuple[int, int]], *, whole: bool) -> Iterator[_Block]:
    count = _count(asked.values)
    names = row_arguments(asked.values, count)
    programs: dict[str, Forward] = {}
    for number, (first, size) in enumerate(blocks):
        # The last row is repeated where there are not enough: one program serves all blocks.
        places = np.minimum(np.arange(first, first + size), count - 1)
        values = dict(asked.values) if whole else _rows(asked.values, names, places)
        kept = min(size, count - first)
        key = jax.random.key(derive(asked.seed, "predict", number))
        drawn = _run(programs, "predictive", asked.at(values), key)
        by_row = {name for name, value in drawn.items() if value.shape[1:2] == (size,)}
        cut = {name: value[:, :kept] if name in by_row else value for name, value in drawn.items()}
        yield _Block(
            sites={name: _summary(value) for name, value in cut.items()},
            scores=_scores(programs, asked.at(values), cut, kept if not whole else None, key),
        )


def _run(programs: dict[str, Forward], kind: str, asked: _Asked, key: Any) -> dict[str, np.ndarray]:
    """Return what a forward program makes of the draws; it is compiled for the first block."""
    if kind not in programs:
        make = make_predictive if kind == "predictive" else make_log_likelihood
        programs[kind] = make(asked.model, asked.values, asked.structure, asked.latents, asked.fixed)
    program = programs[kind]
    traced = {
        name: jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), asked.values[name], value)
        for name, value in program.traced.items()
    }
    return replace(program, traced=traced)(key, asked.latents, asked.fixed)


def _summary(draws: np.ndarray) -> np.ndarray:
    """Return mean, sd and quantiles over the first axis, shape ``(5, ...)``."""
    values = np.asarray(draws, np.float64)
    quantiles = np.quantile(values, np.asarray(QUANTILES) / 100, axis=0)
    sd = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1:])
    return np.concatenate([values.mean(axis=0)[None], sd[None], quantiles])


def _scores(
    programs: dict[str, Forward], asked: _Asked, drawn: Mapping[str, np.ndarray], kept: int | None, key: Any
) -> dict[str, np.ndarray]:
    """Return the score of every observation, where there are any."""
    if not asked.observed:
        return {}
    truth = observed_values(asked.model, asked.values, asked.structure)
    sites = [site for site in asked.structure.observed if site.name in truth and site.name in drawn]
    found: dict[str, list[np.ndarray]] = {}
    for site in sites:
        value = np.ravel(truth[site.name][:kept])
        draws = drawn[site.name].reshape(len(drawn[site.name]), -1)
        if not site.discrete:
            for level in INTERVAL_LEVELS:
                found.setdefault(f"coverage_{level}", []).append(covered(value, draws, level / 100).astype(float))
        found.setdefault("crps", []).append(crps_of(value, draws))
    if not asked.structure.discrete:
        for value in _run(programs, "log likelihood", asked, key).values():
            density = value[:, :kept].astype(np.float64) if value.ndim > 1 else value[:, None].astype(np.float64)
            found.setdefault("log_density", []).append((logsumexp(density, axis=0) - np.log(len(density))).ravel())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _joined(blocks: list[_Block], count: int, by_row: tuple[str, ...], latents: Mapping[str, np.ndarray]) -> Predicted:
    sites = {
        name: np.concatenate([one.sites[name] for one in blocks], axis=1) if name in by_row else value
        for name, value in blocks[0].sites.items()
    }
    scores = {name: np.concatenate([one.scores[name] for one in blocks]) for name in blocks[0].scores}
    return Predicted(
        rows=count,
        sites=sites,
        by_row=tuple(name for name in sites if name in by_row),
        scores={
            name: (float(value.mean()), float(value.std(ddof=1) / np.sqrt(len(value))) if len(value) > 1 else 0.0)
            for name, value in scores.items()
        },
        draws=len(next(iter(latents.values()))),
    )
