"""Guides of the user's own: scored as any other, and refused before training where they cannot be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints
from numpyro.infer.autoguide import AutoDiagonalNormal, AutoNormal

import guidebench as gb
from guidebench.engine.fit import train as training
from guidebench.results import Comparison
from tests.numerics import linear_regression_exact

BRIEF = {"reference": "none", "steps": 400, "restarts": 2, "draws": 400, "progress": False}


def full_rank(y: Any = None, *, x: Any) -> None:
    """One Gaussian over w, b and log s_eps, with all covariances; arguments in another order than the model's."""
    loc = numpyro.param("loc", jnp.zeros(3))
    scale = numpyro.param("scale", 0.1 * jnp.eye(3), constraint=constraints.lower_cholesky)
    z = numpyro.sample("z", dist.MultivariateNormal(loc, scale_tril=scale), infer={"is_auxiliary": True})
    numpyro.sample("w", dist.Delta(z[0]))
    numpyro.sample("b", dist.Delta(z[1]))
    numpyro.sample("s_eps", dist.Delta(jnp.exp(z[2]), log_density=-z[2]))


def sites(**given: Any) -> Callable[[], None]:
    def guide() -> None:
        for name, one in given.items():
            numpyro.sample(name, one)

    return guide


@pytest.fixture(scope="module")
def both() -> Comparison:
    guides = [full_rank, "auto_multivariate_normal"]
    return gb.compare("linear-regression", guides=guides, reference="none", restarts=2, progress=False)


def test_a_full_rank_guide_by_hand_is_the_full_rank_autoguide(both: Comparison) -> None:
    own, bundled = both["full_rank"].metric("elbo"), both["auto_multivariate_normal"].metric("elbo")
    assert own is not None
    assert bundled is not None
    assert own.mcse is not None
    assert bundled.mcse is not None
    assert own.value == pytest.approx(-23.029, abs=4 * own.mcse + 0.003)
    assert own.value == pytest.approx(bundled.value, abs=4 * float(np.hypot(own.mcse, bundled.mcse)))


def test_it_is_said_whose_it_is(both: Comparison) -> None:
    own = both["full_rank"]
    assert (own.plugin, own.coordinates, own.status) == ("your own", "own", "converged")
    assert own.summary.startswith("One Gaussian over w, b and log s_eps")
    assert both.config["guides"] == ["full_rank", "auto_multivariate_normal"]
    posterior = own.inference_data["posterior"]
    assert {"w", "b", "s_eps"} <= set(posterior.data_vars)
    assert "z" not in posterior.data_vars


def test_a_guide_beside_it_changes_nothing(both: Comparison) -> None:
    alone = gb.compare("linear-regression", guides=full_rank, reference="none", restarts=2, progress=False)
    assert alone["full_rank"].metrics == both["full_rank"].metrics


def test_a_guide_without_any_spread_is_a_point_estimate() -> None:
    def mode(x: Any, y: Any = None) -> None:
        for name in ("w", "b"):
            numpyro.sample(name, dist.Delta(numpyro.param(f"{name}_", 0.0)))
        numpyro.sample("s_eps", dist.Delta(numpyro.param("s_", 1.0, constraint=constraints.positive)))

    fit = gb.compare("linear-regression", guides=mode, **{**BRIEF, "steps": 2000})["mode"]
    assert (fit.bound, fit.verdict, fit.metric("elbo")) == ("none", "point", None)
    posterior = fit.inference_data["posterior"]
    # The mode in the model's own coordinates, where AutoDelta ends, too.
    for name, expected in linear_regression_exact.MODE.items():
        assert float(posterior[name].mean()) == pytest.approx(expected, abs=0.002)


def test_a_class_with_options_is_trained_with_them() -> None:
    class Mine(AutoDiagonalNormal):  # type: ignore[misc]
        """Mine."""

    found = gb.compare("linear-regression", guides=[Mine, AutoNormal], **{**BRIEF, "restarts": 1})
    assert [(fit.guide, fit.plugin) for fit in found] == [("mine", "your own"), ("auto_normal", "guidebench")]
    assert all(fit.status.has_draws for fit in found)


# What is refused

NORMAL, POSITIVE = dist.Normal(0.0, 1.0), dist.LogNormal(0.0, 1.0)


@pytest.mark.parametrize(
    ("guide", "words"),
    [
        pytest.param(sites(w=NORMAL, b=NORMAL), "lacks the model's latent site s_eps", id="missing"),
        pytest.param(sites(w=NORMAL, b=NORMAL, s_eps=POSITIVE, c=NORMAL), "'c' is no latent site", id="extra"),
        pytest.param(sites(w=NORMAL, b=NORMAL, s_eps=NORMAL), "'s_eps' (Normal) takes all real", id="support"),
        pytest.param(sites(w=NORMAL.expand((2,)), b=NORMAL, s_eps=POSITIVE), "has the shape (2,)", id="shape"),
        pytest.param(lambda z: None, "asks for the argument 'z', but the model's arguments are x, y", id="argument"),
        pytest.param(
            gb.Guide(name="own", build=lambda model: lambda x, y: sites(w=NORMAL)()),
            "lacks the model's latent sites b",
            id="declared",
        ),
        pytest.param(gb.Guide(name="own", build=lambda model: None), "build returns NoneType", id="no guide"),
        pytest.param(gb.Guide(name="own", build=lambda model: model[0]), "cannot be built: TypeError", id="no build"),
    ],
)
def test_a_broken_guide_is_refused_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, guide: Any, words: str
) -> None:
    trained: list[Any] = []
    monkeypatch.setattr(training, "train", lambda *args, **kwargs: trained.append(args))
    with pytest.raises(gb.GuidebenchError) as caught:
        gb.compare("linear-regression", guides=["auto_normal", guide], **BRIEF)
    assert words in str(caught.value)
    assert str(caught.value).startswith("guide '")
    assert "\n" not in str(caught.value)
    assert trained == []


def test_a_plugins_guide_says_what_is_wrong_in_its_row(run: Callable[..., Comparison]) -> None:
    broken = gb.Guide(name="lacking", build=lambda model: lambda x, y=None: sites(w=NORMAL)())
    fit = run("linear-regression", broken, steps=40, restarts=1)["lacking"]
    assert fit.status == "failed"
    assert "lacks the model's latent site(s) b, s_eps" in fit.message


@pytest.mark.slow
def test_a_guide_by_hand_is_trained_on_minibatches() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=400)
    y = 0.5 * x + rng.normal(size=400)

    def model(x: Any, y: Any, batch_size: int) -> None:
        w = numpyro.sample("w", dist.Normal(0.0, 1.0))
        with numpyro.plate("rows", len(x), subsample_size=batch_size) as rows:
            numpyro.sample("y", dist.Normal(w * x[rows], 1.0), obs=y[rows])

    def guide() -> None:
        scale = numpyro.param("scale", 0.1, constraint=constraints.positive)
        numpyro.sample("w", dist.Normal(numpyro.param("loc", 0.0), scale))

    found = gb.compare(
        model, x, y, minibatch={"batch_size": 50}, guides=[guide, "auto_normal"], **{**BRIEF, "steps": 1000}
    )
    precision = 1 + np.sum(x**2)
    for fit in found:
        draws = fit.inference_data["posterior"]["w"]
        assert float(draws.mean()) == pytest.approx(np.sum(x * y) / precision, abs=0.2 / np.sqrt(precision))
        assert float(draws.std()) == pytest.approx(1 / np.sqrt(precision), rel=0.1)
