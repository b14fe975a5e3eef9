"""A small Bayesian neural network: six tanh units and one input.

Units can be permuted and their signs flipped, so every mode has 6! 2^6 = 46,080 copies; what can be
compared is what the network predicts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guidebench.contracts import Problem

UNITS = 6
NOISE = 0.15
SIZE, HELDOUT_SIZE = 40, 200


def model(x: Any, y: Any = None) -> None:
    """y ~ N(f(x), noise), f(x) = offset + sum_k out_k tanh(slope_k x + bias_k)."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    noise = numpyro.sample("noise", dist.HalfNormal(0.5))
    offset = numpyro.sample("offset", dist.Normal(0, 1))
    with numpyro.plate("unit", UNITS):
        slope = numpyro.sample("slope", dist.Normal(0, 2))
        bias = numpyro.sample("bias", dist.Normal(0, 2))
        # Neal's scaling: the variance of f does not grow with the number of units.
        out = numpyro.sample("out", dist.Normal(0, 2 / UNITS**0.5))
    with numpyro.plate("data", x.shape[0]):
        f = numpyro.deterministic("f", offset + jnp.tanh(x[:, None] * slope + bias) @ out)
        numpyro.sample("y", dist.Normal(f, noise), obs=y)


def curve(x: np.ndarray) -> np.ndarray:
    """Return the function behind the data; no network of six units is exactly it."""
    function: np.ndarray = np.sin(2 * x) + 0.3 * x
    return function


def training() -> dict[str, np.ndarray]:
    """Return data on both sides of a gap, from NumPy's legacy generator, whose streams are frozen for good."""
    random = np.random.RandomState(50)
    x = np.concatenate([random.uniform(-2, -0.5, SIZE // 2), random.uniform(0.5, 2, SIZE // 2)])
    y = curve(x) + NOISE * random.standard_normal(SIZE)
    return {"x": x.astype(np.float32), "y": y.astype(np.float32)}


def heldout() -> dict[str, np.ndarray]:
    """Return data spread evenly over the same range, the gap included."""
    x = np.linspace(-2, 2, HELDOUT_SIZE)
    y = curve(x) + NOISE * np.random.RandomState(51).standard_normal(HELDOUT_SIZE)
    return {"x": x.astype(np.float32), "y": y.astype(np.float32)}


def problem() -> Problem:
    """Return the problem ``bayesian-neural-network``."""
    return Problem(
        name="bayesian-neural-network",
        model=model,
        kwargs=training(),
        predict={"x": np.linspace(-3, 3, 100, dtype=np.float32)},
        heldout=heldout(),
        truth={"noise": NOISE},
        summary="Six tanh units, one input: thousands of equal modes, so judge it by its predictions",
        cite="Neal (1996), Bayesian Learning for Neural Networks, doi:10.1007/978-1-4612-0745-0",
    )
