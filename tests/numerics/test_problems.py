"""The bundled problems' known answers, each checked against something else than itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from numpyro.infer.util import log_density
from scipy.special import logsumexp
from scipy.stats import kstest, multivariate_normal, norm

from guidebench.contracts import Problem
from guidebench.inference.arguments import Arguments
from guidebench.inference.structure import inspect_model
from guidebench.problems import funnel, guidebench_problems, two_modes
from guidebench.results.inference_data import group

try:
    from jax import enable_x64
except ImportError:  # older versions of jax
    from jax.experimental import enable_x64

PROBLEMS = {problem.name: problem for problem in guidebench_problems()}

Draws = dict[str, np.ndarray]


def log_joint(problem: Problem, draws: Draws) -> np.ndarray:
    """Return the model's own log p(y, theta) of each draw, in float64."""

    def one(latents: dict[str, Any]) -> Any:
        return log_density(problem.model, problem.args, problem.kwargs, latents)[0]

    with enable_x64(True):
        found = np.asarray(jax.jit(jax.vmap(one))(draws))
    assert found.dtype == np.float64
    return found


def funnel_posterior(draws: Draws) -> np.ndarray:
    v, x = draws["v"], draws["x"]
    return norm(0, 3).logpdf(v) + norm(0, np.exp(v / 2)[:, None]).logpdf(x).sum(axis=1)


def component() -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the mode of weight 0.7, from precisions; the module adds covariances."""
    precision = np.linalg.inv([[0.5, 0.375], [0.375, 0.5]])
    covariance = np.linalg.inv(np.eye(2) / 9 + precision)
    return covariance @ precision @ [3, 2], covariance


def two_modes_posterior(draws: Draws) -> np.ndarray:
    mean, covariance = component()
    right, left = (multivariate_normal(at, covariance).logpdf(draws["theta"]) for at in (mean, -mean))
    return np.logaddexp(np.log(0.7) + right, np.log(0.3) + left)


POSTERIORS: dict[str, Callable[[Draws], np.ndarray]] = {"funnel": funnel_posterior, "two-modes": two_modes_posterior}


def elsewhere(name: str) -> Draws:
    """Random points that do not follow the posterior, between the modes and far outside among them."""
    rng = np.random.default_rng(1)
    if name == "funnel":
        return {"v": rng.uniform(-9, 9, 1000), "x": 3 * rng.standard_normal((1000, 9))}
    return {"theta": rng.uniform(-8, 8, (1000, 2))}


@pytest.mark.parametrize("place", ["at its draws", "elsewhere"])
@pytest.mark.parametrize("name", POSTERIORS)
def test_joint_over_posterior_is_the_evidence_everywhere(name: str, place: str) -> None:
    problem = PROBLEMS[name]
    assert problem.reference is not None
    draws = dict(problem.reference(3, 1000)) if place == "at its draws" else elsewhere(name)
    difference = log_joint(problem, draws) - POSTERIORS[name](draws)
    # At v = -9 and x = 9 the two terms are of order 1e6 and cancel.
    np.testing.assert_allclose(difference, problem.log_evidence, rtol=0, atol=1e-8)


# Quadrature, which knows no algebra: the model's density on a grid, smooth and nil at the borders.
STEP = 0.05
AXIS = np.arange(-8, 8 + STEP / 2, STEP)


@pytest.fixture(scope="module")
def grid() -> tuple[np.ndarray, np.ndarray]:
    """Points of the plane, and the log joint density of ``two-modes`` there."""
    theta = np.stack(np.meshgrid(AXIS, AXIS), axis=-1).reshape(-1, 2)
    return theta, log_joint(PROBLEMS["two-modes"], {"theta": theta})


def test_evidence_of_two_modes_by_quadrature(grid: tuple[np.ndarray, np.ndarray]) -> None:
    evidence = logsumexp(grid[1]) + 2 * np.log(STEP)
    assert PROBLEMS["two-modes"].log_evidence == pytest.approx(evidence, abs=1e-9)


def test_moments_of_two_modes_by_quadrature(grid: tuple[np.ndarray, np.ndarray]) -> None:
    theta, log_density_there = grid
    weight = np.exp(log_density_there - logsumexp(log_density_there))
    mean = weight @ theta
    covariance = (theta - mean).T @ (weight[:, None] * (theta - mean))
    expected_mean, expected_covariance = two_modes_moments()
    np.testing.assert_allclose(mean, expected_mean, atol=1e-9)
    np.testing.assert_allclose(covariance, expected_covariance, atol=1e-9)


def two_modes_moments() -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the mixture: the modes are at +-m, so E[sign] = 0.4 and var(sign) = 0.84."""
    mean, covariance = component()
    return 0.4 * mean, covariance + 0.84 * np.outer(mean, mean)


def test_the_modes_are_far_apart_and_each_is_correlated() -> None:
    mean, covariance = component()
    sd = np.sqrt(np.diag(covariance))
    assert 2 * mean[0] / sd[0] == pytest.approx(8.2, abs=0.1)
    assert 2 * np.sqrt(mean @ np.linalg.solve(covariance, mean)) == pytest.approx(8.2, abs=0.1)
    assert covariance[0, 1] / sd.prod() == pytest.approx(0.73, abs=0.01)


# Draws from the exact posteriors

COUNT = 100_000


def test_draws_of_two_modes_have_its_moments() -> None:
    theta = two_modes.reference(5, COUNT)["theta"]
    mean, covariance = two_modes_moments()
    # Two modes are light in the tails: the variance of a square is less than twice its mean's square.
    error = 4 / np.sqrt(COUNT)
    np.testing.assert_allclose(theta.mean(axis=0), mean, atol=error * np.sqrt(covariance.max()))
    np.testing.assert_allclose(np.cov(theta.T), covariance, atol=error * np.sqrt(2) * covariance.max())


