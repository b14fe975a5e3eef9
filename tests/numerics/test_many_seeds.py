"""What must hold for every seed, and what only many draws can show.  Slow: ``tox -e slow``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from numpyro.infer.initialization import init_to_value
from scipy.linalg import eigh

from guidebench.analysis.verdict import judge
from guidebench.config import RunConfig
from guidebench.contracts import MetricValue, Problem
from guidebench.engine.prepared import prepare
from guidebench.engine.workbench import Workbench
from guidebench.inference.coordinates import Frame
from guidebench.inference.draws import Draws, Sampler, make_sampler
from guidebench.inference.recipe import RECIPES, Recipe
from guidebench.inference.train import train
from guidebench.metrics import bounds, moments, reweighting
from guidebench.metrics.evidence import Evidence
from guidebench.plugins.registry import load_registry
from guidebench.problems import linear_regression
from guidebench.results import Comparison, Fit, Status, Verdict
from tests.numerics import conjugate
from tests.numerics import linear_regression_exact as exact

pytestmark = pytest.mark.slow

REPETITIONS = 200
DRAWS = 10_000

SEEDS = 10

#: What the flow is worth here when it is trained for much longer, 0.011 nat below the evidence.
FLOW = -22.893

#: What a user is promised of draws that are trusted, and of repaired ones.
MEAN_ERROR, SD_ERROR = 0.10, 0.15


# -- Monte Carlo errors: a guide trained once, drawn from and scored 200 times


def trained(
    problem: Problem, recipe: Recipe, offset: float | None = None, **options: Any
) -> tuple[Sampler, dict[str, np.ndarray], Frame]:
    """Train a full-rank guide once and return what draws from it; from `offset` in every coordinate, where given."""
    ready = prepare(problem, RunConfig(restarts=1), recipe)
    guide = load_registry().guide("auto_multivariate_normal").declaration
    frame = Workbench(ready.problem, ready.target).frame(guide.family)

    def make(start: Any) -> Any:
        built = guide.build(frame.model, **options)
        built.init_loc_fn = init_to_value(values=dict(start))
        return built

    keys = jax.random.split(jax.random.key(0), 1)
    starts = {name: np.full_like(value, value if offset is None else offset) for name, value in frame.starts.items()}
    frame = replace(frame, starts=starts)
    training = train(make, frame, recipe, keys)
    params = {name: value[0] for name, value in training.params.items()}
    sampler = make_sampler(make, frame, ready.problem.structure, params=params, count=DRAWS)
    return sampler, params, frame


def metrics_of(latents: Mapping[str, np.ndarray], log_weights: np.ndarray) -> list[MetricValue]:
    evidence = Evidence(latents=latents, log_weights=log_weights)
    return [
        replace(one, metric=one.metric or name)
        for name, metric in (
            ("elbo", bounds.elbo),
            ("log_evidence", bounds.log_evidence),
            ("kl", bounds.kl),
            ("khat", bounds.khat),
            ("mean", moments.mean),
            ("sd", moments.sd),
            ("reweighted", reweighting.reweighted),
        )
        for one in metric(evidence)
    ]


@pytest.fixture(scope="module")
def scored() -> tuple[dict[str, float], list[dict[str, MetricValue]]]:
    """The truth about one imperfect full-rank guide on a conjugate problem, and 200 scores of it.

    It is caught on its way from a start that is too wide, in coordinates of its own.  Too wide is what is
    wanted: the weights of a Gaussian guide have a fourth moment, which the errors of their variance need,
    only where no direction has less than 3/4 of the posterior's variance.
    """
    problem = conjugate.nearly_collinear()
    recipe = replace(RECIPES["default"], steps=20, restarts=1, rounds=1, learning_rate=0.01)
    sampler, params, frame = trained(problem.problem, recipe, offset=0.2, init_scale=1.2)
    arrays = frame.arguments.arrays
    mean = arrays["center"] + arrays["factor"] @ np.asarray(params["auto_loc"], float)
    root = arrays["factor"] @ np.asarray(params["auto_scale_tril"], float)
    covariance = root @ root.T
    relative = eigh(covariance, problem.covariance, eigvals_only=True)
    assert relative.min() > 0.75, relative
    offset = mean - problem.mean
    kl = 0.5 * (relative.sum() - len(mean) - np.log(relative).sum())
    kl += 0.5 * float(offset @ np.linalg.solve(problem.covariance, offset))
    assert 0.02 < kl < 0.3, kl  # imperfect, by as much as guides are
    truth = {
        "elbo": problem.log_evidence - kl,
        "log_evidence": problem.log_evidence,
        "kl": kl,
        "mean": float(mean[0]),
        "sd": float(np.sqrt(covariance[0, 0])),
        "mean_reweighted": float(problem.mean[0]),
        "sd_reweighted": float(problem.sd[0]),
    }
    found = []
    for repetition in range(REPETITIONS):
        draws = sampler(params, jax.random.key(1_000 + repetition))
        values = metrics_of(draws.latents, draws.log_weights)
        found.append({one.metric: one for one in values if one.variable in ("", "beta[0]")})
    return truth, found


@pytest.mark.parametrize("metric", ["elbo", "log_evidence", "kl", "mean", "sd", "mean_reweighted", "sd_reweighted"])
def test_standard_errors_are_the_errors(scored: Any, metric: str) -> None:
    truth, found = scored
    z = np.array([(one[metric].value - truth[metric]) / one[metric].mcse for one in found])
    assert 0.85 < np.std(z, ddof=1) < 1.15, np.std(z, ddof=1)
    assert abs(np.mean(z)) < 4 / np.sqrt(REPETITIONS), np.mean(z)
    assert 0.90 < np.mean(np.abs(z) < 1.96) < 0.99


def test_fresh_draws_of_one_guide_do_not_change_its_verdict() -> None:
    """The full-rank guide of the seed problem is 0.147 nat from the posterior, whatever its draws say."""
    sampler, params, _ = trained(linear_regression.problem(), replace(RECIPES["default"], restarts=1, rounds=1))
    found = []
    for repetition in range(100):
        parts = [sampler(params, jax.random.key(4 * repetition + part)) for part in range(4)]
        draws = Draws.concatenate(parts)
        found.append(judge(metrics_of(draws.latents, draws.log_weights), "elbo", Status.CONVERGED).verdict)
    assert set(found) == {Verdict.REWEIGHT}, {str(one): found.count(one) for one in set(found)}


# -- ten seeds of the main job


@pytest.fixture(scope="module")
def seeds(run: Callable[..., Comparison]) -> list[Comparison]:
    return [run(seed=seed) for seed in range(SEEDS)]


@pytest.fixture(scope="module")
def truth() -> exact.Exact:
    return exact.posterior()


def test_every_guide_converges_whatever_the_seed(seeds: list[Comparison]) -> None:
    found = {(fit.guide, seed): fit.status for seed, comparison in enumerate(seeds) for fit in comparison}
    assert [key for key, status in found.items() if status is not Status.CONVERGED] == []


def short_by(fit: Fit, best: float) -> tuple[float, float]:
    """Return by how many nats an ELBO is below the best, and its error."""
    found = fit.metric("elbo")
    assert found is not None
    return best - found.value, found.mcse or 0.0


@pytest.mark.parametrize("guide", ["mean_field", "auto_normal", "auto_multivariate_normal"])
def test_gaussian_guides_reach_the_best_of_their_family_whatever_the_seed(seeds: list[Comparison], guide: str) -> None:
    best = exact.best_elbo(full_rank=guide == "auto_multivariate_normal")
    for seed, comparison in enumerate(seeds):
        gap, error = short_by(comparison[guide], best)
        assert abs(gap) < 0.01 + 2 * error, (seed, gap, error)


def test_the_flow_reaches_its_best_whatever_the_seed(seeds: list[Comparison], truth: exact.Exact) -> None:
    for seed, comparison in enumerate(seeds):
        gap, error = short_by(comparison["auto_iaf_normal"], FLOW)
        assert gap < 0.02 + 2 * error, (seed, gap, error)
        assert short_by(comparison["auto_iaf_normal"], truth.log_evidence)[0] > -4 * error, seed


def test_verdicts_do_not_depend_on_the_seed(seeds: list[Comparison]) -> None:
    found = {fit.guide: {comparison[fit.guide].verdict for comparison in seeds} for fit in seeds[0]}
    assert {guide: sorted(verdicts) for guide, verdicts in found.items() if len(verdicts) > 1} == {}


def test_verdicts_are_borne_out_by_the_exact_posterior(seeds: list[Comparison], truth: exact.Exact) -> None:
    """Trusted draws are right as they are; draws to be reweighted or refreshed are right once they are."""
    wrong = []
    for seed, comparison in enumerate(seeds):
        for fit in comparison:
            suffix = {Verdict.TRUST: "", Verdict.REWEIGHT: "_reweighted", Verdict.REFRESH: "_refreshed"}.get(
                fit.verdict
            )
            if suffix is None:
                continue
            for site in truth.mean:
                mean, sd = fit.value(f"mean{suffix}", site), fit.value(f"sd{suffix}", site)
                assert mean is not None
                assert sd is not None
                mean_error = abs(mean - truth.mean[site]) / truth.sd[site]
                sd_error = abs(sd / truth.sd[site] - 1)
                if mean_error > MEAN_ERROR or sd_error > SD_ERROR:
                    wrong.append((seed, fit.guide, str(fit.verdict), site, round(mean_error, 3), round(sd_error, 3)))
    assert wrong == []
