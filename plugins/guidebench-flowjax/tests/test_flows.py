"""The flows as guides: what they are, and how close they come to a posterior that is no Gaussian."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.handlers import seed, substitute, trace
from numpyro.infer import Predictive
from numpyro.infer.initialization import init_to_value

import guidebench as gb
from guidebench_flowjax import guidebench_guides

GUIDES = {guide.name: guide for guide in guidebench_guides()}
SMALL = {
    "flowjax_coupling": {"flow_layers": 2, "nn_width": 8, "knots": 4},
    "flowjax_masked_autoregressive": {"flow_layers": 2, "nn_width": 8, "knots": 4},
    "flowjax_triangular_spline": {"flow_layers": 4, "knots": 4},
}


def banana() -> None:
    """A bent Gaussian, whose log evidence is zero."""
    x = numpyro.sample("x", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(x**2, 1.0))


def built(name: str, start: float = 0.5) -> Any:
    guide = GUIDES[name].build(banana, **SMALL[name])
    guide.init_loc_fn = init_to_value(values={"x": start, "y": -start})
    return guide


def sites_of(guide: Any, key: int = 0, params: Any = None) -> Any:
    seeded = seed(guide, jax.random.key(key))
    return trace(seeded if params is None else substitute(seeded, params)).get_trace()


@pytest.mark.parametrize("name", GUIDES)
def test_the_weights_are_random_but_the_flow_is_one(name: str) -> None:
    traces = [sites_of(built(name), key) for key in (0, 1)]
    first, second = (one["auto_flow"]["value"] for one in traces)
    assert [leaf.shape for leaf in first] == [leaf.shape for leaf in second]
    assert any(not np.array_equal(one, two) for one, two in zip(first, second, strict=True))
    # With the same weights two guides, each from a trace of its own, are the same distribution.
    params = {"auto_flow": first}
    value = jnp.array([0.3, -0.2])
    densities = [sites_of(built(name), 5, params)["_auto_latent"]["fn"].log_prob(value) for _ in range(2)]
    compiled = jax.jit(lambda own: sites_of(built(name), 5, own)["_auto_latent"]["fn"].log_prob(value))(params)
    assert float(densities[0]) == float(densities[1])
    assert float(compiled) == pytest.approx(float(densities[0]), abs=1e-4)


@pytest.mark.parametrize("name", GUIDES)
def test_it_is_a_density(name: str) -> None:
    posterior = sites_of(built(name))["_auto_latent"]["fn"]
    axis = np.linspace(-9, 9, 241)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density = np.exp(np.asarray(jax.vmap(posterior.log_prob)(jnp.asarray(points)), np.float64))
    assert density.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1.0, abs=0.01)
    value, intermediates = posterior.sample_with_intermediates(jax.random.key(3))
    assert float(posterior.log_prob(value, intermediates)) == pytest.approx(float(posterior.log_prob(value)), abs=1e-3)


@pytest.mark.parametrize("name", GUIDES)
def test_it_begins_at_the_common_start(name: str) -> None:
    near, far = (sites_of(built(name, start), 2)["_auto_latent"]["value"] for start in (0.0, 100.0))
    assert np.asarray(far - near) == pytest.approx([100.0, -100.0], abs=1e-2)


@pytest.mark.parametrize(
    ("name", "dim", "words"),
    [
        ("flowjax_coupling", 1, "at least two latent dimensions"),
        ("flowjax_masked_autoregressive", 1, "at least two latent dimensions"),
        ("flowjax_triangular_spline", 1, None),
        ("flowjax_triangular_spline", 2_000, "2,000 latent dimensions are too many"),
        ("flowjax_coupling", 1_000, None),
    ],
)
def test_what_it_supports(name: str, dim: int, words: str | None) -> None:
    supports = GUIDES[name].supports
    assert supports is not None
    reason = supports(SimpleNamespace(latent_dim=dim))
    assert (reason is None) is (words is None)
    assert words is None or words in str(reason)


@pytest.mark.parametrize("name", GUIDES)
def test_an_option_out_of_range_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="knots must be at least 1, not 0"):
        GUIDES[name].build(banana, knots=0)


def test_declaring_them_loads_nothing_heavy() -> None:
    code = "import sys, guidebench_flowjax; print([n for n in ('jax', 'flowjax', 'numpyro') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def comparison() -> gb.Comparison:
    specs = [
        f"{name}:{','.join(f'{option}={value}' for option, value in options.items())}"
        for name, options in SMALL.items()
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "banana. The model observes nothing", UserWarning)
        return gb.compare(
            banana,
            guides=[*specs, "auto_multivariate_normal"],
            steps=1500,
            restarts=3,  # as small a flow as these may, from one start, end at the Gaussian
            reference="none",
            progress=False,
        )


@pytest.mark.parametrize("at", range(len(SMALL)))
def test_one_that_was_trained_is_the_same_from_a_file(comparison: gb.Comparison, at: int, tmp_path: Path) -> None:
    trained = tuple(comparison)[at].trained
    again = gb.load_guide(trained.save(tmp_path / "flow"), banana)
    draws = trained.sample(seed=3, n=4000)
    for name, value in again.sample(seed=3, n=4000).items():
        np.testing.assert_array_equal(value, draws[name])
    # Its density is one: under exact draws of the bent Gaussian q/p has the mean 1, and q has the shorter tails.
    x, noise = np.random.default_rng(0).standard_normal((2, 4000))
    ratios = np.exp(-again.log_weight({"x": x, "y": x**2 + noise}))
    assert ratios.mean() == pytest.approx(1, abs=4 * ratios.std() / np.sqrt(len(ratios)))
    numpyros = Predictive(
        banana, guide=trained.guide, params=trained.params, num_samples=4000, return_sites=list(draws)
    )(jax.random.key(0))
    for name, value in draws.items():
        error = 4 * np.hypot(value.std(), np.std(numpyros[name])) / np.sqrt(4000)
        assert value.mean() == pytest.approx(float(np.mean(numpyros[name])), abs=error)


def test_they_bend_where_a_gaussian_cannot(comparison: gb.Comparison) -> None:
    *flows, gaussian = comparison
    for fitted in flows:
        assert (fitted.plugin, fitted.bound) == ("guidebench-flowjax", "elbo")
        assert fitted.status in ("converged", "max_steps")
        elbo = fitted.metric("elbo")
        assert elbo is not None
        assert elbo.value < 3 * (elbo.mcse or 0)
        assert elbo.value > (gaussian.value("elbo") or 0) + 0.1, fitted.guide
