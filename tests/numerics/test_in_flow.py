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
from guidebench.engine.fit import in_flow, judge
from guidebench.engine.fit.making import make_guide
from guidebench.inference.chains.in_flow import InFlow, moves_in_flow
from guidebench.inference.chains.moves import Moves
from guidebench.inference.chains.run import run_chains
from guidebench.inference.device.precision import double
from guidebench.results import Verdict
from tests.numerics.test_defended import READINGS, neck


def moments_of_neck() -> tuple[float, float]:
    """Return mean and sd of the scale by quadrature: the effects integrate out."""
    scale = np.linspace(1e-4, 8.0, 40_001)
    variance = scale[:, None] ** 2 + 1.0
    log_density = -(scale**2) / 2 - np.sum(np.log(variance) + READINGS**2 / variance, axis=1) / 2
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean = float(weights @ scale)
    return mean, float(np.sqrt(weights @ (scale - mean) ** 2))


def fitted(monkeypatch: pytest.MonkeyPatch, guide: str) -> tuple[Any, dict[str, Any]]:
    """Return a fit to the neck, and what the last stage of it was given."""
    seen: dict[str, Any] = {}
    original = judge.settle_in_flow

    def keep(case: Any, judged: Any, drawn: Any, most: int) -> Any:
        seen["before"], seen["after"] = judged, original(case, judged, drawn, most)
        return seen["after"]

    monkeypatch.setattr(judge, "settle_in_flow", keep)
    problem = Problem(name="a-neck", model=neck, kwargs={"y": READINGS})
    (fit,) = gb.compare(problem, guides=[guide], reference="none", progress=False)
    return fit, seen


def untrained(model: Any, guide: str = "auto_iaf_normal", **data: Any) -> dict[str, Any]:
    """Return the case, frame and parameters of a flow that has hardly been trained on a model."""
    seen: dict[str, Any] = {}
    original = judge.of_a_flow

    def keep(case: Any, params: Any) -> bool:
        seen.update(case=case, frame=in_flow.frame_of(case), params=params, flow=original(case, params))
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "of_a_flow", keep)
        problem = Problem(name="a-model", model=model, kwargs=data)
        gb.compare(problem, guides=[guide], reference="none", progress=False, steps=48, restarts=1, particles=2)
    assert seen["flow"]
    return seen


def moves_of(seen: dict[str, Any]) -> Moves:
    case, frame = seen["case"], seen["frame"]
    guide = make_guide(case.guide, frame.model)
    return moves_in_flow(case.bench.target, case.bench.search_values, guide, frame, seen["params"])


@pytest.mark.parametrize("guide", ["auto_iaf_normal", pytest.param("auto_bnaf_normal", marks=pytest.mark.slow)])
def test_the_density_is_a_change_of_variables(guide: str) -> None:
    """That of u at T(x), and the log determinant of the map's Jacobian, differentiated by JAX."""
    seen = untrained(neck, guide, y=READINGS)
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


@pytest.mark.parametrize(
    ("guide", "steps", "share"),
    [
        ("auto_iaf_normal", 640, 0.5),
        pytest.param("auto_iaf_normal", 480, 1.0, marks=pytest.mark.slow, id="too few for two"),
        pytest.param("auto_multivariate_normal", 640, 1.0, marks=pytest.mark.slow),
    ],
)
def test_only_a_flow_keeps_gradients_for_its_own_coordinates(
    monkeypatch: pytest.MonkeyPatch, guide: str, steps: int, share: float
) -> None:
    """Where they suffice for two; a Gaussian that is trained as flows are gives all to the chains from its draws."""
    given: list[int] = []
    monkeypatch.setattr(judge, "refresh", lambda case, drawn, most: given.append(most))
    problem = Problem(name="a-neck", model=neck, kwargs={"y": READINGS})
    options: dict[str, Any] = {"recipe": "adam", "steps": steps, "restarts": 8, "particles": 10}
    gb.compare(problem, guides=[guide], reference="none", progress=False, **options)
    assert given == [steps * 80 * share]


def observed(y: Any = None) -> None:
    place = numpyro.sample("place", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
    numpyro.sample("y", dist.Normal(place, 1.0).to_event(1), obs=y)


def test_chains_in_a_bad_flow_find_the_posterior_all_the_same() -> None:
    """The coordinates make them quick or slow, and never wrong: a conjugate normal."""
    y = np.array([3.0, -1.0, 0.5], np.float32)
    moves = moves_of(untrained(observed, y=y))
    points = np.random.default_rng(0).standard_normal((1024, 3))
    found = run_chains(moves, points, 0, 400_000)
    assert found.settled, found.note
    draws = found.latents["place"].reshape(-1, 3)
    sd = np.sqrt(4 / 5)
    np.testing.assert_allclose(draws.mean(axis=0), 4 / 5 * y, atol=0.08 * sd)
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.08)


def funnel(y: Any = None) -> None:
    width = numpyro.sample("width", dist.Normal(0.0, 3.0))
    numpyro.sample("place", dist.Normal(0.0, jnp.exp(width / 2)))
    numpyro.sample("y", dist.Normal(0.0 * width, 1.0), obs=y)


def test_chains_in_a_flow_that_knows_nothing_of_a_funnel_are_not_believed() -> None:
    """Nor those from its draws; of these the shortest steps are too long, so that they are given up."""
    seen = untrained(funnel, y=np.float32(0.0))
    points = np.random.default_rng(0).standard_normal((1024, 2))
    assert not run_chains(moves_of(seen), points, 0, 200_000).settled
    from_draws = run_chains(seen["case"].bench.moves, points, 0, 4_000_000)
    assert not from_draws.settled
    assert from_draws.gradients < 4_000_000
    assert "the shortest of their steps were still too long" in from_draws.note


@pytest.mark.slow
def test_a_neck_is_crossed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains in u meet what is too narrow for them; those in the coordinates of the flow find the moments."""
    fit, seen = fitted(monkeypatch, "auto_iaf_normal")
    assert not seen["before"].refreshed.chains.settled
    after = seen["after"]
    assert after.refreshed.chains.settled
    assert after.refreshed.chains.in_flow
    assert fit.work["judging"].gradients == after.work.gradients > seen["before"].work.gradients
    assert in_flow.SAID in fit.message
    mean, sd = moments_of_neck()
    draws = after.refreshed.draws["scale"]
    assert abs(draws.mean() - mean) < 0.08 * sd
    assert abs(draws.std() / sd - 1) < 0.1
    assert fit.verdict in (Verdict.TRUST, Verdict.REFRESH)
