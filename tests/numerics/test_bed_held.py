"""How verdicts are held against the test bed's answers, on fits made by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from guidebench.contracts import MetricValue
from guidebench.results import Comparison, ProblemRecord, Verdict
from tests import made
from tests.numerics.bed import held, tables
from tests.numerics.bed.catalogue import problems

BED = problems()

NAME = "multivariate-t"

#: Values by metric and component.
Numbers = dict[tuple[str, str], float]


def moments(kind: str = "", mean: float = 0.0, sd: float = 0.0) -> Numbers:
    """Return moments that are wrong by so many sds and by such a share."""
    known = BED[NAME].answer.items()
    means = {(f"mean{kind}", name): one.mean + mean * one.sd for name, one in known}
    return means | {(f"sd{kind}", name): one.sd * (1 + sd) for name, one in known}


def one_fit(verdict: str, *parts: Numbers, name: str = NAME) -> dict[str, Any]:
    """Return the record of a problem with one fit."""
    metrics = tuple(
        MetricValue(metric=metric, variable=variable, value=value)
        for part in parts
        for (metric, variable), value in part.items()
    )
    fit = made.fit(metrics=metrics, problem=name, verdict=Verdict(verdict))
    run = Comparison(name="run", problems=(ProblemRecord(name=name),), fits=(fit,))
    return {**held.record(BED[name], run), "asked": "none", "seed": 0}


@pytest.mark.parametrize(
    ("mean", "sd", "right"),
    [(0.0, 0.0, True), (0.09, 0.14, True), (0.11, 0.0, False), (0.0, 0.16, False), (0.0, -0.16, False)],
)
def test_draws_are_right_within_the_limits(mean: float, sd: float, right: bool) -> None:
    (fit,) = one_fit("trust", moments(mean=mean, sd=sd))["fits"]
    assert held.right(fit, "raw") is right
    assert fit["raw"]["mean_error"] == pytest.approx(mean)
    assert fit["raw"]["sd_error"] == pytest.approx(abs(sd))
    assert held.sound(fit) is right


def test_each_word_answers_for_its_own_draws() -> None:
    parts = [moments(mean=0.5), moments("_reweighted", mean=0.01), moments("_refreshed", mean=0.5)]
    words = {word: one_fit(word, *parts)["fits"][0] for word in ("trust", "reweight", "distrust")}
    assert [held.sound(fit) for fit in words.values()] == [False, True, True]
    assert not held.too_careful(words["distrust"])
    assert held.too_careful(one_fit("distrust", moments())["fits"][0])


def test_a_word_for_draws_that_are_not_there_is_wrong() -> None:
    (fit,) = one_fit("reweight", moments())["fits"]
    assert fit["refreshed"] is fit["reweighted"] is None
    assert not held.sound(fit)


def test_a_component_without_a_number_is_wrong() -> None:
    answer = BED[NAME].answer
    means = {name: one.mean for name, one in answer.items()}
    sds = {name: one.sd for name, one in answer.items()}
    found = held.errors_of(answer, means | {"x[1]": math.nan}, sds)
    assert found is not None
    assert (found["mean_error"], found["mean_of"], found["right"]) == (None, "x[1]", False)
    found = held.errors_of(answer, means, {name: sd for name, sd in sds.items() if name != "x[2]"})
    assert found is not None
    assert (found["sd_of"], found["right"]) == ("x[2]", False)


def test_a_point_of_which_not_all_means_are_listed_has_no_sd() -> None:
    (fit,) = one_fit("point", {("mean", "x[1]"): 0.0})["fits"]
    assert not fit["raw"]["right"]
    assert fit["raw"]["sd_error"] is None


def test_what_exact_draws_miss_is_not_asked() -> None:
    answer = BED["neal-one"].answer
    found = held.errors_of(answer, {"v": 0.0, "x[0]": 0.0}, {"v": 3.0, "x[0]": 1e9})
    assert found is not None
    assert found["right"]


def test_nothing_may_be_vouched_for_where_there_is_no_posterior() -> None:
    record = one_fit("trust", {("mean", "a"): 0.0, ("sd", "a"): 1.0}, name="only-the-sum")
    assert not held.sound(record["fits"][0])
    assert "improper | wrong" in "\n".join(tables.misses([record]))


def test_the_table_counts() -> None:
    records = [
        one_fit("trust", moments()),
        one_fit("trust", moments(mean=1.0)),
        one_fit("reweight", moments(mean=1.0), moments("_reweighted")),
        one_fit("distrust", moments()),
        one_fit("distrust", moments(mean=1.0)),
        one_fit("point", moments()),
    ]
    rows = list(tables.by_class(records))
    kind = BED[NAME].kind
    assert rows[2] == f"| {kind} | 6 | 5 | 1 of 2 | 1 of 1 | – | 1 of 2 | 1 of 2 | 2 of 6 |"
    assert rows[3].startswith("| **all** | 6 | 5 |")
    misses = list(tables.misses(records))
    assert [row.rstrip(" |").rpartition("| ")[2] for row in misses[2:4]] == ["wrong", "too careful"]


def test_a_verdict_that_turns_with_the_seed_is_named() -> None:
    first, second = one_fit("trust", moments()), {**one_fit("distrust", moments()), "seed": 1}
    assert list(tables.turns([first, one_fit("reweight", moments())])) == []
    (line,) = tables.turns([first, second])
    assert f"g on {NAME}" in line
