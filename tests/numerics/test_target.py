"""The posterior over flat coordinates: its density, its Jacobians, its record, its precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.contrib.control_flow import scan
from numpyro.infer.util import log_density, potential_energy, unconstrain_fn
from scipy import stats
from scipy.special import betaln, expit

import guidebench as gb
from guidebench.config.errors import RequestError
from guidebench.inference import modes
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.device.precision import as_double, chosen, double
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target


def target_of(model: Callable[..., Any], **values: Any) -> Target:
    arguments = Arguments.split(model, as_arrays(values))
    return Target.of(model, arguments, inspect_model(model, arguments))


def over(target: Target, rows: np.ndarray) -> np.ndarray:
    """Return the target at many points."""
    mapped = jax.jit(jax.vmap(target.log_density, in_axes=(0, None)))
    return np.asarray(mapped(jnp.asarray(rows), dict(target.arguments.arrays)), np.float64)


# -- models whose density over unconstrained coordinates can be written down, Jacobian and all


def gamma(y: Any = None) -> None:
    rate = numpyro.sample("rate", dist.Gamma(3.0, 2.0))
    with numpyro.plate("n", 4):
        numpyro.sample("y", dist.Poisson(rate), obs=y)


COUNTS = np.array([1, 0, 3, 2])


def gamma_density(u: np.ndarray) -> float:
    x = np.exp(u[0])
    return float(stats.gamma(3, scale=0.5).logpdf(x) + stats.poisson(x).logpmf(COUNTS).sum() + u[0])


def beta(y: Any = None) -> None:
    p = numpyro.sample("p", dist.Beta(2.0, 5.0))
    numpyro.sample("y", dist.Binomial(20, p), obs=y)


def beta_density(u: np.ndarray) -> float:
    p = expit(u[0])
    return float(stats.beta(2, 5).logpdf(p) + stats.binom(20, p).logpmf(7) + np.log(p) + np.log1p(-p))


CONCENTRATION = np.array([2.0, 1.5, 4.0])


def simplex(y: Any = None) -> None:
    p = numpyro.sample("p", dist.Dirichlet(jnp.asarray(CONCENTRATION)))
    numpyro.sample("y", dist.Multinomial(10, p), obs=y)


def sticks(u: np.ndarray) -> tuple[np.ndarray, float]:
    """Break a stick: each takes a share of what is left, the inverse logit of u moved so that 0 is the middle."""
    left, log_jacobian, p = 1.0, 0.0, []
    for k, one in enumerate(u):
        share = expit(one - np.log(len(u) - k))
        p.append(left * share)
        log_jacobian += np.log(left) + np.log(share) + np.log1p(-share)
        left *= 1 - share
    return np.array([*p, left]), float(log_jacobian)


def simplex_density(u: np.ndarray) -> float:
    p, log_jacobian = sticks(u)
    return float(stats.dirichlet(CONCENTRATION).logpdf(p) + stats.multinomial(10, p).logpmf([2, 3, 5]) + log_jacobian)


ETA = 2.5
PAIRS = np.array([[0.3, 1.0], [-0.4, 0.2], [1.1, -0.9]])


def lkj(y: Any = None) -> None:
    factor = numpyro.sample("factor", dist.LKJCholesky(2, ETA))
    with numpyro.plate("n", 3):
        numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(2), scale_tril=factor), obs=y)


def lkj_density(u: np.ndarray) -> float:
    r = np.tanh(u[0])
    prior = (ETA - 1) * np.log1p(-(r**2)) - betaln(0.5, ETA)
    likelihood = stats.multivariate_normal([0, 0], [[1, r], [r, 1]]).logpdf(PAIRS).sum()
    return float(prior + likelihood + np.log1p(-(r**2)))


CLOSED = {
    "gamma": (gamma, COUNTS, 1, gamma_density),
    "beta": (beta, np.array(7), 1, beta_density),
    "simplex": (simplex, np.array([2, 3, 5]), 2, simplex_density),
    "lkj": (lkj, PAIRS, 1, lkj_density),
}


def points(dim: int, count: int = 20) -> np.ndarray:
    return 1.5 * np.random.default_rng(dim).standard_normal((count, dim))


@pytest.mark.parametrize("x64", [True, False], ids=["float64", "float32"])
@pytest.mark.parametrize("case", CLOSED)
def test_the_density_is_its_closed_form_jacobian_included(case: str, x64: bool) -> None:
    model, y, dim, density = CLOSED[case]
    with chosen(x64):
        target = target_of(model, y=y)
        assert target.dim == dim
        found = over(target, points(dim))
    expected = [density(u) for u in points(dim)]
    assert np.ptp(expected) > 5  # a constant would not do
    np.testing.assert_allclose(found, expected, rtol=1e-10 if x64 else 1e-4, atol=1e-10 if x64 else 1e-4)


def everything(x: Any, y: Any = None) -> None:
    """Sites of many supports and shapes, out of alphabetical order, in a plate and out of one."""
    scale = numpyro.sample("scale", dist.HalfCauchy(2.0))
    with numpyro.plate("groups", 3):
        z = numpyro.sample("z", dist.Normal(0.0, scale))
        numpyro.sample("bounded", dist.Uniform(-1.0, 4.0))
    p = numpyro.sample("p", dist.Dirichlet(jnp.ones(4)))
    factor = numpyro.sample("factor", dist.LKJCholesky(3, 1.5))
    a = numpyro.sample("a", dist.Normal(0.0, 1.0).expand([2, 2]).to_event(2))
    mean = jnp.sum(a) + z @ (factor @ p[:3]) + x
    numpyro.sample("y", dist.Normal(mean, scale).to_event(1), obs=y)


@pytest.fixture
def whole() -> Target:
    return target_of(everything, x=np.linspace(0, 1, 5), y=np.linspace(1, -1, 5))


def test_the_density_is_numpyros_potential_energy(whole: Target) -> None:
    assert list(whole.shapes) == ["scale", "z", "bounded", "p", "factor", "a"]  # the model's order
    assert whole.dim == 1 + 3 + 3 + 3 + 3 + 4
    with double():
        traced = jax.tree.map(jnp.asarray, as_double(dict(whole.arguments.arrays)))
        whole.record(traced)
        seeded = numpyro.handlers.seed(everything, 0)

        def both(u: jax.Array) -> tuple[jax.Array, jax.Array]:
            theirs = potential_energy(seeded, (traced["x"],), {"y": traced["y"]}, whole.split(u))
            return whole.log_density(u, traced), -theirs

        ours, theirs = jax.jit(jax.vmap(both))(jnp.asarray(points(whole.dim)))
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_constraining_goes_there_and_back_and_accounts_for_the_volume(whole: Target) -> None:
    with double():
        traced = jax.tree.map(jnp.asarray, as_double(dict(whole.arguments.arrays)))
        whole.record(traced)
        seeded = numpyro.handlers.seed(everything, 0)

        def at(u: jax.Array) -> tuple[jax.Array, ...]:
            values, log_jacobian = whole.constrain(u, traced)
            back = unconstrain_fn(seeded, (traced["x"],), {"y": traced["y"]}, values)
            log_joint, _ = log_density(seeded, (traced["x"],), {"y": traced["y"]}, values)
            return (
                jnp.concatenate([jnp.ravel(back[name]) for name in whole.shapes]),
                whole.log_density(u, traced) - log_joint,
                log_jacobian,
            )

        rows = points(whole.dim, 5)
        back, volume, log_jacobian = jax.jit(jax.vmap(at))(jnp.asarray(rows))
    np.testing.assert_allclose(back, rows, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(volume, log_jacobian, rtol=1e-9)
    # The Jacobians one by one, on a scale where a missing one would show.
    expected = [
        u[0]  # the scale
        + np.sum(np.log(5 * expit(u[4:7]) * expit(-u[4:7])))  # between -1 and 4
        + sticks(u[7:10])[1]
        + corr_jacobian(u[10:13])
        for u in rows
    ]
    np.testing.assert_allclose(log_jacobian, expected, rtol=1e-9)


def within_another(y: Any = None) -> None:
    """A support that depends on another site."""
    top = numpyro.sample("top", dist.Gamma(3.0, 1.0))
    below = numpyro.sample("below", dist.Uniform(0.0, top).expand([2]).to_event(1))
    numpyro.sample("y", dist.Normal(jnp.sum(below), 1.0), obs=y)


def in_steps(y: Any = None) -> None:
    """Sites of a scan, one for every step."""

    def step(level: Any, y: Any) -> tuple[Any, Any]:
        level = numpyro.sample("level", dist.Gamma(2.0, 1.0 / level))
        numpyro.sample("y", dist.Normal(level, 1.0), obs=y)
        return level, level

    scan(step, jnp.ones(()), y * jnp.ones(3))


def of_half_the_weight(y: Any = None) -> None:
    with numpyro.handlers.scale(scale=0.5):
        s = numpyro.sample("s", dist.HalfNormal(1.0))
    numpyro.sample("y", dist.Normal(0.0, s), obs=y)


def without_its_prior(y: Any = None) -> None:
    with numpyro.handlers.mask(mask=False):
        s = numpyro.sample("s", dist.HalfNormal(1.0))
    numpyro.sample("y", dist.Normal(0.0, s), obs=y)


def without_priors_in_a_plate(y: Any = None) -> None:
    with numpyro.plate("n", 3), numpyro.handlers.mask(mask=False):
        s = numpyro.sample("s", dist.HalfNormal(1.0))
    numpyro.sample("y", dist.Normal(0.0, jnp.sum(s)), obs=y)


def without_some_priors(y: Any = None) -> None:
    mask = jnp.array([True, False, True])
    with numpyro.plate("m", 2, dim=-2), numpyro.plate("n", 3), numpyro.handlers.mask(mask=mask):
        s = numpyro.sample("s", dist.HalfNormal(1.0))
    numpyro.sample("y", dist.Normal(0.0, jnp.sum(s)), obs=y)


def without_priors_in_steps(y: Any = None) -> None:
    def step(level: Any, y: Any) -> tuple[Any, Any]:
        with numpyro.plate("k", 2), numpyro.handlers.mask(mask=False):
            s = numpyro.sample("s", dist.Gamma(2.0, 1.0))
        numpyro.sample("y", dist.Normal(jnp.sum(s), 1.0), obs=y)
        return level, None

    scan(step, jnp.ones(()), y * jnp.ones(3))


@pytest.mark.parametrize(
    "model",
    [
        within_another,
        in_steps,
        of_half_the_weight,
        without_its_prior,
        without_priors_in_a_plate,
        without_some_priors,
        without_priors_in_steps,
    ],
)
def test_the_volume_is_what_density_and_joint_density_differ_by(model: Callable[..., Any]) -> None:
    """Whatever a support depends on, and whatever NumPyro makes of the volume under a mask or a scale."""
    target = target_of(model, y=np.array(0.7))
    with double():
        traced = jax.tree.map(jnp.asarray, as_double(dict(target.arguments.arrays)))
        target.record(traced)

        def at(u: jax.Array) -> tuple[jax.Array, ...]:
            values, log_jacobian = target.constrain(u, traced)
            return target.log_density(u, traced), target.joint(values, traced), log_jacobian

        density, joint, log_jacobian = jax.jit(jax.vmap(at))(jnp.asarray(points(target.dim, 5)))
    np.testing.assert_allclose(density, joint + log_jacobian, rtol=1e-10, atol=1e-10)


def corr_jacobian(u: np.ndarray) -> float:
    """Of the 3 x 3 Cholesky factor: canonical partial correlations tanh(u), taken row by row."""
    z = np.tanh(u)
    # Row 2 is (z0, .); row 3 is (z1, z2 sqrt(1 - z1^2), .), which stretches by the root once.
    return float(np.sum(np.log1p(-(z**2))) + 0.5 * np.log1p(-(z[1] ** 2)))


def test_splitting_undoes_flattening(whole: Target) -> None:
    flat = points(whole.dim, 4)
    np.testing.assert_array_equal(whole.flatten(whole.split(flat)), flat)
    labels = whole.labels()
    assert len(labels) == whole.dim
    assert labels[:3] == ["scale", "z[0]", "z[1]"]
    assert labels[-1] == "a[1,1]"


# -- the record


@dataclass
class Counted:
    """A model that counts how often it is run."""

    calls: int = 0
    constant: np.ndarray = field(default_factory=lambda: np.array(1 / 3))

    def __call__(self, y: Any = None) -> None:
        self.calls += 1
        mu = numpyro.sample("mu", dist.Normal(0.0, 2.0).expand([2]).to_event(1))
        s = numpyro.sample("s", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(mu[0] + self.constant, s + jnp.exp(mu[1])), obs=y)


Y = np.array([0.3, -1.0, 2.0])


def test_the_model_is_not_run_again_once_it_is_recorded() -> None:
    model = Counted()
    target = target_of(model, y=Y)
    before = model.calls
    traced = dict(target.arguments.arrays)
    flat = jnp.asarray(points(3), jnp.float32)
    jax.vmap(jax.value_and_grad(target.log_density), in_axes=(0, None))(flat, traced)
    jax.jit(jax.hessian(target.log_density))(flat[0], traced)
    jax.vmap(target.constrain, in_axes=(0, None))(flat, traced)
    assert model.calls == before
    shorter = {"y": jnp.zeros(2)}
    value = target.log_density(flat[0], shorter)  # other shapes are another program: traced anew, and right
    assert model.calls > before
    assert float(value) == pytest.approx(-float(potential_energy(model, (), shorter, target.split(flat[0]))), rel=1e-6)


@pytest.mark.parametrize("x64", [False, True], ids=["float32", "float64"])
def test_the_record_gives_the_numbers_of_tracing_anew(x64: bool) -> None:
    with chosen(x64):
        target = target_of(Counted(), y=Y)
        traced = dict(target.arguments.arrays)
        for u in jnp.asarray(points(3, 5), float):
            assert float(target.log_density(u, traced)) == float(target._density(u, traced))
            recorded, fresh = target.constrain(u, traced), target._constrain(u, traced)
            assert jax.tree.structure(recorded) == jax.tree.structure(fresh)
            for one, other in zip(jax.tree.leaves(recorded), jax.tree.leaves(fresh), strict=True):
                np.testing.assert_array_equal(one, other)


def test_a_key_in_the_models_closure_is_recorded_like_any_constant() -> None:
    key = jax.random.key(3)

    def model(y: Any = None) -> None:
        offset = jax.random.normal(key, (2,))
        mu = numpyro.sample("mu", dist.Normal(offset, 1.0).to_event(1))
        numpyro.sample("y", dist.Normal(mu, 1.0).to_event(1), obs=y)

    target = target_of(model, y=np.zeros(2, np.float32))
    found = float(target.log_density(jnp.zeros(2), target.arguments.arrays))
    expected = stats.norm(jax.random.normal(key, (2,)), 1).logpdf(0).sum() + 2 * stats.norm.logpdf(0)
    assert found == pytest.approx(float(expected), rel=1e-6)


# -- precision


def with_constant(y: Any = None) -> None:
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(mu * SLOPE, 0.5).to_event(1), obs=y)


#: Float32 has neither of them.
SLOPE = np.array([1 / 3, 1 + 1e-9])
READINGS = np.array([0.5, 1.0])


def known() -> tuple[float, float]:
    """Mean and sd of mu given the readings."""
    precision = 1 + 4 * SLOPE @ SLOPE
    return float(4 * SLOPE @ READINGS / precision), float(precision**-0.5)


def test_a_constant_of_the_model_keeps_its_precision_in_whatever_order() -> None:
    u = 0.7
    expected = stats.norm.logpdf(u) + stats.norm(u * SLOPE, 0.5).logpdf(READINGS).sum()
    rounded = stats.norm.logpdf(u) + stats.norm(u * SLOPE.astype(np.float32), 0.5).logpdf(READINGS).sum()
    assert abs(expected - rounded) > 1e-10  # what float64 must get right, and float32 cannot

    def single_at(target: Target) -> float:
        value = jax.jit(target.log_density)(jnp.full(1, u, jnp.float32), dict(target.arguments.arrays))
        assert value.dtype == jnp.float32
        return float(value)

    def in_double(target: Target) -> float:
        with double():
            traced = jax.tree.map(jnp.asarray, as_double(dict(target.arguments.arrays)))
            target.record(traced)
            return float(jax.jit(target.log_density)(jnp.full(1, u), traced))

    first = target_of(with_constant, y=READINGS)
    before = single_at(first)
    assert in_double(first) == pytest.approx(expected, abs=1e-12)
    assert single_at(first) == before == pytest.approx(expected, rel=1e-6)
    other = target_of(with_constant, y=READINGS)  # the other way round
    assert in_double(other) == pytest.approx(expected, abs=1e-12)
    assert single_at(other) == before


def test_runs_in_one_precision_leave_no_trace_in_the_next() -> None:
    """A float32 run, its float64 search, a float64 run and float32 again: warnings are errors here."""
    settings: dict[str, Any] = {"guides": "auto_normal", "reference": "none", "steps": 200, "restarts": 1}
    first, wide, again = (
        gb.compare(with_constant, y=READINGS, **settings, x64=x64)["auto_normal"] for x64 in (False, True, False)
    )
    assert first.metrics == again.metrics
    assert wide.metrics != first.metrics
    assert wide.status.has_draws, wide.message
    assert not jax.config.jax_enable_x64


def test_the_search_sees_constants_in_double_precision() -> None:
    target = target_of(with_constant, y=READINGS)
    found = modes.explore(target, np.array([[-1.0], [2.0]]), {"y": READINGS}, seed=0)
    mean, sd = known()
    assert found.modes[0].location[0] == pytest.approx(mean, abs=1e-12)
    assert found.modes[0].factor[0, 0] == pytest.approx(sd, rel=1e-12)


def test_double_leaves_the_precision_as_it_was() -> None:
    assert jnp.zeros(1).dtype == jnp.float32
    with double():
        assert jnp.zeros(1).dtype == jnp.float64
        with double():
            assert jnp.zeros(1).dtype == jnp.float64
        assert jnp.zeros(1).dtype == jnp.float64
        with chosen(False):  # means "as it is"
            assert jnp.zeros(1).dtype == jnp.float64
    assert jnp.zeros(1).dtype == jnp.float32
    with pytest.raises(ZeroDivisionError), double():
        1 / 0  # noqa: B018
    assert jnp.zeros(1).dtype == jnp.float32
    with chosen(True):
        assert jnp.zeros(1).dtype == jnp.float64
    assert jnp.zeros(1).dtype == jnp.float32


def test_a_run_that_fails_in_double_precision_leaves_the_process_as_it_was() -> None:
    def broken(y: Any = None) -> None:
        raise ValueError("no such thing")

    with pytest.raises(RequestError):
        gb.compare(broken, y=READINGS, guides="auto_normal", x64=True)
    assert jnp.zeros(1).dtype == jnp.float32


def test_as_double_changes_real_numbers_alone() -> None:
    import ml_dtypes

    given = {"a": np.float32([1.5]), "b": np.arange(3), "c": {"d": np.array([True])}, "e": jnp.ones(2, jnp.bfloat16)}
    found = as_double(given)
    assert [found["a"].dtype, found["b"].dtype, found["c"]["d"].dtype] == [np.float64, given["b"].dtype, bool]
    assert np.asarray(given["e"]).dtype == ml_dtypes.bfloat16
    assert found["e"].dtype == np.float64
