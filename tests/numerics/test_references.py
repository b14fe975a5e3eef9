"""References against closed forms; one that fails is used for nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr

from guidebench.config.errors import RequestError
from guidebench.config.seeds import derive
from guidebench.contracts import Problem
from guidebench.engine import references, sampled
from guidebench.engine.gate import Reference, judge
from guidebench.inference import nuts
from guidebench.problems import funnel, linear_regression, two_modes
from guidebench.results import inference_data as idata
from tests.numerics.referenced import line_problem, reference, workbench

pytestmark = pytest.mark.usefixtures("kept_references")

# NUTS against closed forms

SCALES = np.array([1e-3, 1.0, 1e4])
CORRELATED = SCALES[:, None] * (0.001 * np.eye(3) + 0.999) * SCALES
READING = np.array([5e-3, -2.0, 3e4])
PRIOR_SD = 10 * SCALES


def correlated() -> None:
    """theta ~ N(0, diag(PRIOR_SD^2)), read with errors that have correlations of 0.999."""
    theta = numpyro.sample("theta", dist.Normal(0, jnp.asarray(PRIOR_SD)).to_event(1))
    noise = jnp.linalg.cholesky(jnp.asarray(CORRELATED))
    numpyro.sample("y", dist.MultivariateNormal(theta, scale_tril=noise), obs=jnp.asarray(READING))


def conjugate() -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of theta, in units of SCALES, in which the algebra is well conditioned."""
    units = np.outer(SCALES, SCALES)
    precision = np.linalg.inv(CORRELATED / units) + np.eye(3) / 100
    covariance = np.linalg.inv(precision)
    return SCALES * (covariance @ np.linalg.solve(CORRELATED / units, READING / SCALES)), covariance * units


@pytest.mark.parametrize("recipe", [pytest.param("default", marks=pytest.mark.slow), "plain"])
def test_nuts_agrees_with_a_correlated_gaussian(recipe: str) -> None:
    found = reference(Problem(name="correlated", model=correlated), recipe=recipe)
    assert found.label == "NUTS", found.note
    assert found.checks["rhat"] < 1.01
    assert min(found.checks["ess_bulk"], found.checks["ess_tail"]) > 400
    assert found.checks["divergences"] == 0
    assert found.chains["theta"].shape == (4, 1000, 3)
    mean, covariance = conjugate()
    sd = np.sqrt(np.diag(covariance))
    assert covariance[0, 2] / sd[0] / sd[2] > 0.99  # the hard case that it is meant to be
    draws = found.draws["theta"]
    effective = np.array([found.effective[f"theta[{index}]"] for index in range(3)])
    assert (np.abs(draws.mean(axis=0) - mean) < 4 * sd / np.sqrt(effective)).all()
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.05)
    np.testing.assert_allclose(np.corrcoef(draws.T), covariance / np.outer(sd, sd), atol=1e-3)


@pytest.mark.slow
def test_nuts_agrees_with_the_seed_problem() -> None:
    problem = linear_regression.problem()
    found = reference(problem)
    assert found.label == "NUTS", found.note
    exact = linear_regression.reference(1, 1_000_000)
    for site, draws in found.draws.items():
        sd = exact[site].std()
        assert abs(draws.mean() - exact[site].mean()) < 4 * sd / np.sqrt(found.effective[site]), site
        assert draws.std() == pytest.approx(sd, rel=0.08), site  # the tails are heavy
        for level in (0.05, 0.5, 0.95):
            error = np.sqrt(level * (1 - level) / found.effective[site])
            assert np.mean(draws < np.quantile(exact[site], level)) == pytest.approx(level, abs=4 * error), site


def constrained(y: Any = None) -> None:
    shares = numpyro.sample("shares", dist.Dirichlet(jnp.ones(3)))
    with numpyro.plate("two", 2):
        rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
    numpyro.sample("y", dist.Multinomial(10, shares), obs=y)
    numpyro.sample("counts", dist.Poisson(rate), obs=jnp.array([3, 0]))


@pytest.mark.usefixtures("short_nuts")
def test_draws_are_those_of_the_models_own_sites() -> None:
    found = reference(Problem(name="constrained", model=constrained, kwargs={"y": np.array([7, 2, 1])}))
    assert {name: value.shape for name, value in found.chains.items()} == {"shares": (4, 500, 3), "rate": (4, 500, 2)}
    np.testing.assert_allclose(found.chains["shares"].sum(axis=-1), 1)
    np.testing.assert_allclose(found.draws["shares"].mean(axis=0), np.array([8, 3, 2]) / 13, atol=0.02)
    np.testing.assert_allclose(found.draws["rate"].mean(axis=0), [2.5, 1.0], atol=0.12)
    assert set(found.effective) == {"shares[0]", "shares[1]", "shares[2]", "rate[0]", "rate[1]"}


