"""What a traced model shows of itself: scales that may be negative, arguments left out, priors that may be improper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.distributions import constraints

from guidebench.inference.arguments import Arguments
from guidebench.inference.structure import inspect_model
from guidebench.inference.wiring import LeftOut, Use, left_out, wiring

Y = np.ones(6, np.float32)
GROUP = np.array([0, 1, 2, 0, 1, 2])

Model = Callable[..., None]


def with_scale(prior: Any, use: Callable[[Any], Any]) -> Model:
    """Return a model of a site s with that prior, in which ``use(s)`` is the scale of y."""

    def model(y: Any = None) -> None:
        s = numpyro.sample("s", prior)
        with numpyro.plate("n", 6):
            numpyro.sample("y", dist.Normal(0.0, use(s)), obs=y)

    return model


def groups(group: Any, y: Any = None) -> None:
    with numpyro.plate("groups", 3):
        s = numpyro.sample("s", dist.Normal(1.0, 0.1))
    with numpyro.plate("n", 6):
        numpyro.sample("y", dist.Normal(0.0, s[group]), obs=y)


def rate(y: Any = None) -> None:
    r = numpyro.sample("r", dist.StudentT(3.0, 3.0, 1.0))
    numpyro.sample("y", dist.Poisson(r).expand([6]).to_event(1), obs=y)


def probability(y: Any = None) -> None:
    p = numpyro.sample("p", dist.Normal(0.5, 0.1))
    with numpyro.plate("n", 6):
        numpyro.sample("y", dist.Bernoulli(p), obs=y)


def mixed(y: Any = None) -> None:
    s = numpyro.sample("s", dist.Normal(1.0, 0.1).expand([2]).to_event(1))
    parts = dist.Normal(jnp.zeros(2), s)
    with numpyro.plate("n", 6):
        numpyro.sample("y", dist.MixtureSameFamily(dist.Categorical(jnp.ones(2) / 2), parts), obs=y)


def wired(model: Model, **values: Any) -> Any:
    arguments = Arguments.split(model, values)
    return wiring(model, arguments, inspect_model(model, arguments))


ON_THE_LINE = {
    "a scale": (with_scale(dist.Normal(1.0, 0.1), lambda s: s), {}, Use("s", "Normal", "scale", "y", False)),
    "a scale of another shape": (
        with_scale(dist.Normal(1.0, 0.1), lambda s: jnp.broadcast_to(s, (6,))),
        {},
        Use("s", "Normal", "scale", "y", False),
    ),
    "a scale for each group": (groups, {"group": GROUP}, Use("s", "Normal", "scale", "y", False)),
    "a rate": (rate, {}, Use("r", "StudentT", "rate", "y", False)),
    "a probability": (probability, {}, Use("p", "Normal", "probs", "y", True)),
    "the scales of a mixture": (mixed, {}, Use("s", "Normal", "scale", "y", False)),
}


@pytest.mark.parametrize("case", ON_THE_LINE)
def test_a_site_on_the_line_that_must_be_positive_is_found(case: str) -> None:
    model, more, expected = ON_THE_LINE[case]
    assert wired(model, **more, y=Y).uses == (expected,)


NO_HARM = {
    "an exponential": with_scale(dist.Normal(1.0, 0.1), jnp.exp),
    "a square": with_scale(dist.Normal(1.0, 0.1), lambda s: s**2),
    "an absolute value": with_scale(dist.Normal(1.0, 0.1), jnp.abs),
    "a softplus": with_scale(dist.Normal(1.0, 0.1), lambda s: jnp.logaddexp(s, 0.0)),
    "a half normal": with_scale(dist.HalfNormal(1.0), lambda s: s),
    "a log normal": with_scale(dist.LogNormal(0.0, 1.0), lambda s: s),
    "a location": with_scale(dist.Normal(1.0, 0.1), lambda s: 1.0 + 0 * s),
}


@pytest.mark.parametrize("case", NO_HARM)
def test_a_site_that_is_made_positive_is_not(case: str) -> None:
    assert wired(NO_HARM[case], y=Y).uses == ()


# Which arguments are left out


def two(x: Any, y: Any = None, z: Any = None, weights: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    factor = 1.0 if weights is None else weights
    with numpyro.plate("n", 6), handlers.scale(scale=factor):
        numpyro.sample("y", dist.Normal(w * x, 1.0), obs=y)
        numpyro.sample("other", dist.Normal(w * x, 1.0), obs=z)


def counts(y: Any = None) -> None:
    rate = numpyro.sample("rate", dist.Gamma(1.0, 1.0))
    with numpyro.plate("n", 6):
        numpyro.sample("k", dist.Poisson(rate), obs=y)


LEFT_OUT: dict[str, tuple[Model, dict[str, Any], tuple[LeftOut, ...]]] = {
    "nothing": (two, {"x": Y, "y": Y, "z": Y}, ()),
    "one of two": (two, {"x": Y, "y": Y}, (LeftOut("z", ("other",)),)),
    "both": (two, {"x": Y}, (LeftOut("y", ("y",)), LeftOut("z", ("other",)))),
    "counts": (counts, {}, (LeftOut("y", ("k",)),)),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_an_observed_argument_that_is_left_out_is_found(case: str) -> None:
    model, given, expected = LEFT_OUT[case]
    missing = {"weights": None} if model is two else {}
    values = {**dict.fromkeys(("y", "z") if model is two else ("y",)), **missing, **given}
    arguments = Arguments.split(model, values)
    assert left_out(model, arguments, inspect_model(model, arguments)) == expected


# Which priors may be improper


class Own(dist.Normal):
    """A prior of somebody's own, of which nothing is known."""


def with_prior(prior: Any, *, factor: bool = False) -> Model:
    def model(y: Any = None) -> None:
        numpyro.sample("held", dist.Normal(0.0, 1.0))
        x = numpyro.sample("x", prior)
        if factor:
            numpyro.factor("more", -(x**2))
        numpyro.sample("y", dist.Normal(x, 1.0), obs=y)

    return model


SUSPECTS = {
    "normal": (dist.Normal(0.0, 1e4), {}, ()),
    "cauchy": (dist.Cauchy(0.0, 1.0), {}, ()),
    "improper": (dist.ImproperUniform(constraints.real, (), ()), {}, ("x",)),
    "of one's own": (Own(0.0, 1.0), {}, ("x",)),
    "beside a factor": (dist.Normal(0.0, 1.0), {"factor": True}, ("held", "x")),
}


@pytest.mark.parametrize("case", SUSPECTS)
def test_a_prior_that_may_be_improper_is_suspected(case: str) -> None:
    prior, more, expected = SUSPECTS[case]
    found = wired(with_prior(prior, **more), y=np.float32(0.3))
    assert found.suspects == expected
    assert found.real == {"held", "x"}


def test_a_masked_prior_is_suspected() -> None:
    def model(y: Any = None) -> None:
        with handlers.mask(mask=False):
            x = numpyro.sample("x", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(x, 1.0), obs=y)

    assert wired(model, y=np.float32(0.3)).suspects == ("x",)
