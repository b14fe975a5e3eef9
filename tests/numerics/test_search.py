"""The search before training: modes and curvatures that are known, and posteriors where there is nothing to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from guidebench.contracts import Problem
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.derivatives import Functions
from guidebench.inference.device.precision import double
from guidebench.inference.gaussians import Gaussian, best_of
from guidebench.inference.independent import Independent
from guidebench.inference.mode_shares import mode_shares
from guidebench.inference.modes import MOST_DIMENSIONS, Landscape, explore
from guidebench.inference.nuts import chain_starts
from guidebench.inference.peaks import Mode
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from guidebench.inference.unconstrained import Unconstrain
from guidebench.problems import eight_schools, funnel, two_modes
from guidebench.results import Comparison
from tests.numerics.bed.hierarchy import Groups
from tests.numerics.referenced import workbench

Run = Callable[..., Comparison]


def search(model: Callable[..., Any], starts: int = 8, seed: int = 0, **values: Any) -> Landscape:
    """Search a posterior from starts like those of NumPyro's ``init_to_uniform``."""
    given = as_arrays(values)
    arguments = Arguments.split(model, given)
    target = Target.of(model, arguments, inspect_model(model, arguments))
    points = np.random.default_rng(seed).uniform(-2, 2, (starts, target.dim))
    return explore(target, points, {name: given[name] for name in arguments.arrays}, seed)


# -- a Gaussian of eight scales from 1e-3 to 1e4, neighbours correlated by 0.999 or -0.999

SCALES = np.logspace(-3, 4, 8)
SIGNS = np.array([1, 1, -1, 1, -1, -1, 1, 1])
MEAN = 3 * SCALES * SIGNS
COVARIANCE = (
    np.diag(SCALES)
    @ (np.kron(np.eye(4), np.full((2, 2), 0.999)) * np.outer(SIGNS, SIGNS) + 0.001 * np.eye(8))
    @ np.diag(SCALES)
)


def hard_gaussian() -> None:
    with numpyro.handlers.mask(mask=False):
        x = numpyro.sample("x", dist.Normal(0.0, 1.0).expand([8]).to_event(1))
    numpyro.factor("density", dist.MultivariateNormal(MEAN, covariance_matrix=COVARIANCE).log_prob(x))


@pytest.mark.parametrize("seed", range(3))
def test_a_gaussian_is_found_exactly_whatever_its_scales_and_correlations(seed: int) -> None:
    found = search(hard_gaussian, starts=4, seed=seed)
    assert len(found.modes) == 1
    mode = found.modes[0]
    np.testing.assert_allclose(mode.location, MEAN, atol=0, rtol=1e-6)
    np.testing.assert_allclose((mode.location - MEAN) / SCALES, 0, atol=1e-6)
    np.testing.assert_allclose(
        mode.factor @ mode.factor.T, COVARIANCE, rtol=1e-6, atol=1e-6 * np.outer(SCALES, SCALES).min()
    )
    np.testing.assert_array_equal(mode.factor, np.tril(mode.factor))
    assert mode.log_mass == pytest.approx(0, abs=1e-6)
    assert found.best is not None
    # The ELBO is 0; 32 draws and their mirror images leave the error of a chi-squared with eight degrees.
    assert found.best.elbo == pytest.approx(0, abs=4 * 0.5 * np.sqrt(2 * 8 / 32))
    np.testing.assert_allclose((found.best.mean - MEAN) / SCALES, 0, atol=1e-6)


def test_both_modes_are_found_with_their_masses() -> None:
    found = search(two_modes.model, y=np.asarray(two_modes.Y, np.float32))
    mean, covariance = two_modes.given_sign()
    assert len(found.modes) == 2
    for mode, share, sign in zip(found.modes, two_modes.PROBS, (1, -1), strict=True):
        assert mode.log_mass == pytest.approx(two_modes.log_evidence() + np.log(share), abs=1e-6)
        np.testing.assert_allclose(mode.location, sign * mean, rtol=1e-6)
        np.testing.assert_allclose(mode.factor @ mode.factor.T, covariance, rtol=1e-5)


def test_one_start_finds_one_mode_and_no_more() -> None:
    assert len(search(two_modes.model, starts=1, y=np.asarray(two_modes.Y, np.float32)).modes) == 1


