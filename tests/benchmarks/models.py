"""The models of the benchmark, by name and size: ``path-60``, ``effects-1000``, ``independent-10``, ``rows-1000``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist


class Made(NamedTuple):
    """A model and its data."""

    model: Callable[..., None]
    data: dict[str, Any]


def made(name: str) -> Made:
    """Return a model of that kind and size."""
    kind, _, size = name.partition("-")
    return {"path": path, "effects": effects, "independent": independent, "rows": rows}[kind](int(size))


def path(length: int) -> Made:
    """Return a stationary AR(1) path, its steps and its persistence unknown, read with noise; written with a scan."""
    rng = np.random.default_rng(length)
    x = np.zeros(length)
    for at in range(1, length):
        x[at] = 0.8 * x[at - 1] + 0.5 * rng.standard_normal()
    y = (x + 0.5 * rng.standard_normal(length)).astype(np.float32)

    def model(y: Any) -> None:
        rho = numpyro.sample("rho", dist.Uniform(-1.0, 1.0))
        step = numpyro.sample("step", dist.HalfNormal(1.0))
        noise = numpyro.sample("noise", dist.HalfNormal(1.0))
        with numpyro.plate("time", length):
            shock = numpyro.sample("shock", dist.Normal(0.0, 1.0))

        def move(before: Any, own: Any) -> tuple[Any, Any]:
            here = rho * before + step * own
            return here, here

        _, states = jax.lax.scan(move, jnp.zeros(()), shock)
        numpyro.sample("y", dist.Normal(states, noise), obs=y)

    return Made(model, {"y": y})


def effects(groups: int) -> Made:
    """Return a logistic regression with an intercept for every group, five rows each."""
    rng = np.random.default_rng(groups)
    group = np.repeat(np.arange(groups), 5)
    x = rng.standard_normal(5 * groups).astype(np.float32)
    logits = (0.3 + 0.8 * rng.standard_normal(groups))[group] + 0.7 * x
    y = (rng.random(5 * groups) < 1 / (1 + np.exp(-logits))).astype(np.int32)

    def model(group: Any, x: Any, y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
        beta = numpyro.sample("beta", dist.Normal(0.0, 1.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        with numpyro.plate("groups", groups):
            effect = numpyro.sample("effect", dist.Normal(0.0, 1.0))
        with numpyro.plate("rows", len(x)):
            numpyro.sample("y", dist.Bernoulli(logits=mu + tau * effect[group] + beta * x), obs=y)

    return Made(model, {"group": group, "x": x, "y": y})


def independent(size: int) -> Made:
    """Return readings of independent normals, with errors over two orders of magnitude."""
    rng = np.random.default_rng(size)
    s = np.exp(rng.uniform(np.log(0.05), np.log(5.0), size=size)).astype(np.float32)
    y = (rng.standard_normal(size) + s * rng.standard_normal(size)).astype(np.float32)

    def model(s: Any, y: Any) -> None:
        with numpyro.plate("each", size):
            theta = numpyro.sample("theta", dist.Normal(0.0, 1.0))
            numpyro.sample("y", dist.Normal(theta, s), obs=y)

    return Made(model, {"s": s, "y": y})


def rows(count: int) -> Made:
    """Return a logistic regression on ten columns."""
    rng = np.random.default_rng(count)
    x = rng.standard_normal((count, 10), dtype=np.float32)
    w = rng.normal(0, 0.5, 10).astype(np.float32)
    y = (rng.random(count) < 1 / (1 + np.exp(0.3 - x @ w))).astype(np.int32)

    def model(x: Any, y: Any) -> None:
        b = numpyro.sample("b", dist.Normal(0.0, 2.0))
        w = numpyro.sample("w", dist.Normal(0.0, 1.0).expand([10]).to_event(1))
        with numpyro.plate("rows", len(x)):
            numpyro.sample("y", dist.Bernoulli(logits=x @ w + b), obs=y)

    return Made(model, {"x": x, "y": y})
