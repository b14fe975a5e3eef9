"""Scoring a trained guide: rank its restarts, draw from the best, compute every metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np

from guidebench.config import RunConfig
from guidebench.config.seeds import derive
from guidebench.contracts import Metric, MetricValue
from guidebench.engine.prepared import Prepared
from guidebench.inference.draws import Draws, Sampler
from guidebench.inference.structure import ModelStructure
from guidebench.inference.train import Params, Training
from guidebench.metrics.bounds import mean_log_weight
from guidebench.metrics.evidence import Evidence, read_only
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.failures import Failure
from guidebench.plugins.registry import OWN, Registered
from guidebench.request.selection import ChosenGuide
from guidebench.results import Restart

#: A guide is scored with this many times the draws that are kept: weights are cheap, their noise is not.
SCORE_BATCHES = 10

#: Draws that rank restarts where each density means a pass over large data.
RANKED = 400

#: Numbers that the scored draws of one guide may hold.
MOST_SCORED = 20_000_000


def params_of(training: Training, restart: int) -> Params:
    """Return the parameters of one restart."""
    params: Params = jax.tree.map(lambda value: value[restart], training.params)
    return params


def rank(
    ready: Prepared,
    guide: ChosenGuide,
    sampler: Sampler,
    training: Training,
    restarts: tuple[Restart, ...],
    config: RunConfig,
) -> tuple[tuple[Restart, ...], int]:
    """Score every restart that trained; return them all and the index of the best.

    Restarts are ranked by ELBO under common random numbers; those of a point estimate by their
    training loss, which is then the negative log density itself, and is computed where the guide did not train.
    """
    if guide.declaration.bound == "none":
        if training.solutions:
            restarts = tuple(_with_density(one, sampler, training) for one in restarts)
        return restarts, min((one for one in restarts if one.status.has_draws), key=lambda one: one.loss).index
    key = jax.random.key(derive(config.seed, ready.problem.name, guide.label, "rank"))
    scored = []
    for one in restarts:
        if not one.status.has_draws:
            scored.append(one)
            continue
        draws = sampler(params_of(training, one.index), key, keep_latents=False, most=RANKED)
        elbo, mcse = mean_log_weight(draws.log_weights)
        scored.append(replace(one, elbo=elbo, elbo_mcse=mcse))
    drawn = [one for one in scored if one.elbo is not None]
    best = max(drawn, key=lambda one: one.elbo if one.elbo is not None and np.isfinite(one.elbo) else -np.inf)
    return tuple(scored), best.index


def _with_density(one: Restart, sampler: Sampler, training: Training) -> Restart:
    """Return a restart of a point estimate with minus the log density of its point as its loss."""
    if not one.status.has_draws:
        return one
    draws = sampler(params_of(training, one.index), jax.random.key(0), keep_latents=False, most=1)
    return replace(one, loss=-float(draws.log_p[0]))


def draw_from(
    ready: Prepared, guide: ChosenGuide, sampler: Sampler, params: Params, config: RunConfig
) -> tuple[Draws, Draws]:
    """Draw from the best restart: the draws to keep, and the many more that the scores are made of.

    All of them are fresh: those that chose the best restart would flatter it.
    """
    point = guide.declaration.bound == "none"
    affordable = MOST_SCORED // max(config.draws * ready.structure.latent_dim, 1)
    affordable = 1 if point or ready.in_blocks else max(1, min(SCORE_BATCHES, affordable))
    batches = [
        sampler(params, jax.random.key(derive(config.seed, ready.problem.name, guide.label, "draws", batch)))
        for batch in range(affordable)
    ]
    kept, scored = batches[0], Draws.concatenate(batches)
    constant = ", ".join(kept.constant_sites())
    if constant and not point:
        raise ValueError(
            f"draws of {constant} do not vary: its scale is zero or singular, as where the density has no maximum, "
            "or it is a point estimate and should declare bound='none'"
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


def compute(
    evidence: Evidence, metrics: Sequence[Registered[Metric]], time_limit: float | None = None
) -> tuple[list[tuple[MetricValue, Registered[Metric]]], list[Failure]]:
    """Compute every metric that the evidence allows, each value with who made it.

    One that raises, takes longer than `time_limit` seconds, or yields what is no number or belongs to
    another, is named and left out.  None can change what the next one sees.
    """
    values: list[tuple[MetricValue, Registered[Metric]]] = []
    failures = []
    seen = read_only(evidence)
    for one in metrics:
        metric = one.declaration
        if not all(evidence.has(part) for part in metric.needs):
            continue
        limit = None if one.distribution == OWN else time_limit
        with Boundary(
            "metric", plugin=one.plugin, distribution=one.distribution, name=metric.name, time_limit=limit
        ) as at:
            values.extend([(_checked(found, one), one) for found in metric.compute(seen)])
        if at.failure is not None:
            failures.append(at.failure)
    return values, failures


def _checked(found: MetricValue, one: Registered[Metric]) -> MetricValue:
    own = one.name
    name = found.metric or own
    if one.distribution != OWN and name != own and not name.startswith(f"{own}_"):
        raise ValueError(f"it yields {name!r}, which is not its own; names other than {own!r} start with '{own}_'")
    mcse = None if found.mcse is None else float(found.mcse)
    return replace(found, metric=name, value=float(found.value), mcse=mcse)
