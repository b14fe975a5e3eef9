"""One guide on one problem: train, rank the restarts, draw, score.

Each fit runs inside a boundary of its own: what a plugin does wrong is written into its own row of the
table and stops nobody else, and what it changes outside of itself is put back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
import xarray as xr
from numpyro.infer.autoguide import AutoGuide, AutoGuideList
from numpyro.infer.initialization import init_to_value

from guidebench.analysis.verdict import judge
from guidebench.config import RunConfig
from guidebench.config.seeds import derive
from guidebench.contracts import Metric, MetricValue
from guidebench.engine import datasets, own_method
from guidebench.engine.calibration import Simulations, ranks, recipe_for
from guidebench.engine.forward import FEWEST, affordable, label, run_forward
from guidebench.engine.prepared import Prepared
from guidebench.engine.progress import Progress
from guidebench.engine.scoring import RANKED, check_density, compute, draw_from, params_of, rank
from guidebench.engine.settling import Settling, final_loss
from guidebench.engine.starts import keys
from guidebench.inference import convergence
from guidebench.inference.coordinates import Frame
from guidebench.inference.draws import Sampler, Scoring, make_sampler
from guidebench.inference.recipe import Recipe
from guidebench.inference.start import starting_at
from guidebench.inference.train import Callbacks, Params, Training, train
from guidebench.metrics.evidence import Evidence
from guidebench.metrics.simulated import calibration
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.failures import Phase, raised_in
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.registry import OWN, Registered
from guidebench.request.selection import ChosenGuide
from guidebench.results import Fit, Restart, Status, Verdict
from guidebench.results.inference_data import from_groups

#: Share of skipped steps from which a start counts as unstable, and the learning rate that is tried instead.
UNSTABLE = 0.002
SLOWER = 0.2

#: Is told the steps done, those of all rounds so far, and the loss.
OnChunk = Callable[[int, int, float], None]


def blank(problem: str, guide: ChosenGuide) -> Fit:
    """Return the fit of a guide that has not got anywhere yet."""
    declaration = guide.declaration
    return Fit(
        problem=problem,
        guide=guide.label,
        plugin=guide.registered.distribution,
        status=Status.FAILED,
        bound=declaration.bound,
        verdict=Verdict.FAILED,
        summary=declaration.summary,
        cite=declaration.cite,
        options={**declaration.options(), **guide.options},
        method=declaration.method(),
    )


def fit_guide(
    ready: Prepared,
    guide: ChosenGuide,
    config: RunConfig,
    recipe: Recipe,
    metrics: Sequence[Registered[Metric]],
    watcher: Progress,
    simulations: Simulations | None = None,
) -> Fit:
    """Train and score one guide; whatever goes wrong becomes part of the fit."""
    declaration = guide.declaration
    empty = blank(ready.problem.name, guide)
    with _boundary(guide, config) as at:
        refusal = ready.refusal or (declaration.supports(ready.structure) if declaration.supports else None)
        refusal = refusal or (own_method.refusal(ready) if declaration.fit else None)
        if refusal is not None and not isinstance(refusal, str):
            raise TypeError(f"supports must return a reason or None, not {refusal!r}")
        if refusal:
            return replace(empty, status=Status.UNSUPPORTED, message=refusal, reason=f"Not possible here: {refusal}.")
        at.begin("train")
        watcher.phase(ready.problem.name, guide.label, "training")
        frame = ready.frame(declaration.family)
        samplers = _Samplers(ready, frame, guide, config)
        if declaration.fit is None:
            attempt = partial(_attempt, ready, frame, guide, config, at.in_time(watcher.steps), samplers)
            training, adjusted = _train(attempt, ready.valid, config, recipe)
        else:
            make = _make_guide(guide, frame.model)
            training, adjusted = own_method.run(ready, frame, guide, make, config, recipe, watcher, at)
        trained = replace(
            empty,
            coordinates=frame.kind,
            rounds=training.rounds,
            steps=sum(training.rounds),
            stopped=training.evaluations is not None and training.evaluations.patience is not None,
            compile_s=training.compile_s,
            train_s=training.train_s,
        )
        restarts = _restarts(training, ready.valid, recipe)
        if not any(one.status.has_draws for one in restarts):
            message = f"the loss or the parameters were not finite in any of {len(restarts)} starts"
            message = "; ".join([message, *own_method.said(training, 0)])
            return replace(
                trained,
                status=Status.DIVERGED,
                restarts=restarts,
                message=message,
                reason=f"Training failed: {message}.",
                failures=(at.fail(message),),
            )
        at.begin("draw")
        watcher.phase(ready.problem.name, guide.label, "drawing")
        began = time.perf_counter()
        sampler = samplers(params_of(training, 0))
        drawn = time.perf_counter()
        at.begin("draw")  # with what the guide may have changed while it was traced put back
        restarts, best = rank(ready, guide, sampler, training, restarts, config)
        draws, scored = draw_from(ready, guide, sampler, params_of(training, best), config)
        point = declaration.bound == "none"
        at.begin("density")
        check_density(scored, ready.structure, point=point)
        at.begin("predict")
        kept = draws.head(max(affordable(ready.structure.latent_dim), FEWEST))
        fixed = {name: value for name, value in params_of(training, best).items() if name in ready.structure.params}
        predictions, heldout = run_forward(ready, kept.latents, fixed, config.seed)
        evidence = Evidence(
            latents=scored.latents,
            log_weights=None if point else scored.log_weights,
            marginal_weights=declaration.bound == "elbo",
            restart_elbos=tuple(one.elbo for one in restarts if one.elbo is not None),
            heldout=heldout,
            reference=ready.reference.draws,
            reference_ess=ready.reference.effective,
            mode_shares=() if point else ready.mode_shares(scored.latents),
        )
        at.begin("metric")
        at.stop_clock()
        values, failures = compute(evidence, metrics, config.time_limit)
        notes = [f"{one.phase} {one.name!r} of {one.distribution} failed: {one.message}" for one in failures]
        status = restarts[best].status
        own = [value for value, metric in values if metric.distribution == OWN]
        verdict, reason = judge(
            own, declaration.bound, status, stopped=trained.stopped, trained=declaration.fit is None
        )
        evaluated = time.perf_counter()
        at.begin("simulations")
        calibrated: dict[str, xr.Dataset] = {}
        simulated: list[MetricValue] = []
        if simulations is not None and declaration.fit is not None:
            notes.append("a guide that is fitted by a method of its own is not fitted to simulated data")
        elif simulations is not None and point:
            notes.append("a point estimate has no intervals, so there is no calibration to simulate")
        elif simulations is not None:
            watcher.phase(ready.problem.name, guide.label, f"fitting {simulations.count} simulated data sets")
            with _boundary(guide, config, "simulations") as beside:  # the fit itself is sound, whatever happens here
                told = beside.in_time(watcher.steps)
                calibrated, simulated = _calibrate(ready, simulations, guide, config, recipe, told)
            if beside.failure is not None:
                failures.append(beside.failure)
                notes.append(f"fitting simulated data failed: {beside.failure.message}")
        at.begin("inference data")
        groups = {
            **label(ready, kept, predictions, weighted=declaration.bound == "elbo"),
            **datasets.of_training(training, best),
            **calibrated,
        }
        return replace(
            trained,
            status=status,
            restarts=restarts,
            best=best,
            metrics=(*(value for value, _ in values), *simulated),
            verdict=verdict,
            reason=reason,
            message="; ".join(
                [
                    *adjusted,
                    *_stopped(training, best),
                    *own_method.said(training, best),
                    *_remarks(ready, restarts, len(draws.log_p), len(kept.log_p)),
                    *notes,
                ]
            ),
            compile_s=training.compile_s + (drawn - began),
            evaluate_s=evaluated - drawn,
            simulate_s=time.perf_counter() - evaluated if calibrated else None,
            inference_data=from_groups(groups),
            failures=tuple(failures),
        )
    failure = at.failure
    assert failure is not None  # for every other way out returns
    return replace(
        empty,
        message=f"{failure.phase}: {failure.message}",
        reason=f"The guide of {guide.registered.distribution} failed in phase {failure.phase!r}.",
        failures=(failure,),
    )


def _boundary(guide: ChosenGuide, config: RunConfig, phase: Phase = "supports") -> Boundary:
    return Boundary(
        phase,
        plugin=guide.registered.plugin,
        distribution=guide.registered.distribution,
        name=guide.label,
        time_limit=config.time_limit,
    )


def _make_guide(
    guide: ChosenGuide, model: Callable[..., Any], *, in_parts: bool = False
) -> Callable[[Mapping[str, Any]], Callable[..., Any]]:
    """Return a maker of fresh guides that start where they are told; `in_parts` if the model shows parts of them."""

    def make(start: Mapping[str, Any]) -> Callable[..., Any]:
        init = starting_at(start) if in_parts else init_to_value(values=dict(start))
        reserved = {"init_loc_fn": init} if guide.declaration.wants_start() else {}
        options = guide.declaration.options_for("build", guide.options)
        with raised_in("build"), restored():
            built = guide.declaration.build(model, **options, **reserved)
            if not callable(built):
                raise TypeError(f"build must return a guide, which is a function, not {type(built).__name__}")
        for part in built if isinstance(built, AutoGuideList) else (built,):
            if isinstance(part, AutoGuide):
                part.init_loc_fn = init
        return built

    return make


def _objective(guide: ChosenGuide, config: RunConfig, recipe: Recipe) -> Any:
    """Return the guide's own objective, unless the user names one or it has none."""
    own = guide.declaration.objective
    if own is None or config.loss is not None:
        return None
    with restored():
        return own(recipe.particles)


