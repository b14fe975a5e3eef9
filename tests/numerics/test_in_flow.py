"""Chains in the coordinates of a flow: the density there is a change of variables, and chains cross a funnel's neck."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import guidebench as gb
from guidebench.contracts import Problem
from guidebench.engine.fit import in_flow, stages
from guidebench.engine.fit.making import make_guide
from guidebench.inference.chains.in_flow import InFlow
from guidebench.inference.device.precision import double
from guidebench.results import Verdict

READINGS = np.array([0.4, -0.3, 0.9], np.float32)


def neck(y: Any = None) -> None:
    scale = numpyro.sample("scale", dist.HalfNormal(1.0))
    with numpyro.plate("groups", 3):
        effect = numpyro.sample("effect", dist.Normal(0.0, scale))
        numpyro.sample("y", dist.Normal(effect, 1.0), obs=y)


def moments_of_neck() -> tuple[float, float]:
    """Return mean and sd of the scale by quadrature: the effects integrate out."""
    scale = np.linspace(1e-4, 8.0, 40_001)
    variance = scale[:, None] ** 2 + 1.0
    log_density = -(scale**2) / 2 - np.sum(np.log(variance) + READINGS**2 / variance, axis=1) / 2
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean = float(weights @ scale)
    return mean, float(np.sqrt(weights @ (scale - mean) ** 2))


def fitted(monkeypatch: pytest.MonkeyPatch, guide: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """Return a fit to the neck, and what the last stage of it was given."""
    seen: dict[str, Any] = {}
    original = stages.settle_in_flow

    def keep(case: Any, drawn: Any, trained: Any, params: Any, most: int) -> Any:
        seen.update(case=case, drawn=drawn, frame=trained.frame, params=params)
        seen["after"] = original(case, drawn, trained, params, most)
        return seen["after"]

    monkeypatch.setattr(stages, "settle_in_flow", keep)
    problem = Problem(name="a-neck", model=neck, kwargs={"y": READINGS})
    (fit,) = gb.compare(problem, guides=[guide], reference="none", progress=False, **options)
    return fit, seen


@pytest.mark.parametrize("guide", ["auto_iaf_normal", pytest.param("auto_bnaf_normal", marks=pytest.mark.slow)])
def test_the_density_is_a_change_of_variables(monkeypatch: pytest.MonkeyPatch, guide: str) -> None:
    """That of u at T(x), and the log determinant of the map's Jacobian, differentiated by JAX."""
    _, seen = fitted(monkeypatch, guide, steps=48, restarts=1, particles=2)
    bench, frame = seen["case"].bench, seen["frame"]
    flow = InFlow(bench.target, make_guide(seen["case"].guide, frame.model), frame)
    arrays = frame.arguments.arrays
    with double():
        given = jax.tree.map(
            lambda value: jnp.asarray(value, jnp.float64),
            {
                "data": dict(bench.search_values),
                "center": arrays["center"],
                "factor": arrays["factor"],
                "params": seen["params"],
                "start": frame.first(),
            },
        )
        for x in np.random.default_rng(0).standard_normal((3, bench.target.dim)):
            point = jnp.asarray(x)
            u = flow.mapped(point, given)[0]
            jacobian = jax.jacfwd(lambda one: flow.mapped(one, given)[0])(point)
            _, log_det = np.linalg.slogdet(np.asarray(jacobian))
            wanted = bench.target.log_density(u, given["data"]) + log_det
            np.testing.assert_allclose(flow.log_density(point, given), wanted, rtol=1e-9)


def test_a_gaussian_is_no_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is trained as flows are: its chains get all gradients, and none are run in other coordinates."""
    fit, seen = fitted(monkeypatch, "auto_multivariate_normal", recipe="adam", steps=48, restarts=1, particles=2)
    assert fit.status.has_draws
    assert not seen


@pytest.mark.slow
def test_a_neck_is_crossed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains in u meet what is too narrow for them; those in the coordinates of the flow find the moments."""
    fit, seen = fitted(monkeypatch, "auto_iaf_normal")
    assert not seen["drawn"].to_score.chains.settled
    after = seen["after"].to_score
    assert after.chains.settled
    assert in_flow.SAID in fit.message
    mean, sd = moments_of_neck()
    draws = after.evidence.refreshed["scale"]
    assert abs(draws.mean() - mean) < 0.08 * sd
    assert abs(draws.std() / sd - 1) < 0.1
    assert fit.verdict in (Verdict.TRUST, Verdict.REFRESH)
