"""What got better or worse between two runs: cases worked by hand, and laws."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

import guidebench as gb
from guidebench.analysis.runs import Outcome
from guidebench.api import Comparison, diff
from guidebench.config.errors import RequestError
from guidebench.contracts import MetricValue
from guidebench.metrics.builtin import guidebench_metrics
from guidebench.results import Restart, Status, Verdict
from tests import made
from tests.report import fake


def between(before: dict[str, made.Number], after: dict[str, made.Number], **more: Any) -> gb.Diff:
    return diff(
        made.comparison(made.restarted(metrics=before, **more)), made.comparison(made.restarted(metrics=after, **more))
    )


def told(found: gb.Diff) -> list[str]:
    return [str(one) for one in found.context]


# Numbers, by hand


def test_the_error_is_that_of_both_sides() -> None:
    found = between({"elbo": (-1.0, 0.03)}, {"elbo": (-1.5, 0.04)})
    (worse,) = found.worse
    assert (worse.before, worse.after) == (-1.0, -1.5)
    assert worse.change == pytest.approx(-0.5)
    assert worse.error == pytest.approx(0.05)
    assert worse.z == pytest.approx(-10)
    assert found.summary() == "1 worse, 0 better, 0 unchanged"


def test_restarts_that_differ_are_noise_of_the_elbo() -> None:
    # 0.05 from draws; 0.4 from training, on either side: sqrt(0.05**2 + 2 * 0.4**2).
    found = between({"elbo": (-1.0, 0.03)}, {"elbo": (-1.5, 0.04)}, spread=0.4)
    (same,) = found.unchanged
    assert same.error == pytest.approx(math.hypot(0.05, 0.4, 0.4))
    assert not found.worse


def test_training_moves_other_metrics_by_the_root_of_the_spread() -> None:
    found = between(
        {"mean_error": (0.1, 0.0), "sd_error": (0.1, 0.0)}, {"mean_error": 0.1, "sd_error": 0.1}, spread=0.01
    )
    assert [one.error for one in found.unchanged] == []  # without an error on one side nothing decides
    found = between({"mean_error": (0.1, 0.0)}, {"mean_error": (0.2, 0.0)}, spread=0.01)
    assert found.changes[0].error == pytest.approx(math.sqrt(0.02))
    found = between({"sd_error": (0.1, 0.0)}, {"sd_error": (0.2, 0.0)}, spread=0.01)
    assert found.changes[0].error == pytest.approx(math.sqrt(0.01))


@pytest.mark.parametrize("change", [0.015, -0.015])
def test_what_is_certain_and_too_small_to_matter_is_unchanged(change: float) -> None:
    found = between({"elbo": (-1.0, 1e-4)}, {"elbo": (-1.0 + change, 1e-4)})
    assert abs(found.unchanged[0].z or 0) > 100
    assert not (found.worse)
    assert not (found.better)


def test_a_change_has_to_stand_out_among_all_that_were_looked_at() -> None:
    # z = 2.83 has a p-value of 0.0047: enough alone, and not for one of twenty.
    alone = between({"elbo": (-1.0, 0.01)}, {"elbo": (-1.04, 0.01)})
    assert alone.worse[0].p == pytest.approx(0.0047, abs=1e-4)
    fits = [
        [made.restarted(f"g{index}", {"elbo": (-1.0 - by * (index == 0), 0.01)}) for index in range(20)]
        for by in (0, 0.04)
    ]
    among = diff(made.comparison(*fits[0]), made.comparison(*fits[1]))
    assert among.summary() == "0 worse, 0 better, 20 unchanged"
    assert min(one.p or 0 for one in among.unchanged) == pytest.approx(20 * 0.0047, abs=2e-3)


@pytest.mark.parametrize(
    ("metric", "better"),
    [
        *(("elbo", True), ("elpd", True), ("mean_error", False), ("sd_error", False)),
        *(("correlation_error", False), ("crps", False)),
    ],
)
def test_a_direction_is_the_registered_one(metric: str, better: bool) -> None:
    found = between({metric: (1.0, 0.01)}, {metric: (2.0, 0.01)})
    assert len(found.better if better else found.worse) == 1
    declared = {one.name: one.better for one in guidebench_metrics()}
    assert declared[metric] == ("higher" if better else "lower")


@pytest.mark.parametrize("kind", [float, np.float64, np.float32])
def test_numbers_of_numpy_are_numbers(kind: Any) -> None:
    found = between({"elbo": (kind(1.0), kind(0.01))}, {"elbo": (kind(2.0), kind(0.01))})
    assert [one.outcome for one in found.better] == [Outcome.BETTER]
    (one,) = found.better
    assert {type(each) for each in (one.before, one.after, one.change, one.error, one.z, one.p)} == {float}


def test_metrics_without_an_error_borrow_that_which_bounds_theirs() -> None:
    known: dict[str, made.Number] = {
        "mean_error": (0.1, 0.01),
        "mean_error[a]": (0.1, 0.02),
        "coverage_50": (0.5, 0.03),
    }
    found = between(
        {**known, "w1_error": 0.1, "calibration_error": 0.02}, {**known, "w1_error": 0.3, "calibration_error": 0.04}
    )
    errors = {one.metric: one.error for one in found.changes if not one.variable}
    assert errors["w1_error"] == pytest.approx(0.02 * math.sqrt(2))
    assert errors["calibration_error"] == pytest.approx(0.03 * math.sqrt(2))
    assert [one.metric for one in found.worse] == ["w1_error"]


def test_a_coverage_is_measured_by_its_distance_from_nominal() -> None:
    found = between({"coverage_90": (0.80, 0.01)}, {"coverage_90": (0.98, 0.01)})
    (one,) = found.changes
    assert one.change == pytest.approx(-0.02)
    assert one.outcome is Outcome.UNCHANGED
    (one,) = between({"coverage_90": (0.90, 0.01)}, {"coverage_90": (0.70, 0.01)}).noted
    assert (one.outcome, one.decides) == (Outcome.WORSE, False)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_never_shown_as_one(value: float) -> None:
    found = between({"elbo": (-1.0, 0.01), "khat": 0.1}, {"elbo": (value, math.nan), "khat": value})
    (worse,) = found.worse
    assert (worse.metric, worse.after, worse.change, worse.z) == ("elbo", None, None, None)
    assert worse.note == "no finite number any more"
    assert [one.metric for one in found.noted] == ["khat"]
    assert [one.metric for one in between({"elbo": (value, None)}, {"elbo": (-1.0, 0.01)}).better] == ["elbo"]
    assert between({"elbo": (value, None)}, {"elbo": (value, None)}).changes == ()
    numbers = found.table(all=True)[["change", "error", "z", "p"]].to_numpy(dtype=float)
    assert not np.isinf(numbers).any()


def test_from_one_start_the_noise_of_training_is_not_known() -> None:
    found = between({"elbo": (-1.0, 0.01)}, {"elbo": (-2.0, 0.01)}, starts=1)
    assert found.summary() == "0 worse, 0 better, 1 unclear, 0 unchanged"
    assert "one start" in found.unclear[0].note


def test_which_of_several_modes_a_guide_holds_is_chance() -> None:
    numbers: dict[str, made.Number] = {"elbo": (-1.0, 0.01), "mean_error": (0.1, 0.01), "dropped_mass": 0.3}
    worse: dict[str, made.Number] = {"elbo": (-2.0, 0.01), "mean_error": (0.9, 0.01), "dropped_mass": 0.3}
    found = between(numbers, worse)
    assert [one.metric for one in found.worse] == ["elbo"]
    assert [one.metric for one in found.unclear] == ["mean_error"]
    found = between({**numbers, "dropped_mass": 0.0}, {**worse, "dropped_mass": 0.0})
    assert {one.metric for one in found.worse} == {"elbo", "mean_error"}


def test_weights_with_heavy_tails_are_not_compared() -> None:
    heavy = between({"khat": 0.9, "kl": (0.1, 0.001)}, {"khat": 0.9, "kl": (0.9, 0.001)})
    assert [one.metric for one in heavy.changes] == ["khat"]
    light = between({"khat": 0.3, "kl": (0.1, 0.001)}, {"khat": 0.3, "kl": (0.9, 0.001)})
    assert [(one.metric, one.outcome) for one in light.noted] == [("kl", Outcome.WORSE)]


def test_restarts_that_broke_down_are_no_noise() -> None:
    one = made.restarted(metrics={"elbo": (-1.0, 0.01)})
    broken = Restart(index=9, status=Status.DIVERGED, loss=0.0, elbo=-1e20)
    found = diff(
        made.comparison(one), made.comparison(replace(one, metrics=values_of(-2.0), restarts=(*one.restarts, broken)))
    )
    assert [each.metric for each in found.worse] == ["elbo"]


def values_of(elbo: float) -> tuple[MetricValue, ...]:
    return (MetricValue(metric="elbo", value=elbo, mcse=0.01),)


def test_a_metric_of_a_plugin_that_is_not_installed_is_changed_at_most() -> None:
    found = between({"their_score": (1.0, 0.01), "khat": 0.1}, {"their_score": (2.0, 0.01), "khat": 0.1})
    assert [(one.metric, one.outcome, one.decides) for one in found.noted] == [("their_score", Outcome.CHANGED, False)]


def test_a_metric_of_an_installed_plugin_has_its_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    from guidebench.plugins.registry import Registered, Registry
    from guidebench.request import declared

    theirs = gb.Metric(name="their_score", compute=lambda _: (), better="lower")
    registry = Registry(metrics=(Registered(theirs, "their_plugin", "theirs"),))
    monkeypatch.setattr(declared, "find_plugins", lambda **_: registry)
    found = between({"their_score": (1.0, 0.01)}, {"their_score": (2.0, 0.01)})
    assert [(one.outcome, one.decides) for one in found.noted] == [(Outcome.WORSE, False)]


# Words


@pytest.mark.parametrize(
    ("before", "after", "outcome", "decides"),
    [
        (Status.CONVERGED, Status.DIVERGED, "worse", True),
        (Status.CONVERGED, Status.FAILED, "worse", True),
        (Status.CONVERGED, Status.UNSUPPORTED, "worse", True),
        (Status.MAX_STEPS, Status.UNSUPPORTED, "worse", True),
        (Status.MAX_STEPS, Status.FAILED, "worse", False),
        (Status.CONVERGED, Status.MAX_STEPS, "worse", False),
        (Status.FAILED, Status.CONVERGED, "better", True),
        (Status.FAILED, Status.DIVERGED, "changed", False),
    ],
)
def test_to_lose_the_draws_of_a_fit_that_had_converged_is_worse(
    before: Status, after: Status, outcome: str, decides: bool
) -> None:
    found = diff(
        made.comparison(made.restarted(status=before)), made.comparison(made.restarted(status=after, message="because"))
    )
    (one,) = found.changes
    assert (one.metric, one.outcome, one.decides) == ("status", outcome, decides)


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (Verdict.TRUST, Verdict.REWEIGHT, "worse"),
        (Verdict.TRUST, Verdict.DISTRUST, "worse"),
        (Verdict.DISTRUST, Verdict.REWEIGHT, "better"),
        (Verdict.POINT, Verdict.TRUST, "changed"),
    ],
)
def test_a_verdict_decides_only_together_with_a_number(before: Verdict, after: Verdict, outcome: str) -> None:
    found = diff(made.comparison(made.restarted(verdict=before)), made.comparison(made.restarted(verdict=after)))
    (one,) = found.noted
    assert (one.metric, one.before, one.after, one.outcome) == ("verdict", str(before), str(after), outcome)
    assert one.note
    steps = {"worse": (-1.0, -2.0), "better": (-2.0, -1.0), "changed": (-1.0, -2.0)}[outcome]
    sides = [
        made.comparison(made.restarted(metrics={"elbo": (elbo, 0.01)}, verdict=verdict))
        for elbo, verdict in zip(steps, (before, after), strict=True)
    ]
    found = diff(*sides)
    assert ("verdict" in {each.metric for each in (*found.worse, *found.better)}) is (outcome != "changed")


def test_times_are_measured_by_those_of_all_fits_and_never_decide() -> None:
    guides = "abcdef"
    before = made.comparison(*(made.restarted(guide, train_s=10.0) for guide in guides))
    slower_machine = made.comparison(*(made.restarted(guide, train_s=30.0) for guide in guides))
    assert not diff(before, slower_machine).noted
    assert told(diff(before, slower_machine)) == [
        "time: the fits took 60.0 s before, 180.0 s after; times are noted and never decide"
    ]
    one_slower = made.comparison(*(made.restarted(guide, train_s=10.0 + 90 * (guide == "a")) for guide in guides))
    noted = {(one.guide, one.metric, one.outcome) for one in diff(before, one_slower).noted}
    assert ("a", "seconds", Outcome.WORSE) in noted
    assert not diff(before, one_slower).worse


# What cannot be compared, and what else differs


def test_errors_against_another_reference_are_not_compared() -> None:
    numbers = [
        made.comparison(made.restarted(metrics={"mean_error": (v, 0.01), "elbo": (-1.0, 0.01)}), known={"reference": r})
        for v, r in ((0.1, "NUTS"), (0.9, "exact posterior"))
    ]
    found = diff(*numbers)
    assert [one.metric for one in found.changes] == ["elbo"]
    assert told(found) == ["reference: that of p was NUTS and is exact posterior: errors against it are not compared"]


def test_scores_on_other_held_out_data_are_not_compared() -> None:
    sides = [
        made.comparison(made.restarted(metrics={"crps": (v, 0.01), "elbo": (-1.0, 0.01)}), known={"heldout_size": n})
        for v, n in ((0.1, 10), (0.9, 20))
    ]
    assert [one.metric for one in diff(*sides).changes] == ["elbo"]


def test_another_posterior_is_not_compared() -> None:
    one, other = made.comparison(made.restarted()), made.comparison(made.restarted(), known={"latents": ("b",)})
    with pytest.raises(RequestError, match=r"nothing in common .*p has other latent sites \(a and b\)"):
        diff(one, other)
    data = [fake.from_groups({"observed_data": xr.Dataset({"y": ("n", np.array([1.0, v]))})}) for v in (2.0, 3.0)]
    sides = [
        made.comparison(made.restarted(inference_data=each), made.restarted(problem="q", metrics={"elbo": (-1.0, 0.1)}))
        for each in data
    ]
    found = diff(*sides)
    assert told(found) == ["data: p has other data: nothing is compared"]
    assert {one.problem for one in found.changes} == {"q"}
    assert diff(sides[0], sides[0]).context == ()


def test_runs_without_a_common_problem_or_guide_are_refused() -> None:
    with pytest.raises(RequestError, match="no problem in common; theirs are p and q"):
        diff(made.comparison(made.restarted()), made.comparison(made.restarted(problem="q")))
    with pytest.raises(RequestError, match="the problems are the same, the guides are not"):
        diff(made.comparison(made.restarted("a")), made.comparison(made.restarted("b")))


def test_the_context_names_what_else_differs() -> None:
    one = made.comparison(
        made.restarted("a"),
        made.restarted("b", {"elbo": (-1, 0.1)}),
        made.restarted(problem="q"),
        recipe="One.",
        config={"seed": 0, "out": "x"},
        environment={"jax": "0.6"},
    )
    other = made.comparison(
        made.restarted("b", {"khat": 0.1}, plugin="other"),
        made.restarted("c"),
        recipe="Two.",
        config={"seed": 1, "x64": False},
        environment={"jax": "0.7"},
        interrupted=True,
    )
    assert told(diff(one, other)) == [
        "interrupted: the run after was stopped before all fits were made",
        "problem: only before: q",
        "fit: only before: a on p",
        "fit: only after: c on p",
        "plugin: b on p came from acme, and comes from other",
        "recipe: was: One. Is: Two.",
        "configuration: seed: 0 before, 1 after",
        "environment: jax: 0.6 before, 0.7 after",
        "metric: elbo is gone from b on p",
        "metric: khat is new for b on p",
    ]


# Laws


def shaken(comparison: Comparison, seed: int) -> Comparison:
    """Return the comparison with every metric moved by up to a tenth, and the first fit broken."""
    rng = np.random.default_rng(seed)
    fits = [
        replace(one, metrics=tuple(replace(each, value=each.value * rng.uniform(0.9, 1.1)) for each in one.metrics))
        for one in comparison.fits
    ]
    fits[0] = replace(fits[0], status=Status.FAILED, verdict=Verdict.FAILED)
    fits[2] = replace(fits[2], verdict=Verdict.DISTRUST)
    return replace(comparison, fits=tuple(fits), name="shaken")


def test_nothing_differs_from_itself(small: Comparison) -> None:
    found = diff(small, small)
    assert not (found.worse)
    assert not (found.better)
    assert not (found.unclear)
    assert not (found.noted)
    assert not (found.context)
    assert found.unchanged
    assert found.table().empty


@pytest.mark.parametrize("seed", range(3))
def test_the_other_way_round_everything_is_the_opposite(small: Comparison, seed: int) -> None:
    there, back = diff(small, shaken(small, seed)), diff(shaken(small, seed), small)
    opposite = {Outcome.WORSE: Outcome.BETTER, Outcome.BETTER: Outcome.WORSE}

    def key(one: gb.Diff, turned: bool) -> list[tuple[Any, ...]]:
        return sorted(
            (
                *(each.problem, each.guide, each.metric, each.variable, each.decides),
                str(opposite.get(each.outcome, each.outcome) if turned else each.outcome),
                None if each.change is None else round(-each.change if turned else each.change, 9) + 0.0,
                each.error and round(each.error, 12),
                each.p and round(each.p, 9),
            )
            for each in one.changes
        )

    assert there.worse
    assert key(there, False) == key(back, True)
    assert (len(there.worse), len(there.better)) == (len(back.better), len(back.worse))
