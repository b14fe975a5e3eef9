"""The short way to draws: what is tried before what, where it ends, and what it says of itself."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import guidebench as gb
from guidebench.engine import until
from guidebench.engine.chained import LABEL as CHAINS
from guidebench.engine.gate import MIXTURE, Reference
from guidebench.engine.references import Rung
from guidebench.engine.sampled import LABEL as NUTS
from guidebench.results import Disagreement, Verdict, Work
from tests import made
from tests.numerics.referenced import line_problem

#: What a kind of draws came to: none can be made, they failed or passed their checks, or they contradict others.
NONE, FAILED, PASSED, APART = "none", "failed", "passed", "apart"

SOON = ", soon given up"

#: What mixture, groups of chains and NUTS came to, and which guide can be used; then what is tried, and who won.
CASES: dict[str, tuple[tuple[str, str, str], str, list[str], str]] = {
    "a mixture": ((PASSED, PASSED, PASSED), "", ["mixture"], "by the mixture"),
    "groups": ((NONE, PASSED, PASSED), "", ["mixture", "chains"], "by groups of chains"),
    "NUTS, where groups did not settle": ((FAILED, FAILED, PASSED), "dear", ["mixture", "chains", "NUTS"], "by NUTS"),
    "a guide, where NUTS failed, too": (
        (FAILED, FAILED, FAILED),
        "dear",
        ["mixture", "chains", "NUTS", f"cheap{SOON}", f"dear{SOON}"],
        "by dear",
    ),
    "a guide, where no chains could be run": (
        (NONE, NONE, PASSED),
        "cheap",
        ["mixture", "chains", "cheap"],
        "by cheap",
    ),
    "NUTS, where no guide did": (
        (FAILED, NONE, PASSED),
        "",
        ["mixture", "chains", "cheap", "dear", "NUTS"],
        "by NUTS",
    ),
    "nothing": ((NONE, NONE, NONE), "", ["mixture", "chains", "cheap", "dear", "NUTS"], ""),
    "two that contradict each other": ((FAILED, APART, PASSED), "cheap", ["mixture", "chains"], ""),
}


def rung(label: str, came_to: str, tried: list[str]) -> Rung:
    """Return a kind of draws that comes to that."""

    def make(asked: Any) -> Reference | str:
        tried.append(label)
        work = {label: Work(gradients=100, seconds=1.0)}
        if came_to == NONE:
            return "it cannot be"
        if came_to == APART:
            return Reference(disagreement=Disagreement(between=("a", "b"), said="far"), note="They differ.", work=work)
        if came_to == FAILED:
            return Reference(note=f"{label} failed.", work=work)
        chains = {"w": np.random.default_rng(0).normal(size=(4, 200))}
        return Reference(label=label, chains=chains, note=f"{label} passed.", work=work)

    return Rung(label, label, make)


@pytest.mark.parametrize(("came_to", "usable", "expected", "by"), CASES.values(), ids=CASES.keys())
def test_the_first_draws_that_can_be_used_are_taken(
    came_to: tuple[str, str, str], usable: str, expected: list[str], by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    rungs = [rung(label, one, tried) for label, one in zip((MIXTURE, CHAINS, NUTS), came_to, strict=True)]
    monkeypatch.setattr(until, "QUICK", tuple(rungs[:2]))
    monkeypatch.setattr(until, "SLOW", tuple(rungs[2:]))

    def fitted(self: Any, guide: Any, prepared: Any, reference: Reference, *, as_nuts: bool) -> Any:
        name = "cheap" if guide.label == "mean_field" else "dear"
        tried.append(f"{name}{SOON * as_nuts}")
        draws = until.labelled({"w": np.zeros((1, 100))}, prepared.structure, {})
        verdict = Verdict.TRUST if name == usable else Verdict.DISTRUST
        work = {"training": Work(gradients=1_000)}
        return made.fit(name, problem="line", verdict=verdict, inference_data=draws, work=work)

    monkeypatch.setattr(until._Way, "_fitted", fitted)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        guides = ("auto_multivariate_normal", "mean_field", "auto_delta")  # the last has no draws, and is left out
        found = gb.posterior(line_problem(), guides=guides, progress=False)
    assert tried == expected
    if not by:
        assert found is None
        assert any("No draws that can be used were found" in str(one.message) for one in caught)
        return
    assert found is not None
    told = found["posterior"].attrs
    assert told["won"].startswith(f"Draws were won {by}")
    costs = [100 for label, one in zip((MIXTURE, CHAINS, NUTS), came_to, strict=True) if label in tried and one != NONE]
    trained = [1_000 for one in tried if one.startswith(("cheap", "dear"))]
    assert told["gradients"] >= sum(costs) + sum(trained)
    assert f"{told['gradients']:,} gradients" in told["won"]
