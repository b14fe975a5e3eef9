"""Where NUTS was quicker than every guide that is of use, that is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from guidebench.analysis.quicker import quicker
from guidebench.results import Fit, ProblemRecord, Verdict
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