# The gate


@pytest.mark.usefixtures("short_nuts")
@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(two_modes.problem(), id="two-modes", marks=pytest.mark.slow),
        pytest.param(funnel.problem(), id="funnel"),
    ],
)
def test_a_reference_that_fails_is_shown_and_used_for_nothing(run, problem: Problem) -> None:  # type: ignore[no-untyped-def]
    comparison = run(problem, "auto_normal", reference="nuts", steps=200, restarts=1)
    (record,) = comparison.problems
    assert record.reference == ""
    assert record.reference_note.startswith("NUTS failed its checks and is used for nothing: R-hat of ")
    assert record.reference_checks["rhat"] > 1.01
    assert (record.reference_checks["divergences"] > 0) == (problem.name == "funnel")
    assert comparison.references == {}
    fit = comparison["auto_normal"]
    assert fit.status.has_draws, fit.message
    against = ("mean_error", "sd_error", "sd_ratio", "w1_error", "correlation_error", "sliced_w2", "energy_distance")
    assert [one.metric for one in fit.metrics if one.metric in against] == []


def chains(seed: int = 0, draws: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((4, draws, 2))


def test_chains_that_agree_pass() -> None:
    found = judge({"theta": chains(), "constant": np.ones((4, 1000))}, 0)
    assert found.failure == ""
    assert set(found.checks) == {"chains", "draws", "divergences", "rhat", "ess_bulk", "ess_tail"}
    assert (found.checks["chains"], found.checks["draws"]) == (4, 4000)
    assert set(found.effective) == {"theta[0]", "theta[1]"}
    assert all(3000 < value <= 4000 for value in found.effective.values())


def shifted() -> np.ndarray:
    found = chains()
    found[2, :, 1] += 0.5
    return found


def slow() -> np.ndarray:
    noise, found = chains(draws=2000), chains(draws=2000)
    for draw in range(1, 2000):
        found[:, draw] = 0.97 * found[:, draw - 1] + np.sqrt(1 - 0.97**2) * noise[:, draw]
    return found


def stuck() -> np.ndarray:
    found = chains()
    found[1] = 0.3
    return found


def broken() -> np.ndarray:
    found = chains()
    found[3, 7, 1] = np.nan
    return found


@pytest.mark.parametrize(
    ("made", "divergences", "reason"),
    [
        (shifted, 0, "R-hat of theta[1] is 1.0"),
        (slow, 0, "the bulk ESS of theta["),
        (stuck, 0, "R-hat of theta["),
        (broken, 0, "its draws of theta are not finite"),
        (chains, 1, "1 transition diverged (none may)"),
        (lambda: chains(draws=3), 0, "R-hat of theta[0] is nan"),
        (lambda: chains(draws=100), 0, "the bulk ESS of theta["),
        (lambda: np.ones((4, 1000, 2)), 0, "none of its components varies"),
    ],
    ids=["shifted", "slow", "stuck", "nan", "divergent", "three draws", "short", "constant"],
)
def test_chains_that_do_not_pass(made: Callable[[], np.ndarray], divergences: int, reason: str) -> None:
    failure = judge({"theta": made()}, divergences).failure
    assert reason in failure
    assert "\n" not in failure


def test_diagnostics_are_those_of_arviz() -> None:
    import arviz as az

    values = slow()[:, :, 0]
    found = idata.mixing(values)
    dataset = xr.Dataset({"x": (("chain", "draw"), values)})
    expected = [az.rhat(dataset), az.ess(dataset, method="bulk"), az.ess(dataset, method="tail", prob=(0.05, 0.95))]
    assert found == pytest.approx([float(one["x"]) for one in expected])


def test_more_draws_are_made_only_where_they_help(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = nuts.Settings(warmup=250, draws=250, doublings=2)
    monkeypatch.setattr(sampled, "SETTINGS", settings)

    def lengths(divergent: bool, *, failing: int) -> list[int]:
        seen: list[int] = []

        def made(*_: Any) -> Any:
            for length in (250, 500, 1000):
                seen.append(length)
                diverging = np.full((4, length), divergent)
                values = chains(draws=length)[:, :, 0] + 2.0 * np.arange(4)[:, None] * (len(seen) <= failing)
                yield nuts.Chains({"w": values}, diverging)

        with monkeypatch.context() as patch:
            patch.setattr(nuts, "rounds", made)
            patch.setattr(sampled, "_read", lambda *_: None)
            reference(line_problem())
        return seen

    assert lengths(False, failing=0) == [250]
    assert lengths(False, failing=1) == [250, 500]
    assert lengths(False, failing=9) == [250, 500, 1000]
    assert lengths(True, failing=9) == [250]


def test_sampling_goes_on_where_it_stopped() -> None:
    bench = workbench(line_problem(), reference="none")
    ready = bench.prepared
    assert bench.target is not None
    settings = nuts.Settings(warmup=250, draws=250, doublings=2)
    starts = nuts.chain_starts(ready.landscape, ready.points, 4, 0)
    values = {name: ready.values[name] for name in ready.arguments.arrays}
    affine = nuts.Affine.for_family("affine", ready.landscape.best, 1)
    first, second, third = nuts.rounds(bench.target, values, affine, starts, 0, settings)
    assert [one.diverging.shape for one in (first, second, third)] == [(4, 250), (4, 500), (4, 1000)]
    np.testing.assert_array_equal(third.draws["w"][:, :250], first.draws["w"])
    np.testing.assert_array_equal(third.draws["w"][:, :500], second.draws["w"])
    assert len(np.unique(third.draws["w"][0])) > 900


def test_chains_start_in_every_mode() -> None:
    ready = workbench(two_modes.problem(), reference="none").prepared
    assert ready.landscape is not None
    assert ready.points is not None
    found = nuts.chain_starts(ready.landscape, ready.points, 4, 0)
    sides = np.sign((found.centres + found.noise) @ [1, 1])
    assert sides.tolist() in ([1, -1, 1, -1], [-1, 1, -1, 1])
    assert len(np.unique(found.centres + found.noise, axis=0)) == 4


# Models without a NUTS reference


def with_parameter(y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(numpyro.param("a", 5.0), 1.0))
    numpyro.sample("y", dist.Normal(w, 1.0), obs=y)


def discrete(y: Any = None) -> None:
    side = numpyro.sample("side", dist.Bernoulli(0.5))
    numpyro.sample("y", dist.Normal(side, 1.0), obs=y)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (with_parameter, "the model has parameters of its own (a)"),
        (discrete, "the model has no continuous latent sites"),
    ],
)
def test_what_nuts_cannot_do(model: Callable[..., Any], reason: str) -> None:
    problem = Problem(name="hard", model=model, kwargs={"y": np.float32(1.0)})
    found = reference(problem, "auto")
    assert (found.label, found.chains, found.checks) == ("", {}, {})
    assert found.note.startswith(f"There is no reference, for NUTS cannot run here: {reason}")
    with pytest.raises(RequestError) as caught:
        reference(problem, "nuts")
    assert str(caught.value).startswith(f"--reference nuts: problem 'hard': {reason}")


