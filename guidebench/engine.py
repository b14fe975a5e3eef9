"""The grid of problems and guides: train, draw, score, collect.

Each fit runs in its own ``try``: what a plugin does wrong is written into its own row of the table
and stops nobody else.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import jax
import numpy as np
from numpyro.infer.autoguide import AutoGuide, AutoGuideList
from numpyro.infer.initialization import init_to_value

from guidebench import datasets, environment
from guidebench.config import RunConfig
from guidebench.contracts import Metric, MetricValue, Problem
from guidebench.errors import RequestError
from guidebench.inference import convergence
from guidebench.inference.arguments import Arguments
from guidebench.inference.draws import Draws, Sampler, make_sampler
from guidebench.inference.predict import Forward, make_log_likelihood, make_predictive, observation_sd, observed_values
from guidebench.inference.recipe import RECIPES, Recipe, make_optimizer, objective
from guidebench.inference.start import starting_points, strategy
from guidebench.inference.structure import ModelStructure, inspect_model
from guidebench.inference.train import Training, train
from guidebench.inference_data import from_groups
from guidebench.metrics.bounds import mean_log_weight
from guidebench.metrics.evidence import Evidence, Heldout
from guidebench.registry import Registered, Registry
from guidebench.results import Comparison, Fit, ProblemRecord, Restart, Status, Verdict
from guidebench.seeds import derive
from guidebench.selection import ChosenGuide
from guidebench.verdict import judge

#: A guide is scored with this many times the draws that are kept: weights are cheap, their noise is not.
SCORE_BATCHES = 10


class Progress(Protocol):
    """Where the engine says what it is doing."""

    def begin(self, fits: int) -> None:
        """A run of so many fits begins."""

    def phase(self, problem: str, guide: str, phase: str) -> None:
        """A fit enters a phase: compiling, training, drawing."""

    def steps(self, done: int, total: int, loss: float) -> None:
        """So many training steps are done."""

    def finish(self, fit: Fit) -> None:
        """A fit is complete."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, fits: int) -> None:
        """Say nothing."""

    def phase(self, problem: str, guide: str, phase: str) -> None:
        """Say nothing."""

    def steps(self, done: int, total: int, loss: float) -> None:
        """Say nothing."""

    def finish(self, fit: Fit) -> None:
        """Say nothing."""


