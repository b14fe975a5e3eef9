"""What is saved, how it is labelled, and that ArviZ opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.stats import norm

from guidebench.contracts import Problem
from guidebench.problems import linear_regression as seed
from guidebench.results import Comparison, Status
from guidebench.results import inference_data as idata

GROUPS = {
    "posterior": {"w", "b", "s_eps", "mu"},
    "posterior_predictive": {"y"},
    "log_likelihood": {"y"},
    "sample_stats": {"log_p", "log_q", "log_weight"},
    "observed_data": {"y"},
    "constant_data": {"x"},
    "predictions": {"mu", "y"},
    "predictions_constant_data": {"x"},
    "training": {"loss"},
}


@pytest.fixture(scope="module")
def fits(run: Callable[..., Comparison]) -> Comparison:
    """A Gaussian, a flow and a point on the seed problem."""
    guides = ("auto_multivariate_normal", "auto_iaf_normal", "auto_delta")
    return run("linear-regression", *guides, steps=1000, restarts=1)


def get(fit: Any, name: str) -> Any:
    found = idata.group(fit.inference_data, name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", GROUPS)
def test_groups_and_sites(fits: Comparison, name: str) -> None:
    for fit in fits:
        expected = GROUPS[name]
        if fit.guide == "auto_delta" and name == "sample_stats":
            expected = {"log_p"}
        assert set(get(fit, name).data_vars) == expected, fit.guide


def test_dims_come_from_the_plates(fits: Comparison) -> None:
    fit = fits["auto_iaf_normal"]
    posterior = get(fit, "posterior")
    assert posterior["w"].dims == ("chain", "draw")
    assert posterior["mu"].dims == ("chain", "draw", "data")
    assert dict(posterior.sizes) == {"chain": 1, "draw": 4000, "data": 10}
    assert get(fit, "log_likelihood")["y"].dims == ("chain", "draw", "data")
    assert get(fit, "observed_data")["y"].dims == get(fit, "constant_data")["x"].dims == ("data",)
    assert dict(get(fit, "predictions")["mu"].sizes) == {"chain": 1, "draw": 4000, "data": 100}
    np.testing.assert_array_equal(get(fit, "observed_data")["y"], np.asarray(seed.Y, np.float32))


def test_deterministics_and_likelihood_are_those_of_the_draws(fits: Comparison) -> None:
    fit = fits["auto_multivariate_normal"]
    posterior = get(fit, "posterior")
    for where, x in (("posterior", seed.X), ("predictions", np.linspace(-12, 12, 100))):
        mu = posterior["w"].to_numpy()[..., None] * np.asarray(x) + posterior["b"].to_numpy()[..., None]
        np.testing.assert_allclose(get(fit, where)["mu"], mu, rtol=1e-4, atol=1e-4)
    expected = norm(posterior["mu"], posterior["s_eps"].to_numpy()[..., None]).logpdf(np.asarray(seed.Y))
    np.testing.assert_allclose(get(fit, "log_likelihood")["y"], expected, rtol=1e-3, atol=1e-3)
    stats = get(fit, "sample_stats")
    np.testing.assert_allclose(stats["log_weight"], stats["log_p"] - stats["log_q"])
    residual = (get(fit, "predictions")["y"] - get(fit, "predictions")["mu"]).to_numpy() / posterior[
        "s_eps"
    ].to_numpy()[..., None]
    assert np.std(residual) == pytest.approx(1, abs=0.01)  # predictions add the noise


def test_files_open_with_arviz_and_with_guidebench(fits: Comparison, tmp_path: Path) -> None:
    for fit in fits:
        path = tmp_path / f"{fit.guide}.nc"
        idata.save(fit.inference_data, path)
        for opened in (az.from_netcdf(path), idata.load(path)):
            for name in GROUPS:
                saved = idata.group(opened, name)
                assert saved is not None
                original = get(fit, name)
                assert original.identical(saved.load().assign_attrs(original.attrs))


def test_arviz_summarises_what_is_saved(fits: Comparison) -> None:
    table = az.summary(fits["auto_multivariate_normal"].inference_data, var_names=["w", "b"], kind="stats")
    assert float(table.loc["w", "mean"]) == pytest.approx(0.527, abs=0.02)


def nested(group: Any, y: Any = None) -> None:
    tau = numpyro.sample("tau", dist.HalfNormal(1.0))
    with numpyro.plate("groups", 3):
        theta = numpyro.sample("theta", dist.Normal(0.0, tau))
        slopes = numpyro.sample("slopes", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
    p = numpyro.sample("p", dist.Dirichlet(np.ones(4, np.float32)))
    with numpyro.plate("units", group.shape[0]):
        numpyro.sample("y", dist.Normal(theta[group] + slopes[group].sum(-1) + p[0], 0.5), obs=y)


@pytest.mark.parametrize(
    "guide",
    [
        "auto_delta",  # the quickest to compile: what is looked at is the same for all
        pytest.param("mean_field", marks=pytest.mark.slow),
        pytest.param("auto_multivariate_normal", marks=pytest.mark.slow),
        pytest.param("auto_laplace_approximation", marks=pytest.mark.slow),
    ],
)
def test_plates_and_event_dims_of_a_hierarchical_model(run, guide: str) -> None:  # type: ignore[no-untyped-def]
    data = {"group": np.array([0, 0, 1, 1, 2, 2, 2]), "y": np.arange(7, dtype=np.float32) / 3}
    fit = run(Problem(name="nested", model=nested, kwargs=data), guide, steps=200, restarts=1, draws=200)[guide]
    assert fit.status in (Status.CONVERGED, Status.MAX_STEPS), fit.message
    posterior = get(fit, "posterior")
    assert {name: value.dims[2:] for name, value in posterior.data_vars.items()} == {
        "tau": (),
        "theta": ("groups",),
        "slopes": ("groups", "slopes_dim_1"),
        "p": ("p_dim_0",),
    }
    np.testing.assert_allclose(posterior["p"].sum("p_dim_0"), 1, rtol=1e-5)
    assert float(posterior["tau"].min()) > 0
    assert get(fit, "constant_data")["group"].dims == ("units",)


@pytest.mark.parametrize("lost", [0.0, -1e17, -1e300])
def test_the_mean_of_smoothed_weights_is_that_of_all(lost: float) -> None:
    """Of log w = N(0, .5^2), E w = exp(.5^2 / 2); half of the points are worth nothing, however far below they are."""
    log_weights = np.random.default_rng(0).normal(0, 0.5, 40_000)
    expected = np.log(0.5) + 0.125 if lost else 0.125
    log_weights[: 20_000 if lost else 0] = lost
    smoothed, _ = idata.pareto_smooth(log_weights)
    assert idata.log_mean_of_smoothed(log_weights, smoothed) == pytest.approx(expected, abs=4 * 0.54 / np.sqrt(20_000))
