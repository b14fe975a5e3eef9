"""Every bundled problem through the whole tool, as its users run it."""

from __future__ import annotations

import numpy as np
import pytest

from guidebench.problems import guidebench_problems
from guidebench.results.inference_data import group

PROBLEMS = {problem.name: problem for problem in guidebench_problems()}

SHORT = {"steps": 400, "restarts": 1, "draws": 400, "reference": "none"}

#: A hierarchy in the default run; the others with the slow tests.
QUICK = ("eight-schools",)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in PROBLEMS]
)
def test_a_short_run_has_everything(name: str, run) -> None:  # type: ignore[no-untyped-def]
    problem = PROBLEMS[name]
    comparison = run(name, "auto_normal", "auto_delta", **SHORT)
    for guide in ("auto_normal", "auto_delta"):
        fit = comparison[guide]
        assert (fit.status in ("converged", "max_steps"), fit.message) == (True, "")
        posterior = group(fit.inference_data, "posterior")
        assert all(np.isfinite(values.to_numpy()).all() for values in posterior.data_vars.values())
        predictions = group(fit.inference_data, "predictions")
        assert (predictions is None) == (problem.predict is None)
        assert (fit.metric("elpd") is None) == (problem.heldout is None)
    assert np.isfinite(comparison["auto_normal"].value("elbo"))
    if problem.log_evidence is not None:
        elbo = comparison["auto_normal"].metric("elbo")
        assert elbo.value - 4 * elbo.mcse < problem.log_evidence


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eight-schools-noncentred", "gaussian-process-regression", "gaussian-mixture"])
def test_nuts_agrees(name: str, run) -> None:  # type: ignore[no-untyped-def]
    """NUTS passes its checks, and its means are those of the exact draws, where there are any."""
    comparison = run(name, "auto_multivariate_normal", reference="nuts")
    record = comparison.problems[0]
    assert record.reference == "NUTS", record.reference_note
    exact = PROBLEMS[name].reference
    if exact is None:
        return
    nuts = group(comparison.references[name], "posterior")
    for site, draws in exact(5, 40_000).items():
        found = nuts[site].to_numpy().reshape(-1, *draws.shape[1:])
        # NUTS is asked for an ESS of 400 at least: an error of a twentieth of an sd.
        np.testing.assert_array_less(np.abs(found.mean(axis=0) - draws.mean(axis=0)) / draws.std(axis=0), 0.2)
        np.testing.assert_allclose(found.std(axis=0), draws.std(axis=0), rtol=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eight-schools", "horseshoe-regression", "funnel"])
def test_nuts_is_refused_in_a_funnel(name: str, run) -> None:  # type: ignore[no-untyped-def]
    """This is what the exact draws are for: with these three NUTS would measure guides by its own error."""
    record = run(name, "auto_delta", **{**SHORT, "reference": "nuts"}).problems[0]
    assert record.reference == ""
    assert "NUTS failed its checks and is used for nothing" in record.reference_note


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logistic-regression", "gaussian-process-regression"])
def test_a_trained_gaussian_finds_the_log_evidence(name: str, run) -> None:  # type: ignore[no-untyped-def]
    fit = run(name, "auto_multivariate_normal")["auto_multivariate_normal"]
    found = fit.metric("log_evidence")
    # Its own error is too small where the weights' tail is heavy.
    assert found.value == pytest.approx(PROBLEMS[name].log_evidence, abs=0.02 + 4 * found.mcse)


@pytest.mark.slow
def test_a_network_has_no_reference_and_predicts(run) -> None:  # type: ignore[no-untyped-def]
    comparison = run("bayesian-neural-network", "auto_multivariate_normal", reference="auto")
    record = comparison.problems[0]
    assert record.reference == ""
    assert "NUTS" in record.reference_note
    assert comparison["auto_multivariate_normal"].verdict != "trust"
    assert (comparison["auto_multivariate_normal"].value("elpd") or -9) > -1