def _train(
    attempt: Callable[[Recipe], Training], valid: np.ndarray, config: RunConfig, recipe: Recipe
) -> tuple[Training, list[str]]:
    """Train, and once more at a lower rate where that was too much for some starts and the rate is not the user's."""
    first = attempt(recipe)
    lost = int(np.sum(valid & (~first.finite | (first.skipped > UNSTABLE * sum(first.rounds)))))
    if not lost or config.learning_rate is not None or not recipe.standardise:
        return first, []
    slower = replace(recipe, learning_rate=recipe.learning_rate * SLOWER)
    second = attempt(slower)
    compile_s, train_s = first.compile_s + second.compile_s, first.train_s + second.train_s
    if not _best(second) < _best(first):
        return replace(first, compile_s=compile_s, train_s=train_s), []
    said = f"trained at a learning rate of {slower.learning_rate:g}, for {recipe.learning_rate:g} was too much"
    return replace(second, compile_s=compile_s, train_s=train_s), [f"{said} for {lost} of {len(first.finite)} starts"]


def _best(training: Training) -> float:
    """Return the lowest final loss of all restarts that stayed finite."""
    found = [final_loss(losses[-training.rounds[-1] :]) for losses in training.losses[training.finite]]
    return min((loss for loss in found if np.isfinite(loss)), default=float("inf"))


