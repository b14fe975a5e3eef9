"""LOO from a guide's draws is ArviZ's of exact ones."""

from __future__ import annotations

from typing import Any

import arviz as az
import jax
import numpy as np
import pytest
import xarray as xr
from numpyro.infer import log_likelihood

import guidebench as gb
from guidebench.results.inference_data import from_groups

DRAWS = 4_000


def by_exact_draws(problem: gb.Problem) -> tuple[float, float]:
    """Return elpd and its error by PSIS-LOO of draws that a problem has by quadrature.

    ArviZ divides the sum of squares by n, where Vehtari et al. (2017) have n - 1.
    """
    assert problem.reference is not None
    exact = {site: np.asarray(value) for site, value in problem.reference(0, DRAWS).items()}
    found = jax.device_get(log_likelihood(problem.model, exact, *problem.args, **problem.kwargs))
    densities = {site: np.asarray(value).reshape(1, DRAWS, -1) for site, value in found.items()}
    groups = {
        "posterior": xr.Dataset(
            {site: (("chain", "draw", *map(str, range(value.ndim - 1))), value[None]) for site, value in exact.items()}
        ),
        "log_likelihood": xr.Dataset({site: (("chain", "draw", "row"), value) for site, value in densities.items()}),
    }
    told: Any = az.loo(from_groups(groups))
    rows = next(iter(densities.values())).shape[-1]
    return float(told.elpd_loo if "elpd_loo" in dir(told) else told.elpd), float(told.se) * np.sqrt(rows / (rows - 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logistic-regression", "eight-schools"])
def test_loo_of_a_guide_is_that_of_exact_draws(name: str) -> None:
    run = gb.compare(name, guides="auto_iaf_normal", progress=False)
    assert run.sources is not None
    (problem,) = run.sources.problems.values()
    elpd, se = by_exact_draws(problem)
    own = run.loo()
    assert own.elpd == pytest.approx(elpd, abs=0.2)  # far within two standard errors
    assert own.se == pytest.approx(se, rel=0.05)
