"""Models as people write them: each trains, or says in one sentence why it cannot."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro import handlers
from scipy.special import betaln

import guidebench as gb
from guidebench.config.errors import RequestError
from guidebench.contracts import Guide, Metric, MetricValue, Problem
from guidebench.engine.fit.score import compute as compute_metrics
from guidebench.metrics.evidence import Evidence
from guidebench.plugins.registry import Registered
from guidebench.results import Comparison, Fit, Status
from guidebench.results.inference_data import group

QUICK = {"steps": 500, "restarts": 1, "draws": 500, "reference": "none"}
X = np.linspace(-1, 1, 12, dtype=np.float32)
Y = np.float32(0.5) * X + np.float32([0.1, -0.2, 0.05, 0.3, -0.1, 0.0, 0.2, -0.3, 0.1, 0.0, -0.1, 0.2])


def one(model: Any, *args: Any, guide: str = "auto_normal", **kwargs: Any) -> Fit:
    return next(iter(gb.compare(model, *args, guides=guide, **{**QUICK, **kwargs})))


def line(x: Any, y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    with numpyro.plate("n", len(x)):
        mu = numpyro.deterministic("mu", w * x)
        numpyro.sample("y", dist.Normal(mu, 0.3), obs=y)


@pytest.mark.parametrize("kind", [list, tuple, pd.Series, np.asarray], ids=["list", "tuple", "series", "array"])
def test_data_of_any_kind_give_the_same_numbers(kind: Callable[[Any], Any]) -> None:
    found = one(line, kind(X), y=kind(Y))
    precision = 1 + float(X @ X) / 0.09
    assert found.value("mean", "w") == pytest.approx(float(X @ Y) / 0.09 / precision, abs=0.03)
    assert found.value("sd", "w") == pytest.approx(precision**-0.5, rel=0.08)


def sized(group: Any, count: Any, y: Any = None) -> None:
    with numpyro.plate("groups", int(group.max()) + 1):
        theta = numpyro.sample("theta", dist.Normal(0.0, 1.0))
    with numpyro.plate("n", int(count)):
        numpyro.sample("y", dist.Normal(theta[group], 1.0), obs=y)


def test_a_model_may_look_at_its_data() -> None:
    found = one(sized, np.array([0, 1, 1, 2]), np.int64(4), y=np.zeros(4, np.float32))
    assert found.status.has_draws, found.message
    assert group(found.inference_data, "posterior")["theta"].dims[-1] == "groups"


def with_parameter(x: Any, y: Any = None) -> None:
    a = numpyro.param("a", 5.0)
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    with numpyro.plate("n", x.shape[0]):
        mu = numpyro.deterministic("mu", a + w * x)
        numpyro.sample("y", dist.Normal(mu, 0.3), obs=y)


def test_predictions_use_the_trained_parameters_of_the_model() -> None:
    comparison = gb.compare(with_parameter, X, y=Y, heldout={"y": Y}, guides="auto_normal", **QUICK)
    found = comparison["auto_normal"]
    assert float(group(found.inference_data, "posterior")["mu"].mean()) == pytest.approx(float(Y.mean()), abs=0.2)
    assert (found.value("coverage_90") or 0) > 0.7
    assert "its own" in comparison.problems[0].notes[0] or "parameters (a)" in comparison.problems[0].notes[0]


def cholesky(y: Any = None) -> None:
    corr = numpyro.sample("L", dist.LKJCholesky(2, 2.0))
    numpyro.sample("y", dist.MultivariateNormal(np.zeros(2), scale_tril=corr), obs=y)


def test_the_zeros_of_a_cholesky_factor_are_no_point_estimate() -> None:
    y = np.random.RandomState(0).multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 30).astype(np.float32)
    assert one(cholesky, y=y).status.has_draws


def scoped(x: Any, y: Any = None) -> None:
    with handlers.scope(prefix="m"):
        line(x, y)


def test_scoped_sites_are_saved_and_come_back(tmp_path: Any) -> None:
    comparison = gb.compare(scoped, X, y=Y, guides="auto_normal", **QUICK)
    comparison.report(tmp_path)
    assert "m/w" in group(gb.load(tmp_path)["auto_normal"].inference_data, "posterior")


def named_like_parameters(x: Any, y: Any = None) -> None:
    loc = numpyro.sample("w_loc", dist.Normal(0.0, 1.0))
    scale = numpyro.sample("w_scale", dist.HalfNormal(1.0))
    w = numpyro.sample("w", dist.Normal(loc, scale))
    numpyro.sample("y", dist.Normal(w * x, 0.3).to_event(1), obs=y)


def test_the_hand_written_guide_gives_way_to_sites_of_its_names() -> None:
    assert one(named_like_parameters, X, y=Y, guide="mean_field").status.has_draws


def scanned(y: Any) -> None:
    from numpyro.contrib.control_flow import scan

    rho = numpyro.sample("rho", dist.Uniform(-1.0, 1.0))

    def step(last: Any, now: Any) -> Any:
        return numpyro.sample("y", dist.Normal(rho * last, 0.3), obs=now), None

    scan(step, 0.0, y)


def test_a_scan_along_its_observations_is_scored() -> None:
    found = one(scanned, Y)
    assert found.status.has_draws, found.message
    assert found.value("elbo") is not None


def discrete(y: Any = None) -> None:
    k = numpyro.sample("k", dist.Poisson(2.0))
    numpyro.sample("y", dist.Normal(k, 1.0), obs=y)


def dynamic(y: Any = None) -> None:
    top = numpyro.sample("top", dist.HalfNormal(1.0))
    x = numpyro.sample("x", dist.Uniform(0.0, top))
    numpyro.sample("y", dist.Normal(x, 1.0), obs=y)


def partly_missing(y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(w, 1.0).expand([12]), obs=y, obs_mask=np.arange(12) < 6)


UNSUPPORTED = {
    "discrete": (
        discrete,
        (),
        {"y": 0.3},
        "auto_normal",
        "discrete latent sites (k) and cannot be rid of them: k (Poisson) takes infinitely many",
    ),
    "dynamic": (dynamic, (), {"y": 0.3}, "auto_normal", "the support of x depends on another latent site"),
    "obs_mask": (partly_missing, (), {"y": Y}, "auto_normal", "latent site(s) y_unobserved"),
    "one-dimensional flow": (line, (X,), {"y": Y}, "auto_iaf_normal", "at least two latent dimensions"),
    "impossible start": (line, (X,), {"y": np.full(12, np.nan, np.float32)}, "auto_normal", "no starting point"),
}


@pytest.mark.filterwarnings("ignore:line. The argument y holds 12 NaN:UserWarning")
@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_cannot_be_done_is_refused_with_its_reason(case: str) -> None:
    model, args, kwargs, guide, words = UNSUPPORTED[case]
    comparison = gb.compare(model, *args, guides=guide, **QUICK, **kwargs)
    found = comparison[guide]
    assert found.status is Status.UNSUPPORTED
    assert words in found.message
    assert found.value("elbo") is None
    from guidebench.analysis.recommendation import recommend

    assert recommend(comparison.fits).startswith("No guide could be trained:")


def coins(y: Any = None) -> None:
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    with numpyro.plate("n", 12):
        numpyro.sample("y", dist.Bernoulli(p), obs=y)


def test_discrete_data_have_a_density_but_no_coverage() -> None:
    y = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0])
    found = one(coins, y=y, heldout={"y": y})
    assert found.value("elpd") is not None
    assert found.value("coverage_90") is None
    assert found.value("log_evidence") == pytest.approx(betaln(10, 6) - betaln(2, 2), abs=0.02)


def test_a_model_that_observes_nothing_is_pointed_out() -> None:
    with pytest.warns(UserWarning, match="observes nothing"):
        comparison = gb.compare(line, X, guides="auto_normal", **QUICK)
    assert "observes nothing" in comparison.problems[0].notes[0]


WRONG = {
    "held-out data without observations": ({"heldout": {"x": X}}, "heldout lacks the observed argument(s) y"),
    "held-out argument unknown": ({"heldout": {"z": X}}, "heldout names z"),
    "truth of no site": ({"truth": {"v": 1.0}}, "truth names v"),
    "truth of another shape": ({"truth": {"w": [1.0, 2.0]}}, "truth of w must be numbers of shape ()"),
    "truth that is no number": ({"truth": {"w": "a"}}, "truth of w must be numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_requests_in_python(case: str) -> None:
    options, words = WRONG[case]
    with pytest.raises(RequestError, match=re.escape(words)):
        gb.compare(line, X, y=Y, guides="auto_normal", **QUICK, **options)


def broken(x: Any, y: Any = None) -> None:
    raise ValueError("no such thing")


def test_a_model_that_does_not_run_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match="does not run with its arguments: ValueError: no such thing"):
        gb.compare(broken, X, y=Y, guides="auto_normal", **QUICK)


def _build(error: BaseException) -> Callable[[Any], Any]:
    def build(model: Any) -> Any:
        raise error

    return build


@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), SystemExit(3), RequestError("boom")], ids=lambda e: type(e).__name__
)
def test_whatever_a_guide_raises_stays_in_its_row(run: Callable[..., Comparison], error: BaseException) -> None:
    bad = Guide(name="bad", build=_build(error))
    found = run("linear-regression", bad, "auto_delta", steps=40, restarts=1, draws=100)
    assert found["bad"].status is Status.FAILED
    assert found["bad"].message.startswith(f"build: {type(error).__name__}")
    assert found["auto_delta"].status.has_draws


def _exits(evidence: Evidence) -> list[MetricValue]:
    raise SystemExit(1)


METRICS = {
    "no number": (lambda evidence: [MetricValue(value="abc")], "could not convert"),  # type: ignore[arg-type]
    "another's name": (lambda evidence: [MetricValue(value=0.0, metric="sd_shift")], "not its own"),
    "exit": (_exits, "SystemExit"),
}


@pytest.mark.parametrize("case", METRICS)
def test_a_metric_can_neither_break_a_fit_nor_speak_for_another(case: str) -> None:
    compute, words = METRICS[case]
    good = Registered(
        Metric(name="good", compute=lambda evidence: [MetricValue(value=1, metric="good_part")]), "p", "p"
    )
    values, failures = compute_metrics(
        Evidence(latents={}), [Registered(Metric(name="odd", compute=compute), "p", "p"), good]
    )
    assert [value.metric for value, _ in values] == ["good_part"]
    assert words in failures[0].message


def test_a_problem_that_does_not_run_stops_no_other() -> None:
    from guidebench.config import make_config
    from guidebench.engine.request import Request
    from guidebench.engine.run import compare
    from guidebench.plugins.registry import load_registry
    from guidebench.request.selection import choose_guides

    registry = load_registry()
    problems = (
        Problem(name="broken", model=broken, args=(X,), kwargs={"y": Y}),
        Problem(name="fine", model=line, args=(X,), kwargs={"y": Y}),
    )
    guides = choose_guides(registry, ("auto_normal",))
    comparison = compare(
        Request(name="both", problems=problems, guides=guides, config=make_config(QUICK), registry=registry)
    )
    assert comparison["broken", "auto_normal"].status is Status.FAILED
    assert "no such thing" in comparison["broken", "auto_normal"].message
    assert comparison["fine", "auto_normal"].status.has_draws
