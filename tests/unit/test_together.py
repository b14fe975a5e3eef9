"""What chains of different guides say of each other."""

from __future__ import annotations

from typing import Any

import pytest

from guidebench.analysis.together import together
from guidebench.results import Chaining, Finding, Fit, Verdict
from tests import made


def settled(guide: str, mean: float, sd: float = 1.0, error: float = 0.01, **parts: Any) -> Fit:
    metrics = {"mean_refreshed[s]": (mean, error), "sd_refreshed[s]": (sd, error)}
    usual = {"verdict": Verdict.REFRESH, "chains": Chaining(settled=True, chains=256), "sites": {"s": Verdict.REFRESH}}
    found: Fit = made.fit(guide, metrics, kind=Fit, **{**usual, **parts})
    return found


def test_chains_that_settle_elsewhere_are_evidence_against_each_other() -> None:
    first, second, third = together([settled("a", 0.0), settled("b", 0.0), settled("c", 3.0)])
    assert {first.verdict, second.verdict, third.verdict} == {Verdict.DISTRUST}
    assert "settled in different places" in first.reason
    assert "those of c " in first.reason
    assert "3.00 sd in the mean of s" in first.reason
    assert third.evidence[-1].source == "guides"
    assert third.sites == {"s": Verdict.DISTRUST}


def test_chains_that_agree_change_nothing() -> None:
    fits = [settled("a", 0.0), settled("b", 0.05), settled("c", -0.04, 1.1)]
    assert together(fits) == tuple(fits)


@pytest.mark.parametrize(("sd", "verdict"), [(1.1, Verdict.REFRESH), (1.4, Verdict.DISTRUST)])
def test_sds_count_like_means(sd: float, verdict: Verdict) -> None:
    assert together([settled("a", 0.0), settled("b", 0.0, sd)])[0].verdict is verdict


def test_noise_alone_contradicts_nobody() -> None:
    fits = [settled("a", 0.0, error=0.5), settled("b", 0.6, error=0.5)]
    assert together(fits) == tuple(fits)


def test_a_reference_knows_better() -> None:
    known = (Finding(source="reference", raw=True, refreshed=True),)
    fits = [settled("a", 0.0, evidence=known), settled("b", 3.0)]
    assert together(fits) == tuple(fits)


def test_it_says_the_same_when_asked_twice() -> None:
    once = together([settled("a", 0.0), settled("b", 3.0)])
    assert together(once) == once


def test_chains_that_did_not_settle_have_no_say() -> None:
    moving = settled("b", 3.0, verdict=Verdict.DISTRUST, chains=Chaining(settled=False, note="moments still move"))
    assert together([settled("a", 0.0), moving])[0].verdict is Verdict.REFRESH
