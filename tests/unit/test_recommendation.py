"""Which draws to use: repaired ones before none, what is known before what would have to be run, and what to try."""

from __future__ import annotations

from typing import Any

import pytest

from guidebench.analysis.recommendation import recommend
from guidebench.api import Fit
from guidebench.results import Chaining, Status, Verdict
from tests import made

UNSETTLED = Chaining(settled=False, note="moments still moved", chains=256, drift=0.4)


def fit(guide: str, verdict: Verdict, seconds: float = 1.0, elbo: float = -1.0, **parts: Any) -> Fit:
    found: Fit = made.fit(guide, {"elbo": elbo, **parts.pop("metrics", {})}, verdict=verdict, train_s=seconds, **parts)
    return found


FAR = fit("far", Verdict.DISTRUST)


def test_refreshed_draws_come_before_none() -> None:
    said = recommend([FAR, fit("slow", Verdict.REFRESH, 9), fit("quick", Verdict.REFRESH, 1)])
    assert "the chains that began at quick, the quickest of 2" in said
    assert said.endswith("Do not use the intervals of far.")


def test_beside_a_trusted_guide_it_is_said_how_the_others_are_to_be_used() -> None:
    said = recommend([fit("good", Verdict.TRUST), fit("again", Verdict.REFRESH), fit("heavy", Verdict.REWEIGHT)])
    assert said.startswith("Use good: the only guide")
    assert "Of again use only the refreshed draws." in said
    assert "Use the draws of heavy only with their weights." in said


def test_draws_of_the_mixture_are_no_merit_of_a_guide() -> None:
    lent = fit("lost", Verdict.REFRESH, refreshed_by="mixture")
    said = recommend([FAR, lent])
    assert said.startswith("None of these guides can be used on this problem. Use the refreshed draws that are kept ")
    assert "beside those of lost: they are those of the mixture" in said
    assert said.endswith("owe nothing to any guide.")
    said = recommend([lent, fit("own", Verdict.REFRESH, 9, refreshed_by="chains")])
    assert "the chains that began at own, which settled." in said
    assert "Do not use the intervals of lost." in said
    known = made.record(reference="mixture")
    assert "You need none of them here: the reference (mixture) is known" in recommend([lent], known)


@pytest.mark.parametrize("verdict", [Verdict.REFRESH, Verdict.REWEIGHT])
def test_it_never_ends_with_nothing_where_draws_were_repaired(verdict: Verdict) -> None:
    said = recommend([FAR, fit("mended", verdict)])
    assert "mended" in said
    assert "NUTS" not in said


def test_who_knows_the_posterior_is_not_sent_to_sample_it() -> None:
    said = recommend([FAR], made.record(reference="exact posterior"))
    assert "exact posterior" in said
    assert "NUTS" not in said


def test_what_was_seen_says_what_to_try() -> None:
    late = fit("late", Verdict.DISTRUST, status=Status.MAX_STEPS, chains=UNSETTLED)
    said = recommend([late, fit("one", Verdict.DISTRUST, metrics={"dropped_mass": 0.4})])
    assert "several modes" in said
    assert "Chains from late came nearest, but did not settle (a moment still moved by 0.40 sd)" in said
    assert "Train late longer" in said
    assert said.endswith("If that does not help, use NUTS, and see that its chains agree.")


def test_nuts_that_failed_is_not_recommended_as_it_was() -> None:
    said = recommend([FAR], made.record(reference_checks={"rhat": 1.2}))
    assert "NUTS failed its checks" in said
    assert "use NUTS" not in said


def test_points_alone_ask_for_a_guide_with_intervals() -> None:
    assert "such as auto_normal" in recommend([fit("delta", Verdict.POINT, bound="none")])


def test_draws_that_nothing_looked_at_are_not_called_bad() -> None:
    unknown = fit("path", Verdict.DISTRUST, bound="augmented")
    assert "How good the draws of path are cannot be told" in recommend([fit("good", Verdict.TRUST), unknown])
    chained = fit("path", Verdict.DISTRUST, bound="augmented", chains=UNSETTLED)
    assert "Do not use the intervals of path." in recommend([fit("good", Verdict.TRUST), chained])