def recipe_of(config: RunConfig) -> Recipe:
    """Return the recipe of a run with the user's changes in it, checked.

    Raises
    ------
    RequestError
        Where the optimiser or the objective is not known.
    """
    changes = {
        name: getattr(config, name)
        for name in ("optimizer", "learning_rate", "steps", "restarts", "particles", "loss")
        if getattr(config, name) is not None
    }
    recipe = replace(RECIPES[config.recipe], **changes)
    make_optimizer(recipe)
    objective(recipe.loss, recipe.particles)
    return recipe


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A problem made ready: its structure, starting points, and forward programs shared by all guides."""

    problem: Problem
    values: Mapping[str, Any]
    arguments: Arguments
    structure: ModelStructure
    starts: Mapping[str, jax.Array]
    valid: np.ndarray
    refusal: str | None
    record: ProblemRecord
    _programs: dict[str, Forward] = field(default_factory=dict, repr=False)
    _observed: dict[str, dict[str, np.ndarray]] = field(default_factory=dict, repr=False)

    @cached_property
    def predict_values(self) -> dict[str, Any] | None:
        """Arguments on the prediction grid."""
        if self.problem.predict is None:
            return None
        return {**self.values, **_arrays(self.problem.predict)}

    @cached_property
    def heldout_values(self) -> dict[str, Any] | None:
        """Arguments of the held-out data."""
        if self.problem.heldout is None:
            return None
        return {**self.values, **_arrays(self.problem.predict or {}), **_arrays(self.problem.heldout)}

    def forward(self, name: str, latents: Mapping[str, np.ndarray]) -> Forward:
        """Return a forward program, compiled on first use: ``train``, ``predict`` or ``heldout``, or ``log_...``."""
        if name not in self._programs:
            make = make_log_likelihood if name.startswith("log_") else make_predictive
            values = self._values(name.removeprefix("log_"))
            self._programs[name] = make(self.problem.model, values, self.structure, latents)
        return self._programs[name]

    def observed(self, name: str) -> dict[str, np.ndarray]:
        """Return the observed values of the ``train`` or ``heldout`` data."""
        if name not in self._observed:
            self._observed[name] = observed_values(self.problem.model, self._values(name), self.structure)
        return self._observed[name]

    def _values(self, name: str) -> dict[str, Any]:
        values = {"train": dict(self.values), "predict": self.predict_values, "heldout": self.heldout_values}[name]
        assert values is not None
        return values


def _arrays(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(value) if isinstance(value, (list, tuple)) else value for name, value in values.items()}


def prepare(problem: Problem, config: RunConfig, recipe: Recipe) -> Prepared:
    """Inspect a problem and find starting points.

    Raises
    ------
    RequestError
        Where the model does not run, or the request does not fit it.
    """
    values = problem.arguments()
    _check_names(problem, values)
    arguments = Arguments.split(problem.model, values)
    structure = inspect_model(problem.model, arguments)
    refusal = structure.unsupported()
    starts: dict[str, jax.Array] = {}
    valid = np.ones(recipe.restarts, bool)
    if refusal is None:
        init = strategy(config.init, structure)
        keys = _keys(config.seed, recipe.restarts, problem.name, "start")
        starts, found = starting_points(keys, problem.model, arguments, init)
        valid = np.asarray(found)
        if not valid.any():
            refusal = "no starting point with a finite log density and gradient was found; check the model and its data"
    return Prepared(
        problem=problem,
        values=values,
        arguments=arguments,
        structure=structure,
        starts=starts,
        valid=valid,
        refusal=refusal,
        record=_record(problem, values, arguments, structure),
    )


def _check_names(problem: Problem, values: Mapping[str, Any]) -> None:
    for part in ("predict", "heldout"):
        unknown = sorted(set(getattr(problem, part) or {}) - set(values))
        if unknown:
            raise RequestError(
                f"problem {problem.name!r}: {part} names {', '.join(unknown)}, "
                f"but the model's arguments are {', '.join(values)}"
            )


def _record(
    problem: Problem, values: Mapping[str, Any], arguments: Arguments, structure: ModelStructure
) -> ProblemRecord:
    notes = []
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
    truth = dict(problem.truth or {})
    unknown = sorted(set(truth) - {site.name for site in structure.latents})
    if unknown:
        raise RequestError(f"problem {problem.name!r}: truth names {', '.join(unknown)}, which is no latent site")
    along = [
        name
        for name, value in (problem.predict or {}).items()
        if np.ndim(value) == 1 and np.ndim(values.get(name)) == 1 and name not in structure.observed_arguments
    ]
    noise: dict[str, np.ndarray] = {}
    if truth.keys() == {site.name for site in structure.latents} and truth:
        noise = observation_sd(problem.model, arguments, structure, truth)
    held = [np.size(value) for name, value in (problem.heldout or {}).items() if name in structure.observed_arguments]
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
        heldout_size=int(sum(held)),
        notes=tuple(notes),
    )


def _keys(seed: int, count: int, *names: str) -> jax.Array:
    """Return one key per restart, each derived from its own name."""
    return jax.numpy.stack([jax.random.key(derive(seed, *names, index)) for index in range(count)])


def compare(
    name: str,
    problems: Sequence[Problem],
    guides: Sequence[ChosenGuide],
    config: RunConfig,
    registry: Registry,
    progress: Progress | None = None,
) -> Comparison:
    """Train every guide on every problem and score them all.

    Parameters
    ----------
    name : str
        What the comparison is called.
    problems, guides : sequences
        The grid.
    config : RunConfig
        Recipe, seeds and numbers of draws.
    registry : Registry
        Brings the metrics.
    progress : Progress, optional
        Is told what happens.

    Raises
    ------
    RequestError
        Where the request is wrong; what goes wrong inside a fit is recorded in it instead.
    """
    watcher = progress or Silent()
    recipe = recipe_of(config)
    prepared = [prepare(problem, config, recipe) for problem in problems]
    watcher.begin(len(prepared) * len(guides))
    fits: list[Fit] = []
    interrupted = False
    try:
        for ready in prepared:
            for guide in guides:
                fit = fit_guide(ready, guide, config, recipe, registry.metrics, watcher)
                watcher.finish(fit)
                fits.append(fit)
    except KeyboardInterrupt:
        if not fits:
            raise
        interrupted = True
    return Comparison(
        name=name,
        problems=tuple(ready.record for ready in prepared),
        fits=tuple(fits),
        recipe=recipe.describe(),
        config=config.model_dump(mode="json"),
        environment=environment.describe(),
        interrupted=interrupted,
    )


def fit_guide(
    ready: Prepared,
    guide: ChosenGuide,
    config: RunConfig,
    recipe: Recipe,
    metrics: Sequence[Registered[Metric]],
    watcher: Progress,
) -> Fit:
    """Train and score one guide; whatever goes wrong becomes part of the fit."""
    declaration = guide.declaration
    blank = Fit(
        problem=ready.problem.name,
        guide=guide.label,
        plugin=guide.registered.distribution,
        status=Status.FAILED,
        bound=declaration.bound,
        verdict=Verdict.FAILED,
        summary=declaration.summary,
        cite=declaration.cite,
        options={**declaration.options(), **guide.options},
    )
    phase = "supports"
    try:
        refusal = ready.refusal or (declaration.supports(ready.structure) if declaration.supports else None)
        if refusal:
            return replace(blank, status=Status.UNSUPPORTED, message=refusal, reason=f"Not possible here: {refusal}.")
        phase = "train"
        watcher.phase(ready.problem.name, guide.label, "training")
        training = _train(ready, guide, config, recipe, watcher)
        trained = replace(blank, steps=recipe.steps, compile_s=training.compile_s, train_s=training.train_s)
        restarts = _restarts(training, ready.valid, recipe)
        if not any(one.status.has_draws for one in restarts):
            message = f"the loss or the parameters were not finite in any of {len(restarts)} starts"
            return replace(
                trained,
                status=Status.DIVERGED,
                restarts=restarts,
                message=message,
                reason=f"Training failed: {message}.",
            )
        phase = "draw"
        watcher.phase(ready.problem.name, guide.label, "drawing")
        began = time.perf_counter()
        sampler = _sampler(ready, guide, training, config)
        drawn = time.perf_counter()
        restarts, best = _rank(ready, guide, sampler, training, restarts, config)
        draws, log_weights = _draw(ready, guide, sampler, _params(training, best), config)
        point = declaration.bound == "none"
        phase = "predict"
        predictions, heldout = _predictions(ready, draws.latents, config)
        evidence = Evidence(
            latents=draws.latents,
            log_weights=None if point else log_weights,
            marginal_weights=declaration.bound == "elbo",
            restart_elbos=tuple(one.elbo for one in restarts if one.elbo is not None),
            heldout=heldout,
        )
        phase = "metrics"
        values, notes = _metrics(evidence, metrics)
        status = restarts[best].status
        verdict, reason = judge(values, declaration.bound, status)
        phase = "inference data"
        groups = {
            **_groups(ready, draws, predictions, point=point),
            **datasets.of_training(training, best),
        }
        return replace(
            trained,
            status=status,
            restarts=restarts,
            best=best,
            metrics=values,
            verdict=verdict,
            reason=reason,
            message="; ".join([*_remarks(restarts), *notes]),
            compile_s=training.compile_s + (drawn - began),
            evaluate_s=time.perf_counter() - drawn,
            inference_data=from_groups(groups),
        )
    except RequestError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:300] or "no message"
        message = f"{phase}: {type(error).__name__}: {text}"
        return replace(
            blank,
            message=message,
            reason=f"The guide of {guide.registered.distribution} failed in phase {phase!r}.",
            traceback=traceback.format_exc(),
        )


def _make_guide(guide: ChosenGuide, model: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Callable[..., Any]]:
    """Return a maker of fresh guides that start where they are told."""

    def make(start: Mapping[str, Any]) -> Callable[..., Any]:
        init = init_to_value(values=dict(start))
        reserved = {"init_loc_fn": init} if guide.declaration.wants_start() else {}
        built = guide.declaration.build(model, **guide.options, **reserved)
        for part in built if isinstance(built, AutoGuideList) else (built,):
            if isinstance(part, AutoGuide):
                part.init_loc_fn = init
        return built

    return make


def _train(ready: Prepared, guide: ChosenGuide, config: RunConfig, recipe: Recipe, watcher: Progress) -> Training:
    own = guide.declaration.objective
    return train(
        _make_guide(guide, ready.problem.model),
        ready.problem.model,
        ready.arguments,
        recipe,
        ready.starts,
        _keys(config.seed, recipe.restarts, ready.problem.name, guide.label, "train"),
        loss=own(recipe.particles) if own is not None and config.loss is None else None,
        on_chunk=lambda done, loss: watcher.steps(done, recipe.steps, loss),
    )


def _restarts(training: Training, valid: np.ndarray, recipe: Recipe) -> tuple[Restart, ...]:
    """Return how each restart ended."""
    found = []
    for index, losses in enumerate(training.losses):
        status = convergence.judge(
            losses,
            skipped=int(training.skipped[index]),
            finite=bool(training.finite[index] and valid[index]),
            decayed=recipe.decayed(),
        )
        last = losses[-max(len(losses) // 10, 1) :]
        mean = float(np.mean(last[np.isfinite(last)])) if np.isfinite(last).any() else float("nan")
        found.append(Restart(index=index, status=status, loss=mean, skipped=int(training.skipped[index])))
    return tuple(found)


def _params(training: Training, restart: int) -> dict[str, Any]:
    return jax.tree.map(lambda value: value[restart], training.params)


def _sampler(ready: Prepared, guide: ChosenGuide, training: Training, config: RunConfig) -> Sampler:
    return make_sampler(
        _make_guide(guide, ready.problem.model),
        ready.problem.model,
        ready.arguments,
        ready.structure,
        params=_params(training, 0),
        start={name: value[0] for name, value in ready.starts.items()},
        count=config.draws,
        to_draw_from=guide.declaration.draw,
    )


def _rank(
    ready: Prepared,
    guide: ChosenGuide,
    sampler: Sampler,
    training: Training,
    restarts: tuple[Restart, ...],
    config: RunConfig,
) -> tuple[tuple[Restart, ...], int]:
    """Score every restart that trained; return them all and the index of the best.

    Restarts are ranked by ELBO under common random numbers; those of a point estimate by their
    training loss, which is then the negative log density itself.
    """
    if guide.declaration.bound == "none":
        return restarts, min((one for one in restarts if one.status.has_draws), key=lambda one: one.loss).index
    key = jax.random.key(derive(config.seed, ready.problem.name, guide.label, "rank"))
    scored = []
    for one in restarts:
        if one.status.has_draws:
            draws = sampler(_params(training, one.index), key, keep_latents=False)
            elbo, mcse = mean_log_weight(draws.log_weights)
            one = replace(one, elbo=elbo, elbo_mcse=mcse)
        scored.append(one)
    finite = [one for one in scored if one.elbo is not None and np.isfinite(one.elbo)]
    best = max(finite, key=lambda one: one.elbo or 0.0) if finite else scored[0]
    return tuple(scored), best.index


def _draw(
    ready: Prepared, guide: ChosenGuide, sampler: Sampler, params: Mapping[str, Any], config: RunConfig
) -> tuple[Draws, np.ndarray]:
    """Draw from the best restart: the draws to keep, and the log weights of many more.

    All of them are fresh: those that chose the best restart would flatter it.
    """
    point = guide.declaration.bound == "none"
    kept: Draws | None = None
    weights = []
    for batch in range(1 if point else SCORE_BATCHES):
        key = jax.random.key(derive(config.seed, ready.problem.name, guide.label, "draws", batch))
        draws = sampler(params, key, keep_latents=kept is None)
        kept = kept or draws
        weights.append(draws.log_weights)
    assert kept is not None
    constant = ", ".join(kept.constant_sites())
    if constant and not point:
        raise ValueError(
            f"draws of {constant} do not vary: its scale is zero or singular, "
            "or it is a point estimate and should declare bound='none'"
        )
    log_weights = np.concatenate(weights)
    if not point and not np.isfinite(log_weights).all():
        share = np.mean(~np.isfinite(log_weights))
        raise ValueError(f"log p or log q is not finite for {share:.1%} of its draws: its support is not the model's")
    return kept, log_weights


@dataclass(frozen=True, kw_only=True)
class _Predictions:
    """Forward draws by InferenceData group, each with the program that made it."""

    groups: Mapping[str, tuple[Forward, Mapping[str, np.ndarray]]]


def _predictions(
    ready: Prepared, latents: Mapping[str, np.ndarray], config: RunConfig
) -> tuple[_Predictions, Heldout | None]:
    def run(name: str) -> tuple[Forward, dict[str, np.ndarray]]:
        forward = ready.forward(name, latents)
        # One seed per problem and purpose: guides are compared under common random numbers.
        return forward, forward(jax.random.key(derive(config.seed, ready.problem.name, name)), latents)

    groups = {"posterior_predictive": run("train"), "log_likelihood": run("log_train")}
    if ready.predict_values is not None:
        groups["predictions"] = run("predict")
    heldout = None
    held = ready.heldout_values
    if held is not None:
        observed = [site.name for site in ready.structure.observed]
        _, log_likelihood = run("log_heldout")
        _, predicted = run("heldout")
        values = ready.observed("heldout")
        heldout = Heldout(
            observed={name: values[name] for name in observed if name in values},
            predicted={name: predicted[name] for name in observed if name in values},
            log_likelihood=log_likelihood,
        )
    return _Predictions(groups=groups), heldout


def _metrics(evidence: Evidence, metrics: Sequence[Registered[Metric]]) -> tuple[tuple[MetricValue, ...], list[str]]:
    """Compute every metric that the evidence allows; one that raises is named and left out."""
    values: list[MetricValue] = []
    notes = []
    for one in metrics:
        metric = one.declaration
        if not all(evidence.has(part) for part in metric.needs):
            continue
        try:
            values.extend(replace(found, metric=found.metric or metric.name) for found in metric.compute(evidence))
        except Exception as error:
            notes.append(f"metric {metric.name!r} of {one.distribution} failed: {type(error).__name__}: {error}")
    return tuple(values), notes


def _remarks(restarts: Sequence[Restart]) -> list[str]:
    """Return what a reader should know of the restarts."""
    lost = sum(not one.status.has_draws for one in restarts)
    skipped = sum(one.skipped for one in restarts)
    remarks = []
    if lost:
        remarks.append(f"{lost} of {len(restarts)} starts diverged")
    if skipped:
        remarks.append(f"{skipped} steps skipped because the loss or gradient was not finite")
    return remarks


def _groups(ready: Prepared, draws: Draws, predictions: _Predictions, *, point: bool) -> dict[str, Any]:
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
    stat_sites = {name: _scalar_site(name) for name in stats}
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


def _scalar_site(name: str) -> Any:
    from guidebench.inference.structure import Site

    return Site(name=name, shape=(), dims=())
