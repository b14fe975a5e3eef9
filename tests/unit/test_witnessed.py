"""Errors against a witness: those against a reference, under their own names, and only where there is a witness."""

from __future__ import annotations

import numpy as np
import pytest

from guidebench.metrics.builtin import guidebench_metrics
from guidebench.metrics.errors import mean_error, sd_error
from guidebench.metrics.evidence import Evidence, read_only
from guidebench.metrics.witnessed import witnessed

RANDOM = np.random.default_rng(2)
GUIDE, TRUE = RANDOM.normal(0.2, 0.7, 4_000), RANDOM.standard_normal(8_000)


def test_they_are_the_errors_against_a_reference() -> None:
    found = {
        (one.metric, one.variable): one.value
        for one in witnessed(
            Evidence(
                latents={"x": GUIDE}, log_weights=np.zeros(4_000), witness={"x": TRUE}, refreshed={"x": TRUE[:500]}
            )
        )
    }
    as_reference = Evidence(latents={"x": GUIDE}, reference={"x": TRUE})
    for name, compute in (("mean", mean_error), ("sd", sd_error)):
        true = next(one.value for one in compute(as_reference) if one.variable == "x")
        assert found[f"witness_{name}_error", "x"] == pytest.approx(true)
        # Equal weights repair nothing, and draws of the truth are right.
        assert found[f"witness_reweighted_{name}_error", "x"] == pytest.approx(true, rel=0.01)
        assert found[f"witness_refreshed_{name}_error", "x"] < 0.15


def test_a_witness_is_a_part_of_the_evidence_that_nobody_can_change() -> None:
    with_one = read_only(Evidence(latents={"x": GUIDE}, witness={"x": TRUE}, witness_ess={"x": 100.0}))
    assert with_one.has("witness")
    assert not with_one.has("reference")
    assert not Evidence(latents={"x": GUIDE}).has("witness")
    with pytest.raises(ValueError, match="read-only"):
        with_one.witness["x"][0] = 0  # type: ignore[index]


def test_every_name_is_declared() -> None:
    declared = next(one for one in guidebench_metrics() if one.name == "witness")
    names = {one.name for one in declared.values}
    evidence = Evidence(
        latents={"x": GUIDE}, log_weights=np.zeros(4_000), witness={"x": TRUE}, refreshed={"x": TRUE[:500]}
    )
    assert {one.metric for one in witnessed(evidence)} == names
