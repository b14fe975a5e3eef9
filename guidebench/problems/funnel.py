"""Neal's funnel: ten dimensions without data, known exactly because they are drawn as they are written."""

from __future__ import annotations

import numpy as np

from guidebench.contracts import Problem

#: Standard deviation of v, the log variance of every x.
V_SD = 3.0

#: How many x share their scale.
WIDTH = 9


def model() -> None:
    """v ~ N(0, 3) and nine x ~ N(0, exp(v / 2)), the second number being the standard deviation."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    v = numpyro.sample("v", dist.Normal(0, V_SD))
    with numpyro.plate("across", WIDTH):
        numpyro.sample("x", dist.Normal(0, jnp.exp(v / 2)))


def reference(seed: int, count: int) -> dict[str, np.ndarray]:
    """Draw v, then x given v: nothing is observed, so the posterior is the prior."""
    rng = np.random.default_rng(seed)
    v = V_SD * rng.standard_normal(count)
    x = np.exp(v / 2)[:, None] * rng.standard_normal((count, WIDTH))
    return {"v": v, "x": x}


def problem() -> Problem:
    """Return the problem ``funnel``."""
    return Problem(
        name="funnel",
        model=model,
        reference=reference,
        log_evidence=0.0,
        summary="Neal's funnel: its width changes over orders of magnitude, the hard case for a Gaussian guide",
        cite="Neal (2003), Slice Sampling, Annals of Statistics 31(3), doi:10.1214/aos/1056562461",
    )
