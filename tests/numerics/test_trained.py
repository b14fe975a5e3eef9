"""A trained guide as an object: what it draws, weighs and predicts is what was trained, here and in another process."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO

import guidebench as gb
from guidebench.api import Comparison, Fit, Trained
from guidebench.api.trained import load_guide
from guidebench.config.errors import RequestError, ResultsError
from guidebench.problems import linear_regression as problem
from guidebench.results import Verdict
from guidebench.results.passport import path_of
from tests.conftest import Python

NEW = np.linspace(-2.0, 2.0, 7)
DATA = {"x": np.asarray(problem.X), "y": np.asarray(problem.Y)}

#: Guides of which each is of another kind: Gaussian by site, drawn from otherwise than trained, a point, a flow.
KINDS = ("mean_field", "auto_laplace_approximation", "auto_delta", "auto_iaf_normal")


@pytest.fixture(scope="module")
def model(seed_problem: Comparison) -> Callable[..., Any]:
    assert seed_problem.sources is not None
    return seed_problem.sources.problems["linear-regression"].model


@pytest.fixture(scope="module")
def saved(seed_problem: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run, with its guides."""
    return seed_problem.save(tmp_path_factory.mktemp("run"))


def moments(values: Mapping[str, Any], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and its Monte Carlo error, by component."""
    draws = np.asarray(values[name], np.float64)
    return draws.mean(axis=0), draws.std(axis=0) / np.sqrt(len(draws))


def agree(trained: Trained, model: Callable[..., Any], new: np.ndarray, count: int = 4000) -> None:
    """Hold NumPyro's ``Predictive`` against :meth:`Trained.predict`: means within 4 Monte Carlo errors."""
    ours = trained.predict(x=new, seed=1, n=count)
    theirs = Predictive(model, guide=trained.guide, params=trained.params, num_samples=count)(jax.random.key(0), new)
    assert set(ours) <= set(theirs)
    for name in ours:
        (mean, error), (other, other_error) = moments(ours, name), moments(theirs, name)
        assert np.all(np.abs(mean - other) <= 4 * np.hypot(error, other_error) + 1e-5), name


@pytest.mark.parametrize("guide", KINDS)
def test_numpyros_predictive_agrees(seed_problem: Comparison, model: Callable[..., Any], guide: str) -> None:
    agree(seed_problem[guide].trained, model, NEW)


@pytest.mark.parametrize("guide", [*KINDS, "auto_multivariate_normal"])
def test_it_draws_what_the_run_drew(seed_problem: Comparison, guide: str) -> None:
    fit = seed_problem[guide]
    draws = fit.trained.sample(seed=5, n=4000)
    for name, value in draws.items():
        mean, sd = fit.value("mean", name), fit.value("sd", name)
        assert mean is not None
        if sd is None:  # a point
            assert np.ptp(value) == 0
            assert value[0] == pytest.approx(mean, rel=1e-6)
        else:
            assert value.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(4000) * 1.1)
            assert value.std() == pytest.approx(sd, rel=0.1)


FLOW = pytest.param("auto_iaf_normal", marks=pytest.mark.slow)


@pytest.mark.parametrize("guide", ["mean_field", "auto_laplace_approximation", FLOW])
def test_the_density_at_a_draw_is_that_of_drawing_it(seed_problem: Comparison, guide: str) -> None:
    trained = seed_problem[guide].trained
    latents, log_q = trained._ready.sample(3, 200)
    assert trained.log_prob(latents) == pytest.approx(log_q, abs=5e-3)
    one = {name: value[7] for name, value in latents.items()}
    assert trained.log_prob(one) == pytest.approx(log_q[7], abs=5e-3)
    assert trained.log_prob(one).shape == ()


@pytest.mark.parametrize("guide", ["auto_multivariate_normal", FLOW])
def test_weights_integrate_to_the_evidence(seed_problem: Comparison, guide: str) -> None:
    trained = seed_problem[guide].trained
    log_weights = trained.log_weight(trained.sample(seed=2, n=20_000))
    weights = np.exp(log_weights - problem.LOG_EVIDENCE)
    assert weights.mean() == pytest.approx(1, abs=4 * weights.std() / np.sqrt(len(weights)))
    assert weights.std() / np.sqrt(len(weights)) < 0.02