@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (1, 1), (1, -1)], ids=str)
def test_every_projection_of_two_modes_is_a_mixture(direction: tuple[int, int]) -> None:
    mean, covariance = component()
    along, sd = np.asarray(direction) @ mean, np.sqrt(direction @ covariance @ direction)

    def cumulative(value: np.ndarray) -> np.ndarray:
        return 0.7 * norm(along, sd).cdf(value) + 0.3 * norm(-along, sd).cdf(value)

    draws = two_modes.reference(6, COUNT)["theta"] @ direction
    assert kstest(draws, cumulative).pvalue > 1e-3
    assert kstest(-draws, cumulative).pvalue < 1e-9  # it would notice modes that are swapped


def test_draws_of_the_funnel_follow_its_definition() -> None:
    draws = funnel.reference(5, COUNT)
    v, standard = draws["v"], draws["x"] / np.exp(draws["v"] / 2)[:, None]
    assert v.mean() == pytest.approx(0, abs=4 * 3 / np.sqrt(COUNT))
    assert v.std() == pytest.approx(3, rel=4 / np.sqrt(2 * COUNT))
    assert kstest(v / 3, "norm").pvalue > 1e-3
    for x in standard.T:
        assert kstest(x, "norm").pvalue > 1e-3
    # Independent, and not merely uncorrelated; sqrt(5) / sqrt(COUNT) is the error of corr(x, x^2), the largest of all.
    together = np.corrcoef(np.column_stack([v, standard, standard**2]), rowvar=False)
    assert np.abs(together - np.eye(19)).max() < 4 * np.sqrt(5 / COUNT)


# What holds for every bundled problem


EXACT = [name for name, problem in PROBLEMS.items() if problem.reference is not None]


@pytest.mark.parametrize("name", EXACT)
def test_draws_are_of_the_sites_and_their_shapes(name: str) -> None:
    problem = PROBLEMS[name]
    assert problem.reference is not None
    latents = inspect_model(problem.model, Arguments.split(problem.model, problem.arguments())).latents
    for count in (1, 7):
        shapes = {site: np.shape(values) for site, values in problem.reference(0, count).items()}
        assert shapes == {site.name: (count, *site.shape) for site in latents}


@pytest.mark.parametrize("name", EXACT)
def test_draws_depend_on_the_seed_alone(name: str) -> None:
    reference = PROBLEMS[name].reference
    assert reference is not None
    first, again, other = reference(8, 50), reference(8, 50), reference(9, 50)
    for site, values in first.items():
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values, again[site])
        assert not np.isin(values, other[site]).any()


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_bundled_problem_says_what_it_is_and_where_it_is_from(name: str) -> None:
    problem = PROBLEMS[name]
    assert all((problem.name, problem.summary, problem.cite))
    assert "\n" not in problem.summary
    assert "doi:" in problem.cite or "ISBN" in problem.cite


def test_what_is_not_known_of_the_bundled_problems() -> None:
    assert [name for name in PROBLEMS if name not in EXACT] == ["bayesian-neural-network", "gaussian-mixture"]
    assert [name for name, problem in PROBLEMS.items() if problem.log_evidence is None] == ["bayesian-neural-network"]


def test_names_of_the_bundled_problems() -> None:
    assert list(PROBLEMS) == [
        "linear-regression",
        "logistic-regression",
        "hierarchical-regression",
        "eight-schools",
        "eight-schools-noncentred",
        "horseshoe-regression",
        "gaussian-process-regression",
        "bayesian-neural-network",
        "local-level",
        "gaussian-mixture",
        "two-modes",
        "funnel",
        "banana",
    ]


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_observed_argument_is_found(name: str) -> None:
    problem, observed = PROBLEMS[name], () if name in ("funnel", "banana") else ("y",)
    structure = inspect_model(problem.model, Arguments.split(problem.model, problem.arguments()))
    assert structure.observed_arguments == observed


# What makes them hard


@pytest.mark.slow
def test_the_best_gaussian_in_the_funnel(run) -> None:  # type: ignore[no-untyped-def]
    """Independent Normals: at the optimum E[exp(-v)] E[x^2] = 1, E[v] = 0 and var(v) = 9 / (1 + 81 / 2).

    The ELBO is then -log(1 + 81 / 2) / 2: the guide sees a sixth of the range of v.
    """
    fit = run("funnel", "auto_normal")["auto_normal"]
    elbo = fit.metric("elbo")
    assert elbo is not None
    assert elbo.value == pytest.approx(-np.log(41.5) / 2, abs=0.01 + 4 * (elbo.mcse or 0))
    assert fit.value("sd", "v") == pytest.approx(3 / np.sqrt(41.5), rel=0.05)
    assert (fit.value("sd_error", "v") or 0) > 0.8


@pytest.mark.slow
def test_one_mode_alone_loses_its_weight_and_looks_perfect(run) -> None:  # type: ignore[no-untyped-def]
    fit = run("two-modes", "auto_multivariate_normal")["auto_multivariate_normal"]
    theta = group(fit.inference_data, "posterior")["theta"].to_numpy().reshape(-1, 2)
    assert (theta @ component()[0] > 0).mean() > 0.999  # one start in four is enough to find the larger mode
    exact = PROBLEMS["two-modes"].log_evidence
    assert exact is not None
    for number in ("elbo", "log_evidence"):
        assert fit.value(number) == pytest.approx(exact + np.log(0.7), abs=0.01)
    assert (fit.value("sd_shift") or 1) < 0.1
    assert (fit.value("sd_error") or 0) > 0.5
