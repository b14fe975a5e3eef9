"""Schedules against their formulas, and against optax's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optax
import pytest

from guidebench.config.errors import RequestError
from guidebench.inference.schedules import Schedule, decaying
from tests.unit.test_recipe import scales

STEPS = 200


def cosine(r: np.ndarray, f: float) -> np.ndarray:
    return f + (1 - f) * (1 + np.cos(np.pi * r)) / 2


def linear(r: np.ndarray, f: float) -> np.ndarray:
    return 1 - (1 - f) * r


def exponential(r: np.ndarray, f: float) -> np.ndarray:
    return f**r


def constant(r: np.ndarray, f: float) -> np.ndarray:
    return np.ones_like(r)


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.35])
@pytest.mark.parametrize(
    ("spec", "formula", "final"),
    [
        ("cosine", cosine, 0.0),
        ("cosine:final=0.2", cosine, 0.2),
        ("linear", linear, 0.0),
        ("linear:final=0.05", linear, 0.05),
        ("exponential", exponential, 0.001),
        ("exponential:final=0.5", exponential, 0.5),
        ("constant", constant, 0.0),
    ],
)
def test_the_rate_follows_its_formula(spec: str, formula: Callable[..., Any], final: float, warmup: float) -> None:
    schedule = Schedule.parse(f"{spec}{',' if ':' in spec else ':'}warmup={warmup}")
    transform = decaying(STEPS, schedule)
    found, _ = scales(transform, transform.init(np.ones(())), STEPS + 20)
    share = np.minimum(np.arange(STEPS + 20) / STEPS, 1)
    risen = np.clip((share - warmup) / (1 - warmup), 0, 1)
    expected = np.where(share < warmup, share / (warmup or 1), formula(risen, final))
    np.testing.assert_allclose(found, expected, atol=2e-6)
    # What it moves a parameter by in all: the area under the formula.
    fine = np.linspace(0, 1, 100_001)
    risen = np.clip((fine - warmup) / (1 - warmup), 0, 1)
    area = np.trapezoid(np.where(fine < warmup, fine / (warmup or 1), formula(risen, final)), fine)
    assert found[:STEPS].mean() == pytest.approx(area, abs=0.6 / STEPS)


@pytest.mark.parametrize(
    ("spec", "theirs"),
    [
        ("cosine:final=0.1,warmup=0.25", optax.warmup_cosine_decay_schedule(0.0, 1.0, 50, STEPS, 0.1)),
        ("linear:final=0.1", optax.linear_schedule(1.0, 0.1, STEPS)),
        ("exponential:final=0.01", optax.exponential_decay(1.0, STEPS, 0.01)),
        (
            "exponential:final=0.01,warmup=0.25",
            optax.warmup_exponential_decay_schedule(0.0, 1.0, 50, STEPS - 50, 0.01),
        ),
    ],
)
def test_it_agrees_with_optax(spec: str, theirs: Callable[..., Any]) -> None:
    transform = decaying(STEPS, Schedule.parse(spec))
    found, _ = scales(transform, transform.init(np.ones(())), STEPS)
    np.testing.assert_allclose(found, [float(theirs(step)) for step in range(STEPS)], atol=2e-6)


@pytest.mark.parametrize(
    ("spec", "decays", "text"),
    [
        ("cosine", True, "cosine decay to 0"),
        ("cosine:final=0.01", True, "cosine decay to 0.01 of it"),
        ("cosine:final=0.02", False, "cosine decay to 0.02 of it"),
        ("linear:warmup=0.125", True, "warm-up over 12.5% of the steps, linear decay to 0"),
        ("exponential", True, "exponential decay to 0.001 of it"),
        ("exponential:final=0.1", False, "exponential decay to 0.1 of it"),
        ("constant", False, "constant"),
        ("constant:warmup=0.1", False, "warm-up over 10% of the steps, constant"),
    ],
)
def test_what_counts_as_decayed_and_how_it_is_told(spec: str, decays: bool, text: str) -> None:
    schedule = Schedule.parse(spec)
    assert schedule.decays() is decays
    assert schedule.describe() == text


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cosin", "choose one of cosine, linear, exponential, constant"),
        ("cosine:warmup=1", "0 <= warmup < 1"),
        ("cosine:warmup=-0.1", "0 <= warmup < 1"),
        ("cosine:final=2", "0 <= final <= 1"),
        ("exponential:final=0", "0 < final <= 1"),
        ("constant:final=0.1", "has no option 'final'; its options are warmup"),
        ("cosine:steps=3", "its options are warmup, final"),
        ("cosine:warmup=long", "takes float"),
        ("cosine:warmup", "'warmup' is not OPTION=VALUE"),
        ("cosine:warmup=0.1,warmup=0.2", "given twice"),
    ],
)
def test_wrong_schedules_are_refused_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(RequestError, match=r"^--schedule") as refused:
        Schedule.parse(spec)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