def test_a_density_elsewhere_is_that_of_the_gaussian(seed_problem: Comparison) -> None:
    """Far from any draw, mean field by hand is a product of Normals in coordinates that are known."""
    trained = seed_problem["mean_field"].trained
    state = trained.state
    assert state.center is not None
    assert state.factor is not None
    point = {"w": np.array([3.0]), "b": np.array([-2.0]), "s_eps": np.array([0.2])}
    expected = -np.log(0.2)  # |du / d s_eps|
    for at, (name, free) in enumerate({"w": 3.0, "b": -2.0, "s_eps": np.log(0.2)}.items()):
        loc = state.center[at] + state.factor[at] * float(state.params[f"{name}_loc"])
        scale = state.factor[at] * float(state.params[f"{name}_scale"])
        expected += -0.5 * ((free - loc) / scale) ** 2 - np.log(scale * np.sqrt(2 * np.pi))
    assert trained.log_prob(point)[0] == pytest.approx(expected, rel=1e-5)


def test_a_point_has_no_density(seed_problem: Comparison) -> None:
    with pytest.raises(RequestError, match="auto_delta is a point estimate"):
        seed_problem["auto_delta"].trained.log_prob({"w": 0.0, "b": 0.0, "s_eps": 1.0})


def test_values_of_the_wrong_shape_are_named(seed_problem: Comparison) -> None:
    trained = seed_problem["mean_field"].trained
    with pytest.raises(RequestError, match="lack the site s_eps"):
        trained.log_prob({"w": 0.0, "b": 0.0})
    with pytest.raises(RequestError, match=r"w has the shape \(2, 3\)"):
        trained.log_prob({"w": np.zeros((2, 3)), "b": np.zeros(2), "s_eps": np.ones(2)})
    with pytest.raises(RequestError, match="different numbers"):
        trained.log_prob({"w": np.zeros(3), "b": np.zeros(2), "s_eps": np.ones(2)})
    with pytest.raises(RequestError, match="no argument 'z'"):
        trained.predict(z=1.0)
    with pytest.raises(RequestError, match="n: should be a whole number"):
        trained.sample(n=0)


@pytest.mark.slow
def test_training_goes_on_from_it(seed_problem: Comparison, model: Callable[..., Any]) -> None:
    """Its parameters begin where they were trained to, with their constraints, and SVI can move them."""
    trained = seed_problem["auto_normal"].trained
    svi = SVI(model, trained.guide, numpyro.optim.Adam(1e-3), Trace_ELBO(num_particles=200))
    state = svi.init(jax.random.key(0), **DATA)
    begun = svi.get_params(state)
    assert set(begun) == set(trained.params)
    for name, value in begun.items():
        assert np.asarray(value) == pytest.approx(np.asarray(trained.params[name]), rel=1e-4)
    elbo = seed_problem["auto_normal"].value("elbo")
    assert elbo is not None
    assert -float(svi.evaluate(state, **DATA)) == pytest.approx(elbo, abs=0.3)
    moved, _ = svi.update(state, **DATA)
    assert any(not np.array_equal(svi.get_params(moved)[name], begun[name]) for name in begun)


def test_nuts_starts_from_it(seed_problem: Comparison, model: Callable[..., Any]) -> None:
    fit = seed_problem["auto_multivariate_normal"]
    start = fit.nuts_start(3)
    assert {name: value.shape for name, value in start.init_params.items()} == {"w": (3,), "b": (3,), "s_eps": (3,)}
    assert {name: np.shape(value) for name, value in fit.nuts_start(1).init_params.items()} == {
        "w": (),
        "b": (),
        "s_eps": (),
    }
    ((names, matrix),) = start.inverse_mass_matrix.items()
    assert names == ("b", "s_eps", "w")
    assert start.dense_mass
    correlation = matrix[0, 2] / np.sqrt(matrix[0, 0] * matrix[2, 2])
    assert correlation == pytest.approx(-0.543, abs=0.05)
    assert not start.adapt_mass_matrix  # the draws are right
    chain = MCMC(
        NUTS(model, **start.kernel),
        num_warmup=start.num_warmup,
        num_samples=500,
        num_chains=3,
        chain_method="vectorized",
        progress_bar=False,
    )
    init = {name: jnp.asarray(value) for name, value in start.init_params.items()}
    chain.run(
        jax.random.key(0), **DATA, init_params=init, extra_fields=("num_steps", "adapt_state.inverse_mass_matrix")
    )
    steps = np.asarray(chain.get_extra_fields()["num_steps"])
    assert steps.mean() < 8  # leapfrog steps of a draw: the step size was found
    kept = np.asarray(chain.get_extra_fields()["adapt_state.inverse_mass_matrix"][names])
    np.testing.assert_allclose(kept, np.broadcast_to(matrix, kept.shape), rtol=1e-4)
    found = chain.get_samples()
    assert float(found["w"].mean()) == pytest.approx(0.5268, abs=0.03)
    assert float(found["s_eps"].mean()) == pytest.approx(0.970, abs=0.08)


