"""Log weights: the one estimator behind every score."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import Trace_ELBO
from scipy.stats import multivariate_normal

from guidebench.contracts import Guide, Problem
from guidebench.inference.density import TraceELBO
from guidebench.plugins.registry import load_registry
from guidebench.problems.linear_regression import model as linear_regression
from guidebench.problems.linear_regression import problem as seed_problem
from guidebench.results import Status
from guidebench.results.inference_data import group

GUIDES = [one.name for one in load_registry().guides]


@pytest.mark.parametrize("name", GUIDES)
def test_our_elbo_is_numpyros_draw_by_draw(name: str) -> None:
    kwargs = dict(seed_problem().kwargs)
    declaration = load_registry().guide(name).declaration
    guide = declaration.build(linear_regression)
    traced = numpyro.handlers.trace(numpyro.handlers.seed(guide, 0)).get_trace(**kwargs)
    params = {site: value["value"] for site, value in traced.items() if value["type"] == "param"}

    def losses(key: jax.Array) -> list[jax.Array]:
        both = (TraceELBO(num_particles=3), Trace_ELBO(num_particles=3))
        return [one.loss(key, params, linear_regression, guide, **kwargs) for one in both]

    ours, theirs = jax.jit(jax.vmap(losses))(jax.random.split(jax.random.key(1), 20))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


# Gaussian means with known noise: the posterior is Gaussian and everything about it is known.
COVARIANCE = np.array([[1.0, 0.9, 0.3], [0.9, 1.5, -0.2], [0.3, -0.2, 0.5]])
PRIOR_MEAN = np.array([1.0, -2.0, 0.5])
OBSERVED = np.array([0.3, -1.0, 1.2])
NOISE = np.array([0.5, 1.0, 0.7])


def gaussian(y: Any = None) -> None:
    z = numpyro.sample("z", dist.MultivariateNormal(jnp.asarray(PRIOR_MEAN), jnp.asarray(COVARIANCE)))
    numpyro.sample("y", dist.Normal(z, jnp.asarray(NOISE)).to_event(1), obs=y)


def conjugate() -> tuple[float, np.ndarray, np.ndarray]:
    """Return log evidence, posterior mean and posterior precision."""
    evidence = multivariate_normal(PRIOR_MEAN, COVARIANCE + np.diag(NOISE**2)).logpdf(OBSERVED)
    precision = np.linalg.inv(COVARIANCE) + np.diag(NOISE**-2)
    mean = np.linalg.solve(precision, np.linalg.solve(COVARIANCE, PRIOR_MEAN) + OBSERVED / NOISE**2)
    return float(evidence), mean, precision


@pytest.fixture(scope="module")
def conjugate_fits(run) -> Any:  # type: ignore[no-untyped-def]
    problem = Problem(name="gaussian", model=gaussian, kwargs={"y": OBSERVED.astype(np.float32)})
    return run(problem, "mean_field", "auto_multivariate_normal", "auto_laplace_approximation", "auto_delta")


@pytest.mark.parametrize("guide", ["auto_multivariate_normal", "auto_laplace_approximation"])
def test_a_guide_that_contains_the_posterior_attains_the_evidence(conjugate_fits: Any, guide: str) -> None:
    evidence, mean, precision = conjugate()
    fit = conjugate_fits[guide]
    assert fit.value("elbo") == pytest.approx(evidence, abs=2e-3)
    assert fit.value("log_evidence") == pytest.approx(evidence, abs=1e-3)
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    draws = group(fit.inference_data, "posterior")["z"].to_numpy().reshape(-1, 3)
    assert np.all(np.abs(draws.mean(0) - mean) < 0.02 * sd + 4 * sd / np.sqrt(len(draws)))
    assert draws.std(0) == pytest.approx(sd, rel=0.05)


def test_mean_field_sds_are_those_of_the_precision(conjugate_fits: Any) -> None:
    _, mean, precision = conjugate()
    draws = group(conjugate_fits["mean_field"].inference_data, "posterior")["z"].to_numpy().reshape(-1, 3)
    expected = 1 / np.sqrt(np.diag(precision))
    # 4,000 draws know an sd to 1.1 %; three of those, and 2 % for the guide.
    assert draws.std(0) == pytest.approx(expected, rel=0.053)
    assert draws.mean(0) == pytest.approx(mean, abs=0.05)


def test_mean_field_elbo_is_short_by_its_kl(conjugate_fits: Any) -> None:
    evidence, _, precision = conjugate()
    # KL(q || p) of the best factorised Gaussian: half of log prod diag(P) - log det P.
    kl = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    found = conjugate_fits["mean_field"].metric("elbo")
    assert found.value == pytest.approx(evidence - kl, abs=0.005 + 3 * found.mcse)


def positive(y: Any) -> None:
    rate = numpyro.sample("rate", dist.Gamma(3.0, 2.0))
    with numpyro.plate("n", y.shape[0]):
        numpyro.sample("y", dist.Exponential(rate), obs=y)


def bounded(y: Any) -> None:
    p = numpyro.sample("p", dist.Beta(2.0, 3.0))
    with numpyro.plate("n", y.shape[0]):
        numpyro.sample("y", dist.Bernoulli(p), obs=y)


def simplex(y: Any) -> None:
    p = numpyro.sample("p", dist.Dirichlet(jnp.array([2.0, 3.0, 4.0])))
    with numpyro.plate("n", y.shape[0]):
        numpyro.sample("y", dist.Categorical(p), obs=y)


def _gamma_evidence(y: np.ndarray) -> float:
    from scipy.special import gammaln

    return float(3 * np.log(2) - gammaln(3) + gammaln(3 + len(y)) - (3 + len(y)) * np.log(2 + y.sum()))


def _beta_evidence(y: np.ndarray) -> float:
    from scipy.special import betaln

    return float(betaln(2 + y.sum(), 3 + len(y) - y.sum()) - betaln(2, 3))


def _dirichlet_evidence(y: np.ndarray) -> float:
    from scipy.special import gammaln

    alpha, counts = np.array([2.0, 3.0, 4.0]), np.bincount(y, minlength=3)
    return float(
        gammaln(alpha.sum()) - gammaln(alpha.sum() + len(y)) + (gammaln(alpha + counts) - gammaln(alpha)).sum()
    )


CONSTRAINED = {
    "positive": (positive, np.array([0.4, 1.3, 0.2, 0.9, 2.0], np.float32), _gamma_evidence),
    "bounded": (bounded, np.array([1, 0, 1, 1, 0, 1, 1]), _beta_evidence),
    "simplex": (simplex, np.array([0, 2, 2, 1, 2, 1]), _dirichlet_evidence),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] if case != "simplex" else []) for case in CONSTRAINED]
)
def test_the_jacobian_of_every_support_is_in_the_weights(run, case: str) -> None:  # type: ignore[no-untyped-def]
    model, y, exact = CONSTRAINED[case]
    guides = ["mean_field", "auto_normal", "auto_multivariate_normal", "auto_laplace_approximation"]
    fits = run(Problem(name=case, model=model, args=(y,)), *guides, steps=1000)
    evidence = exact(y)
    for fit in fits:
        found, elbo = fit.metric("log_evidence"), fit.metric("elbo")
        assert found.value == pytest.approx(evidence, abs=4 * found.mcse + 2e-3), fit.guide
        assert elbo.value <= evidence + 4 * elbo.mcse, fit.guide
        assert elbo.value > evidence - 0.1, fit.guide


def _guide(name: str, guide: Any, **fields: Any) -> Guide:
    return Guide(name=name, build=lambda model: guide, **fields)


def lacking(x: Any, y: Any = None) -> None:
    for site in ("w", "b"):
        loc = numpyro.param(f"{site}_loc", 0.0)
        numpyro.sample(site, dist.Normal(loc, 0.1))


def adding(x: Any, y: Any = None) -> None:
    lacking(x)
    numpyro.sample("s_eps", dist.LogNormal(numpyro.param("s", 0.0), 0.1))
    numpyro.sample("extra", dist.Normal(0.0, 1.0))


def wrong_support(x: Any, y: Any = None) -> None:
    lacking(x)
    numpyro.sample("s_eps", dist.Normal(numpyro.param("s", 0.1), 5.0))


def point(x: Any, y: Any = None) -> None:
    for site, start in (("w", 0.5), ("b", -0.8), ("s_eps", 1.0)):
        numpyro.sample(site, dist.Delta(numpyro.param(f"{site}_at", start)))


BROKEN = {
    "lacks-a-site": (lacking, "lacks the model's latent site(s) s_eps"),
    "adds-a-site": (adding, "no latent sites of the model: extra"),
    "wrong-support": (wrong_support, "not finite"),
    "hidden-point": (point, "do not vary"),
}


@pytest.fixture(scope="module")
def broken_fits(run) -> Any:  # type: ignore[no-untyped-def]
    guides = [_guide(case, guide) for case, (guide, _) in BROKEN.items()]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found vars in")  # NumPyro's own, weaker word on missing sites
        return run("linear-regression", *guides, steps=100, restarts=1)


@pytest.mark.parametrize("case", BROKEN)
def test_a_guide_that_is_no_density_on_the_latents_gets_no_number(broken_fits: Any, case: str) -> None:
    fit = broken_fits[case]
    assert fit.status in (Status.FAILED, Status.DIVERGED)
    assert BROKEN[case][1] in fit.message
    assert fit.value("elbo") is None
    assert fit.inference_data is None
