"""A budget is kept within a stretch of training or a block of chains, and whatever it leaves out is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import guidebench as gb
from guidebench.config.budget import Budget
from guidebench.engine import allowance
from guidebench.engine.allowance import STRETCHES, TRAINING, Meter, fitted
from guidebench.inference.chains.moves import CHAINS
from guidebench.inference.chains.path import BLOCK, MOST_STEPS
from guidebench.inference.recipe import RECIPES
from guidebench.results import Comparison, Status, Work
from guidebench.results.work import total

GUIDES = ["auto_normal", "auto_multivariate_normal"]
GRADIENTS = 120_000
SAID = "the budget of 120,000 gradients was spent"


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("200000", 200_000, "gradients"),
        ("200_000", 200_000, "gradients"),
        ("60s", 60.0, "seconds"),
        ("0.5 s", 0.5, "seconds"),
    ],
)
def test_a_budget_is_a_number_of_gradients_or_of_seconds(text: str, amount: float, unit: str) -> None:
    found = Budget.parse(text)
    assert (found.amount, found.unit) == (amount, unit)
    assert Budget.parse(found.text) == found


@pytest.mark.parametrize("text", ["", "0", "0s", "-3", "1e5", "60m", "nan", "1.5"])
def test_nothing_else_is_one(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        Budget.parse(text)


def test_starts_are_given_up_before_steps_and_rounds_only_where_they_would_not_fit() -> None:
    recipe = RECIPES["default"]  # 10 particles, 4 starts, 4,000 steps, 3 rounds
    everything = recipe.particles * recipe.restarts * recipe.most_steps()
    for most in (700, 5_000, 40_000, 100_000, 160_000, 500_000, everything):
        found = fitted(recipe, most, "said")
        assert found.recipe is not None
        assert found.recipe.particles * found.recipe.restarts * found.recipe.most_steps() <= most
        assert found.recipe.steps == recipe.steps or found.recipe.restarts == 1
        assert found.recipe.steps == recipe.steps or found.recipe.steps % STRETCHES == 0
    assert fitted(recipe, everything, "said") == (recipe, (), ())
    assert fitted(recipe, 100_000, "said").left_out == ("trained from 2 starts of 4: said",)
    assert fitted(recipe, 5_000, "said").left_out == ("trained from 1 start of 4, for 496 steps of 4,000: said",)
    # That fewer rounds fit matters only to a training that would have gone on.
    assert fitted(recipe, 500_000, "said") == (
        replace(recipe, rounds=2),
        (),
        ("trained for no more than 12,000 steps of 28,000: said",),
    )
    assert fitted(recipe, 300, "said") == (None, ("not trained: said",), ())


def test_a_meter_counts_gradients_or_watches_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(Budget.parse("100"), 100)
    meter.charge(Work(gradients=60, densities=1_000))
    assert (meter.left(), meter.most(80), meter.over(), meter.over(40)) == (40, 40, False, True)
    now = 0.0
    monkeypatch.setattr(allowance.time, "perf_counter", lambda: now)
    timed = Meter(Budget.parse("10s"), 4.0)
    timed.charge(Work(gradients=1_000))
    assert (timed.left(), timed.most(80), timed.over(10**9)) == (4.0, 80, False)
    now = 4.0
    assert (timed.most(80), timed.over()) == (0, True)
    free = Meter()
    free.charge(Work(gradients=1_000))
    assert (free.most(80), free.over(10**9), free.limited) == (80, False, False)


@pytest.fixture(scope="module")
def cut() -> Comparison:
    found: Comparison = gb.compare(
        "linear-regression", guides=GUIDES, budget=GRADIENTS, reference="nuts", recipe="adam"
    )
    return found


def _spent(comparison: Comparison) -> int:
    (record,) = comparison.problems
    parts = [record.work.values(), *(fit.work.values() for fit in comparison)]
    return sum(total(one).gradients for one in parts)


@pytest.mark.slow
def test_a_budget_is_kept_within_one_block(cut: Comparison) -> None:
    assert _spent(cut) <= GRADIENTS + BLOCK * MOST_STEPS * CHAINS
    share = TRAINING * (GRADIENTS - cut.problems[0].work["search"].gradients) / len(GUIDES)
    for fit in cut:
        assert 0.9 * share < fit.work["training"].gradients <= share
        assert len(fit.restarts) == 1


@pytest.mark.slow
def test_all_that_is_cut_is_said(cut: Comparison) -> None:
    for fit in cut:
        first, *_ = fit.left_out
        assert first == f"trained from 1 start of 4, for {fit.steps:,} steps of 4,000: {SAID}"
        assert all(one in fit.message for one in fit.left_out)
        judged = fit.chains is not None and fit.chains.settled
        assert judged or any(one in fit.left_out for one in (f"not judged: {SAID}", f"its chains were ended: {SAID}"))
    (record,) = cut.problems
    assert record.reference == ""
    assert record.left_out == (f"NUTS was not run: {SAID}.",)
    assert record.left_out[0] in record.reference_note
    assert "nuts" not in record.work


@pytest.mark.slow
def test_the_best_by_the_elbo_is_judged_first(cut: Comparison) -> None:
    best = max(cut, key=lambda fit: fit.value("elbo") or -np.inf)
    others = [fit for fit in cut if fit is not best]
    assert best.chains is not None
    assert best.chains.gradients >= max(0 if one.chains is None else one.chains.gradients for one in others)


@pytest.mark.slow
def test_worker_processes_keep_the_same_budget_to_the_bit(cut: Comparison) -> None:
    again = gb.compare("linear-regression", guides=GUIDES, budget=GRADIENTS, reference="nuts", recipe="adam", jobs=2)
    for fit, other in zip(cut, again, strict=True):
        assert (fit.metrics, fit.work, fit.left_out, fit.verdict) == (
            other.metrics,
            other.work,
            other.left_out,
            other.verdict,
        )
    assert cut.problems[0].work == again.problems[0].work


def test_where_the_search_took_everything_nothing_is_trained_and_that_is_said() -> None:
    found: Any = gb.compare("linear-regression", guides="auto_normal", budget=100, reference="none")
    (fit,) = found
    assert fit.status is Status.FAILED
    assert fit.message == "not trained: the budget of 100 gradients was spent"
    assert fit.left_out == (fit.message,)
    assert "training" not in fit.work


def test_where_the_search_took_longer_than_there_is_time_nothing_is_trained() -> None:
    found: Any = gb.compare(
        "linear-regression", guides="auto_normal", recipe="plain", budget="0.001s", reference="none"
    )
    (fit,) = found
    assert fit.message == "not trained: the budget of 0.001 s was spent"


@pytest.mark.slow
def test_seconds_end_training_after_a_stretch_and_it_has_not_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Meter, "over", lambda meter, gradients=0: meter.timed)
    found: Any = gb.compare(
        "linear-regression", guides="auto_normal", restarts=1, budget="10000s", reference="none", recipe="adam"
    )
    (fit,) = found
    assert fit.steps == RECIPES["adam"].steps // STRETCHES
    assert fit.rounds == (fit.steps,)
    assert fit.work["training"].gradients == fit.steps * RECIPES["adam"].particles
    assert fit.status is Status.MAX_STEPS
    assert fit.left_out[0] == f"training was ended after {fit.steps:,} steps: the budget of 10000 s was spent"
    assert fit.left_out[0] in fit.message
    assert fit.chains is not None
    assert not fit.chains.settled
