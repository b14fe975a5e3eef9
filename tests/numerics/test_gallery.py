"""The gallery's models and their known answers, against the mathematics and against computations of another kind.

The references draw from what algebra and quadrature made of a model; the tests here know only the model's density:
Stein's identity must hold for the draws, and bridge sampling must find the log evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest
from numpyro.infer.util import log_density
from scipy import stats
from scipy.integrate import dblquad, quad
from scipy.special import expit, log_expit, logsumexp

from guidebench.contracts import Problem
from guidebench.inference.arguments import Arguments
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from guidebench.problems import (
    eight_schools,
    gaussian_mixture,
    gaussian_process_regression,
    guidebench_problems,
    hierarchical_regression,
    horseshoe_regression,
    local_level,
    logistic_regression,
    quadrature,
)

try:
    from jax import enable_x64
except ImportError:  # older versions of jax
    from jax.experimental import enable_x64

PROBLEMS = {problem.name: problem for problem in guidebench_problems()}
EXACT = [name for name, problem in PROBLEMS.items() if problem.reference is not None]

Draws = dict[str, np.ndarray]

norm, half_normal, half_cauchy = stats.norm.logpdf, stats.halfnorm.logpdf, stats.halfcauchy.logpdf


def data(problem: str, name: str = "y") -> np.ndarray:
    return np.asarray(PROBLEMS[problem].arguments()[name], float)


# The models, as their documentation states them


def eight_schools_joint(draws: Draws, theta: np.ndarray) -> np.ndarray:
    hyper = norm(draws["mu"], 0, 5) + half_cauchy(draws["tau"], 0, 5)
    return hyper + norm([28, 8, -3, 7, -1, 1, 18, 12], theta, [15, 10, 16, 11, 9, 11, 10, 18]).sum(axis=1)


def eight_schools_centred(draws: Draws) -> np.ndarray:
    prior = norm(draws["theta"], draws["mu"][:, None], draws["tau"][:, None]).sum(axis=1)
    return prior + eight_schools_joint(draws, draws["theta"])


def eight_schools_noncentred(draws: Draws) -> np.ndarray:
    theta = draws["mu"][:, None] + draws["tau"][:, None] * draws["z"]
    return norm(draws["z"]).sum(axis=1) + eight_schools_joint(draws, theta)


def logistic(draws: Draws) -> np.ndarray:
    x, y = data("logistic-regression", "x"), data("logistic-regression")
    p = expit(draws["intercept"][:, None] + draws["slope"][:, None] * x)
    prior = norm(draws["intercept"], 0, 5) + norm(draws["slope"], 0, 5)
    return prior + np.log(np.where(y == 1, p, 1 - p)).sum(axis=1)


def hierarchical(draws: Draws) -> np.ndarray:
    name = "hierarchical-regression"
    x, y, group = data(name, "x"), data(name), data(name, "group").astype(int)
    line = draws["effect"][:, group, 0] + draws["effect"][:, group, 1] * x
    return (
        half_normal(draws["noise"])
        + half_normal(draws["scale"]).sum(axis=1)
        + norm(draws["mean"], 0, 5).sum(axis=1)
        + norm(draws["effect"], draws["mean"][:, None], draws["scale"][:, None]).sum(axis=(1, 2))
        + norm(y, line, draws["noise"][:, None]).sum(axis=1)
    )


def horseshoe(draws: Draws) -> np.ndarray:
    t, y = data("horseshoe-regression", "t"), data("horseshoe-regression")
    tau, lam = draws["tau"][:, None], draws["lambda"]
    beta = draws["z"] * tau * np.sqrt(2**2 * lam**2 / (2**2 + tau**2 * lam**2))
    mean = sum(beta[:, [j]] * np.sqrt(2) * np.cos(np.pi * (j + 1) * t) for j in range(12))
    return (
        half_normal(draws["noise"])
        + half_cauchy(draws["tau"], 0, 3 / 9 / np.sqrt(40) * draws["noise"])
        + half_cauchy(lam).sum(axis=1)
        + norm(draws["z"]).sum(axis=1)
        + norm(y, mean, draws["noise"][:, None]).sum(axis=1)
    )


def gaussian_process(draws: Draws) -> np.ndarray:
    x, y = data("gaussian-process-regression", "x"), data("gaussian-process-regression")

    def likelihood(length: float, amplitude: float, noise: float) -> float:
        kernel = amplitude**2 * np.exp(-0.5 * np.subtract.outer(x, x) ** 2 / length**2)
        return float(stats.multivariate_normal(cov=kernel + (noise**2 + 1e-6) * np.eye(x.size)).logpdf(y))

    length, amplitude, noise = draws["lengthscale"], draws["amplitude"], draws["noise"]
    prior = stats.invgamma.logpdf(length, 5, scale=5) + half_normal(amplitude, 0, 2) + half_normal(noise)
    return prior + np.asarray([likelihood(*one) for one in zip(length, amplitude, noise, strict=True)])


def neural_network(draws: Draws) -> np.ndarray:
    x, y = data("bayesian-neural-network", "x"), data("bayesian-neural-network")
    hidden = np.tanh(draws["slope"][:, None] * x[:, None] + draws["bias"][:, None])
    f = draws["offset"][:, None] + np.einsum("sxk,sk->sx", hidden, draws["out"])
    return (
        half_normal(draws["noise"], 0, 0.5)
        + norm(draws["offset"])
        + norm(draws["slope"], 0, 2).sum(axis=1)
        + norm(draws["bias"], 0, 2).sum(axis=1)
        + norm(draws["out"], 0, 2 / np.sqrt(6)).sum(axis=1)
        + norm(y, f, draws["noise"][:, None]).sum(axis=1)
    )


def local_level_joint(draws: Draws) -> np.ndarray:
    level = draws["start"][:, None] + np.cumsum(draws["drift"][:, None] * draws["z"], axis=1)
    return (
        half_normal(draws["drift"])
        + half_normal(draws["noise"])
        + norm(draws["start"], 0, 5)
        + norm(draws["z"]).sum(axis=1)
        + norm(data("local-level"), level, draws["noise"][:, None]).sum(axis=1)
    )


def mixture(draws: Draws) -> np.ndarray:
    first, second = (norm(data("gaussian-mixture"), *(draws[of][:, [k]] for of in ("means", "sds"))) for k in (0, 1))
    weight, gap = draws["weight"][:, None], np.diff(draws["means"])[:, 0]
    return (
        stats.beta.logpdf(draws["weight"], 2, 2)
        + norm(draws["means"][:, 0], 0, 2)
        + stats.lognorm.logpdf(gap, 0.75, scale=np.exp(0.5))
        + stats.lognorm.logpdf(draws["sds"], 0.5).sum(axis=1)
        + np.logaddexp(np.log(weight) + first, np.log1p(-weight) + second).sum(axis=1)
    )


def banana(draws: Draws) -> np.ndarray:
    return norm(draws["x"], 0, 10) + norm(draws["y"], 3 - 0.03 * draws["x"] ** 2, 1)


JOINTS: dict[str, Callable[[Draws], np.ndarray]] = {
    "eight-schools": eight_schools_centred,
    "eight-schools-noncentred": eight_schools_noncentred,
    "logistic-regression": logistic,
    "hierarchical-regression": hierarchical,
    "horseshoe-regression": horseshoe,
    "gaussian-process-regression": gaussian_process,
    "bayesian-neural-network": neural_network,
    "local-level": local_level_joint,
    "gaussian-mixture": mixture,
    "banana": banana,
}


def elsewhere(problem: Problem, count: int = 50) -> Draws:
    """Random points that do not follow the posterior."""
    rng = np.random.default_rng(1)
    found = {}
    for site in latents(problem):
        draws = rng.standard_normal((count, *site.shape))
        if site.support == "orderedvector":
            draws = np.sort(draws)
        found[site.name] = {"positive": np.exp, "unitinterval": expit}.get(site.support, lambda value: value)(draws)
    return found


def latents(problem: Problem) -> tuple[Any, ...]:
    return inspect_model(problem.model, Arguments.split(problem.model, problem.arguments())).latents


@pytest.mark.parametrize("name", JOINTS)
def test_the_model_is_the_mathematics(name: str) -> None:
    problem = PROBLEMS[name]
    draws = elsewhere(problem)

    def one(values: dict[str, Any]) -> Any:
        return log_density(problem.model, problem.args, problem.kwargs, values)[0]

    with enable_x64(True):
        found = np.asarray(jax.jit(jax.vmap(one))(draws))
    assert found.dtype == np.float64
    # Constants of the models and their data are in float32.
    np.testing.assert_allclose(found, JOINTS[name](draws), rtol=3e-6, atol=1e-5)


# The exact draws, judged by the model's density alone


def draws_of(name: str) -> int:
    """How many draws are looked at: a Gaussian process costs a factorisation for every one."""
    return 4_000 if name == "gaussian-process-regression" else 20_000


@cache
def unconstrained(name: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Callable[..., Any]]:
    """Return exact draws in unconstrained coordinates, log density and gradient there, and what gives both."""
    problem = PROBLEMS[name]
    assert problem.reference is not None
    arguments = Arguments.split(problem.model, problem.arguments())
    target = Target.of(problem.model, arguments, inspect_model(problem.model, arguments))
    draws = problem.reference(12, count)
    points = target.flatten(
        {
            site.name: np.log(draws[site.name]) if site.support == "positive" else draws[site.name]
            for site in latents(problem)
        }
    )

    arrays = {key: np.asarray(value) for key, value in arguments.arrays.items()}
    run = jax.jit(jax.vmap(jax.value_and_grad(lambda point: target.log_density(point, arrays))))

    def both(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with enable_x64(True):
            value, gradient = run(at)
        return np.asarray(value), np.asarray(gradient)

    return points, *both(points), both


@pytest.mark.parametrize("name", EXACT)
def test_draws_obey_the_identity_of_stein(name: str) -> None:
    """E[d log p / du_i] = 0 and E[u_j d log p / du_i] = -[i = j] under p, whatever its normalisation."""
    points, _, gradient, _ = unconstrained(name, draws_of(name))
    products = (points - points.mean(axis=0))[:, :, None] * gradient[:, None, :]
    terms = np.concatenate([gradient, (products + np.eye(points.shape[1])).reshape(len(points), -1)], axis=1)
    scores = terms.mean(axis=0) / (terms.std(axis=0) / np.sqrt(len(terms)))
    # The most of that many standard normal scores exceeds this limit once in ten thousand times.
    assert np.abs(scores).max() < stats.norm.isf(0.5e-4 / scores.size)


@pytest.mark.parametrize("name", EXACT)
def test_bridge_sampling_finds_the_log_evidence(name: str) -> None:
    """Meng & Wong (1996), Statistica Sinica 6(4): between half of the exact draws and a Gaussian fitted to the rest."""
    points, log_p, _, both = unconstrained(name, draws_of(name))
    half, dim = len(points) // 2, points.shape[1]
    fitted = stats.multivariate_normal(points[:half].mean(axis=0), np.cov(points[:half].T).reshape(dim, dim))
    proposed = fitted.rvs(len(points), random_state=np.random.default_rng(2)).reshape(len(points), dim)
    own = log_p[half:] - fitted.logpdf(points[half:])
    other = np.nan_to_num(both(proposed)[0], nan=-np.inf, neginf=-np.inf) - fitted.logpdf(proposed)
    parts = [bridge(own[start::10], other[start::10]) for start in range(10)]
    error = np.std(parts) / np.sqrt(10)
    assert error < 0.1
    # A t distribution with nine degrees of freedom is beyond five once in a thousand times.
    assert PROBLEMS[name].log_evidence == pytest.approx(bridge(own, other), abs=5 * error)


def bridge(own: np.ndarray, other: np.ndarray) -> float:
    """Return the log of the ratio of normalising constants, from log ratios at draws of both densities."""
    found = float(np.median(own))
    for _ in range(200):
        found = float(
            logsumexp(other - np.logaddexp(other, found)) - logsumexp(-np.logaddexp(own, found))
            - np.log(len(other) / len(own))
        )  # fmt: skip
    return found


# The log evidence, by other quadratures and dense covariances


def test_evidence_of_the_eight_schools() -> None:
    y, noise = np.asarray(eight_schools.EFFECTS), np.diag(np.asarray(eight_schools.ERRORS) ** 2)

    def joint(tau: float) -> float:
        marginal = stats.multivariate_normal(cov=noise + tau**2 * np.eye(8) + 25)
        return float(np.exp(marginal.logpdf(y) + half_cauchy(tau, 0, 5)))

    evidence = quad(joint, 0, 20, epsabs=0, epsrel=1e-10)[0] + quad(joint, 20, np.inf, epsabs=0, epsrel=1e-8)[0]
    assert eight_schools.LOG_EVIDENCE == pytest.approx(np.log(evidence), abs=1e-5)


def test_evidence_of_logistic_regression() -> None:
    def joint(slope: float, intercept: float) -> float:
        return float(np.exp(logistic({"intercept": np.array([intercept]), "slope": np.array([slope])})[0] + 11.7))

    found, _ = dblquad(joint, -12, 5, -2, 24, epsabs=1e-6, epsrel=1e-6)
    assert logistic_regression.LOG_EVIDENCE == pytest.approx(np.log(found) - 11.7, abs=2e-5)


def test_evidence_of_the_hierarchical_regression() -> None:
    """The algebra against the dense covariance of all data; then the constant, from a grid with other nodes."""
    x, group = data("hierarchical-regression", "x"), data("hierarchical-regression", "group")
    same = np.equal.outer(group, group)
    scale, noise = np.array([[0.3, 1.1, 2.0], [0.01, 0.4, 0.9]]), np.array([0.4, 0.7, 1.2])

    def marginal(first: float, second: float, error: float) -> float:
        lines = 25 + same * first**2 + np.multiply.outer(x, x) * (25 + same * second**2)
        return float(
            stats.multivariate_normal(cov=lines + error**2 * np.eye(x.size)).logpdf(data("hierarchical-regression"))
        )

    dense = [marginal(*one) for one in zip(*scale, noise, strict=True)]
    prior = half_normal(scale).sum(axis=0) + half_normal(noise)
    found, _, _ = hierarchical_regression.given_scales(scale, noise)
    np.testing.assert_allclose(found, dense + prior, rtol=1e-9)
    axes = (quadrature.midpoints(6, 90), quadrature.midpoints(4.5, 90), quadrature.midpoints(2.2, 90, begin=0.2))
    first, second, error = np.meshgrid(*axes, indexing="ij")
    density, _, _ = hierarchical_regression.given_scales(np.stack([first, second]), error)
    assert hierarchical_regression.LOG_EVIDENCE == pytest.approx(quadrature.log_integral(density, axes), abs=1e-5)


def test_evidence_of_the_local_level() -> None:
    """The Kalman filter against the dense covariance of all readings; then the constant, from another grid."""
    time = np.arange(1, 41)
    drift, noise = np.array([0.05, 0.4, 1.5]), np.array([0.9, 0.5, 0.2])

    def marginal(walk: float, error: float) -> float:
        covariance = 25 + walk**2 * np.minimum.outer(time, time) + error**2 * np.eye(40)
        return float(stats.multivariate_normal(cov=covariance).logpdf(data("local-level")))

    dense = [marginal(*one) for one in zip(drift, noise, strict=True)]
    np.testing.assert_allclose(
        local_level.log_joint(drift, noise), dense + half_normal(drift) + half_normal(noise), rtol=1e-9
    )
    axes = (quadrature.midpoints(4, 250), quadrature.midpoints(3, 250))
    density = local_level.log_joint(*np.meshgrid(*axes, indexing="ij"))
    assert local_level.LOG_EVIDENCE == pytest.approx(quadrature.log_integral(density, axes), abs=1e-5)


def test_evidence_of_the_gaussian_process() -> None:
    """The spectral form against dense covariances; then the constant, from a grid with other nodes."""
    axes = np.array([-0.9, 0.1, 1.2]), np.array([0.5, 1.4]), np.array([0.2, 0.5])
    length, amplitude, noise = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    dense = gaussian_process({"lengthscale": np.exp(length), "amplitude": amplitude, "noise": noise}) + length
    np.testing.assert_allclose(gaussian_process_regression.log_joint(*axes).ravel(), dense, rtol=1e-8)
    wider = (np.linspace(-3, 4, 90), quadrature.midpoints(12, 150), quadrature.midpoints(2, 110))
    found = quadrature.log_integral(gaussian_process_regression.log_joint(*wider), wider)
    assert gaussian_process_regression.LOG_EVIDENCE == pytest.approx(found, abs=2e-5)


def test_evidence_of_the_horseshoe() -> None:
    """The grid of local scales against adaptive quadrature; then the constant, from a grid with other nodes."""
    t, y = data("horseshoe-regression", "t"), data("horseshoe-regression")
    design = np.sqrt(2) * np.cos(np.pi * t[:, None] * np.arange(1, 13))
    np.testing.assert_allclose(design.T @ design, 40 * np.eye(12), atol=2e-5)
    estimate = np.linalg.lstsq(design, y)[0]
    for tau, noise in ((0.01, 0.5), (0.2, 0.8)):

        def local(log_lambda: float, one: float, tau: float = tau, noise: float = noise) -> float:
            width = tau**2 * np.exp(2 * log_lambda)
            sd = np.sqrt(4 * width / (4 + width) + noise**2 / 40)
            return float(np.exp(half_cauchy(np.exp(log_lambda)) + log_lambda + norm(one, 0, sd)))

        integrals = [quad(local, -20, 20, args=(one,), limit=200, points=[-5, 0, 5])[0] for one in estimate]
        rest = stats.multivariate_normal(cov=noise**2 * np.eye(40)).logpdf(y - design @ estimate)
        # Of N(y; X b, s) as a function of b, what is left when it is normalised.
        expected = np.log(integrals).sum() + rest + 6 * np.log(2 * np.pi * noise**2 / 40)
        expected += half_normal(noise) + half_cauchy(tau, 0, 3 / 9 / np.sqrt(40) * noise) + np.log(tau)
        found = horseshoe_regression.log_joint(np.log([tau]), np.array([noise]))[0]
        assert found == pytest.approx(expected, abs=1e-5)
    axes = (np.linspace(-20, 6, 231), quadrature.midpoints(1.5, 70, begin=0.15))
    found = quadrature.log_integral(horseshoe_regression.log_joint(*np.meshgrid(*axes, indexing="ij")), axes)
    assert horseshoe_regression.LOG_EVIDENCE == pytest.approx(found, abs=2e-5)


def test_evidence_of_the_mixture_by_importance_sampling() -> None:
    """A Student t that has learnt the posterior's moments in two rounds; the densities are those of the test."""
    rng, location, root = np.random.default_rng(3), np.array([-0.6, -1.5, 0.9, -0.5, -0.1]), 0.5 * np.eye(5)
    for count in (20_000, 20_000, 50_000, 100_000):
        proposal = stats.multivariate_t(location, root @ root.T, df=5)
        points = proposal.rvs(count, random_state=rng)
        logit, first, log_gap, *log_sds = points.T
        draws = {
            "weight": expit(logit),
            "means": np.stack([first, first + np.exp(log_gap)], axis=1),
            "sds": np.exp(np.stack(log_sds, axis=1)),
        }
        log_jacobian = log_expit(logit) + log_expit(-logit) + log_gap + sum(log_sds)
        log_weight = mixture(draws) + log_jacobian - proposal.logpdf(points)
        weight = np.exp(log_weight - logsumexp(log_weight))
        location = weight @ points
        root = np.linalg.cholesky((points - location).T @ (weight[:, None] * (points - location)))
    evidence = logsumexp(log_weight) - np.log(count)
    error = np.sqrt(np.sum(weight**2))
    assert error < 0.01
    assert gaussian_mixture.LOG_EVIDENCE == pytest.approx(evidence, abs=4 * error)


