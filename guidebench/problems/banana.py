"""The banana: a Gaussian bent along a parabola, known exactly because it is drawn as it is written."""

from __future__ import annotations

import numpy as np

from guidebench.contracts import Problem

#: Standard deviation along the banana, before it is bent.
LENGTH = 10.0

#: How much it is bent; Haario et al. have 0.03 (moderately twisted) and 0.1 (strongly twisted).
BEND = 0.03


def model() -> None:
    """x ~ N(0, 10) and y ~ N(0.03 (100 - x^2), 1)."""
    import numpyro
    import numpyro.distributions as dist

    x = numpyro.sample("x", dist.Normal(0, LENGTH))
    numpyro.sample("y", dist.Normal(BEND * (LENGTH**2 - x**2), 1))


def reference(seed: int, count: int) -> dict[str, np.ndarray]:
    """Draw x, then y given x: nothing is observed, so the posterior is the prior."""
    rng = np.random.default_rng(seed)
    x = LENGTH * rng.standard_normal(count)
    return {"x": x, "y": BEND * (LENGTH**2 - x**2) + rng.standard_normal(count)}


def problem() -> Problem:
    """Return the problem ``banana``."""
    return Problem(
        name="banana",
        model=model,
        reference=reference,
        log_evidence=0.0,
        summary="A twisted Gaussian: no correlation to be seen, and no Gaussian that fits",
        cite="Haario, Saksman & Tamminen (1999), Computational Statistics 14(3), doi:10.1007/s001800050022",
    )
