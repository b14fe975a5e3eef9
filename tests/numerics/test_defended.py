"""Flows at any point: their density against their own, and importance sampling from them defended by wide tails."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import guidebench as gb
from guidebench.contracts import Problem
from guidebench.engine.fit import judge
from guidebench.engine.fit.in_flow import frame_of
from guidebench.engine.fit.making import make_guide
from guidebench.inference.defended import OfGuide, defended
from guidebench.inference.flow_density import FlowDensity
from guidebench.inference.weighing import MOST_KHAT_OF_SQUARES, POINTS, SURE
from guidebench.inference.weighted import tails
from guidebench.results import Verdict
from tests.numerics.test_mixture import Searched, searched

#: Standard deviations of what two correlated coordinates measure.
SDS = np.array([1.0, 0.5])


def normals() -> None:
    numpyro.sample("x", dist.Normal(jnp.zeros(2), jnp.asarray(SDS)).to_event(1))


@pytest.fixture(scope="module")
def one() -> Searched:
    return searched(normals)


def log_normal(points: np.ndarray, scale: float = 1.0) -> np.ndarray:
    return np.asarray(dist.Normal(0, scale * SDS).log_prob(points).sum(axis=1), np.float64)


def of_guide(scale: float, count: int = 20_000) -> OfGuide:
    draws = np.random.default_rng(1).normal(size=(count, 2)) * scale * SDS
    return OfGuide(draws=draws, density=lambda points: log_normal(points, scale))


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_a_guide_is_defended_where_it_has_no_draws(one: Searched, scale: float) -> None:
    """However narrow it is: its weights alone would have no mean at a third of the scale."""
    found = defended(one.pointwise, one.landscape, of_guide(scale), 0)
    assert found.accepted, found.reason
    assert found.ess > SURE * POINTS
    assert found.log_evidence == pytest.approx(0, abs=4 * found.log_evidence_mcse)
    np.testing.assert_allclose(found.draws["x"].std(axis=0), SDS, rtol=0.03)


def test_a_density_that_is_not_the_draws_shows_in_the_evidence(one: Searched) -> None:
    """A guide that lies about its density by half a nat: what is found is not one."""
    honest = of_guide(1.0)
    lying = OfGuide(draws=honest.draws, density=lambda points: log_normal(points) - 0.5)
    found = defended(one.pointwise, one.landscape, lying, 0)
    assert abs(found.log_evidence) > 10 * found.log_evidence_mcse


def test_tails_of_squares_are_those_of_the_distribution() -> None:
    """Of a Student t with nu degrees of freedom squares have the tail index 2 / nu; of a normal they have none."""
    rng, even = np.random.default_rng(0), np.full(100_000, 1e-5)
    heavy = rng.standard_t(2.0, 100_000)
    found = tails({"heavy": heavy, "light": rng.normal(size=(100_000, 1))}, even)
    assert found["heavy"].khat > MOST_KHAT_OF_SQUARES
    assert found["light[0]"].khat < 0.3


READINGS = np.array([0.4, -0.3, 0.9], np.float32)


def neck(y: Any = None) -> None:
    scale = numpyro.sample("scale", dist.HalfNormal(1.0))
    with numpyro.plate("groups", 3):
        effect = numpyro.sample("effect", dist.Normal(0.0, scale))
        numpyro.sample("y", dist.Normal(effect, 1.0), obs=y)


@pytest.mark.slow
def test_a_flow_is_known_to_be_right_where_chains_do_not_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its density at its own draws is that of its scoring, and by the defended weights it is right."""
    seen: dict[str, Any] = {}
    original = judge.defend

    def keep(case: Any, judged: Any, drawn: Any) -> Any:
        seen.update(case=case, drawn=drawn, after=original(case, judged, drawn))
        return seen["after"]

    monkeypatch.setattr(judge, "defend", keep)
    problem = Problem(name="a-neck", model=neck, kwargs={"y": READINGS})
    (fit,) = gb.compare(problem, guides=["auto_iaf_normal"], reference="none", progress=False)
    case, evidence, frame = seen["case"], seen["drawn"].evidence, frame_of(seen["case"])
    points = case.bench.unconstrain(evidence.latents)
    log_q = FlowDensity(make_guide(case.guide, frame.model), frame, seen["drawn"].params)(points)
    log_p, _ = case.bench.pointwise(points)
    np.testing.assert_allclose(log_p - log_q, evidence.log_weights[: len(points)], atol=1e-3)
    assert seen["after"].witness
    assert fit.verdict in (Verdict.TRUST, Verdict.REWEIGHT, Verdict.REFRESH)
