"""Draws of the mixture in place of a guide's: as good as they say, not held against themselves, no merit of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from guidebench.analysis.problems import winners
from guidebench.config import make_config
from guidebench.contracts import Guide
from guidebench.engine.fit.draw import ToScore
from guidebench.engine.fit.lent import lend
from guidebench.engine.fit.score import Scored, score
from guidebench.engine.gate import Reference
from guidebench.metrics.builtin import guidebench_metrics
from guidebench.metrics.evidence import Evidence
from guidebench.plugins.isolation.failures import OWN
from guidebench.plugins.registry import Registered
from guidebench.request.selection import ChosenGuide
from guidebench.results import Chaining, Refresher, Status, Verdict
from tests import made

RANDOM = np.random.default_rng(8)
GUIDE, TRUE = RANDOM.normal(1.0, 0.5, 4_000), RANDOM.standard_normal(20_000)
MIXTURE = Reference(label="mixture", lends="mixture", chains={"x": TRUE[None]}, effective={"x": 9_000.0})
EXACT = Reference(label="exact posterior", chains={"x": TRUE[None]})
UNSETTLED = Chaining(settled=False, note="paths met what is too narrow", chains=256, drift=0.02)
SETTLED = Chaining(settled=True, chains=256, drift=0.02)
NEEDLESS = Chaining(settled=False, instead="mixture")


def scored(reference: Reference, chains: Chaining = UNSETTLED, refreshed: Any = None) -> Scored:
    declaration = Guide(name="g", build=lambda model: model)
    own = ChosenGuide(registered=Registered(declaration, "acme", OWN), label="g")
    parts = {} if refreshed is None else {"refreshed": {"x": refreshed}}
    evidence = Evidence(latents={"x": GUIDE}, log_weights=RANDOM.standard_normal(4_000) ** 3, **parts)
    drawn = ToScore(evidence, Status.CONVERGED, stopped=False, chains=chains, names=("p", "g"))
    metrics = [Registered(one, "builtin", OWN) for one in guidebench_metrics()]
    return score(drawn, reference, own, metrics, make_config({"draws": 5_000}))


def named(found: Scored) -> dict[str, float]:
    return {one.metric: one.value for one in found.metrics if one.variable == "x"}


@pytest.mark.parametrize("as_what", ["reference", "witness"])
def test_they_stand_in_and_are_not_held_against_themselves(as_what: str) -> None:
    found = scored(MIXTURE if as_what == "reference" else Reference(witness=MIXTURE))
    assert found.judgement.verdict is Verdict.REFRESH
    assert found.lent["x"].shape == (4_000,)
    values = named(found)
    assert values["sd_refreshed"] == pytest.approx(1.0, abs=0.04)
    assert values["mean_moved"] == pytest.approx(1.0, abs=0.05)
    assert "refreshed_mean_error" not in values
    assert "witness_refreshed_mean_error" not in values
    assert ("mean_error" in values) is (as_what == "reference")
    assert ("witness_mean_error" in values) is (as_what == "witness")


@pytest.mark.parametrize("lends", ["mixture", "groups"])
def test_where_no_chains_were_needed_they_decide_alone_and_say_whose_they_are(lends: Refresher) -> None:
    found = scored(Reference(witness=replace(MIXTURE, label=lends, lends=lends)), NEEDLESS)
    assert (found.judgement.verdict, found.lender) == (Verdict.REFRESH, lends)
    assert found.judgement.evidence[-1].source == lends
    assert "No chains" not in found.judgement.reason
    right = scored(Reference(witness=replace(MIXTURE, chains={"x": GUIDE[None]})), NEEDLESS)
    assert (right.judgement.verdict, right.lender, right.lent) == (Verdict.TRUST, "", {})


def test_they_are_the_same_in_every_run_and_others_for_another_guide() -> None:
    first, second, other = (lend(MIXTURE, 500, seed).draws["x"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_fewer_draws_are_worth_less_by_what_drawing_them_costs() -> None:
    weights = 1 / (1 / 9_000 - 1 / 20_000)
    assert lend(MIXTURE, 5_000, 0).effective["x"] == pytest.approx(1 / (1 / weights + 1 / 5_000))
    whole = lend(MIXTURE, 30_000, 0)
    assert len(whole.draws["x"]) == 20_000
    assert whole.effective["x"] == pytest.approx(9_000)
    # The error of their mean over many choices, of draws that are worth as many as they are.
    even = Reference(label="mixture", lends="mixture", chains={"x": TRUE[None]}, effective={"x": 20_000.0})
    means = [lend(even, 400, seed).draws["x"].mean() for seed in range(300)]
    assert np.std(means) == pytest.approx(TRUE.std() / np.sqrt(lend(even, 400, 0).effective["x"]), rel=0.15)


def test_nothing_stands_in_where_chains_are_vouched_for_or_there_is_no_mixture() -> None:
    elsewhere = TRUE[:4_000] + 1.0
    found = scored(Reference(witness=MIXTURE), SETTLED, elsewhere)
    assert found.judgement.verdict is Verdict.DISTRUST
    assert not found.lent
    assert named(found)["witness_refreshed_mean_error"] > 0.9
    assert scored(EXACT).judgement.verdict is Verdict.DISTRUST
    assert EXACT.lender is None


def test_the_guide_itself_wins_nothing_by_them() -> None:
    lent = made.fit("lent", {"elbo": -1.0}, verdict=Verdict.REFRESH, refreshed_by="mixture")
    assert lent.own_verdict is Verdict.DISTRUST
    own = made.fit("own", {"elbo": -2.0}, verdict=Verdict.REWEIGHT)
    (one,) = winners(made.comparison(lent, own))
    assert (one.guides, one.verdict) == (("own",), Verdict.REWEIGHT)
    (alone,) = winners(made.comparison(lent))
    assert not alone.usable
