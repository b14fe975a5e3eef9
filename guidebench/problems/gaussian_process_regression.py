"""Gaussian process regression: the function integrated out, its three hyperparameters left.

The model predicts where it is told what to condition on: with ``given_x`` and ``given_y`` it is the
conditional distribution at `x`, without them the marginal one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guidebench.contracts import Problem
from guidebench.problems import quadrature

TRUTH = {"lengthscale": 1.0, "amplitude": 1.0, "noise": 0.3}

SIZE = 25
HELDOUT_SIZE = 50

#: Added to the diagonal, as everybody does; with this much noise it would not be needed.
JITTER = 1e-6

#: log p(y) in nats, by quadrature of the three hyperparameters.
LOG_EVIDENCE = -16.74669

#: Nodes for the log lengthscale, the amplitude and the noise: beyond them lies less than 1e-6 of the posterior.
AXES = (np.linspace(-2.5, 3.0, 111), quadrature.midpoints(8.0, 160), quadrature.midpoints(1.2, 120))


def model(x: Any, y: Any = None, given_x: Any = None, given_y: Any = None) -> None:
    """y ~ MVN(0, K + noise^2 I), K the squared exponential kernel; or the same given other data."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from jax.scipy.linalg import cho_solve

    lengthscale = numpyro.sample("lengthscale", dist.InverseGamma(5, 5))
    amplitude = numpyro.sample("amplitude", dist.HalfNormal(2))
    noise = numpyro.sample("noise", dist.HalfNormal(1))

    def kernel(left: Any, right: Any) -> Any:
        return amplitude**2 * jnp.exp(-0.5 * ((left[:, None] - right) / lengthscale) ** 2)

    def root(at: Any) -> Any:
        return jnp.linalg.cholesky(kernel(at, at) + (noise**2 + JITTER) * jnp.eye(at.shape[0]))

    if given_x is None:
        numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(x.shape[0]), scale_tril=root(x)), obs=y)
        return
    across, factor = kernel(x, given_x), (root(given_x), True)
    mean = across @ cho_solve(factor, given_y)
    explained = jnp.sum(across * cho_solve(factor, across.T).T, axis=-1)
    sd = jnp.sqrt(jnp.maximum(amplitude**2 - explained, 0) + noise**2 + JITTER)
    with numpyro.plate("new", x.shape[0]):
        numpyro.sample("y", dist.Normal(mean, sd), obs=y)


def correlation(x: np.ndarray, lengthscale: float) -> np.ndarray:
    """Return the squared exponential correlation of all pairs of points."""
    matrix: np.ndarray = np.exp(-0.5 * ((x[:, None] - x) / lengthscale) ** 2)
    return matrix


def simulate() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return training and held-out data along one function, from NumPy's legacy generator, frozen for good."""
    random = np.random.RandomState(30)
    x = random.uniform(-4, 4, SIZE + HELDOUT_SIZE)
    covariance = TRUTH["amplitude"] ** 2 * correlation(x, TRUTH["lengthscale"]) + TRUTH["noise"] ** 2 * np.eye(x.size)
    y = np.linalg.cholesky(covariance) @ random.standard_normal(x.size)
    x, y = x.astype(np.float32), y.astype(np.float32)
    return {"x": x[:SIZE], "y": y[:SIZE]}, {"x": x[SIZE:], "y": y[SIZE:]}


def log_joint(log_lengthscale: np.ndarray, amplitude: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return log p(y, log lengthscale, amplitude, noise) on the grid of these axes.

    In the eigenvectors of the correlation matrix the covariance is diagonal, whatever amplitude and noise.
    """
    data = {name: value.astype(float) for name, value in simulate()[0].items()}
    values, vectors = np.linalg.eigh(np.stack([correlation(data["x"], length) for length in np.exp(log_lengthscale)]))
    projected = np.einsum("lij,i->lj", vectors, data["y"])
    signal, rest = amplitude[:, None] ** 2, noise**2 + JITTER
    # Inverse gamma with shape and scale 5, on the logarithm: 5^5 / 4! exp(-5 l - 5 exp(-l)).
    prior = 5 * np.log(5) - np.log(24) - 5 * log_lengthscale - 5 * np.exp(-log_lengthscale)
    density: np.ndarray = prior[:, None, None] + quadrature.log_half_normal(amplitude, 2.0)[:, None]
    density = density + quadrature.log_half_normal(noise)
    for value, at in zip(np.maximum(values, 0).T, projected.T, strict=True):
        density += quadrature.log_normal(at[:, None, None], value[:, None, None] * signal + rest)
    return density


def reference(seed: int, count: int) -> dict[str, np.ndarray]:
    """Draw from the posterior on a grid, fine enough to call it exact."""
    log_lengthscale, amplitude, noise = quadrature.draw(log_joint(*AXES), AXES, np.random.default_rng(seed), count)
    return {"lengthscale": np.exp(log_lengthscale), "amplitude": amplitude, "noise": noise}


def problem() -> Problem:
    """Return the problem ``gaussian-process-regression``."""
    train, heldout = simulate()
    given = {"given_x": train["x"], "given_y": train["y"]}
    return Problem(
        name="gaussian-process-regression",
        model=model,
        kwargs=train,
        predict={"x": np.linspace(-5, 5, 100, dtype=np.float32), **given},
        heldout={**heldout, **given},
        truth=TRUTH,
        reference=reference,
        log_evidence=LOG_EVIDENCE,
        summary="Gaussian process regression, the function integrated out: lengthscale, amplitude and noise",
        cite="Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, doi:10.7551/mitpress/3206.001.0001",
    )
