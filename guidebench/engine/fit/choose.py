"""The second stage of a fit: which of the restarts the guide is, by the score that every guide gets."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np

from guidebench.config.seeds import derive
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.making import RANKED
from guidebench.engine.fit.train import Trained
from guidebench.inference.draws import Sampler
from guidebench.inference.train import Params, Training
from guidebench.metrics.bounds import mean_log_weight
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.results import Restart, Work
from guidebench.results.work import total


class Chosen(NamedTuple):
    """The best of the restarts, with its parameters and the program that draws from it.

    `restarts` are all of them, with their scores; `compile_s` is what it took to compile the program, and
    `since` when that was done; `work` is that of the scores.
    """

    restarts: tuple[Restart, ...]
    best: int
    params: Params
    sampler: Sampler
    compile_s: float
    since: float
    work: Work


def choose(case: Case, trained: Trained, at: Boundary) -> Chosen:
    """Score every restart that trained, and choose the best.

    Restarts are ranked by ELBO under common random numbers; those of a point estimate by their
    training loss, which is then the negative log density itself, and is computed where the guide did not train.
    """
    began = time.perf_counter()
    sampler = trained.samplers(params_of(trained.training, 0))
    sampler.program.wait()
    since = time.perf_counter()
    at.begin("draw")  # with what the guide may have changed while it was traced put back
    ranked = _by_density if case.declaration.bound == "none" else _by_elbo
    restarts, best, work = ranked(case, trained, sampler)
    return Chosen(restarts, best, params_of(trained.training, best), sampler, since - began, since, work)


def params_of(training: Training, restart: int) -> Params:
    """Return the parameters of one restart."""
    params: Params = jax.tree.map(lambda value: value[restart], training.params)
    return params


def _by_elbo(case: Case, trained: Trained, sampler: Sampler) -> tuple[tuple[Restart, ...], int, Work]:
    key = jax.random.key(derive(case.config.seed, *case.names, "rank"))
    scored, work = [], Work()
    for one in trained.restarts:
        if not one.status.has_draws:
            scored.append(one)
            continue
        draws = sampler(params_of(trained.training, one.index), key, keep_latents=False, most=RANKED)
        work += draws.work
        elbo, mcse = mean_log_weight(draws.log_weights)
        scored.append(replace(one, elbo=elbo, elbo_mcse=mcse))
    drawn = [one for one in scored if one.elbo is not None]
    best = max(drawn, key=lambda one: one.elbo if one.elbo is not None and np.isfinite(one.elbo) else -np.inf)
    return tuple(scored), best.index, work


def _by_density(case: Case, trained: Trained, sampler: Sampler) -> tuple[tuple[Restart, ...], int, Work]:
    restarts, work = trained.restarts, Work()
    if trained.training.solutions:
        scored = [_with_density(one, sampler, trained.training) for one in restarts]
        restarts, work = tuple(one for one, _ in scored), total(more for _, more in scored)
    return restarts, min((one for one in restarts if one.status.has_draws), key=lambda one: one.loss).index, work


def _with_density(one: Restart, sampler: Sampler, training: Training) -> tuple[Restart, Work]:
    """Return a restart of a point estimate with minus the log density of its point as its loss."""
    if not one.status.has_draws:
        return one, Work()
    draws = sampler(params_of(training, one.index), jax.random.key(0), keep_latents=False, most=1)
    return replace(one, loss=-float(draws.log_p[0])), draws.work
