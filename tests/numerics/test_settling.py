"""When training may end, where its loss is too noisy to say so."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from guidebench.engine.fit.settling import Limits, Settling
from guidebench.inference import convergence
from guidebench.inference.gaussians import Gaussian
from guidebench.inference.recipe import RECIPES
from guidebench.inference.train import Round
from guidebench.results import Work

STEPS = 4_000


class Drawn:
    """Draws whose log weights have a spread of nats, the same at every guide, and a mean that is the guide's."""

    def __init__(self, log_weights: np.ndarray) -> None:
        self.log_weights, self.work = log_weights, Work(densities=len(log_weights))


def sampler(params: dict[str, Any]) -> Any:
    def draw(params: dict[str, Any], key: Any, **_: Any) -> Drawn:
        return Drawn(7 * np.random.default_rng(0).standard_normal(4_000) + float(params["elbo"]))

    return draw


def losses(spread: float, drift: float = 0.0, count: int = 2) -> np.ndarray:
    """Return the loss of a guide whose log weights have that spread, ten draws to a step."""
    rng = np.random.default_rng(1)
    noise = spread / np.sqrt(10) * rng.standard_normal((count, STEPS))
    return noise - drift * np.linspace(0, 1, STEPS)


def settling(**options: Any) -> Settling:
    return Settling(
        RECIPES["adam"],
        sampler,
        jax.random.key(0),
        most=400,
        **{"comparable": True, "limits": Limits.of(RECIPES["adam"], 3), **options},
    )


def ended(*elbos: float, spread: float = 7.0, drift: float = 0.0) -> Round:
    return Round(losses(spread, drift, count=len(elbos)), np.zeros(len(elbos), int), {"elbo": np.asarray(elbos)})


def test_a_quiet_loss_decides_alone() -> None:
    asked = settling()
    assert asked(ended(-3.0, -3.0, spread=0.1))
    assert asked.agreed == frozenset()


def test_a_noisy_loss_needs_two_rounds_that_end_at_guides_as_good() -> None:
    asked = settling()
    assert not asked(ended(-30.0, -30.0))
    assert asked(ended(-29.99, -30.01))
    assert asked.agreed == {0, 1}


@pytest.mark.parametrize("later", [-29.9, -30.1])
def test_a_guide_that_still_changes_has_not_settled(later: float) -> None:
    asked = settling()
    asked(ended(-30.0, -30.0))
    assert not asked(ended(later, later))
    assert asked.agreed == frozenset()


def test_a_start_that_cannot_turn_out_the_best_is_not_waited_for() -> None:
    asked = settling()
    asked(ended(-30.0, -30.0))
    far = ended(-30.0, -20.0)
    far.losses[1] += 50
    assert asked(far)
    assert asked.agreed == {0}


def test_nothing_is_compared_that_has_no_density_or_is_not_finite() -> None:
    point = settling(comparable=False)
    point(ended(-30.0))
    assert not point(ended(-30.0))
    lost = settling()
    lost(ended(float("nan")))
    assert not lost(ended(-30.0))


def test_agreement_needs_draws_that_could_have_shown_a_difference() -> None:
    rng = np.random.default_rng(0)
    before = rng.standard_normal(4_000)
    assert convergence.agree(before, before + 0.015)
    assert not convergence.agree(before, before + 0.05)
    assert not convergence.agree(before, 7 * rng.standard_normal(4_000))  # other draws: too noisy to tell
    assert not convergence.agree(before, np.full(4_000, np.nan))


def test_conditional_sds_are_those_of_a_gaussian_given_its_other_coordinates() -> None:
    covariance = np.asarray([[4.0, 1.8, 0.3], [1.8, 1.0, 0.1], [0.3, 0.1, 0.5]])
    found = Gaussian(mean=np.zeros(3), factor=np.linalg.cholesky(covariance), elbo=0.0).conditional_sds()
    for index in range(3):
        others = [other for other in range(3) if other != index]
        cross = covariance[index, others]
        expected = covariance[index, index] - cross @ np.linalg.solve(covariance[np.ix_(others, others)], cross)
        assert found[index] == pytest.approx(np.sqrt(expected))


def test_what_counts_grows_with_the_latents_but_not_in_the_recipe_that_came_first() -> None:
    small, large = (Limits.of(RECIPES["default"], dim) for dim in (10, 2_000))
    assert tuple(small) == pytest.approx((convergence.RESOLUTION, convergence.TOLERANCE))
    assert tuple(large) == pytest.approx((1.0, 0.2))
    assert tuple(Limits.of(RECIPES["adam"], 2_000)) == pytest.approx((0.1, 0.02))
    assert not settling(limits=small)(ended(0.0, spread=0.1, drift=1.0))
    assert settling(limits=large)(ended(0.0, spread=0.1, drift=1.0))
