"""Verdicts against the truth: the verdict that is checked must not have seen what it is checked with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from guidebench.analysis.problems.soundness import Judged, blind_verdict, counts, judged
from guidebench.api import Fit
from guidebench.results import Chaining, Verdict
from tests import made

#: A guide that is right by its weights and by the reference.
GOOD = {
    "elbo": -1.0,
    "smoothed_kl": 0.01,
    "khat": 0.3,
    "mean_shift": 0.01,
    "sd_shift": 0.02,
    "mean_error": 0.02,
    "sd_error": 0.03,
    "reweighted_mean_error": 0.01,
    "reweighted_sd_error": 0.01,
}


def fit(guide: str = "g", **metrics: Any) -> Fit:
    return made.fit(guide, made.values({**GOOD, **metrics}, mcse=0.001))


def told(*fits: Fit) -> list[Judged]:
    return judged(made.comparison(*fits))


def test_the_reference_does_not_enter_the_verdict_that_is_held_against_it() -> None:
    wrong = fit(mean_error=0.5, reweighted_mean_error=0.5)
    assert blind_verdict(wrong) is Verdict.TRUST
    (found,) = told(wrong)
    assert (found.blind, found.right, found.repairable, found.sound) == (Verdict.TRUST, False, False, False)


def test_what_is_trusted_and_right_is_sound() -> None:
    (found,) = told(fit())
    assert (found.blind, found.right, found.sound, found.timid) == (Verdict.TRUST, True, True, False)


@pytest.mark.parametrize(("repaired", "sound"), [(0.05, True), (0.2, False)])
def test_what_is_to_be_reweighted_has_to_be_right_once_it_is(repaired: float, sound: bool) -> None:
    (found,) = told(fit(smoothed_kl=0.1, mean_shift=0.3, mean_error=0.3, reweighted_mean_error=repaired))
    assert (found.blind, found.right, found.sound) == (Verdict.REWEIGHT, False, sound)


def test_distrust_is_sound_but_too_careful_where_the_draws_are_right() -> None:
    careful, due = told(fit("a", smoothed_kl=3.0), fit("b", smoothed_kl=3.0, sd_error=0.9))
    assert (careful.blind, careful.sound, careful.timid) == (Verdict.DISTRUST, True, True)
    assert (due.blind, due.sound, due.timid) == (Verdict.DISTRUST, True, False)


def test_a_mode_that_was_dropped_counts_without_a_reference_too() -> None:
    assert blind_verdict(fit(dropped_mass=0.4)) is Verdict.DISTRUST


def test_only_fits_with_a_reference_and_weights_or_chains_are_held_against_it() -> None:
    assert told(fit(mean_error=None)) == []
    assert told(fit(reweighted_sd_error=None)) == []
    chained = replace(fit(reweighted_sd_error=None), bound="augmented", chains=Chaining(settled=True, chains=256))
    assert [one.reweighted for one in told(chained)] == [None]


@pytest.mark.parametrize(("refreshed", "sound"), [(0.05, True), (0.2, False)])
def test_what_is_to_be_refreshed_has_to_be_right_once_it_is(refreshed: float, sound: bool) -> None:
    moved = {"mean_moved": 0.3, "sd_moved": 0.02, "mean_error": 0.3, "refreshed_sd_error": 0.02}
    wrong = fit(**moved, refreshed_mean_error=refreshed, reweighted_mean_error=0.3)
    (found,) = told(replace(wrong, chains=Chaining(settled=True, chains=256)))
    assert (found.blind, found.right, found.repairable, found.sound) == (Verdict.REFRESH, False, sound, sound)


def test_counts_are_by_verdict() -> None:
    table = counts(told(fit("a"), fit("b", mean_error=0.5), fit("c", smoothed_kl=3.0, sd_error=9, mean_error=1)))
    assert dict(table[Verdict.TRUST]) == {"right": 1, "repairable": 1}
    assert dict(table[Verdict.DISTRUST]) == {"repairable": 1}
    assert not table[Verdict.REWEIGHT]
