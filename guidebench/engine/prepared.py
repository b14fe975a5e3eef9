"""A problem made ready: what its model looks like, where to start, and how to run it forward."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from guidebench.config import RunConfig
from guidebench.config.errors import RequestError
from guidebench.contracts import Family, Problem
from guidebench.engine.gate import Reference
from guidebench.engine.minibatches import describe, inspect_problem
from guidebench.engine.starts import Starts, find_starts, search_values
from guidebench.engine.validation import Validation, with_validation
from guidebench.inference.arguments import Arguments, as_arrays, is_array
from guidebench.inference.coordinates import Affine, Expansion, Frame, own_coordinates, standardised
from guidebench.inference.large import expand
from guidebench.inference.mode_shares import mode_shares
from guidebench.inference.modes import Landscape
from guidebench.inference.predict import (
    Forward,
    make_log_likelihood,
    make_predictive,
    observation_sd,
    observed_values,
    unmasked,
)
from guidebench.inference.recipe import Recipe
from guidebench.inference.rescoring import LogJoint
from guidebench.inference.structure import ModelStructure
from guidebench.inference.subsampling import Minibatches, Stratified
from guidebench.inference.target import Target
from guidebench.results import ProblemRecord


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A problem made ready: its structure, starting points, and forward programs shared by all guides.

    `heldout_counts` says which held-out observations count, for the observed sites under a mask.
    """

    problem: Problem
    values: Mapping[str, Any]
    arguments: Arguments
    structure: ModelStructure
    starts: Mapping[str, np.ndarray]
    valid: np.ndarray
    points: np.ndarray | None
    target: Target | None
    landscape: Landscape | None
    minibatches: Minibatches | None
    refusal: str | None
    record: ProblemRecord
    heldout_counts: Mapping[str, np.ndarray] = field(default_factory=dict)
    reference: Reference = field(default_factory=Reference)
    validation: Validation | None = None
    _programs: dict[tuple[Any, ...], Forward] = field(default_factory=dict, repr=False)
    _observed: dict[str, dict[str, np.ndarray]] = field(default_factory=dict, repr=False)

    def frame(self, family: Family) -> Frame:
        """Return the model as a guide of that family is shown it."""
        if self.target is None or self.points is None or family == "none":
            model = self.problem.model
            if self.structure.discrete and self.target is not None:  # no guide draws the discrete sites
                model = own_coordinates(self.target)
            own = Frame(model=model, arguments=self.arguments, starts=self.starts)
            return own if self.minibatches is None else replace(own, stochastic=self._stochastic(self.minibatches))
        best = None if self.landscape is None else self.landscape.best
        affine = Affine.for_family(family, best, self.target.dim)
        return standardised(self.target, affine, self.points, self._expansion)

    def _stochastic(self, minibatches: Minibatches) -> tuple[Callable[..., Any], Arguments]:
        """Return what a guide in the model's own coordinates is trained on, a part of the data at a time."""
        if self.target is None or minibatches.local:  # as NumPyro does it: the guide draws the parts
            return Stratified(minibatches.model), minibatches.arguments
        return own_coordinates(self.target, self._expansion), self.arguments

    @cached_property
    def _expansion(self) -> Expansion | None:
        """The target on all data near its best Gaussian, where parts of the data need it."""
        if self.minibatches is None or self.target is None or self.landscape is None or self.landscape.best is None:
            return None
        return expand(self.target, self.landscape.best.mean, self.search_values)

    @cached_property
    def search_values(self) -> dict[str, Any]:
        """The traced arguments in the precision they were given in; no copies of many data are made."""
        return search_values(self.values, self.arguments, self.target)

    @cached_property
    def log_joint(self) -> LogJoint | None:
        """log p(y, theta) in float64, where no parameters of the model's own come into it."""
        return None if self.target is None else LogJoint(self.target, self.search_values)

    @property
    def in_blocks(self) -> bool:
        """Whether the data are evaluated block by block."""
        return self.target is not None and self.target.rows > 0

    def mode_shares(self, latents: Mapping[str, np.ndarray]) -> list[tuple[float, float]]:
        """Return how draws are spread over the modes that the search found, where it found several."""
        if self.target is None or self.landscape is None or len(self.landscape.modes) < 2:
            return []
        return mode_shares(self.target, self.landscape.modes, latents)

    @cached_property
    def predict_values(self) -> dict[str, Any] | None:
        """Arguments on the prediction grid."""
        if self.problem.predict is None:
            return None
        return {**self.values, **as_arrays(self.problem.predict)}

    @cached_property
    def heldout_values(self) -> dict[str, Any] | None:
        """Arguments of the held-out data."""
        return _heldout_values(self.problem, self.values)

    def forward(self, name: str, latents: Mapping[str, np.ndarray], fixed: Mapping[str, Any]) -> Forward:
        """Return a forward program, compiled on first use: ``train``, ``predict`` or ``heldout``, or ``log_...``.

        One serves every guide, but for a guide whose draws are of another kind than those of the others.
        """
        key = name, *((site, np.shape(value)[1:], np.asarray(value).dtype.name) for site, value in latents.items())
        if key not in self._programs:
            make = make_log_likelihood if name.startswith("log_") else make_predictive
            values = self._values(name.removeprefix("log_"))
            self._programs[key] = make(self.problem.model, values, self.structure, latents, fixed)
        return self._programs[key]

    def outputs(self, name: str) -> int:
        """Return about how many values one forward draw has at the ``train``, ``predict`` or ``heldout`` data."""
        own = sum(math.prod(site.shape) for site in (*self.structure.deterministics, *self.structure.observed))
        if name == "train":
            return own
        there, here = (
            sum(np.size(value) for value in values.values() if is_array(value))
            for values in (self._values(name), self.values)
        )
        return math.ceil(own * there / max(here, 1))

    def observed(self, name: str) -> dict[str, np.ndarray]:
        """Return the observed values of the ``train`` or ``heldout`` data."""
        if name not in self._observed:
            self._observed[name] = observed_values(self.problem.model, self._values(name), self.structure)
        return self._observed[name]

    def _values(self, name: str) -> dict[str, Any]:
        values = {"train": dict(self.values), "predict": self.predict_values, "heldout": self.heldout_values}[name]
        assert values is not None
        return values