@pytest.mark.parametrize(("share", "counted"), [(0.005, 2), (1e-5, 1)])
def test_a_light_mode_counts_where_moments_need_it(share: float, counted: int) -> None:
    """Of N(4, 0.5) and N(-4, 1) the second, with half a per cent of the mass, adds 0.32 to a variance of 0.25."""

    def model() -> None:
        with numpyro.handlers.mask(mask=False):
            x = numpyro.sample("x", dist.Normal(0.0, 1.0))
        numpyro.factor(
            "density",
            jnp.logaddexp(
                jnp.log1p(-share) + dist.Normal(4.0, 0.5).log_prob(x),
                jnp.log(share) + dist.Normal(-4.0, 1.0).log_prob(x),
            ),
        )

    found = search(model, starts=16)
    assert [round(one.location[0], 6) for one in (*found.modes, *found.minor)] == [4, -4]
    assert len(found.modes) == counted
    assert (found.starts, found.searches) == (16, 16)


def test_in_a_funnel_the_best_gaussian_is_far_from_the_joint_mode() -> None:
    """The joint mode is at v = -40.5; the Gaussian of the curvature there is hopeless, as its closed form says."""
    found = search(funnel.model)
    at_mode, width = -40.5, funnel.WIDTH
    # E q[log p] with v ~ N(-40.5, 9), x ~ N(0, exp(-40.5)), and the entropy of q.
    log_p = -0.5 * np.log(2 * np.pi * 9) - (at_mode**2 + 9) / 18
    log_p += width * (-0.5 * np.log(2 * np.pi) - at_mode / 2 - 0.5 * np.exp(4.5))
    entropy = 0.5 * (1 + width) * np.log(2 * np.pi * np.e) + np.log(3) + width * at_mode / 2
    assert log_p + entropy < -400
    assert found.best is not None
    assert found.best.elbo > -20
    assert abs(found.best.mean[0]) < 10
    assert all(mode.location[0] == pytest.approx(at_mode, abs=0.01) for mode in found.modes)


# -- draws belong to the mode whose weighted Gaussian is the densest there


def positive() -> None:
    numpyro.sample("x", dist.LogNormal(0.0, 1.0))


def test_draws_are_assigned_by_weighted_densities_in_unconstrained_coordinates() -> None:
    """Of N(0, 1) with share 0.9 and N(4, 0.5) with 0.1, the second is denser in an interval about it."""
    arguments = Arguments()
    target = Target.of(positive, arguments, inspect_model(positive, arguments))
    modes = [
        Mode(location=np.array([0.0]), factor=np.eye(1), log_mass=5 + np.log(0.9)),
        Mode(location=np.array([4.0]), factor=0.5 * np.eye(1), log_mass=5 + np.log(0.1)),
    ]
    # 0.9 exp(-u^2 / 2) = 0.2 exp(-2 (u - 4)^2), a quadratic equation.
    first, second = np.sort(np.roots([1.5, -16, 32 + np.log(4.5)]))
    for u, of_the_second in ((first - 0.01, 0), (first + 0.01, 1), (second - 0.01, 1), (second + 0.01, 0)):
        points = Unconstrain(target)({"x": np.exp(np.array([u, -5.0], np.float32))})
        shares = mode_shares(modes, points)
        assert [expected for expected, _ in shares] == pytest.approx([0.9, 0.1])
        assert [given for _, given in shares] == [1 - of_the_second / 2, of_the_second / 2]


# -- where there is no mode, or nothing is finite


def ridge(y: Any = None) -> None:
    """Flat along a + b = const: no maximum, and no proper posterior."""
    a = numpyro.sample("a", dist.ImproperUniform(dist.constraints.real, (), ()))
    b = numpyro.sample("b", dist.ImproperUniform(dist.constraints.real, (), ()))
    numpyro.sample("y", dist.Normal(a + b, 1.0), obs=y)


def slope() -> None:
    """It rises for ever."""
    x = numpyro.sample("x", dist.ImproperUniform(dist.constraints.real, (), ()))
    numpyro.factor("up", x)


@jax.custom_jvp
def _identity(x: Any) -> Any:
    return x


@_identity.defjvp
def _no_second_derivative(primals: Any, tangents: Any) -> Any:
    return primals[0], jnp.nan * tangents[0]


@jax.custom_jvp
def _bowl(x: Any) -> Any:
    return -0.5 * x**2


