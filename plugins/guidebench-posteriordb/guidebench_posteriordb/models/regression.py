"""Linear regressions: one likelihood, y ~ N(X beta, sigma), under four priors."""

from __future__ import annotations

from typing import Any

import numpyro
import numpyro.distributions as dist

from guidebench_posteriordb.models.priors import flat, flat_positive


def flat_regression(design: Any, y: Any = None) -> None:
    """Coefficients and scale are flat."""
    beta = numpyro.sample("beta", flat(design.shape[1]))
    sigma = numpyro.sample("sigma", flat_positive())
    _likelihood(design @ beta, sigma, y)


def half_cauchy_regression(design: Any, y: Any = None) -> None:
    """Coefficients are flat; sigma ~ HalfCauchy(2.5)."""
    beta = numpyro.sample("beta", flat(design.shape[1]))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    _likelihood(design @ beta, sigma, y)


def normal_regression(design: Any, y: Any = None) -> None:
    """Coefficients ~ N(0, 10), sigma ~ HalfNormal(10)."""
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([design.shape[1]]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    _likelihood(design @ beta, sigma, y)


def intercept_regression(design: Any, y: Any = None) -> None:
    """Coefficients ~ N(0, 1) of centred columns; the intercept is Student's t around 8, the scale half of one."""
    b = numpyro.sample("b", dist.Normal(0, 1).expand([design.shape[1]]).to_event(1))
    intercept = numpyro.sample("Intercept", dist.StudentT(3, 8, 10))
    sigma = numpyro.sample("sigma", dist.FoldedDistribution(dist.StudentT(3, 0, 10)))
    _likelihood(intercept + design @ b, sigma, y)


def _likelihood(mean: Any, sigma: Any, y: Any) -> None:
    with numpyro.plate("row", mean.shape[0]):
        numpyro.sample("y", dist.Normal(mean, sigma), obs=y)
