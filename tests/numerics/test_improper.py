"""Improper posteriors are told from proper ones, however wide, heavy-tailed or singular these are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.distributions import constraints

from guidebench.config import RunConfig
from guidebench.contracts import Problem
from guidebench.engine.prepared import prepare
from guidebench.engine.recipe import recipe_of

CONFIG = RunConfig(steps=60, restarts=1)

RNG = np.random.default_rng(0)
Y = RNG.normal(1.0, 1.0, 30).astype(np.float32)
SCHOOLS = np.array([28, 8, -3, 7, -1, 1, 18, 12], np.float32)
ERRORS = np.array([15, 10, 16, 11, 9, 11, 10, 18], np.float32)
TIME = np.linspace(-1, 1, 20, dtype=np.float32)


def flat(support: Any = constraints.real, shape: tuple[int, ...] = ()) -> dist.ImproperUniform:
    return dist.ImproperUniform(support, (), shape)


def total(first: Any, second: Any) -> Callable[..., None]:
    """Return a model in which only the sum of two parameters is identified."""

    def model(y: Any = None) -> None:
        a, b = numpyro.sample("a", first), numpyro.sample("b", second)
        numpyro.sample("y", dist.Normal(a + b, 1.0), obs=y)

    return model


def idle(prior: Any) -> Callable[..., None]:
    """Return a model with a scale that no data know of."""

    def model(y: Any = None) -> None:
        m = numpyro.sample("m", dist.Normal(0.0, 1.0))
        numpyro.sample("s", prior)
        numpyro.sample("y", dist.Normal(m, 1.0), obs=y)

    return model


def spread(y: Any = None) -> None:
    s = numpyro.sample("s", flat(constraints.positive))
    numpyro.sample("y", dist.Normal(0.0, s), obs=y)


def schools(name: str, prior: Any, scale: Callable[[Any], Any] = lambda tau: tau) -> Callable[..., None]:
    """Return the centred eight schools: the density has no maximum at a scale of zero."""

    def model(y: Any = None) -> None:
        mu, tau = numpyro.sample("mu", flat()), numpyro.sample(name, prior)
        with numpyro.plate("schools", len(ERRORS)):
            theta = numpyro.sample("theta", dist.Normal(mu, scale(tau)))
            numpyro.sample("y", dist.Normal(theta, ERRORS), obs=y)

    return model


def logistic(x: Any, y: Any = None) -> None:
    a, b = numpyro.sample("a", flat()), numpyro.sample("b", flat())
    with numpyro.plate("n", len(x)):
        numpyro.sample("y", dist.Bernoulli(logits=a + b * x), obs=y)


def regression(x: Any, y: Any = None) -> None:
    beta = numpyro.sample("beta", flat(shape=(4,)))
    s = numpyro.sample("s", dist.HalfNormal(1.0))
    with numpyro.plate("n", len(x)):
        numpyro.sample("y", dist.Normal(x @ beta, s), obs=y)


def by_factor(density: Callable[[Any], Any], size: int = 3) -> Callable[..., None]:
    def model() -> None:
        with handlers.mask(mask=False):
            x = numpyro.sample("x", dist.Normal(0.0, 1.0).expand([size]).to_event(1))
        numpyro.factor("density", density(x))

    return model


def product(y: Any = None) -> None:
    a, b = (numpyro.sample(name, flat(constraints.positive)) for name in "ab")
    numpyro.sample("y", dist.Normal(a * b, 1.0), obs=y)


class Case(NamedTuple):
    model: Callable[..., None]
    values: dict[str, Any]
    named: tuple[str, ...] = ()


DESIGN = RNG.normal(size=(40, 4)).astype(np.float32)
TWICE = DESIGN[:, [0, 1, 2, 1]]
RESPONSE = DESIGN.sum(axis=1) + RNG.normal(size=40).astype(np.float32)

IMPROPER = {
    "only a sum is identified": Case(total(flat(), flat()), {"y": Y}, ("a, b",)),
    "only a product is identified": Case(product, {"y": Y}, ("a, b",)),
    "a scale without data": Case(idle(flat(constraints.positive)), {"y": Y}, ("s",)),
    "a scale from one number": Case(spread, {"y": Y[:1]}, ("s",)),
    "a log scale of effects": Case(schools("log_tau", flat(), jnp.exp), {"y": SCHOOLS}, ("log_tau",)),
    "separated classes": Case(logistic, {"x": TIME, "y": (TIME > 0).astype(int)}, ("a, b",)),
    "a column twice": Case(regression, {"x": TWICE, "y": RESPONSE}, ("beta[1], beta[3]",)),
    "a density that grows": Case(by_factor(lambda x: x[0] - x[1] ** 2, 2), {}, ("x[0]",)),
}

PROPER = {
    "a wide prior on one summand": Case(total(dist.Normal(0.0, 1e4), flat()), {"y": Y}),
    "wide priors on both": Case(total(dist.Normal(0.0, 1e4), dist.Normal(0.0, 1e4)), {"y": Y}),
    "a Cauchy prior on one summand": Case(total(dist.Cauchy(0.0, 1.0), flat()), {"y": Y}),
    "a Cauchy scale without data": Case(idle(dist.HalfCauchy(1.0)), {"y": Y}),
    "a scale from two numbers": Case(spread, {"y": Y[:2]}),
    "effects whose scale has a proper prior": Case(schools("tau", dist.HalfCauchy(5.0)), {"y": SCHOOLS}),
    "effects whose scale is flat": Case(schools("tau", flat(constraints.positive)), {"y": SCHOOLS}),
    "classes that overlap": Case(logistic, {"x": TIME, "y": np.arange(20) % 3 // 2}),
    "flat coefficients": Case(regression, {"x": DESIGN, "y": RESPONSE}),
    "a Gaussian by a factor": Case(by_factor(lambda x: -jnp.sum(x**2) / 8), {}),
    "a very wide Gaussian by a factor": Case(by_factor(lambda x: -jnp.sum((x / 1e6) ** 2) / 2), {}),
    "a Cauchy by a factor": Case(by_factor(lambda x: -2 * jnp.log1p(jnp.sum(x**2))), {}),
}


#: One of each kind in the default run; the others, each a model to compile, with the slow tests.
QUICK = (
    "only a sum is identified",
    "a scale without data",
    "a log scale of effects",
    "separated classes",
    "a wide prior on one summand",
    "a Cauchy scale without data",
    "effects whose scale is flat",
    "classes that overlap",
    "a very wide Gaussian by a factor",
    "a Cauchy by a factor",
)


def names(cases: Mapping[str, Case]) -> list[Any]:
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in cases]


def warnings_of(case: Case) -> list[str]:
    problem = Problem(name="case", model=case.model, kwargs=case.values)
    record = prepare(problem, CONFIG, recipe_of(CONFIG)).problem.record
    assert set(record.warnings) <= set(record.notes)
    return [one for one in record.warnings if "improper" in one]


@pytest.mark.parametrize("name", names(IMPROPER))
def test_an_improper_posterior_is_named_with_what_nothing_holds(name: str) -> None:
    found = warnings_of(IMPROPER[name])
    for named in IMPROPER[name].named:
        assert any(f"{named} where" in line or f"holds {named}," in line for line in found), found


@pytest.mark.parametrize("name", names(PROPER))
def test_a_proper_posterior_is_not(name: str) -> None:
    assert warnings_of(PROPER[name]) == []
