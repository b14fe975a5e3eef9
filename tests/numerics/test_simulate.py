"""Data drawn from a model: from its joint distribution, and put in the place of the observations and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import guidebench as gb
from guidebench.config.errors import RequestError
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.simulate import Simulated, observing, simulate
from guidebench.inference.structure import ModelStructure, inspect_model

COUNT = 20_000


def prepared(model: Callable[..., Any], **values: Any) -> tuple[Arguments, ModelStructure]:
    arguments = Arguments.split(model, as_arrays(values))
    return arguments, inspect_model(model, arguments)


def simulated(model: Callable[..., Any], count: int = COUNT, **values: Any) -> Simulated:
    arguments, structure = prepared(model, **values)
    return simulate(model, arguments, structure, jax.random.key(0), count)


X = np.array([[1.0, 0.5], [0.0, 2.0], [-1.0, 1.0]], np.float32)
Y = np.array([100.0, 200.0, 300.0], np.float32)  # far from anything the model would say


def conjugate(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", dist.Normal(jnp.array([1.0, -2.0]), jnp.array([0.5, 2.0])).to_event(1))
    with numpyro.plate("n", x.shape[0]):
        numpyro.sample("y", dist.Normal(x @ beta, 0.8), obs=y)


def test_the_joint_distribution_is_the_models() -> None:
    found = simulated(conjugate, x=X, y=Y)
    beta, y = found.latents["beta"], found.observed["y"]
    assert beta.shape == (COUNT, 2)
    assert y.shape == (COUNT, 3)
    joint = np.concatenate([beta, y], axis=1).astype(float)
    mean = np.concatenate([[1, -2], X @ [1, -2]])
    prior = np.diag([0.25, 4.0])
    covariance = np.block([[prior, prior @ X.T], [X @ prior, X @ prior @ X.T + 0.64 * np.eye(3)]])
    sd = np.sqrt(np.diag(covariance))
    z = (joint.mean(axis=0) - mean) / sd * np.sqrt(COUNT)
    assert np.abs(z).max() < 4.5
    # The error of a sample covariance, over both sds, is sqrt((1 + r^2) / N).
    correlation = covariance / np.outer(sd, sd)
    errors = (np.cov(joint.T) / np.outer(sd, sd) - correlation) / np.sqrt((1 + correlation**2) / COUNT)
    assert np.abs(errors).max() < 4.5
    assert stats.kstest((y[:, 0] - mean[2]) / sd[2], "norm").pvalue > 1e-4


def two_sites(x: Any, seen: Any = None, other: Any = None) -> None:
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    numpyro.deterministic("twice", 2 * mu)
    numpyro.sample("seen", dist.Normal(mu * x, 0.3).to_event(1), obs=seen)
    numpyro.sample("other", dist.Poisson(jnp.exp(mu)), obs=other)


def test_observed_sites_get_the_new_values_and_nothing_else_does() -> None:
    x = np.array([1.0, -2.0, 0.5], np.float32)
    arguments, structure = prepared(two_sites, x=x, seen=np.zeros(3, np.float32), other=np.array([3]))
    found = simulate(two_sites, arguments, structure, jax.random.key(1), 5)
    model, one = observing(two_sites, arguments, found)
    args, kwargs = one.call(model, one.arrays)
    new = {"seen": jnp.array([9.0, 8.0, 7.0]), "other": jnp.array([11])}
    args, kwargs = one.call(model, {"data": one.arrays["data"], "observed": new})
    sites = numpyro.handlers.trace(numpyro.handlers.seed(model, 0)).get_trace(*args, **kwargs)
    assert set(sites) == {"mu", "twice", "seen", "other"}
    np.testing.assert_array_equal(sites["seen"]["value"], [9, 8, 7])
    assert sites["other"]["value"] == 11
    assert sites["seen"]["is_observed"]
    assert not sites["mu"]["is_observed"]
    # What the sites depend on is still the data's: the mean of `seen` is mu x.
    np.testing.assert_allclose(sites["seen"]["fn"].base_dist.loc, sites["mu"]["value"] * x, rtol=1e-6)
    # And the density is that of the new values.
    log_joint, _ = numpyro.infer.util.log_density(model, args, kwargs, {"mu": jnp.array(0.4)})
    expected = stats.norm.logpdf(0.4) + stats.norm(0.4 * x, 0.3).logpdf([9, 8, 7]).sum()
    expected += stats.poisson(np.exp(0.4)).logpmf(11)
    assert float(log_joint) == pytest.approx(expected, rel=1e-5)


def lagged(y: Any) -> None:
    from numpyro.contrib.control_flow import scan

    rho = numpyro.sample("rho", dist.Uniform(-1.0, 1.0))

    def step(last: Any, now: Any) -> Any:
        return numpyro.sample("y", dist.Normal(rho * last, 0.3), obs=now), None

    scan(step, 0.0, y)


def test_lags_stay_those_of_the_data_in_the_draws_and_in_the_density() -> None:
    """What is simulated and what is fitted must be one model: both condition on the real lags."""
    data = np.array([10.0, 20.0, 30.0], np.float32)
    lags = np.array([0.0, 10.0, 20.0])
    arguments, structure = prepared(lagged, y=data)
    found = simulate(lagged, arguments, structure, jax.random.key(0), 4_000)
    rho = found.latents["rho"].astype(float)
    residuals = (found.observed["y"] - rho[:, None] * lags) / 0.3
    assert stats.kstest(residuals.ravel(), "norm").pvalue > 1e-4
    model, one = observing(lagged, arguments, found)
    args, kwargs = one.call(model, one.arrays)
    log_joint, _ = numpyro.infer.util.log_density(model, args, kwargs, {"rho": jnp.array(0.2)})
    expected = np.log(0.5) + stats.norm(0.2 * lags, 0.3).logpdf(found.observed["y"][0]).sum()
    assert float(log_joint) == pytest.approx(expected, rel=1e-5)


# -- what cannot be simulated is said in one line


def improper(y: Any = None) -> None:
    mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.real, (), ()))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def with_factor(y: Any = None) -> None:
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    numpyro.factor("penalty", -(mu**2))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def with_parameter(y: Any = None) -> None:
    mu = numpyro.sample("mu", dist.Normal(numpyro.param("a", 0.5), 1.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def nothing_observed(y: Any = None) -> None:
    numpyro.sample("mu", dist.Normal(0.0, 1.0))


def infinite(y: Any = None) -> None:
    mu = numpyro.sample("mu", dist.LogNormal(0.0, 200.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


REFUSED = {
    "improper": (improper, "the prior of mu is improper"),
    "factor": (with_factor, "numpyro.factor (penalty)"),
    "parameter": (with_parameter, "parameters without a prior (a)"),
    "unobserved": (nothing_observed, "observes nothing"),
    "infinite": (infinite, "hold values beyond"),
}


@pytest.mark.filterwarnings("ignore:nothing-observed. The model observes nothing:UserWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_simulated_is_refused_in_one_line(case: str) -> None:
    model, words = REFUSED[case]
    with pytest.raises(RequestError, match=re.escape(words)) as caught:
        gb.compare(model, y=np.float32(0.3), guides="auto_normal", reference="none", simulations=20, steps=20)
    text = str(caught.value)
    assert text.startswith("simulations: ")
    assert "\n" not in text
    assert len(text) < 300