def test_a_sampler_that_breaks_is_a_note(no_sampler: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    no_sampler()
    monkeypatch.setattr(references, "LADDER", references.LADDER[-1:])  # a line is easy for what comes before NUTS
    found = reference(line_problem(), "auto")
    assert (found.label, found.note) == ("", "There is no reference, for NUTS cannot run here: SampledError.")


def test_where_nothing_is_asked_for_no_more_is_made_than_what_guides_are_judged_by(
    no_sampler: Callable[[], None],
) -> None:
    no_sampler()
    for problem in (line_problem(), linear_regression.problem()):
        found = reference(problem, "none")
        assert replace(found, witness=None) == Reference()
        assert found.witness is not None
        assert found.witness.label == "mixture"


# Exact


@pytest.mark.parametrize("choice", ["auto", "exact"])
def test_exact_draws_are_the_problems_own(choice: str, no_sampler: Callable[[], None]) -> None:
    no_sampler()
    found = reference(linear_regression.problem(), choice, seed=3)
    expected = linear_regression.reference(derive(3, "linear-regression", "reference"), 40_000)
    assert (found.label, found.note, found.effective) == ("exact posterior", "", {})
    assert list(found.draws) == ["w", "b", "s_eps"]
    for site, draws in found.draws.items():
        np.testing.assert_array_equal(draws, expected[site])


def test_exact_needs_a_sampler_of_the_problems_own() -> None:
    with pytest.raises(RequestError, match="--reference exact: problem 'line' cannot draw from its exact posterior"):
        reference(line_problem(), "exact")
