"""The third stage of a fit: fresh draws from the chosen restart, their densities, and predictions from them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from guidebench.config import REFERENCES
from guidebench.config.seeds import derive
from guidebench.engine import datasets
from guidebench.engine.fit import own_method
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.choose import Chosen
from guidebench.engine.fit.course import course_of
from guidebench.engine.fit.making import Samplers
from guidebench.engine.fit.state import state_of
from guidebench.engine.fit.subset import marked
from guidebench.engine.fit.train import Trained
from guidebench.engine.forward import FEWEST, Predictions, affordable, label, run_forward
from guidebench.inference.device import precision
from guidebench.inference.draws import Draws
from guidebench.inference.rounding import PROBED, Rounding
from guidebench.inference.structure import ModelStructure
from guidebench.inference.train import Params
from guidebench.metrics.evidence import Evidence
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.results import Chaining, Fit, Restart, Status, Work, guide_state

#: A guide is scored with this many times the draws that are kept: weights are cheap, their noise is not.
SCORE_BATCHES = 10

#: Numbers that the scored draws of one guide may hold.
MOST_SCORED = 20_000_000


class Refreshed(NamedTuple):
    """What chains from a guide's draws came to.

    Attributes
    ----------
    chains : Chaining
        Whether they settled, or why none were run.
    work : Work or None
        What they computed; ``None`` where none were run.
    draws, effective : mapping
        Draws of settled chains by latent site, and what they are worth by component; nothing where they did not settle.
    group : Dataset or None
        The same draws with the names of their axes.
    left_out : tuple of str
        What the budget of the run did not allow.
    """

    chains: Chaining
    work: Work | None = None
    draws: Mapping[str, np.ndarray] = {}
    effective: Mapping[str, float] = {}
    group: xr.Dataset | None = None
    left_out: tuple[str, ...] = ()


class Judged(NamedTuple):
    """What putting the draws of a fit to the test came to.

    Attributes
    ----------
    refreshed : Refreshed or None
        What chains came to; ``None`` where none were thought of.
    work : Work or None
        All that was computed.
    witness, effective : mapping
        Draws of the posterior by latent site that only this fit is judged by, and what they are worth by component.
    remarks : tuple of str
        What a reader should know of it.
    """

    refreshed: Refreshed | None = None
    work: Work | None = None
    witness: Mapping[str, np.ndarray] = {}
    effective: Mapping[str, float] = {}
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Refreshed) -> Judged:
        """Return what chains alone came to."""
        return cls(found, found.work)

    def spending(self, work: Work) -> Judged:
        """Return the same after more work."""
        return self._replace(work=work if self.work is None else self.work + work)

    def remarking(self, remark: str) -> Judged:
        """Return the same with another remark."""
        return self._replace(remarks=(*self.remarks, remark))


class ToScore(NamedTuple):
    """What judging and scoring need of a fit.

    Attributes
    ----------
    evidence : Evidence
        Its draws and what is known of them without a reference.
    status, stopped : Status, bool
        How training ended, and whether data that were held back ended it.
    chains : Chaining or None
        What chains from its draws did.
    names : tuple of str
        The problem and the guide, after which random numbers are named.
    most : int
        Gradients that judging may take.
    params : dict or None
        Parameters of the guide, where it may be a flow that its chains can be run in.
    """

    evidence: Evidence
    status: Status
    stopped: bool
    chains: Chaining | None = None
    names: tuple[str, str] = ("", "")
    most: int = 0
    params: Params | None = None

    def with_judged(self, found: Judged) -> ToScore:
        """Return the same with what putting its draws to the test came to."""
        evidence, chained = self.evidence, found.refreshed
        if found.work is not None and evidence.gradients is not None:
            evidence = replace(evidence, gradients=evidence.gradients + found.work.gradients)
        if chained is not None and chained.draws:
            evidence = replace(evidence, refreshed=chained.draws, refreshed_ess=chained.effective)
        if found.witness:
            evidence = replace(evidence, witness=found.witness, witness_ess=found.effective)
        return self._replace(evidence=evidence, chains=self.chains if chained is None else chained.chains)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A fit with its draws, which is still to be scored and judged.

    Attributes
    ----------
    fit : Fit
        All that is known of it before it is scored.
    to_score : ToScore
        What the metrics are computed from.
    groups : dict
        Its draws, predictions and the course of its training, by the names of InferenceData groups; ``refreshed``
        among them where chains from its draws settled.
    remarks : tuple of str
        What a reader should know of it.
    """

    fit: Fit
    to_score: ToScore
    groups: dict[str, xr.Dataset]
    remarks: tuple[str, ...]

    def leaving_out(self, said: tuple[str, ...]) -> Drawn:
        """Return the fit with more that the budget of the run did not allow."""
        return replace(self, fit=replace(self.fit, left_out=(*self.fit.left_out, *said)))

    def with_judged(self, found: Judged) -> Drawn:
        """Return the fit with what putting its draws to the test came to, and what that took."""
        fit, groups, remarks, chained = self.fit, self.groups, [*self.remarks, *found.remarks], found.refreshed
        if found.work is not None:
            spent = (fit.evaluate_s or 0) + found.work.seconds
            fit = replace(fit, work={**fit.work, "judging": found.work}, evaluate_s=spent)
        if chained is not None:
            fit = replace(fit, left_out=(*fit.left_out, *chained.left_out))
        if chained is not None and chained.group is not None:
            groups = {**groups, "refreshed": chained.group}
            cut = chained.group.attrs.get("kept")
            remarks += [f"of the refreshed draws, {cut}"] if cut else []
        return Drawn(fit=fit, to_score=self.to_score.with_judged(found), groups=groups, remarks=tuple(remarks))