def _attempt(
    ready: Prepared,
    frame: Frame,
    guide: ChosenGuide,
    config: RunConfig,
    on_chunk: OnChunk,
    samplers: _Samplers,
    recipe: Recipe,
) -> Training:
    shown = frame.in_training()
    settling = Settling(
        recipe,
        samplers,
        jax.random.key(derive(config.seed, ready.problem.name, guide.label, "settling")),
        most=RANKED,
        # The loss of a point is its density, without any noise.
        comparable=guide.declaration.bound != "none" and guide.declaration.draw is None,
    )
    training = train(
        _make_guide(guide, shown.model, in_parts=frame.stochastic is not None and frame.kind == "own"),
        shown,
        recipe,
        keys(config.seed, recipe.restarts, ready.problem.name, guide.label, "train"),
        loss=_objective(guide, config, recipe),
        watched=None if ready.validation is None else ready.validation.watched(frame, config.seed, ready.problem.name),
        callbacks=Callbacks(on_chunk=on_chunk, settled=settling),
    )
    return replace(training, agreed=settling.agreed)


def _restarts(training: Training, valid: np.ndarray, recipe: Recipe) -> tuple[Restart, ...]:
    """Return how each restart ended; a guide that finds its parameters itself says so itself."""
    if training.solutions:
        return own_method.restarts(training, valid, final_loss)
    found = []
    for index, losses in enumerate(training.losses):
        lately = losses[-training.rounds[-1] :]
        status = convergence.judge(
            lately,
            skipped=int(training.skipped_lately[index]),
            finite=bool(training.finite[index] and valid[index]),
            decayed=recipe.decayed() and training.at_the_end(index),
        )
        if status is Status.MAX_STEPS and index in training.agreed and training.at_the_end(index):
            status = Status.CONVERGED
        found.append(Restart(index=index, status=status, loss=final_loss(lately), skipped=int(training.skipped[index])))
    return tuple(found)


