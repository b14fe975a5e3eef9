"""Metrics of refreshed draws: against moments by hand, with errors that are the errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from guidebench.contracts import MetricValue
from guidebench.metrics.evidence import Evidence, read_only
from guidebench.metrics.refreshed import refreshed

RANDOM = np.random.default_rng(5)
GUIDE = RANDOM.normal(0.3, 0.8, 4_000)
CHAINS = RANDOM.standard_normal(2_000)


def evidence(**parts: Any) -> Evidence:
    usual = {"latents": {"x": GUIDE}, "log_weights": np.zeros(len(GUIDE)), "refreshed": {"x": CHAINS}}
    return Evidence(**{**usual, **parts})


def found(**parts: Any) -> dict[tuple[str, str], MetricValue]:
    return {(one.metric, one.variable): one for one in refreshed(evidence(**parts))}


def test_moments_and_errors_by_hand() -> None:
    values = found()
    sd = np.std(CHAINS, ddof=1)
    assert values["mean_refreshed", "x"].value == pytest.approx(CHAINS.mean())
    assert values["sd_refreshed", "x"].value == pytest.approx(sd)
    assert values["mean_moved", "x"].value == pytest.approx(abs(GUIDE.mean() - CHAINS.mean()) / sd)
    assert values["sd_moved", "x"].value == pytest.approx(abs(np.std(GUIDE, ddof=1) / sd - 1))
    assert values["mean_moved", ""].value == values["mean_moved", "x"].value
    # Equal weights repair nothing.
    raw, again = values["mean_moved", "x"].value, values["reweighted_mean_moved", "x"].value
    assert again == pytest.approx(raw)


def test_the_errors_are_those_of_both_sides_and_of_what_the_draws_are_worth() -> None:
    moved = found()["mean_moved", "x"]
    sides = GUIDE.var() / len(GUIDE) + CHAINS.var() / len(CHAINS) * (1 + moved.value**2 / 2)
    assert moved.mcse == pytest.approx(np.sqrt(sides) / CHAINS.std(), rel=0.02)
    worth = found(refreshed_ess={"x": 500.0})
    assert worth["mean_refreshed", "x"].mcse == pytest.approx(CHAINS.std() / np.sqrt(500), rel=0.01)
    assert (worth["mean_moved", "x"].mcse or 0) > 1.3 * (moved.mcse or 0)


def test_weights_and_the_reference_are_looked_at_where_they_are_there() -> None:
    names = {metric for metric, _ in found()}
    assert "refreshed_mean_error" not in names
    assert "reweighted_sd_moved" in names
    assert "reweighted_sd_moved" not in {metric for metric, _ in found(marginal_weights=False)}
    against = found(reference={"x": CHAINS + 1.0})
    assert against["refreshed_mean_error", "x"].value == pytest.approx(1.0 / np.std(CHAINS, ddof=1))
    assert against["refreshed_sd_error", ""].value == pytest.approx(0.0, abs=1e-12)


def test_the_part_of_the_evidence_is_named_and_cannot_be_written_to() -> None:
    assert not evidence(refreshed={}).has("refreshed")
    seen = read_only(evidence(refreshed_ess={"x": 3.0}))
    assert seen.has("refreshed")
    ((name, draws),) = seen.refreshed_scalars()
    assert name == "x"
    with pytest.raises(ValueError, match="read-only"):
        draws[0] = 1.0