def draw(case: Case, fit: Fit, trained: Trained, chosen: Chosen, at: Boundary) -> Drawn:
    """Draw from the chosen restart and predict with the draws; `fit` is what training has made of it."""
    prepared, bench, point = case.prepared, case.bench, case.declaration.bound == "none"
    chosen = chosen._replace(sampler=trained.samplers.for_scoring(chosen.params))
    draws, scored = draw_from(case, chosen)
    at.begin("density")
    check_density(scored, prepared.structure, point=point)
    at.begin("predict")
    kept = draws.head(max(datasets.may_be_kept(datasets.bytes_of(draws.latents)), FEWEST))
    fixed = {name: value for name, value in chosen.params.items() if name in prepared.structure.params}
    with precision.chosen(trained.samplers.x64):
        predictions, heldout = run_forward(bench, kept.latents, fixed, case.config.seed)
    course, taken = course_of(case, trained.training, chosen)
    evaluated = time.perf_counter()
    seconds = Work(seconds=chosen.compile_s + evaluated - chosen.since)
    fit = replace(fit, work={**fit.work, "scoring": chosen.work + scored.work + taken + seconds})
    evidence = Evidence(
        latents=scored.latents,
        log_weights=None if point else scored.log_weights,
        marginal_weights=case.declaration.bound == "elbo",
        restart_elbos=tuple(one.elbo for one in chosen.restarts if one.elbo is not None),
        heldout=heldout,
        deterministics=_deterministics(case, predictions),
        mode_shares=() if point else bench.mode_shares(scored.latents),
        gradients=fit.gradients,
    )
    at.begin("inference data")
    at.stop_clock()
    groups = {
        **label(bench, kept, predictions, weighted=case.declaration.bound == "elbo"),
        **datasets.of_training(trained.training, chosen.best),
        **({} if course is None else {"training_course": course}),
        guide_state.GROUP: guide_state.to_dataset(state_of(case, trained.frame, trained.samplers, chosen.params)),
    }
    status, made, left = chosen.restarts[chosen.best].status, len(draws.log_p), len(kept.log_p)
    cut = datasets.said_of_kept(left, made, datasets.bytes_of(draws.latents)) if left < made else ""
    groups["posterior"] = marked(groups["posterior"], scored.latents)
    return Drawn(
        fit=replace(
            fit,
            status=status,
            restarts=chosen.restarts,
            best=chosen.best,
            **_precision(trained.samplers),
            draws_judged=len(scored.log_p),
            draws_kept=groups["posterior"].sizes.get("draw", 0),
            compile_s=trained.training.compile_s + chosen.compile_s,
            evaluate_s=evaluated - chosen.since,
        ),
        to_score=ToScore(evidence, status, trained.stopped, names=case.names),
        groups={**groups, "posterior": groups["posterior"].assign_attrs(kept=cut)} if cut else groups,
        remarks=(
            *trained.remarks,
            *_stopped(trained, chosen.best),
            *own_method.said(trained.training, chosen.best),
            *_rounded(trained.samplers.rounding),
            *_remarks(case, chosen.restarts, predictions),
            *([cut] if cut else []),
        ),
    )


