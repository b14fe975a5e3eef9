"""Putting draws to the test: by what the search found where that was accepted, else by chains; failing does no harm."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from guidebench.engine.fit import judge
from guidebench.engine.fit.draw import Drawn, Judged, Refreshed, ToScore
from guidebench.engine.gate import Reference
from guidebench.metrics.evidence import Evidence
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.results import Chaining, Status, Work
from tests import made

DRAWS = {"x": np.zeros(10)}
TO_SCORE = ToScore(Evidence(latents=DRAWS, gradients=100), Status.CONVERGED, stopped=False, most=5_000)


def case(bound: str = "elbo") -> Any:
    def boundary(phase: Any) -> Boundary:
        return Boundary(phase, plugin="p", distribution="d", name="g")

    return SimpleNamespace(declaration=SimpleNamespace(bound=bound), boundary=boundary)


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many gradients chains are given; they do not settle, and take a thousand."""
    asked: list[int] = []

    def refresh(case: Any, drawn: Any, most: int) -> Refreshed:
        asked.append(most)
        return Refreshed(Chaining(settled=False, chains=256, gradients=1_000), Work(gradients=1_000))

    monkeypatch.setattr(judge, "refresh", refresh)
    monkeypatch.setattr(judge, "of_a_flow", lambda case, params: False)
    return asked


def made_of(lends: Any) -> Reference:
    return Reference(label=lends, lends=lends, chains={"x": np.zeros((1, 10))})


@pytest.mark.parametrize("lends", ["mixture", "groups"])
@pytest.mark.parametrize("as_what", ["reference", "witness"])
def test_no_chains_are_run_where_the_posterior_is_known(chains: list[int], lends: Any, as_what: str) -> None:
    reference = made_of(lends) if as_what == "reference" else Reference(witness=made_of(lends))
    found = judge.judge_draws(case(), TO_SCORE, reference)
    assert found.refreshed is not None
    assert found.refreshed.chains.instead == lends
    assert (found.work, chains) == (None, [])


@pytest.mark.parametrize(
    "reference",
    [
        Reference(),
        Reference(label="exact posterior", chains={"x": np.zeros((1, 10))}),
        Reference(label="NUTS", chains={"x": np.zeros((4, 10))}),
        # What was refused has no label, and is used for nothing.
        Reference(lends="mixture", note="its weights are worth 3 draws"),
        Reference(label="mixture", chains={"x": np.zeros((1, 10))}),  # a file of the user's that is called so
    ],
    ids=["none", "exact", "NUTS", "refused", "a file"],
)
def test_chains_are_run_in_all_other_cases(chains: list[int], reference: Reference) -> None:
    found = judge.judge_draws(case(), TO_SCORE, reference)
    assert chains == [5_000]
    assert found.work == Work(gradients=1_000)
    scored = TO_SCORE.with_judged(found)
    assert scored.evidence.gradients == 1_100
    assert scored.chains is not None
    assert scored.chains.chains == 256


def test_a_point_is_not_put_to_the_test(chains: list[int]) -> None:
    assert judge.judge_draws(case("none"), TO_SCORE, Reference()) == Judged()
    assert chains == []


def test_what_goes_wrong_leaves_the_fit_as_sound_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(case: Any, params: Any) -> bool:
        raise ValueError("no such parameter")

    monkeypatch.setattr(judge, "of_a_flow", broken)
    found = judge.judge_draws(case(), TO_SCORE, Reference())
    assert found.refreshed is not None
    assert "no such parameter" in found.refreshed.chains.note
    assert not found.refreshed.chains.settled


def test_what_it_took_is_counted_once_and_what_was_seen_is_said() -> None:
    drawn = Drawn(fit=made.fit(), to_score=TO_SCORE, groups={}, remarks=("slow",))
    chained = Refreshed(Chaining(settled=True, chains=256))
    judged = Judged(chained, Work(gradients=300, seconds=2.0), {"x": np.ones(5)}, {"x": 5.0}).remarking("and wide")
    found = drawn.with_judged(judged.spending(Work(gradients=50, seconds=1.0)))
    assert found.fit.work["judging"] == Work(gradients=350, seconds=3.0)
    assert found.remarks == ("slow", "and wide")
    assert found.to_score.chains == chained.chains
    scored = TO_SCORE.with_judged(judged)
    assert scored.evidence.gradients == 400
    assert scored.evidence.witness["x"].sum() == 5