class _Samplers:
    """Compiles the program that draws from a guide when somebody asks for it first, and keeps it."""

    def __init__(self, ready: Prepared, frame: Frame, guide: ChosenGuide, config: RunConfig) -> None:
        self._ready, self._frame, self._guide, self._config = ready, frame, guide, config
        self._made: Sampler | None = None

    def __call__(self, params: Params) -> Sampler:
        """Return the program, for parameters like these of one restart."""
        if self._made is None:
            ready, frame, declaration = self._ready, self._frame, self._guide.declaration
            with raised_in("draw"):
                self._made = make_sampler(
                    _make_guide(self._guide, frame.model),
                    frame,
                    ready.structure,
                    params=params,
                    count=self._config.draws,
                    to_draw_from=declaration.draw,
                    scoring=Scoring(
                        log_joint=ready.log_joint, alone=ready.in_blocks, whole=ready.minibatches is not None
                    ),
                )
        return self._made


def _calibrate(
    ready: Prepared,
    simulations: Simulations,
    guide: ChosenGuide,
    config: RunConfig,
    recipe: Recipe,
    on_chunk: OnChunk,
) -> tuple[dict[str, xr.Dataset], list[MetricValue]]:
    """Fit the guide to every simulated data set; return the ranks of the true values and what they say."""
    frame = simulations.frame(guide.declaration.family)
    found = ranks(
        simulations,
        frame,
        _make_guide(guide, frame.model),
        recipe_for(recipe, simulations),
        config.seed,
        (ready.problem.name, guide.label),
        loss=_objective(guide, config, recipe),
        to_draw_from=guide.declaration.draw,
        on_chunk=on_chunk,
    )
    by_component = {str(name): found["rank"].sel(component=name).to_numpy() for name in found["component"].to_numpy()}
    values = [MetricValue(value=float(found["converged"].mean()), metric="simulated_converged")]
    return {"simulations": found}, [*values, *calibration(by_component, int(found.attrs["draws"]))]


def _stopped(training: Training, best: int) -> list[str]:
    """Return where and why training stopped early, if it did, and from which step its parameters are."""
    found = training.evaluations
    if found is None:
        return []
    said = []
    last, kept = found.steps[-1], found.kept[best]
    if found.patience is not None:
        said.append(
            f"stopped early at step {last:,}: the validation ELBO had not improved for {found.patience:,} steps"
        )
    if kept != last:
        said.append(f"the parameters are those after step {kept:,}, where the validation ELBO was best")
    return said


def _remarks(ready: Prepared, restarts: Sequence[Restart], drawn: int, kept: int) -> list[str]:
    """Return what a reader should know of the restarts and the draws."""
    lost = sum(not one.status.has_draws for one in restarts)
    skipped = sum(one.skipped for one in restarts)
    remarks = []
    if lost:
        remarks.append(f"{lost} of {len(restarts)} starts diverged")
    if skipped:
        remarks.append(
            f"{skipped} step{'s' if skipped > 1 else ''} skipped because the loss or gradient was not finite"
        )
    if kept < drawn:
        remarks.append(f"only {kept:,} of {drawn:,} draws are kept, for they are large")
    if affordable(ready.outputs("train")) < FEWEST:
        remarks.append("predictions at the training data are left out, for the data are large")
    return remarks