def _deterministics(case: Case, predictions: Predictions) -> dict[str, np.ndarray]:
    """Return the deterministic sites at the training data, where a reference of the user's own may have them."""
    if case.config.reference in REFERENCES or "posterior_predictive" not in predictions.groups:
        return {}
    values, sites = predictions.groups["posterior_predictive"][1], case.prepared.structure.deterministics
    return {site.name: values[site.name] for site in sites if site.name in values}


def draw_from(case: Case, chosen: Chosen) -> tuple[Draws, Draws]:
    """Draw from the best restart: the draws to keep, and the many more that the scores are made of.

    All of them are fresh: those that chose the best restart would flatter it.
    """
    point = case.declaration.bound == "none"
    most = MOST_SCORED // max(case.config.draws * case.prepared.structure.latent_dim, 1)
    count = 1 if point or case.bench.in_blocks else max(1, min(SCORE_BATCHES, most))
    batches = [
        chosen.sampler(chosen.params, jax.random.key(derive(case.config.seed, *case.names, "draws", batch)))
        for batch in range(count)
    ]
    kept, scored = batches[0], Draws.concatenate(batches)
    constant = ", ".join(kept.constant_sites())
    if constant and not point:
        raise ValueError(
            "no spread: the density has no maximum, its scale is zero, or it is a point estimate and should declare "
            f"bound='none' (draws of {constant} do not vary)"
        )
    return kept, scored


def check_density(scored: Draws, structure: ModelStructure, *, point: bool) -> None:
    """Raise a ValueError where the draws are not those of the model's sites, or a density is not finite there.

    That of a point estimate is not looked at.
    """
    for site in structure.latents:
        shape = scored.latents[site.name].shape[1:]
        if shape != site.shape:
            raise ValueError(f"draws of {site.name} have the shape {shape}, those of the model {site.shape}")
    if not point and not np.isfinite(scored.log_weights).all():
        share = np.mean(~np.isfinite(scored.log_weights))
        raise ValueError(
            f"log p or log q is not finite for {share:.1%} of its draws: its support is not the model's, "
            "or its training went astray"
        )


def _precision(samplers: Samplers) -> dict[str, Any]:
    """Return in which precision a fit is scored, and what float32 was found to cost."""
    found = samplers.rounding
    return {"scored_in": "float64" if samplers.x64 else "float32", "rounding": None if found is None else found.spread}


def _rounded(found: Rounding | None) -> Iterator[str]:
    """Yield why a fit is scored in float64, where the run is in float32."""
    if found is None or not found.too_much:
        return
    cost = f"would add noise of {found.spread:.2g} nat to its log weights"
    if found.lost:
        cost = f"has no finite log weight for {found.lost} of {PROBED} of its draws"
    yield f"drawn and scored in float64, for float32 {cost}"


def _stopped(trained: Trained, best: int) -> Iterator[str]:
    """Yield where and why training stopped early, if it did, and from which step its parameters are."""
    found = trained.training.evaluations
    if found is None:
        return
    last, kept = found.steps[-1], found.kept[best]
    if found.patience is not None:
        yield f"stopped early at step {last:,}: the validation ELBO had not improved for {found.patience:,} steps"
    if kept != last:
        yield f"the parameters are those after step {kept:,}, where the validation ELBO was best"


def _remarks(case: Case, restarts: Sequence[Restart], predictions: Predictions) -> Iterator[str]:
    """Yield what a reader should know of the restarts and the predictions."""
    lost = sum(not one.status.has_draws for one in restarts)
    skipped = sum(one.skipped for one in restarts)
    if lost:
        yield f"{lost} of {len(restarts)} starts diverged"
    if skipped:
        yield f"{skipped} step{'s' if skipped > 1 else ''} skipped because the loss or gradient was not finite"
    if affordable(case.bench.outputs("train")) < FEWEST:
        yield "predictions at the training data are left out, for the data are large"
    if predictions.exhausted:
        yield "predictions are left out, for drawing them would take more memory than there is"
