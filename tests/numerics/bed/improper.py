"""Improper posteriors: nothing that is said of them may be ``trust``, ``reweight`` or ``refresh``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints

from tests.numerics.bed.problem import BedProblem, made

KIND = "improper"

FLAT = dist.ImproperUniform(constraints.real, (), ())


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield _forgotten()
    yield _only_the_sum()
    yield _separated()
    yield _softmax()
    yield _scale_to_zero()


def _forgotten() -> BedProblem:
    """A coefficient with a flat prior that no datum touches."""

    def model(y: Any) -> None:
        a = numpyro.sample("a", dist.Normal(0.0, 5.0))
        numpyro.sample("b", FLAT)
        numpyro.sample("y", dist.Normal(a, 1.0), obs=y)

    return made(KIND, "flat-and-unused", model, {"y": [0.5, 1.5, 0.2]}, escape=lambda t: {"a": 0.7, "b": t})


def _only_the_sum() -> BedProblem:
    def model(y: Any) -> None:
        a = numpyro.sample("a", FLAT)
        b = numpyro.sample("b", FLAT)
        numpyro.sample("y", dist.Normal(a + b, 1.0), obs=y)

    return made(KIND, "only-the-sum", model, {"y": [0.5, 1.5, 0.2]}, escape=lambda t: {"a": t, "b": 0.5 - t})


def _separated() -> BedProblem:
    """A logistic regression whose data are separated, under flat priors."""
    x, y = np.array([-2.0, -1.2, -0.4, 0.6, 1.1, 2.3]), np.array([0, 0, 0, 1, 1, 1])

    def model(x: Any, y: Any) -> None:
        intercept = numpyro.sample("intercept", dist.Normal(0.0, 2.0))
        slope = numpyro.sample("slope", FLAT)
        numpyro.sample("y", dist.Bernoulli(logits=intercept + slope * x), obs=y)

    return made(KIND, "separated", model, {"x": x, "y": y}, escape=lambda t: {"intercept": 0.0, "slope": t})


def _softmax() -> BedProblem:
    """As many logits as classes: a constant added to all of them changes nothing."""

    def model(y: Any) -> None:
        logits = numpyro.sample("logits", dist.ImproperUniform(constraints.real_vector, (), (3,)))
        numpyro.sample("y", dist.Categorical(logits=logits), obs=y)

    at = np.log(np.array([3.0, 2.0, 1.0]))
    return made(KIND, "logits-up-to-a-constant", model, {"y": [0, 0, 1, 2, 1, 0]}, escape=lambda t: {"logits": at + t})


def _scale_to_zero() -> BedProblem:
    """The prior 1 / tau of a scale of groups: infinite mass where all groups are the same."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.ImproperUniform(constraints.positive, (), ()))
        numpyro.factor("prior", -jnp.log(tau))
        with numpyro.plate("group", len(y)):
            theta = numpyro.sample("theta", dist.Normal(mu, tau))
            numpyro.sample("y", dist.Normal(theta, 1.0), obs=y)

    y = np.array([0.5, 1.5, 0.2, 0.9])
    return made(
        KIND, "scale-to-zero", model, {"y": y}, escape=lambda t: {"mu": 0.7, "tau": -t, "theta": np.full(4, 0.7)}
    )
