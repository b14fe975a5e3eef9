"""Ties and differences between guides."""

from __future__ import annotations

import numpy as np
import pytest

from guidebench.analysis.differences import difference, differences
from guidebench.results import Fit
from tests import made


def fit(guide: str, elbo: float | None, mcse: float = 0.001, restarts: tuple[float | None, ...] = ()) -> Fit:
    return made.fit(guide, {"elbo": None if elbo is None else (elbo, mcse)}, restarts=made.restarts(restarts))


def test_the_error_has_a_part_from_draws_and_one_from_paired_restarts() -> None:
    first = fit("a", -1.0, 0.03, (-1.0, -1.2, -1.1))
    second = fit("b", -2.0, 0.04, (-2.0, -2.3, -2.1))
    found = difference(first, second)
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert found.error == pytest.approx(np.hypot(0.05, np.std([1.0, 1.1, 1.0], ddof=1)))


def test_what_a_start_does_to_both_guides_cancels() -> None:
    # Starts 1 and 3 lead both guides to the smaller of two modes, 0.85 nat down.
    modes = np.array([0.0, -0.85, 0.0, -0.85])
    found = difference(fit("a", -1.0, restarts=tuple(-1.0 + modes)), fit("b", -1.1, restarts=tuple(-1.1 + modes)))
    assert found is not None
    assert found.different


def test_a_restart_that_went_wrong_is_no_noise() -> None:
    found = difference(fit("a", -1.0, restarts=(-1.0, -1.0, -1e20)), fit("b", -1.1, restarts=(-1.1, -1.1, -1.1)))
    assert found is not None
    assert found.different


@pytest.mark.parametrize(
    ("gap", "mcse", "different"),
    [(0.009, 1e-6, False), (0.011, 1e-6, True), (0.1, 0.05, False), (0.3, 0.05, True)],
)
def test_small_and_noisy_differences_are_ties(gap: float, mcse: float, different: bool) -> None:
    found = difference(fit("a", 0.0, mcse, (0.0, 0.0)), fit("b", -gap, mcse, (-gap, -gap)))
    assert found is not None
    assert found.different is different


def test_guides_without_an_elbo_are_left_out() -> None:
    fits = [fit("point", None), fit("broken", float("nan")), fit("worse", -2.0), fit("best", -1.0), fit("near", -1.001)]
    found = differences(fits)
    assert [(one.first, one.second) for one in found] == [("best", "near"), ("best", "worse"), ("near", "worse")]


@pytest.mark.parametrize(("restarts", "most"), [(2, 65), (3, 13), (4, 10)])
def test_noise_makes_few_differences(restarts: int, most: int) -> None:
    """Two copies of one guide, each represented by the best of its restarts."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(1000):
        elbos = rng.normal(0, 0.1, (2, restarts))
        found = difference(*(fit(name, max(own), 1e-4, tuple(own)) for name, own in zip("ab", elbos, strict=True)))
        assert found is not None
        wrong += found.different
    assert wrong <= most  # of 1,000 pairs 50, 6 and 3 are expected


def test_from_one_start_nothing_is_called_different() -> None:
    found = difference(fit("a", -1.0, restarts=(-1.0,)), fit("b", -9.0, restarts=(-9.0,)))
    assert found is not None
    assert np.isnan(found.error)
    assert not found.different