@_bowl.defjvp
def _slope_of_the_bowl(primals: Any, tangents: Any) -> Any:
    return _bowl(primals[0]), -_identity(primals[0]) * tangents[0]


def no_curvature() -> None:
    """A normal whose second derivative is not a number anywhere."""
    with numpyro.handlers.mask(mask=False):
        x = numpyro.sample("x", dist.Normal(0.0, 1.0))
    numpyro.factor("density", _bowl(x - 0.5))


ODD = {"ridge": (ridge, {"y": np.float32(0.5)}), "slope": (slope, {}), "no-curvature": (no_curvature, {})}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case == "ridge" else pytest.mark.slow) for case in ODD]
)
def test_a_posterior_without_a_mode_ends_the_search_without_an_exception(case: str) -> None:
    model, values = ODD[case]
    found = search(model, **values)
    assert len(found.local) == 8
    assert found.modes == ()
    assert found.best is None or np.isfinite(found.best.elbo)
    if case == "no-curvature":  # a round Gaussian where the gradients led
        assert found.best is not None
        assert found.best.mean == pytest.approx(0.5, abs=0.01)
        assert found.best.factor == pytest.approx(np.eye(1))
    if case == "slope":  # nowhere near a posterior
        assert found.best is None


def test_nothing_finite_is_nothing_found() -> None:
    def model() -> None:
        x = numpyro.sample("x", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        numpyro.factor("never", jnp.log(-jnp.sum(x**2) - 1.0))

    found = search(model)
    assert found.best is None
    assert found.local == (None,) * 8
    assert found.modes == ()


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] if case == "slope" else []) for case in ODD]
)
def test_it_still_trains(run: Run, case: str) -> None:
    model, values = ODD[case]
    fit = run(Problem(name=case, model=model, kwargs=values), "auto_normal", steps=400, restarts=2, draws=500)[
        "auto_normal"
    ]
    assert fit.status.has_draws, fit.message
    if case == "no-curvature":
        assert fit.coordinates == "diagonal"
        assert fit.value("sd", "x") == pytest.approx(1, abs=0.1)


def test_a_curvature_that_sits_in_kinks_is_found_from_gradients() -> None:
    """The second derivative of a Laplace likelihood is zero wherever it exists."""
    y = np.random.default_rng(0).laplace(3.0, 1.0, 400)

    def model(y: Any) -> None:
        centre = numpyro.sample("centre", dist.Normal(0.0, 1000.0))
        with numpyro.plate("n", y.shape[0]):
            numpyro.sample("y", dist.Laplace(centre, 1.0), obs=y)

    found = search(model, y=y.astype(np.float32))
    assert found.best is not None
    grid = np.linspace(2.5, 3.5, 20_001)
    log_density = -np.abs(y[:, None] - grid).sum(axis=0)
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean = weights @ grid
    sd = np.sqrt(weights @ (grid - mean) ** 2)
    assert found.best.mean[0] == pytest.approx(mean, abs=0.5 * sd)
    assert found.best.factor[0, 0] == pytest.approx(sd, rel=0.5)


def test_where_second_derivatives_are_too_many_guides_are_standardised_by_their_diagonal(run: Run) -> None:
    many = MOST_DIMENSIONS + 1

    def model() -> None:
        numpyro.sample("x", dist.Normal(0.0, 0.5).expand([many]).to_event(1))

    fit = run(Problem(name="wide", model=model), "auto_normal", steps=200, restarts=1, draws=200)["auto_normal"]
    assert fit.status.has_draws, fit.message
    assert fit.coordinates == "diagonal"
    assert fit.value("elbo") == pytest.approx(0, abs=1)


