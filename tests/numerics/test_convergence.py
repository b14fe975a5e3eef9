"""The convergence rule, on losses whose course is known."""

from __future__ import annotations

import numpy as np
import pytest

from guidebench.inference.convergence import improvement, judge, plateaued
from guidebench.results import Status

STEPS = 4000


def noisy(trend: np.ndarray, sd: float, seed: int = 0) -> np.ndarray:
    return trend + np.random.default_rng(seed).normal(0, sd, len(trend))


def test_improvement_is_the_difference_of_adjacent_blocks() -> None:
    gain, error = improvement(np.array([9.0, 5.0, 7.0, 1.0, 3.0]), block=2)
    assert gain == pytest.approx(4.0)
    assert error == pytest.approx(np.hypot(1.0, 1.0))
    assert improvement(np.array([9.0, 5.0, 7.0, 1.0, 3.0]), block=2, back=1)[0] == pytest.approx(7 - 4)


def test_settled_losses_are_rarely_called_unsettled() -> None:
    flat = [plateaued(noisy(np.full(STEPS, 23.0), 0.24, seed)) for seed in range(300)]
    assert np.mean(flat) > 0.97


@pytest.mark.parametrize("per_step", [1e-3, 1e-2, 1.0], ids=str)
def test_a_loss_that_still_falls_is_found(per_step: float) -> None:
    falling = [plateaued(noisy(-per_step * np.arange(STEPS), 0.24, seed)) for seed in range(50)]
    assert not any(falling)


@pytest.mark.parametrize("steps", [20, 100, 400, 1000, 4000])
def test_a_loss_that_falls_a_nat_over_the_run_is_hardly_ever_called_settled(steps: int) -> None:
    settled = [plateaued(noisy(-np.arange(steps) / steps, 0.3, seed)) for seed in range(100)]
    # A tenth of a nat per block is what the rule must be able to show; at 4,000 steps it shows 96 % of them.
    assert np.mean(settled) <= (0.1 if steps == 4000 else 0)


def test_noise_too_large_to_see_through_is_not_convergence() -> None:
    assert not any(plateaued(noisy(np.zeros(STEPS), 3.0, seed)) for seed in range(50))


def test_a_fall_below_the_tolerance_does_not_count() -> None:
    assert plateaued(-1e-5 * np.arange(STEPS))


@pytest.mark.parametrize(
    ("losses", "changes", "status"),
    [
        (np.zeros(STEPS), {}, Status.CONVERGED),
        (np.zeros(STEPS), {"decayed": False}, Status.MAX_STEPS),
        (-np.arange(STEPS, dtype=float), {}, Status.MAX_STEPS),
        (np.full(STEPS, np.nan), {}, Status.DIVERGED),
        (np.zeros(STEPS), {"finite": False}, Status.DIVERGED),
        (np.zeros(STEPS), {"skipped": STEPS // 2 + 1}, Status.DIVERGED),
        (np.zeros(STEPS), {"skipped": 3}, Status.CONVERGED),
        (np.zeros(STEPS), {"skipped": STEPS // 10}, Status.MAX_STEPS),
        (np.zeros(20), {}, Status.MAX_STEPS),
        (np.zeros(500), {}, Status.CONVERGED),
    ],
    ids=[
        "flat",
        "constant-rate",
        "falling",
        "nan",
        "parameters",
        "mostly-skipped",
        "few-skipped",
        "many-skipped",
        "too-short",
        "shortest",
    ],
)
def test_status(losses: np.ndarray, changes: dict[str, object], status: Status) -> None:
    settings = {"skipped": 0, "finite": True, "decayed": True, **changes}
    assert judge(losses, **settings) is status  # type: ignore[arg-type]


def test_skipped_steps_do_not_hide_progress() -> None:
    losses = noisy(-0.01 * np.arange(STEPS), 0.2)
    losses[::7] = np.nan
    assert not plateaued(losses)