# The data


def test_the_design_of_the_horseshoe_is_that_of_its_true_coefficients() -> None:
    estimate, left = horseshoe_regression.least_squares()
    error = horseshoe_regression.NOISE / np.sqrt(40)
    assert np.abs((estimate - horseshoe_regression.coefficients()) / error).max() < 3
    assert stats.chi2(28).sf(left / horseshoe_regression.NOISE**2) == pytest.approx(0.5, abs=0.49)


@pytest.mark.parametrize("name", [name for name in EXACT if PROBLEMS[name].truth])
def test_the_true_values_are_where_the_posterior_is(name: str) -> None:
    """Ranks of the truth among exact draws; none is at the very end, and they are not all on one side."""
    problem = PROBLEMS[name]
    assert problem.reference is not None
    assert problem.truth is not None
    draws = problem.reference(4, 4000)
    ranks = np.concatenate([np.ravel((draws[site] < value).mean(axis=0)) for site, value in problem.truth.items()])
    assert 0.001 < ranks.min() <= ranks.max() < 0.999
    assert ranks.mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * ranks.size))


@pytest.mark.parametrize("name", [name for name, problem in PROBLEMS.items() if problem.heldout])
def test_held_out_data_have_the_types_of_the_training_data_and_are_others(name: str) -> None:
    problem = PROBLEMS[name]
    assert problem.heldout is not None
    training = problem.arguments()
    sizes = {np.shape(value)[0] for value in problem.heldout.values() if np.ndim(value) and value is not None}
    assert "y" in problem.heldout
    for argument, value in problem.heldout.items():
        if training[argument] is not None:
            assert np.asarray(value).dtype == np.asarray(training[argument]).dtype
    assert len(sizes) == (2 if name == "gaussian-process-regression" else 1)
    assert not np.array_equal(problem.heldout["y"], training["y"])