def test_a_point_is_no_start(seed_problem: Comparison) -> None:
    with pytest.raises(RequestError, match="point estimate, whose draws have no spread"):
        seed_problem["auto_delta"].nuts_start(2)


def test_draws_that_are_not_known_to_be_right_leave_the_matrix_to_the_warm_up(seed_problem: Comparison) -> None:
    wide = seed_problem["mean_field"]
    assert wide.verdict is not Verdict.TRUST
    assert wide.nuts_start(2).num_warmup < 20  # its repaired draws are
    raw = wide.trained.nuts_start(2)
    assert raw.adapt_mass_matrix
    assert raw.kernel["adapt_mass_matrix"]
    assert raw.num_warmup == 1_000


SCRIPT = """
import sys
import numpy as np
from guidebench import load_guide
from guidebench.inference.device import cache
from guidebench.plugins.registry import load_registry

cache.enable()
model = load_registry().problem("linear-regression").declaration.model
found = {}
for name in sys.argv[2:]:
    draws = load_guide(f"{sys.argv[1]}/{name}.safetensors", model).sample(seed=11, n=500)
    found |= {f"{name}/{site}": value for site, value in draws.items()}
np.savez(f"{sys.argv[1]}/found.npz", **found)
"""


def test_another_process_draws_the_same_bits(seed_problem: Comparison, saved: Path, python: Python) -> None:
    folder = path_of(saved, "linear-regression", "auto_delta").parent
    done = python("-c", SCRIPT, str(folder), *KINDS, cwd=saved)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "found.npz") as found:
        for guide in KINDS:
            for name, value in seed_problem[guide].trained.sample(seed=11, n=500).items():
                assert np.array_equal(found[f"{guide}/{name}"], value), (guide, name)
    (folder / "found.npz").unlink()


def loaded(saved: Path, guide: str, *args: Any, **kwargs: Any) -> Trained:
    return load_guide(path_of(saved, "linear-regression", guide), *args, **kwargs)


def test_every_guide_of_a_run_has_its_files(seed_problem: Comparison, saved: Path) -> None:
    files = {file.name for file in path_of(saved, "linear-regression", "auto_delta").parent.iterdir()}
    assert files == {f"{fit.guide}{suffix}" for fit in seed_problem for suffix in (".safetensors", ".json")}


def test_the_passport_says_what_it_is(seed_problem: Comparison, saved: Path, model: Callable[..., Any]) -> None:
    fit, found = seed_problem["auto_normal"], loaded(saved, "auto_normal", model).passport
    assert (found.guide, found.problem, found.verdict, found.reason) == (
        "auto_normal",
        "linear-regression",
        str(fit.verdict),
        fit.reason,
    )
    assert set(found.data) == {"x", "y"}
    assert found.model
    assert found.scores["elbo"] == fit.value("elbo")
    assert {"python", "jax", "numpyro", "guidebench"} <= found.versions.keys()


def test_data_travel_only_where_they_are_needed(seed_problem: Comparison) -> None:
    carrying = {fit.guide for fit in seed_problem if fit.trained.state.data}
    assert carrying == {"auto_laplace_approximation"}


def test_a_loaded_guide_weighs_with_its_data_alone(saved: Path, model: Callable[..., Any]) -> None:
    bare = loaded(saved, "auto_normal", model)
    latents = bare.sample(seed=0, n=100)
    with pytest.raises(RequestError, match=r"no weights without the data .* x=\.\.\., y=\.\.\."):
        bare.log_weight(latents)
    with pytest.raises(RequestError, match=r"x=\.\.\. must be given"):
        bare.predict()
    whole = loaded(saved, "auto_normal", model, **DATA)
    assert np.isfinite(whole.log_weight(latents)).all()
    assert np.array_equal(whole.sample(seed=0, n=100)["w"], latents["w"])


def test_other_data_are_refused(saved: Path, model: Callable[..., Any]) -> None:
    with pytest.raises(RequestError, match="y is not what auto_normal was trained on"):
        loaded(saved, "auto_normal", model, DATA["x"], y=DATA["y"] + 0.1)
    # A list is the same data, and so is single precision.
    loaded(saved, "auto_normal", model, DATA["x"].tolist(), y=DATA["y"].astype(np.float32))


def test_a_guide_that_needs_its_data_says_so(saved: Path, model: Callable[..., Any]) -> None:
    whole = loaded(saved, "auto_laplace_approximation", model)
    bare = Trained(replace(whole.state, data={}), whole.passport, whole._chosen, whole._problem)
    with pytest.raises(RequestError, match="has no draws without the data"):
        bare.sample()


