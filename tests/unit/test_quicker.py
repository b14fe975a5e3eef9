"""Where NUTS was quicker than every guide that is of use, that is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from guidebench.analysis.quicker import beside_nuts, quicker
from guidebench.results import Fit, ProblemRecord, Verdict, Work
from tests import made

NUTS = ProblemRecord(name="line", reference="NUTS", reference_s=4.0)


def fit(guide: str, verdict: Verdict, seconds: float) -> Fit:
    found: Fit = made.fit(guide, kind=Fit, problem="line")
    return replace(found, verdict=verdict, compile_s=1.0, train_s=seconds - 1.5, evaluate_s=0.5)


SLOW = fit("flow", Verdict.TRUST, 9.0), fit("normal", Verdict.REWEIGHT, 7.0), fit("laplace", Verdict.DISTRUST, 2.0)


def test_the_quickest_guide_of_use_is_named() -> None:
    assert quicker(SLOW, NUTS) == (
        "NUTS was quicker than any guide that is of use here: 4.0 s against 7.0 s of normal, and its draws passed "
        "their checks."
    )


@pytest.mark.parametrize(
    ("fits", "record"),
    [
        ((*SLOW, fit("quick", Verdict.TRUST, 3.0)), NUTS),
        (SLOW[2:], NUTS),
        (SLOW, replace(NUTS, reference="")),
        (SLOW, replace(NUTS, reference="exact posterior")),
        (SLOW, replace(NUTS, reference_s=None)),
    ],
    ids=["a guide was", "no guide is of use", "NUTS failed", "no NUTS", "nobody timed it"],
)
def test_nothing_is_said_where_it_was_not(fits: tuple[Fit, ...], record: ProblemRecord) -> None:
    assert quicker(fits, record) == ""


def counted(guide: str, verdict: Verdict, gradients: int) -> Fit:
    work = {"training": Work(gradients=gradients - 500), "judging": Work(gradients=500)}
    return replace(fit(guide, verdict, 3.0), work=work)


def test_the_guide_of_use_that_cost_least_is_held_beside_nuts() -> None:
    work = {"search": Work(gradients=1_000), "nuts": Work(gradients=20_000, seconds=4.0)}
    fits = counted("flow", Verdict.TRUST, 40_000), counted("normal", Verdict.REWEIGHT, 9_000)
    text = beside_nuts((*fits, counted("laplace", Verdict.DISTRUST, 600)), replace(NUTS, work=work))
    assert text == (
        "NUTS took 20,000 leapfrog steps with warm-up, each one gradient, and 4.0 s. The guide of use that cost least, "
        "normal, took 0.45 times as many (0.50 with the search, which all guides share)."
    )
    failed = beside_nuts(fits[:0], replace(NUTS, work=work, reference=""))
    assert failed == (
        "NUTS took 20,000 leapfrog steps with warm-up, each one gradient, and 4.0 s, and its draws failed their checks."
    )


def test_where_nuts_was_not_run_that_is_said() -> None:
    assert beside_nuts((), NUTS).startswith("NUTS was not run here")
