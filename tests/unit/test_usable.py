"""The draws to use: whose they are, that they are these very draws, and how weights and chains come into them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import guidebench as gb
from guidebench.results import Verdict
from guidebench.results import inference_data as idata
from tests import made

RNG = np.random.default_rng(0)
DRAWS = 2_000


def group(values: Any, name: str = "a") -> xr.Dataset:
    return xr.Dataset({name: (("chain", "draw"), np.asarray(values)[None])}, coords={"draw": np.arange(len(values))})


def drawn(guide: str, verdict: Verdict, *, log_weight: Any = None, refreshed: Any = None, **parts: Any) -> Any:
    """Return a fit whose draws are standard normal, with what was predicted from each: ten times its draw."""
    raw = RNG.normal(size=DRAWS)
    groups = {
        "posterior": group(raw),
        "posterior_predictive": group(10 * raw, "y"),
        "observed_data": xr.Dataset({"y": 3.0}),
        "training": xr.Dataset({"loss": ("step", np.zeros(3))}),
    }
    if log_weight is not None:
        groups["sample_stats"] = group(log_weight(raw), "log_weight")
    if refreshed is not None:
        groups["refreshed"] = group(refreshed)
    metrics = {"elbo": parts.pop("elbo", -1.0)}
    return made.fit(guide, metrics, verdict=verdict, inference_data=idata.from_groups(groups), **parts)


def of(data: Any, name: str = "posterior") -> xr.Dataset:
    found = idata.group(data, name)
    assert found is not None
    return found


def test_a_trusted_guide_comes_first_and_its_draws_are_its_own() -> None:
    slow, quick = drawn("slow", Verdict.TRUST, train_s=9.0), drawn("quick", Verdict.TRUST, train_s=1.0)
    found = made.comparison(slow, drawn("other", Verdict.REFRESH, refreshed=[1.0, 2.0]), quick).posterior()
    about = of(found).attrs
    assert (about["source"], about["guide"], about["problem"]) == ("guide", "quick", "p")
    assert about["reason"].startswith("Use quick: the quickest of 2 guides")
    np.testing.assert_array_equal(of(found)["a"], of(quick.inference_data)["a"])
    assert set(idata.group_names(found)) == {"posterior", "posterior_predictive", "observed_data"}


def test_refreshed_draws_take_the_place_of_a_guides_own_and_nothing_is_predicted_from_others() -> None:
    fit = drawn("g", Verdict.REFRESH, refreshed=[1.0, 2.0, 3.0], refreshed_by="chains")
    found = made.comparison(fit, drawn("w", Verdict.REWEIGHT, log_weight=np.zeros_like)).posterior()
    assert of(found).attrs["source"] == "chains"
    np.testing.assert_array_equal(of(found)["a"], [[1.0, 2.0, 3.0]])
    assert set(idata.group_names(found)) == {"posterior", "observed_data"}


def test_resampled_draws_have_the_weighted_moments_and_keep_their_predictions() -> None:
    """Weights exp(x) make of a standard normal one with mean 1."""
    fit = drawn("g", Verdict.REWEIGHT, log_weight=lambda x: x)
    worse = drawn("worse", Verdict.REWEIGHT, log_weight=lambda x: x, elbo=-9.0)
    comparison = made.comparison(worse, fit)
    found = comparison.posterior()
    assert of(found).attrs["guide"] == "g"
    assert of(found).attrs["source"] == "weights"
    values = of(found)["a"].to_numpy().ravel()
    assert len(values) == DRAWS
    weights = np.exp(of(fit.inference_data)["a"].to_numpy().ravel())
    weighted = float(np.average(of(fit.inference_data)["a"].to_numpy().ravel(), weights=weights))
    assert values.mean() == pytest.approx(weighted, abs=0.02)
    assert values.mean() == pytest.approx(1.0, abs=0.15)
    np.testing.assert_array_equal(of(found, "posterior_predictive")["y"], 10 * of(found)["a"])
    np.testing.assert_array_equal(of(comparison.posterior())["a"], of(found)["a"])


def test_the_reference_is_taken_where_no_guide_can_be() -> None:
    reference = idata.from_groups({"posterior": group([7.0, 8.0])})
    lost = drawn("g", Verdict.REFRESH, refreshed=[1.0], refreshed_by="mixture")
    run = made.comparison(lost, known={"reference": "nuts"}, references={"p": reference})
    assert of(run.posterior()).attrs["source"] == "reference"
    assert of(run.posterior()).attrs["reference"] == "nuts"
    np.testing.assert_array_equal(of(run.posterior())["a"], [[7.0, 8.0]])


def test_a_mixture_that_nobody_is_shown_comes_last() -> None:
    found = made.comparison(drawn("g", Verdict.REFRESH, refreshed=[1.0], refreshed_by="mixture")).posterior()
    assert of(found).attrs["source"] == "mixture"
    assert "guide" not in of(found).attrs


def test_where_there_are_none_it_says_why() -> None:
    with pytest.warns(UserWarning, match="None of these guides can be used on this problem"):
        assert made.comparison(drawn("g", Verdict.DISTRUST)).posterior() is None


def test_of_several_problems_one_is_named() -> None:
    run = made.comparison(drawn("g", Verdict.TRUST), drawn("g", Verdict.TRUST, problem="q"))
    with pytest.raises(gb.RequestError, match="several problems; name one of p, q"):
        run.posterior()
    with pytest.raises(gb.RequestError, match="no problem 'r'"):
        run.posterior("r")
    assert of(run.posterior("q")).attrs["problem"] == "q"
