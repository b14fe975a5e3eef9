"""Scales near zero: few groups, written centred as users write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy import stats

from tests.numerics.bed.hierarchy import Groups
from tests.numerics.bed.problem import BedProblem, Draws, made

KIND = "scales near zero"

norm = stats.norm.logpdf

Prior = tuple[Any, Callable[[np.ndarray], np.ndarray]]

HALF_CAUCHY: Prior = (dist.HalfCauchy(5.0), lambda tau: -np.log1p(tau**2 / 25))
HALF_NORMAL: Prior = (dist.HalfNormal(1.0), lambda tau: -(tau**2) / 2)
EXPONENTIAL: Prior = (dist.Exponential(1.0), lambda tau: -tau)
GAMMA: Prior = (dist.Gamma(0.5, 0.5), lambda tau: -0.5 * np.log(tau) - 0.5 * tau)


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield _groups("three-groups-half-cauchy", [1.0, 2.5, -0.5], [1.0, 1.0, 1.0], HALF_CAUCHY, unsteady=("tau", "theta"))
    yield _groups("three-groups-half-normal", [1.0, 2.5, -0.5], [1.0, 1.0, 1.0], HALF_NORMAL)
    yield _groups("five-groups-alike", [0.31, 0.28, 0.35, 0.3, 0.27], [0.5] * 5, HALF_NORMAL)
    yield _groups("four-groups-exponential", [2.0, -1.0, 0.4, 0.1], [0.8, 1.5, 0.6, 1.0], EXPONENTIAL)
    yield _groups("six-groups-spiked-at-zero", [0.2, 0.5, -0.1, 0.9, 0.3, 0.6], [0.6] * 6, GAMMA, low=-36.0)
    yield _groups(
        "ten-groups-sharp",
        [0.1, 0.12, 0.07, 0.1, 0.14, 0.11, 0.09, 0.1, 0.1, 0.12],
        [0.05] * 10,
        HALF_NORMAL,
        low=-22.0,
    )
    yield _noncentred()


def _groups(name: str, y: Any, s: Any, prior: Prior, low: float = -16.0, **parts: Any) -> BedProblem:
    def model(s: Any, y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", prior[0])
        with numpyro.plate("group", len(s)):
            theta = numpyro.sample("theta", dist.Normal(mu, tau))
            numpyro.sample("y", dist.Normal(theta, s), obs=y)

    known = Groups(y=np.asarray(y), s=np.asarray(s), m=5.0, log_prior=prior[1], low=low)
    return made(KIND, name, model, {"s": s, "y": y}, sample=known.sample, moments=known.moments, **parts)


def _noncentred() -> BedProblem:
    y, s = np.array([1.0, 2.5, -0.5, 0.2]), np.array([1.0, 1.2, 0.9, 1.0])

    def model(s: Any, y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        with numpyro.plate("group", len(s)):
            z = numpyro.sample("z", dist.Normal(0.0, 1.0))
            numpyro.sample("y", dist.Normal(mu + tau * z, s), obs=y)

    known = Groups(y=y, s=s, m=5.0, log_prior=HALF_NORMAL[1])

    def sample(rng: np.random.Generator, count: int) -> Draws:
        centred = known.sample(rng, count)
        z = (centred["theta"] - centred["mu"][:, None]) / centred["tau"][:, None]
        return {"mu": centred["mu"], "tau": centred["tau"], "z": z}

    return made(KIND, "four-groups-noncentred", model, {"s": s, "y": y}, sample=sample)
