"""What memory does not suffice for is left out and said, and the fit is as sound as without it."""

from __future__ import annotations

from typing import Any

import jax
import pytest

import guidebench as gb
from guidebench.engine.workbench import Workbench
from guidebench.results import Status
from guidebench.results.inference_data import group


@pytest.mark.parametrize(("said", "survives"), [("RESOURCE_EXHAUSTED: Out of memory", True), ("INTERNAL: odd", False)])
def test_predictions_that_memory_does_not_suffice_for_are_left_out(
    monkeypatch: pytest.MonkeyPatch, said: str, survives: bool
) -> None:
    def forward(*_: Any) -> Any:
        raise jax.errors.JaxRuntimeError(said)

    monkeypatch.setattr(Workbench, "forward", forward)
    (fit,) = gb.compare("linear-regression", guides="mean_field", reference="none", progress=False)
    if not survives:
        assert fit.status is Status.FAILED
        assert said in fit.message
        return
    assert fit.status.has_draws
    assert "predictions are left out, for drawing them would take more memory than there is" in fit.message
    assert fit.value("elbo") is not None
    assert group(fit.inference_data, "posterior") is not None
    assert group(fit.inference_data, "posterior_predictive") is None
