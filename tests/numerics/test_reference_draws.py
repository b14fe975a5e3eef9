"""Reference draws that come with a problem: used where they pass the checks of NUTS, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from guidebench.config.errors import RequestError
from guidebench.contracts import Problem, ReferenceDraws
from tests.numerics import referenced


def model(y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0, 1).expand([2]).to_event(1))
    numpyro.sample("y", dist.Normal(w.sum(), 1), obs=y)


def prepared(draws: Callable[[], Any], **options: Any) -> referenced.Ready:
    problem = Problem(name="drawn", model=model, kwargs={"y": 1.0}, reference_draws=draws)
    return referenced.prepared(problem, **options)


def chains(shift: float = 0.0) -> dict[str, np.ndarray]:
    draws = np.random.default_rng(0).normal(size=(4, 1_000, 2))
    draws[0] += shift
    return {"w": draws, "something_else": draws}


def test_draws_that_pass_are_the_reference() -> None:
    ready = prepared(lambda: ReferenceDraws(chains=chains(), divergences=0, label="a database"))
    assert ready.reference.label == ready.record.reference == "a database"
    assert ready.record.reference_checks["rhat"] < 1.01
    np.testing.assert_array_equal(ready.reference.draws["w"], chains()["w"].reshape(-1, 2))


@pytest.mark.parametrize(("shift", "divergences", "why"), [(2.0, 0, "R-hat of w"), (0.0, 3, "3 transitions diverged")])
def test_draws_that_fail_are_used_for_nothing(shift: float, divergences: int, why: str) -> None:
    ready = prepared(lambda: ReferenceDraws(chains=chains(shift), divergences=divergences))
    assert not ready.reference.label
    assert not ready.reference.draws
    assert why in ready.record.reference_note


def test_they_are_not_asked_for_where_the_user_wants_none() -> None:
    def never() -> ReferenceDraws:
        raise AssertionError

    assert not prepared(never, reference="none").reference.label


def test_what_does_not_fit_the_model_is_refused() -> None:
    with pytest.raises(RequestError, match=r"problem 'drawn': its reference draws: it lacks the site w"):
        prepared(lambda: ReferenceDraws(chains={"v": np.zeros((4, 100))}))
    with pytest.raises(RequestError, match="must return ReferenceDraws, not dict"):
        prepared(chains)
