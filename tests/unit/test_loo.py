"""Leave-one-out against its closed form in a conjugate model, from draws of the posterior and of something near it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

import guidebench as gb
from guidebench.config.errors import RequestError
from guidebench.report.content import Link, Number, Table
from guidebench.report.overview import Overview, models
from guidebench.results import Finding, Verdict
from guidebench.results.inference_data import from_groups
from tests import made

RNG = np.random.default_rng(5)
Y = RNG.normal(1.0, 1.0, size=30)
PRIOR = 10.0


def posterior(y: np.ndarray) -> tuple[float, float]:
    """Return mean and sd of the mean of y, of unit variance, under a Normal prior."""
    precision = len(y) + 1 / PRIOR**2
    return float(y.sum() / precision), float(precision**-0.5)


def exact() -> np.ndarray:
    """Return log p(y_i | the others)."""
    found = []
    for at in range(len(Y)):
        mean, sd = posterior(np.delete(Y, at))
        found.append(norm(mean, np.hypot(sd, 1)).logpdf(Y[at]))
    return np.array(found)


def fit(
    guide: str = "near", *, shift: float = 0.0, widen: float = 1.0, y: np.ndarray = Y, model: float = 0.0, **parts: Any
) -> Any:
    """Return a fit whose guide is the posterior but for a shift, in its sds, and a factor of its sd."""
    mean, sd = posterior(y - model)
    q = norm(mean + shift * sd, widen * sd)
    theta = q.rvs(4000, random_state=1)
    log_likelihood = norm(theta[:, None] + model, 1).logpdf(y)
    log_p = log_likelihood.sum(axis=1) + norm(0, PRIOR).logpdf(theta)
    dims = ("chain", "draw")
    groups = {
        "posterior": xr.Dataset({"theta": (dims, theta[None])}),
        "sample_stats": xr.Dataset({"log_weight": (dims, (log_p - q.logpdf(theta))[None])}),
        "log_likelihood": xr.Dataset({"y": ((*dims, "row"), log_likelihood[None])}),
        "observed_data": xr.Dataset({"y": ("row", y)}),
    }
    return made.fit(guide, inference_data=from_groups(groups), **{"verdict": Verdict.TRUST, **parts})


@pytest.mark.parametrize("shape", [{}, {"shift": 0.5, "widen": 1.3}, {"widen": 1.5}])
def test_it_is_the_closed_form_whatever_the_guide(shape: dict[str, float]) -> None:
    found = made.comparison(fit(**shape)).loo()
    assert found.pointwise == pytest.approx(exact(), abs=0.02)
    assert found.elpd == pytest.approx(exact().sum(), abs=0.1)
    assert found.se == pytest.approx(np.sqrt(30) * exact().std(ddof=1), rel=0.05)
    assert found.p_loo == pytest.approx(1, abs=0.35)
    assert found.khat.shape == (30,)
    assert "from 4,000 draws of near" in str(found)


def test_without_the_weights_a_shifted_guide_would_be_wrong() -> None:
    one = fit(shift=2.0, widen=1.5)
    weighted = made.comparison(one).loo().pointwise
    plain = one.inference_data
    flat = from_groups(
        {
            "log_likelihood": xr.Dataset({"y": (("chain", "draw", "row"), plain["log_likelihood"]["y"].to_numpy())}),
            "posterior": xr.Dataset({"theta": (("chain", "draw"), plain["posterior"]["theta"].to_numpy())}),
        }
    )
    unweighted = made.comparison(made.fit("near", inference_data=flat)).loo().pointwise
    assert np.abs(weighted - exact()).max() < 0.05
    assert np.abs(unweighted - exact()).max() > 0.3


def test_the_verdict_and_k_hat_forbid_it() -> None:
    with pytest.raises(RequestError, match="LOO of near cannot be told: it is distrust"):
        made.comparison(fit(verdict=Verdict.DISTRUST)).loo("near")
    with pytest.raises(RequestError, match="no guide of the run has draws that can be used"):
        made.comparison(fit(verdict=Verdict.DISTRUST)).loo()
    with pytest.raises(RequestError, match=r"the tail shape k-hat .*, more than 0\.7"):
        made.comparison(fit(widen=0.4, verdict=Verdict.REWEIGHT)).loo()
    with pytest.raises(RequestError, match="there is no guide 'other'"):
        made.comparison(fit()).loo("other")
    with pytest.raises(RequestError, match="densities of single observations are not there"):
        made.comparison(made.fit("near", inference_data=from_groups({}))).loo("near")


def test_draws_that_are_trusted_count_alike_where_their_weights_do_not_settle() -> None:
    """A guide that is right but for far tails, where its weights have none that settle."""
    near = fit()
    log_weight = near.inference_data["sample_stats"]["log_weight"].to_numpy().copy()
    log_weight[0, :20] += np.linspace(5, 12, 20)
    groups = {
        name: near.inference_data[name].to_dataset()
        if hasattr(near.inference_data[name], "to_dataset")
        else near.inference_data[name]
        for name in ("posterior", "log_likelihood", "observed_data")
    }
    groups["sample_stats"] = xr.Dataset({"log_weight": (("chain", "draw"), log_weight)})
    heavy = from_groups(groups)
    found = made.comparison(made.fit("near", inference_data=heavy)).loo()
    assert not found.weighted
    assert found.pointwise == pytest.approx(exact(), abs=0.02)
    assert "all alike" in str(found)
    with pytest.raises(RequestError, match="the tail shape k-hat"):
        made.comparison(made.fit("near", verdict=Verdict.REWEIGHT, inference_data=heavy)).loo()


def test_weights_that_are_right_tell_it_where_draws_were_lent() -> None:
    def lent(right: bool) -> Any:
        seen = (Finding(source="reference", raw=False, reweighted=right), Finding(source="mixture", refreshed=True))
        return fit(widen=1.5, verdict=Verdict.REFRESH, refreshed_by="mixture", evidence=seen)

    assert made.comparison(lent(right=True)).loo().pointwise == pytest.approx(exact(), abs=0.02)
    with pytest.raises(RequestError, match="no guide of the run has draws that can be used"):
        made.comparison(lent(right=False)).loo()


def test_models_rank_as_their_exact_densities_do() -> None:
    right, wrong = made.comparison(fit()), made.comparison(fit(model=0.0, shift=0.3))
    heavy = made.comparison(fit("far", verdict=Verdict.DISTRUST))
    table = gb.compare_models({"wrong": wrong, "right": right, "far": heavy})
    assert list(table.index)[-1] == "far"
    assert np.isnan(table.loc["far", "elpd_loo"])
    assert "no guide of the run" in table.attrs["reasons"]["far"]
    best = table.index[0]
    assert table.loc[best, "difference"] == 0
    # Two guides of one model: nothing between them but noise.
    assert abs(table["difference"].iloc[1]) < 0.1


def test_the_difference_has_the_error_of_its_terms() -> None:
    small = made.comparison(fit())
    spread = made.comparison(fit("b"))
    one, other = small.loo(), spread.loo()
    table = gb.compare_models({"a": small, "b": spread})
    apart = other.pointwise - one.pointwise
    assert table["se_difference"].max() == pytest.approx(np.sqrt(30) * apart.std(ddof=1))


def test_the_problems_of_one_run_are_models_too() -> None:
    one, other = fit(), fit(model=0.0, shift=0.3, problem="q")
    apart = gb.compare_models({"p": made.comparison(one), "q": made.comparison(other)})
    run = made.comparison(one, other)
    assert set(apart.index) == {record.name for record in run.problems}
    together = gb.compare_models(run)
    assert list(together.index) == list(apart.index)
    assert together["elpd_loo"].tolist() == apart["elpd_loo"].tolist()


def test_a_report_on_models_of_the_same_data_compares_them() -> None:
    run = made.comparison(fit(), fit(model=0.0, shift=0.3, problem="q"), fit(problem="else", y=Y + 1e-3))
    block = models.build(Overview(comparison=run))
    assert block is not None
    (table,) = (part for part in block if isinstance(part, Table))
    assert {link.text for link, *_ in table.rows if isinstance(link, Link)} == {"p", "q"}
    best = gb.compare_models({"p": made.comparison(fit()), "q": made.comparison(run.of("q")[0])}).iloc[0]
    told = table.rows[0][1]
    assert isinstance(told, Number)
    assert told.value == pytest.approx(best["elpd_loo"])
    assert models.build(Overview(comparison=made.comparison(fit(), fit(problem="else", y=Y + 1e-3)))) is None


def test_different_data_are_refused() -> None:
    with pytest.raises(RequestError, match="a and b were trained on different data"):
        gb.compare_models({"a": made.comparison(fit()), "b": made.comparison(fit(y=Y + 1e-3))})
    with pytest.raises(RequestError, match="at least two"):
        gb.compare_models({"a": made.comparison(fit())})
    with pytest.raises(RequestError, match="has 2 problems"):
        gb.compare_models({"a": made.comparison(fit(), fit(problem="q")), "b": made.comparison(fit())})
