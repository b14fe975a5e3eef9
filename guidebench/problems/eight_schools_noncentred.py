"""Eight schools again, the same posterior in other coordinates: theta = mu + tau z with z ~ N(0, 1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from guidebench.contracts import Problem
from guidebench.problems import eight_schools
from guidebench.problems.eight_schools import MU_SD, TAU_SCALE


def model(sigma: Any, y: Any = None) -> None:
    """y ~ N(theta, sigma), theta = mu + tau z, z ~ N(0, 1), with the standard errors sigma known."""
    import numpyro
    import numpyro.distributions as dist

    mu = numpyro.sample("mu", dist.Normal(0, MU_SD))
    tau = numpyro.sample("tau", dist.HalfCauchy(TAU_SCALE))
    with numpyro.plate("school", sigma.shape[0]):
        z = numpyro.sample("z", dist.Normal(0, 1))
        theta = numpyro.deterministic("theta", mu + tau * z)
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def reference(seed: int, count: int) -> dict[str, np.ndarray]:
    """Draw from the exact posterior."""
    mu, tau, z = eight_schools.draw(seed, count)
    return {"mu": mu, "tau": tau, "z": z}


def problem() -> Problem:
    """Return the problem ``eight-schools-noncentred``."""
    return Problem(
        name="eight-schools-noncentred",
        model=model,
        kwargs=eight_schools.problem().kwargs,
        reference=reference,
        log_evidence=eight_schools.LOG_EVIDENCE,
        summary="Eight schools, non-centred: the same posterior in coordinates that undo the funnel",
        cite=f"{eight_schools.SOURCE}; "
        "Papaspiliopoulos, Roberts & Sköld (2007), Statistical Science 22(1), doi:10.1214/088342307000000014",
    )