class Hierarchy:
    """Groups whose density has no bound where they do not differ: no climb ends at a mode, or near the mass."""

    def __init__(self, groups: int) -> None:
        rng = np.random.default_rng(groups)
        self.s = s = rng.uniform(0.3, 1.0, groups)
        self.y = 1.0 + 0.8 * rng.standard_normal(groups) + s * rng.standard_normal(groups)
        self.known = Groups(
            y=self.y, s=s, m=5.0, log_prior=lambda tau: 0.5 * np.log(2 / np.pi) - tau**2 / 2, low=-12.0, high=3.0
        )

    def model(self, y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        with numpyro.plate("group", len(self.s)):
            theta = numpyro.sample("theta", dist.Normal(mu, tau))
            numpyro.sample("y", dist.Normal(theta, self.s), obs=y)


@pytest.mark.parametrize("groups", [10, 150])
def test_in_a_hierarchy_without_a_mode_independent_gaussians_find_the_mass(groups: int) -> None:
    made = Hierarchy(groups)
    found, evidence = search(made.model, y=made.y), made.known.log_evidence()
    assert found.starts == 0
    assert found.best is not None
    # Below the evidence, as every ELBO, and by no more than the shape of log tau and some correlation cost.
    assert evidence - 2.5 < found.best.elbo < evidence + 0.5
    assert found.best.factor.ndim == (2 if groups == 10 else 1)
    places = chain_starts(found, np.zeros((2, groups + 2)), 4, 0)
    moments = made.known.moments()
    np.testing.assert_array_less(
        np.abs(places.centres[:, 0] - moments["mu"][0]), 3 * moments["mu"][1]
    )  # not in the neck


def test_guides_are_standardised_by_independent_gaussians_where_these_are_better(run: Run) -> None:
    made = Hierarchy(120)
    problem = Problem(name="groups", model=made.model, kwargs={"y": made.y})
    fit = run(problem, "auto_multivariate_normal", steps=20, restarts=1, draws=200)["auto_multivariate_normal"]
    assert fit.coordinates == "diagonal"


def test_the_best_gaussian_is_that_of_the_largest_finite_elbo_whatever_the_shape_of_its_factor() -> None:
    def model() -> None:
        numpyro.sample("x", dist.Normal(0.0, 2.0).expand([3]).to_event(1))

    arguments = Arguments.split(model, {})
    with double():
        functions = Functions(Target.of(model, arguments, inspect_model(model, arguments)), 2, {})
        made = [
            Gaussian(mean=np.zeros(3), factor=np.eye(3), elbo=np.inf),
            Gaussian(mean=np.zeros(3), factor=np.full(3, 2.0), elbo=-5.0),
            Gaussian(mean=np.full(3, np.nan), factor=np.eye(3), elbo=0.0),
        ]
        found = best_of(functions, made, np.random.default_rng(0))
    np.testing.assert_array_equal(found.factor, made[1].factor)
    assert found.elbo == pytest.approx(0.0, abs=0.3)  # the posterior itself, of evidence 1
    np.testing.assert_array_equal(found.dense(), 2 * np.eye(3))


def test_independent_gaussians_in_one_coordinate_and_none_of_an_infinite_elbo(monkeypatch: pytest.MonkeyPatch) -> None:
    def model() -> None:
        numpyro.sample("x", dist.Normal(7.0, 0.5))

    arguments = Arguments.split(model, {})
    with double():
        target = Target.of(model, arguments, inspect_model(model, arguments))
        target.record({})
        independent = Independent(target, {}, np.random.default_rng(0))
        found = independent.largest(independent.plain(np.zeros(1)))
        assert found.mean[0] == pytest.approx(7, abs=1e-2)
        assert found.factor[0] == pytest.approx(0.5, rel=1e-2)
        assert found.elbo == pytest.approx(0, abs=1e-3)
        monkeypatch.setattr(independent, "elbo", lambda mean, scales: np.inf)
        assert independent.climbed(found, 8) is found


@pytest.mark.parametrize("problem", [eight_schools.problem(), two_modes.problem()])
def test_what_a_search_runs_is_compiled_once(problem: Problem) -> None:
    target = workbench(problem, reference="none").target
    assert target is not None
    names = [key[0] for key in target._compiled]
    assert sorted(names) == ["many", "second", "slope"]


def test_programs_are_kept_by_precision_and_shape_and_not_by_a_target_of_a_sample() -> None:
    target = workbench(eight_schools.problem(), reference="none").target
    assert target is not None
    kept = dict(target._compiled)
    first = target.compiled("own", lambda x: x + 1, np.zeros(2), level=0)
    assert target.compiled("own", lambda x: x + 2, np.zeros(2), level=0) is first
    assert target.compiled("own", lambda x: x + 1, np.zeros(3), level=0) is not first
    with double():
        assert target.compiled("own", lambda x: x + 1, np.zeros(2), level=0) is not first
    assert len(target._compiled) == len(kept) + 3
    assert target.on_sample(1)._compiled == {}