def another(*, shape: int = 0, lacks: bool = False, more: bool = False) -> Callable[..., Any]:
    def model(x: Any, y: Any = None) -> None:
        w = numpyro.sample("w", dist.Normal(0, 10).expand([shape] if shape else []).to_event(1 if shape else 0))
        b = 0.0 if lacks else numpyro.sample("b", dist.Normal(0, 10))
        scale = numpyro.sample("s_eps", dist.HalfCauchy(10))
        if more:
            numpyro.sample("extra", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(w.sum() * x + b, scale), obs=y)

    return model


@pytest.mark.filterwarnings("ignore:the code of the model")
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"shape": 2}, r"site w of shape \(\); that of the model has the shape \(2,\)"),
        ({"lacks": True}, r"site b of shape \(\), which the model does not have"),
        ({"more": True}, r"site extra of shape \(\), which the guide auto_normal does not draw"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(saved: Path, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        loaded(saved, "auto_normal", another(**wrong))


def test_a_model_that_fits_but_is_another_is_warned_of(saved: Path) -> None:
    with pytest.warns(UserWarning, match="the code of the model is not that"):
        loaded(saved, "auto_normal", another())


def test_a_guide_that_is_not_there_is_named(saved: Path, model: Callable[..., Any]) -> None:
    with pytest.raises(ResultsError, match=r"there is no file .*nobody\.safetensors"):
        loaded(saved, "nobody", model)


def test_a_run_from_disk_says_how_to_load_its_guides(saved: Path) -> None:
    with pytest.raises(RequestError, match=r"gb\.load_guide"):
        _ = gb.load(saved)["auto_normal"].trained


def test_a_fit_can_be_pickled_with_its_guide_in_use(seed_problem: Comparison) -> None:
    fit: Fit = seed_problem["auto_normal"]
    assert fit.trained.params
    assert pickle.loads(pickle.dumps(fit)) == fit
    assert pickle.loads(pickle.dumps(seed_problem)).sources is None


# Every guide, on other models


def shares(counts: Any = None) -> None:
    p = numpyro.sample("p", dist.Dirichlet(np.ones(3)))
    numpyro.sample("counts", dist.Multinomial(60, p), obs=counts)


def in_parts(x: Any, y: Any = None, batch_size: int | None = None) -> None:
    b = numpyro.sample("b", dist.Normal(0, 10))
    scale = numpyro.sample("scale", dist.HalfNormal(5))
    with numpyro.plate("rows", len(x), subsample_size=batch_size) as rows:
        numpyro.sample(
            "y",
            dist.Normal(b * jnp.asarray(x)[rows], scale),
            obs=None if y is None else jnp.asarray(y)[rows],
        )


RNG = np.random.default_rng(3)
X = RNG.normal(size=400)
PROBLEMS = {
    "eight_schools": ("eight-schools", {}),
    "simplex": (gb.Problem(name="shares", model=shares, kwargs={"counts": np.array([30, 20, 10])}), {}),
    "minibatches": (
        gb.Problem(name="in-parts", model=in_parts, kwargs={"x": X, "y": 2 * X + RNG.normal(size=400)}),
        {"minibatch": {"batch_size": 64}},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_every_guide_goes_home(name: str, tmp_path: Path) -> None:
    given, options = PROBLEMS[name]
    comparison = gb.compare(given, guides=["all"], reference="none", restarts=1, draws=200, seed=1, **options)
    comparison.save(tmp_path)
    assert comparison.sources is not None
    (whole,) = comparison.sources.problems.values()
    gone = 0
    for fit in comparison:
        if not fit.status.has_draws:
            continue
        gone += 1
        trained, count = fit.trained, 2000
        latents, log_q = trained._ready.sample(1, count)
        again = load_guide(path_of(tmp_path, fit.problem, fit.guide), whole.model).sample(1, count)
        assert all(np.array_equal(again[site], value) for site, value in latents.items()), fit.guide
        arguments = {key: one for key, one in whole.arguments().items() if key not in ("y", "counts", "batch_size")}
        draws = Predictive(whole.model, guide=trained.guide, params=trained.params, num_samples=count)
        theirs, ours = draws(jax.random.key(3), **arguments), trained.predict(seed=1, n=count)
        for site in ours:
            (mean, error), (other, other_error) = moments(ours, site), moments(theirs, site)
            assert np.all(np.abs(mean - other) <= 4.5 * np.hypot(error, other_error) + 1e-5), (fit.guide, site)
        if fit.bound == "elbo":
            assert trained.log_prob(latents) == pytest.approx(log_q, abs=0.02, rel=2e-3), fit.guide
    assert gone >= 8
