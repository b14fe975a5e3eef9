"""A problem at a glance: the order of guides is that of the recommendation, and reasons have ten words at the most."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from guidebench.analysis.answer import answer, chosen, ranked
from guidebench.analysis.recommendation import recommend
from guidebench.analysis.short import MOST_WORDS, why
from guidebench.api import Fit
from guidebench.results import Chaining, Finding, Status, Verdict
from tests import made

UNSETTLED = Chaining(settled=False, note="", chains=256)


def fit(guide: str, verdict: Verdict = Verdict.TRUST, *, mean: float = 0.02, sd: float = 0.03, **parts: Any) -> Fit:
    metrics = {
        "mean_error": mean, "mean_error[tau]": mean, "sd_error": sd, "sd_error[theta[3]]": sd,
        **parts.pop("metrics", {}),
    }  # fmt: skip
    found: Fit = made.fit(guide, metrics, verdict=verdict, **parts)
    return found


def test_guides_are_in_the_order_of_the_recommendation() -> None:
    fits = [
        made.fit("dead", verdict=Verdict.FAILED, status=Status.FAILED),
        fit("point", Verdict.POINT, bound="none"),
        fit("worse", Verdict.DISTRUST, sd=0.9),
        fit("bad", Verdict.DISTRUST, sd=0.4),
        fit("lent", Verdict.REFRESH, refreshed_by="mixture"),
        fit("weighted", Verdict.REWEIGHT, metrics={"elbo": -3.0}),
        fit("heavier", Verdict.REWEIGHT, metrics={"elbo": -2.0}),
        fit("mended", Verdict.REFRESH, refreshed_by="chains"),
        fit("slow", train_s=9.0),
        fit("quick", train_s=1.0),
    ]
    names = [one.guide for one in ranked(fits)]
    assert names == ["quick", "slow", "mended", "heavier", "weighted", "lent", "bad", "worse", "point", "dead"]
    for skipped in range(len(names)):
        left = [one for one in fits if one.guide not in names[:skipped]]
        first = answer(left, made.record()).lines[0].guide
        assert first == names[skipped]
        source, guide = chosen(left, made.record())
        if source in ("guide", "chains", "weights"):
            assert guide == first
            assert first in recommend(left).split(".")[0]


@pytest.mark.parametrize(
    ("made_of", "said"),
    [
        ({}, "means within 0.02 sd, sds within 3%, by reference"),
        ({"verdict": Verdict.REFRESH, "sd": 0.29}, "chains repair it: sd of theta[3] off by 29%"),
        ({"verdict": Verdict.REFRESH}, "chains are surer than its own draws"),
        ({"verdict": Verdict.REFRESH, "refreshed_by": "mixture", "sd": 0.2},
         "use the mixture: sd of theta[3] off by 20%"),
        ({"verdict": Verdict.REWEIGHT, "mean": 0.31}, "weights repair it: mean of tau off by 0.31 sd"),
        ({"verdict": Verdict.DISTRUST, "mean": 0.31}, "mean of tau off by 0.31 sd; nothing repairs it"),
        ({"verdict": Verdict.DISTRUST, "chains": UNSETTLED},
         "its chains did not settle; nothing else can tell"),
        ({"verdict": Verdict.DISTRUST, "metrics": {"dropped_mass": 0.4},
          "evidence": (Finding(source="modes", raw=False),)}, "misses modes that hold 40% of the posterior"),
        ({"verdict": Verdict.POINT}, "a point estimate: no spread, no intervals"),
        ({"verdict": Verdict.FAILED, "message": " ".join("abcdefghijklm")}, "a b c d e f g h i j …"),
    ],
)  # fmt: skip
def test_a_reason_has_ten_words_and_names_the_worst(made_of: dict[str, Any], said: str) -> None:
    found = why(fit("g", **made_of))
    assert found == said
    assert len(found.removesuffix(" …").split()) <= MOST_WORDS


def test_errors_are_measured_against_the_best_that_is_known() -> None:
    chained = {"mean_moved": 0.3, "sd_moved": 0.2, "mean_shift": 0.4, "sd_shift": 0.5}
    only_chains = made.fit("a", chained)
    found = answer([only_chains], made.record())
    (line,) = answer([only_chains], made.record()).lines
    assert (line.against, line.mean_error, line.sd_error) == ("chains", 0.3, 0.2)
    found = answer([only_chains, fit("b")], made.record())
    assert {line.guide: line.against for line in found.lines} == {"a": "chains", "b": "reference"}
    (line,) = answer([made.fit()], made.record()).lines
    assert (line.against, line.mean_error) == ("", None)


def test_weights_that_say_nothing_measure_nothing() -> None:
    shifted = {"mean_shift": 6.0, "sd_shift": 5.0}
    heavy = Finding(source="weights", said="Its weights have no mean (k-hat 7.37): they say nothing.")
    lost = made.fit("g", shifted, verdict=Verdict.DISTRUST, evidence=(heavy,), chains=UNSETTLED)
    (line,) = answer([lost], made.record()).lines
    assert (line.mean_error, line.why) == (None, "its chains did not settle; nothing else can tell")
    telling = made.fit("g", shifted, verdict=Verdict.DISTRUST, evidence=(replace(heavy, raw=False),), chains=UNSETTLED)
    assert answer([telling], made.record()).lines[0].why == "mean off by 6.00 sd; nothing repairs it"


def test_an_error_that_is_no_number_is_the_largest() -> None:
    assert "off by nan" in why(fit("g", Verdict.DISTRUST, mean=float("nan")))


def test_what_to_use_instead_is_one_sentence_with_that_nothing_can_be_used() -> None:
    bad = [fit("bad", Verdict.DISTRUST)]
    known = answer(bad, made.record(reference="NUTS"))
    assert known.headline == (
        "None of these guides can be used on this problem; you need none of them here: the reference (NUTS) is known, "
        "use its draws."
    )
    assert (known.source, known.guide) == ("reference", "")
    failed = answer(bad, made.record(reference_checks={"rhat": 1.2}))
    assert "; NUTS failed its checks" in failed.headline
    assert failed.source == ""


def test_a_guide_of_which_nothing_is_known_is_held_against_the_chains_of_one_that_is_used() -> None:
    used = made.fit("used", {"mean_refreshed[a]": 1.0, "sd_refreshed[a]": 2.0, "mean_moved": 0.0, "sd_moved": 0.0},
                    refreshed_by="chains")  # fmt: skip
    lost = made.fit("lost", {"mean[a]": 2.0, "sd[a]": 1.0}, verdict=Verdict.DISTRUST)
    found = answer([lost, used], made.record())
    first, second = found.lines
    assert (first.guide, first.against) == ("used", "chains")
    assert (second.against, second.mean_error, second.sd_error) == ("others", 0.5, 0.5)
    assert found.standard == "used"
    unusable = replace(used, verdict=Verdict.DISTRUST)
    assert [line.mean_error for line in answer([lost, unusable], made.record()).lines if line.guide == "lost"] == [None]
