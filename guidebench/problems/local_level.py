"""The local level model: a random walk seen through noise, forty steps of a ``scan``.

The walk is written by its increments (non-centred).  Given the two scales it is a linear Gaussian state
space model, so a grid of two dimensions and a Kalman filter give the exact posterior of the whole path.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guidebench.contracts import Problem
from guidebench.problems import quadrature

LENGTH = 40
START_SD = 5.0

#: The true sds of the increments and of the noise, and where the walk begins.
DRIFT, NOISE, START = 0.4, 0.5, 1.0

#: log p(y) in nats: the path integrates out by a Kalman filter, the two scales by quadrature.
LOG_EVIDENCE = -45.64437

#: Nodes for drift and noise: beyond them lies less than 1e-9 of the posterior.
AXES = (quadrature.midpoints(3.0, 300), quadrature.midpoints(2.0, 200))


def model(y: Any = None) -> None:
    """y_t ~ N(level_t, noise), level_t = level_(t-1) + drift z_t, z_t ~ N(0, 1), level_0 = start."""
    import numpyro
    import numpyro.distributions as dist
    from numpyro.contrib.control_flow import scan

    drift = numpyro.sample("drift", dist.HalfNormal(1))
    noise = numpyro.sample("noise", dist.HalfNormal(1))
    start = numpyro.sample("start", dist.Normal(0, START_SD))

    def step(level: Any, reading: Any) -> tuple[Any, None]:
        z = numpyro.sample("z", dist.Normal(0, 1))
        level = numpyro.deterministic("level", level + drift * z)
        numpyro.sample("y", dist.Normal(level, noise), obs=reading)
        return level, None

    scan(step, start, y, length=LENGTH)


def truth() -> dict[str, Any]:
    """Return the true values, increments from NumPy's legacy generator, whose streams are frozen for good."""
    return {"drift": DRIFT, "noise": NOISE, "start": START, "z": np.random.RandomState(20).standard_normal(LENGTH)}


def simulate(seed: int) -> dict[str, np.ndarray]:
    """Return readings of the true path."""
    level = START + DRIFT * np.cumsum(truth()["z"])
    return {"y": (level + NOISE * np.random.RandomState(seed).standard_normal(LENGTH)).astype(np.float32)}


def kalman(drift: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log p(y) given the scales, and mean and variance of every level given the readings so far.

    The leading axis of the latter is level_0 and the forty that follow it.
    """
    mean, variance = np.zeros_like(drift), np.full_like(drift, START_SD**2)
    log_likelihood, means, variances = np.zeros_like(drift), [mean], [variance]
    for reading in simulate(21)["y"].astype(float):
        predicted = variance + drift**2
        total = predicted + noise**2
        log_likelihood = log_likelihood + quadrature.log_normal(reading - mean, total)
        mean = mean + predicted / total * (reading - mean)
        variance = predicted * noise**2 / total
        means.append(mean)
        variances.append(variance)
    return log_likelihood, np.stack(means), np.stack(variances)


def log_joint(drift: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return log p(y, drift, noise)."""
    prior = quadrature.log_half_normal(drift) + quadrature.log_half_normal(noise)
    density: np.ndarray = prior + kalman(drift, noise)[0]
    return density


def reference(seed: int, count: int) -> dict[str, np.ndarray]:
    """Draw from the exact posterior: the scales, then the path backwards from its end.

    References
    ----------
    Carter & Kohn (1994), On Gibbs Sampling for State Space Models, Biometrika 81(3), doi:10.1093/biomet/81.3.541
    """
    rng = np.random.default_rng(seed)
    drift, noise = quadrature.draw(log_joint(*np.meshgrid(*AXES, indexing="ij")), AXES, rng, count)
    _, means, variances = kalman(drift, noise)
    level = means[-1] + np.sqrt(variances[-1]) * rng.standard_normal(count)
    increments = []
    for mean, variance in zip(means[-2::-1], variances[-2::-1], strict=True):
        # The increment is drawn rather than the level before, so that a small drift costs no digits.
        total = variance + drift**2
        z = drift * (level - mean) / total + np.sqrt(variance / total) * rng.standard_normal(count)
        increments.append(z)
        level = level - drift * z
    return {"drift": drift, "noise": noise, "start": level, "z": np.stack(increments[::-1], axis=1)}


def problem() -> Problem:
    """Return the problem ``local-level``."""
    return Problem(
        name="local-level",
        model=model,
        kwargs=simulate(21),
        heldout=simulate(22),
        truth=truth(),
        reference=reference,
        log_evidence=LOG_EVIDENCE,
        notes=("Held out is a second reading of the same forty levels, not the future.",),
        summary="A random walk seen through noise, in a scan: forty states and two scales",
        cite="Durbin & Koopman (2012), Time Series Analysis by State Space Methods, chapter 2, "
        "doi:10.1093/acprof:oso/9780199641178.001.0001",
    )
