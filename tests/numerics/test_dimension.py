"""The verdict on given errors is the same in every dimension, and what a run keeps of many latents stays small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints

import guidebench as gb
from guidebench.engine import datasets
from guidebench.results.inference_data import group

#: Those of three rounds of the default recipe, which is what chains may spend beside a guide that was trained.
STEPS = 28_000


def readings(s: Any, y: Any) -> None:
    with numpyro.plate("each", len(s)):
        theta = numpyro.sample("theta", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(theta, s), obs=y)


def given(name: str, loc: np.ndarray, scale: np.ndarray) -> gb.Guide:
    """Return the guide of independent Normals with these moments."""

    def build(model: Callable[..., Any]) -> Callable[..., Any]:
        def guide(s: Any, y: Any) -> None:
            own = numpyro.param("loc", jnp.zeros(len(loc)))
            spread = numpyro.param("scale", jnp.ones(len(loc)), constraint=constraints.positive)
            with numpyro.plate("each", len(loc)):
                numpyro.sample("theta", dist.Normal(own, spread))

        return guide

    def fit(task: gb.Task) -> gb.Solution:
        """Given moments."""
        return gb.Solution(params={"loc": jnp.asarray(loc), "scale": jnp.asarray(scale)}, converged=True)

    return gb.Guide(name=name, build=build, fit=fit)


def compared(size: int, *, full: bool) -> gb.Comparison:
    rng = np.random.default_rng(size)
    s = np.exp(rng.uniform(np.log(0.05), np.log(5.0), size))
    y = rng.standard_normal(size) + s * rng.standard_normal(size)
    sd = (1 + s**-2.0) ** -0.5
    mean = y / s**2 * sd**2
    off = mean + 0.3 * sd * (np.arange(size) == size // 2)
    guides = [
        given(f"short-{share}", mean, sd * (1 - share / 100)) for share in ((0, 5, 10, 20, 40) if full else (0, 20))
    ]
    problem = gb.Problem(name=f"readings-{size}", model=readings, kwargs={"s": s, "y": y})
    return gb.compare(problem, guides=[*guides, given("one-mean", off, sd)], reference="none", steps=STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 100, 1_000])
def test_the_word_depends_on_the_error_and_not_on_the_dimension(size: int) -> None:
    verdicts = {fit.guide: str(fit.verdict) for fit in compared(size, full=True).fits}
    assert verdicts == {
        "short-0": "trust",
        "short-5": "trust",
        "short-10": "trust",
        "short-20": "refresh",
        "short-40": "refresh",
        "one-mean": "refresh",
    }


@pytest.mark.slow
def test_ten_thousand_latents_are_judged_as_ten_are_and_are_kept_within_a_size(tmp_path: Any) -> None:
    found = compared(10_000, full=False)
    assert {fit.guide: str(fit.verdict) for fit in found.fits} == {
        "short-0": "trust",
        "short-20": "refresh",
        "one-mean": "refresh",
    }
    for fit in found.fits:
        assert "kept 2,000 of 4,000 draws" in fit.message
        assert "of 10,000 components are kept" in fit.message
        for name in ("posterior", "refreshed", "posterior_predictive", "log_likelihood"):
            part = group(fit.inference_data, name)
            assert part is not None
            assert part.nbytes <= 1.01 * datasets.MOST_BYTES / datasets.GROUPS
        posterior = group(fit.inference_data, "posterior")
        assert posterior is not None
        assert posterior.attrs["kept"].startswith("kept 2,000 of 4,000 draws")
        assert len(fit.metrics) < 40_000
    assert "theta[5000]" in {one.variable for one in found["one-mean"].metrics}
    page = found.report(tmp_path)
    assert page.stat().st_size < 15e6
    assert "of 10,000 components whose means and sds are farthest off" in page.read_text(encoding="utf-8")