def _heldout_values(problem: Problem, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of the held-out data: they replace those of prediction, and those of training."""
    if problem.heldout is None:
        return None
    return {**values, **as_arrays(problem.predict or {}), **as_arrays(problem.heldout)}


def prepare(problem: Problem, config: RunConfig, recipe: Recipe) -> Prepared:
    """Inspect a problem and find starting points.

    Raises
    ------
    RequestError
        Where the model does not run, or the request does not fit it.
    """
    problem, validation = with_validation(problem, config)
    problem, values, arguments, structure, minibatches = inspect_problem(problem, config.minibatch)
    _check_names(problem, values)
    refusal = structure.unsupported()
    found = Starts(values={}, valid=np.ones(recipe.restarts, bool))
    if refusal is None:
        found = find_starts(problem, values, arguments, structure, config, recipe, minibatches)
        valid = found.valid
        if not valid.any() and config.init.startswith("value:"):
            raise RequestError(
                f"the log density of {problem.name} or its gradient is not finite there; "
                "are all values inside the supports of their sites?",
                option="init",
                value=repr(config.init),
            )
        if not valid.any():
            refusal = (
                f"no starting point with a finite log density and gradient was found with --init {config.init}; "
                "check the model and its data, or start elsewhere"
            )
    _check_heldout(problem, structure)
    held = _heldout_values(problem, values)
    observed = {} if held is None else {"heldout": observed_values(problem.model, held, structure)}
    counts = unmasked(problem.model, held, structure) if held and structure.masked else {}
    return Prepared(
        problem=problem,
        values=values,
        arguments=arguments,
        structure=structure,
        starts=found.values,
        valid=found.valid,
        points=found.points,
        target=found.target,
        landscape=found.landscape,
        minibatches=minibatches,
        refusal=refusal,
        record=_record(
            problem,
            values,
            arguments,
            structure,
            minibatches,
            sum(
                int(np.count_nonzero(counts[name])) if name in counts else value.size
                for name, value in observed.get("heldout", {}).items()
            ),
        ),
        heldout_counts=counts,
        validation=validation,
        _observed=observed,
    )


def _check_names(problem: Problem, values: Mapping[str, Any]) -> None:
    for part in ("predict", "heldout"):
        unknown = sorted(set(getattr(problem, part) or {}) - set(values))
        if unknown:
            raise RequestError(
                f"problem {problem.name!r}: {part} names {', '.join(unknown)}, "
                f"but the model's arguments are {', '.join(values)}"
            )


def _check_heldout(problem: Problem, structure: ModelStructure) -> None:
    lacking = [name for name in structure.observed_arguments if name not in (problem.heldout or {})]
    if problem.heldout is not None and lacking:
        raise RequestError(
            f"problem {problem.name!r}: heldout lacks the observed argument(s) {', '.join(lacking)}; "
            "those of training would be scored in their place"
        )


def _record(
    problem: Problem,
    values: Mapping[str, Any],
    arguments: Arguments,
    structure: ModelStructure,
    minibatches: Minibatches | None,
    heldout_size: int,
) -> ProblemRecord:
    notes = [*problem.notes, *([] if minibatches is None else [describe(minibatches)])]
    if structure.params:
        notes.append(
            f"The model itself has parameters ({', '.join(structure.params)}): every guide tunes them, "
            "so each guide's ELBO belongs to another model."
        )
    if structure.factors:
        notes.append(
            f"The model has numpyro.factor terms ({', '.join(structure.factors)}); they are part of the "
            "density but no observation, so nothing is predicted for them."
        )
    circular = [site.name for site in structure.latents if site.support == "circular"]
    if circular:
        notes.append(
            f"{', '.join(circular)} is an angle, and guides see it cut open at ±π: where the posterior has mass "
            "there, use numpyro.handlers.reparam with CircularReparam."
        )
    if structure.discrete:
        notes.append(
            f"The discrete latent sites ({', '.join(site.name for site in structure.discrete)}) are summed out: guides "
            "are trained on the others, and predictions draw them from their prior given these. There is no log "
            "density of single observations."
        )
    truth = dict(problem.truth or {})
    shapes = {site.name: site.shape for site in structure.latents}
    for name, value in truth.items():
        if name not in shapes:
            raise RequestError(f"problem {problem.name!r}: truth names {name}, which is no latent site")
        if np.asarray(value).dtype.kind not in "biuf" or np.shape(value) != shapes[name]:
            raise RequestError(f"problem {problem.name!r}: truth of {name} must be numbers of shape {shapes[name]}")
    along = [
        name
        for name, value in (problem.predict or {}).items()
        if np.ndim(value) == 1 and np.ndim(values[name]) == 1 and name not in structure.observed_arguments
    ]
    noise: dict[str, np.ndarray] = {}
    if truth.keys() == {site.name for site in structure.latents} and truth and not structure.discrete:
        noise = observation_sd(problem.model, arguments, structure, truth)
    known = problem.log_evidence is not None or problem.reference is not None
    if not structure.observed and not structure.factors and not known:
        notes.append("The model observes nothing: what was trained is its prior.  Was the data argument left out?")
    if structure.masked and problem.heldout is not None:
        notes.append(
            f"{', '.join(structure.masked)} is observed under a mask: only held-out data that count are scored."
        )
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
        notes=tuple(notes),
    )
