"""Training under fixed noise: exact optima, in few gradients, and what it leaves to training by steps."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.handlers import seed, trace

import guidebench as gb
from guidebench.config import make_config
from guidebench.contracts import Guide, Problem
from guidebench.engine.fit.case import Case
from guidebench.engine.fit.choose import choose
from guidebench.engine.fit.refresh import budget_of_judging
from guidebench.engine.fit.train import Trained, train_guide
from guidebench.engine.prepared import Preparation, prepare
from guidebench.engine.recipe import recipe_of
from guidebench.engine.request import Settings
from guidebench.engine.workbench import Workbench
from guidebench.inference.device.precision import double
from guidebench.inference.training import course as course_module
from guidebench.inference.training import deterministic, lbfgs
from guidebench.inference.training.course import LARGEST, Course, Leg, gain, rough
from guidebench.inference.training.fixed import AT_ONCE, MOST_AT_ONCE, draws_at_once
from guidebench.inference.training.lbfgs import minimise
from guidebench.inference.training.noise import Counted, Given, antithetic, balanced
from guidebench.inference.training.polish import polish
from guidebench.plugins.registry import load_registry
from guidebench.request.selection import choose_guides
from guidebench.results import Status
from tests.numerics.bed.hierarchy import Groups

COVARIANCE = np.array([[1.0, 0.9, 0.2], [0.9, 1.0, 0.1], [0.2, 0.1, 4.0]])
MEAN = np.array([3.0, -2.0, 50.0])


def correlated() -> None:
    numpyro.sample("x", dist.MultivariateNormal(jnp.asarray(MEAN), jnp.asarray(COVARIANCE)))


@cache
def ready(model: Any, restarts: int | None) -> Preparation:
    """Prepare a problem once for all guides."""
    config = make_config({"reference": "none", "restarts": restarts})
    return prepare(Problem(name="one", model=model), config, recipe_of(config))


class Fitted:
    """A guide after training, on a problem that was prepared for it."""

    def __init__(self, model: Any, guide: Any, **options: Any) -> None:
        config = make_config({"reference": "none", "draws": 1_000, **options})
        settings = Settings(config=config, recipe=recipe_of(config))
        problem, target = ready(model, config.restarts)
        (chosen,) = choose_guides(load_registry(), [guide])
        self.case = Case(Workbench(problem, target), chosen, settings, lambda event: None)
        with self.case.boundary("train") as at:
            self.trained: Trained = train_guide(self.case, at)
            self.chosen = choose(self.case, self.trained, at)
        assert at.failure is None, at.failure
        self.training = self.trained.training
        self.params = self.chosen.params
        self.status = self.chosen.restarts[self.chosen.best].status

    @property
    def frame(self) -> tuple[np.ndarray, np.ndarray]:
        """Center and factor of the coordinates it was trained in."""
        arrays = self.trained.frame.arguments.arrays
        return arrays["center"], arrays["factor"]

    def draws(self) -> Any:
        return self.chosen.sampler(self.params, jax.random.key(1))


def fitted(model: Any, guide: Any, **options: Any) -> Fitted:
    return Fitted(model, guide, **options)


# -- exact optima


def test_mean_field_has_the_scales_of_the_precision_of_a_correlated_gaussian() -> None:
    found = fitted(correlated, "mean_field")
    center, factor = found.frame
    np.testing.assert_allclose(center + factor * found.params["x_loc"], MEAN, atol=2e-3)
    np.testing.assert_allclose(
        factor * found.params["x_scale"], 1 / np.sqrt(np.diag(np.linalg.inv(COVARIANCE))), rtol=2e-3
    )
    assert found.status is Status.CONVERGED
    assert found.training.gradients < 16_000  # a tenth of what four starts of 4,000 steps take
    assert len(found.training.endings) == 2  # which agreed
    assert budget_of_judging(found.case, found.training) == 3 * 4 * 4_000 * 10  # judged as after two rounds of these


@pytest.mark.parametrize("name", ["auto_multivariate_normal", "auto_laplace_approximation"])
def test_a_full_gaussian_is_the_posterior_where_that_is_one(name: str) -> None:
    found = fitted(correlated, name)
    draws = found.draws()
    # log p - log q is a constant, 0, where q is the posterior: better than any moments of draws could say.
    np.testing.assert_allclose(draws.log_weights, 0, atol=5e-3)
    assert found.status is Status.CONVERGED
    assert found.training.gradients < 16_000


def test_a_full_gaussian_over_many_groups_ends_just_below_the_evidence_and_not_where_scales_round_to_nothing() -> None:
    groups = 150
    rng = np.random.default_rng(groups)
    s = rng.uniform(0.3, 1.5, groups)
    y = 1.0 + 0.8 * rng.standard_normal(groups) + s * rng.standard_normal(groups)

    def model() -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        with numpyro.plate("group", groups):
            theta = numpyro.sample("theta", dist.Normal(mu, tau))
            numpyro.sample("y", dist.Normal(theta, s), obs=y)

    known = Groups(y=y, s=s, m=5.0, log_prior=lambda tau: 0.5 * np.log(2 / np.pi) - tau**2 / 2, low=-12.0, high=3.0)
    evidence, found = known.log_evidence(), fitted(model, "auto_multivariate_normal")
    elbo = float(np.mean(found.draws().log_weights))
    assert evidence - 1.5 < elbo < evidence
    assert found.status is Status.CONVERGED
    assert found.training.gradients < 100_000  # with K = 11,780 parameters


def test_low_rank_leaves_the_saddle_at_which_its_factor_is_nothing() -> None:
    loadings = np.array([[2.0], [1.0], [-1.0], [0.5], [1.5]])
    covariance = loadings @ loadings.T + np.diag([0.5, 1.0, 0.3, 2.0, 1.0])

    def model() -> None:
        numpyro.sample("x", dist.MultivariateNormal(jnp.zeros(5), jnp.asarray(covariance)))

    found = fitted(model, "auto_low_rank_multivariate_normal:rank=1")
    assert np.mean(found.draws().log_weights) == pytest.approx(0, abs=5e-3)


def test_low_rank_over_many_latents_is_exact_where_the_posterior_is_and_begins_with_few_draws() -> None:
    rng = np.random.default_rng(1)
    loadings, scales = rng.standard_normal((300, 3)), rng.uniform(0.5, 2.0, 300)

    def model() -> None:
        numpyro.sample("x", dist.LowRankMultivariateNormal(jnp.zeros(300), jnp.asarray(loadings), jnp.asarray(scales)))

    found = fitted(model, "auto_low_rank_multivariate_normal:rank=3")
    assert np.mean(found.draws().log_weights) == pytest.approx(0, abs=0.03)  # 1e-4 nat per latent
    assert found.status is Status.CONVERGED
    assert found.training.gradients < 70_000  # 119,384 where all starts begin with 758 draws


@pytest.mark.parametrize("name", ["auto_delta", "auto_laplace_approximation"])
def test_a_point_goes_to_the_mode_and_takes_hardly_any_gradients(name: str) -> None:
    def model() -> None:
        numpyro.sample("rate", dist.Gamma(3.0, 2.0))
        numpyro.sample("share", dist.Beta(4.0, 2.0))

    found = fitted(model, name)
    mode = {"auto_delta": (1.0, 0.75), "auto_laplace_approximation": (1.5, 4 / 6)}[
        name
    ]  # of the density of x, of log x
    latents = found.draws().latents
    if name == "auto_delta":
        np.testing.assert_allclose([latents["rate"][0], latents["share"][0]], mode, rtol=1e-4)
    else:
        center, factor = found.frame
        u = center + factor @ found.params["auto_loc"]
        np.testing.assert_allclose([np.exp(u[0]), 1 / (1 + np.exp(-u[1]))], mode, rtol=1e-4)
    assert found.status is Status.CONVERGED
    assert found.training.gradients < 1_000
    assert len(found.training.rounds) == 1  # without noise there is nothing to polish


def test_a_hierarchy_of_300_latents_takes_few_gradients() -> None:
    rng = np.random.default_rng(0)
    y = 1 + 0.7 * rng.standard_normal(300) + 0.5 * rng.standard_normal(300)

    def model() -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        with numpyro.plate("groups", 300):
            effect = numpyro.sample("effect", dist.Normal(mu, 0.7))
            numpyro.sample("y", dist.Normal(effect, 0.5), obs=jnp.asarray(y))

    found = fitted(model, "auto_normal")
    # A Gaussian: the best independent scales are those of the diagonal of the precision.
    _, factor = found.frame
    scales = {"mu": 1 / np.sqrt(1 / 25 + 300 / 0.49), "effect": 1 / np.sqrt(1 / 0.49 + 1 / 0.25)}
    np.testing.assert_allclose(factor[0] * found.params["mu_auto_scale"], scales["mu"], rtol=0.02)
    np.testing.assert_allclose(factor[1:] * found.params["effect_auto_scale"], scales["effect"], rtol=0.02)
    assert found.status is Status.CONVERGED
    assert found.training.gradients < 16_000


# -- several basins, and none


def test_where_there_are_two_basins_every_start_is_tried_and_the_better_kept() -> None:
    def model() -> None:
        parts = dist.Normal(jnp.array([-6.0, 6.0]), 1.0)
        numpyro.sample("x", dist.MixtureSameFamily(dist.Categorical(jnp.array([0.45, 0.55])), parts))

    found = fitted(model, "auto_normal")
    assert len(found.training.endings) == 4
    assert np.mean(found.draws().latents["x"]) == pytest.approx(6.0, abs=0.2)
    assert np.mean(found.draws().log_weights) == pytest.approx(np.log(0.55), abs=0.02)


def test_a_mode_that_is_singular_is_not_where_training_ends() -> None:
    effects = jnp.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    errors = jnp.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])

    def model() -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
        with numpyro.plate("schools", 8):
            theta = numpyro.sample("theta", dist.Normal(mu, tau))
            numpyro.sample("y", dist.Normal(theta, errors), obs=effects)

    found = fitted(model, "mean_field")
    assert 1.0 < np.median(found.draws().latents["tau"]) < 10.0  # the density has no bound as tau goes to 0
    assert found.status is Status.CONVERGED


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_starts_as_are_asked_for(count: int) -> None:
    found = fitted(correlated, "mean_field", restarts=count)
    assert len(found.training.endings) == count
    assert found.status is Status.CONVERGED


def test_a_mode_at_which_every_step_is_lost_in_rounding_is_one() -> None:
    # The loss is some 1,900 nats: its last digits are larger than what a step from the mode changes.
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(434), rng.integers(0, 2, 434), rng.normal(100, 15, 434)])
    y = x @ [26.0, 6.0, 0.6] + rng.normal(scale=18, size=434)

    def regression() -> None:
        beta = numpyro.sample("beta", dist.Normal(0, 1000.0).expand([3]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
        numpyro.sample("y", dist.Normal(x @ beta, sigma).to_event(1), obs=y)

    found = gb.compare(regression, guides="auto_delta", restarts=8, reference="none", progress=False)["auto_delta"]
    assert [one.status for one in found.restarts] == 8 * [Status.CONVERGED]


def test_a_density_without_a_maximum_has_no_mode_to_converge_to() -> None:
    def model() -> None:
        scale = numpyro.sample("scale", dist.HalfNormal(1.0))
        with numpyro.plate("ten", 10):
            numpyro.sample("x", dist.Normal(0.0, scale))

    found = fitted(model, "auto_delta")
    assert not any(one.status is Status.CONVERGED for one in found.training.endings)


# -- what is left to training by steps


def by_steps(found: Fitted) -> bool:
    return not found.training.endings


def test_other_guides_are_trained_by_steps_from_the_first_starts() -> None:
    def build(model: Any) -> Any:
        def guide(*_: Any) -> None:
            mean = numpyro.param("mean", jnp.zeros(3))
            x = numpyro.sample("x_base", dist.Normal(mean, 1.0).to_event(1), infer={"is_auxiliary": True})
            numpyro.sample(
                "x", dist.Delta(x + 0.1 * jnp.sin(x), event_dim=1, log_density=-jnp.sum(jnp.log1p(0.1 * jnp.cos(x))))
            )

        return guide

    bent = Guide(name="bent", build=build, family="affine")  # made of normal noise, but no Gaussian
    found = fitted(correlated, bent)
    assert by_steps(found)
    assert found.training.losses.shape[0] == 2


@pytest.mark.parametrize("option", [{"steps": 200}, {"particles": 3}, {"learning_rate": 0.01}, {"recipe": "adam"}])
def test_whoever_speaks_of_steps_gets_them(option: dict[str, Any]) -> None:
    config = make_config(option)
    assert recipe_of(config).name == "adam"
    assert not recipe_of(config).fixed_noise


def test_training_by_steps_is_left_to_them() -> None:
    found = fitted(correlated, "mean_field", steps=200)
    assert by_steps(found)
    assert found.training.gradients == 4 * 200 * 10


# -- the parts


def rates() -> None:
    with numpyro.plate("n", 20):
        numpyro.sample("rate", dist.Gamma(0.7, 2.0))


@pytest.fixture
def courses(monkeypatch: pytest.MonkeyPatch) -> list[Course]:
    """Return the courses of what is trained from here on."""
    found: list[Course] = []

    class Kept(Course):
        def to_optimum(self, *args: Any, **options: Any) -> Any:
            found.append(self)
            return super().to_optimum(*args, **options)

    monkeypatch.setattr(deterministic, "Course", Kept)
    return found


@pytest.mark.parametrize(("name", "count"), [("auto_normal", 64), ("auto_multivariate_normal", 100)])
def test_two_samples_tell_how_far_a_guide_is_from_its_optimum(courses: list[Course], name: str, count: int) -> None:
    fitted(rates, name)
    (course,) = courses
    objective = course.objective
    begin = np.zeros(len(objective._started.points[0]))

    def optimum(sample: Any) -> Leg:
        return Leg(begin).after(
            minimise(lambda at: objective.slope(at, sample), begin, gain=1e-6, window=5, most=1_000)
        )

    with double():
        everything = objective.fixed(8_192)
        lowest = objective.slope(optimum(everything).theta, everything)[0]
        samples = [objective.fixed(count) for _ in range(40)]
        legs = [optimum(sample) for sample in samples]
        said = np.array([course._excess(leg, sample, count) for leg, sample in zip(legs, samples, strict=True)])
        excess = np.array([objective.slope(leg.theta, everything)[0] - lowest for leg in legs])
    error = said.std() / len(said) ** 0.5
    assert excess.mean() > 2 * error  # there is something to see
    assert excess.mean() - 3 * error < said.mean() < 1.5 * excess.mean() + 3 * error


@pytest.mark.parametrize(("model", "level"), [(correlated, True), (rates, False)])
def test_where_no_sample_is_larger_another_one_says_what_is_left(
    courses: list[Course], monkeypatch: pytest.MonkeyPatch, model: Any, level: bool
) -> None:
    fitted(model, "auto_multivariate_normal")
    (course,) = courses
    count = course._first(10**6)
    monkeypatch.setattr(course_module, "LARGEST", 2 * count)
    with double():
        sample = course.objective.fixed(count)
        leg = Leg(np.zeros(len(course.objective._started.points[0])))
        leg = leg.after(course._minimise(leg.theta, sample, 5, 1 / 40))
        assert leg.level
        gradients = course.objective.gradients
        assert course._grown(leg, count, sample).level is level
        assert course.objective.gradients == gradients + 2 * sum(map(len, sample))


@pytest.mark.parametrize("mixed", [3, 300])
def test_a_rough_sample_has_pairs_enough_for_what_is_mixed(mixed: int) -> None:
    (few,) = rough(mixed, LARGEST)
    which = np.arange(1_000) < mixed
    noise = balanced(np.random.default_rng(0), few, 1_000, which)
    np.testing.assert_allclose((noise.T @ noise / few)[which], np.eye(1_000)[which], atol=1e-9)
    assert rough(mixed, few) == ()
    assert rough(0, LARGEST) == ()


def test_balanced_noise_has_the_moments_of_the_normal() -> None:
    rng = np.random.default_rng(0)
    few, many = balanced(rng, 16, 20), balanced(rng, 64, 20)
    for noise in (few, many, antithetic(rng, 16, 20)):
        np.testing.assert_allclose(noise[::2], -noise[1::2])
    np.testing.assert_allclose(np.mean(few**2, axis=0), 1)
    np.testing.assert_allclose(many.T @ many / 64, np.eye(20), atol=1e-12)


def test_what_a_matrix_mixes_is_uncorrelated_with_all_else_in_few_draws() -> None:
    mixed = np.arange(200) % 40 == 3
    noise = balanced(np.random.default_rng(0), 64, 200, mixed)
    second = noise.T @ noise / len(noise)
    np.testing.assert_allclose(noise[::2], -noise[1::2])
    np.testing.assert_allclose(second[mixed], np.eye(200)[mixed], atol=1e-12)
    np.testing.assert_allclose(np.diag(second), 1)
    # Of the others no sample of 32 pairs could say that.
    assert np.max(np.abs(second - np.eye(200))) > 0.3


@pytest.mark.parametrize(
    "site",
    [
        dist.Normal(jnp.arange(3.0), jnp.array([1.0, 2.0, 3.0])).to_event(1),
        dist.Normal(0.5, 2.0).expand([3]).to_event(1),
        dist.MultivariateNormal(jnp.asarray(MEAN), jnp.asarray(COVARIANCE)),
        dist.LowRankMultivariateNormal(jnp.asarray(MEAN), jnp.ones((3, 1)), jnp.array([1.0, 2.0, 3.0])),
        dist.TransformedDistribution(
            dist.Normal(0.0, jnp.ones(3)).to_event(1), dist.transforms.AffineTransform(1.0, 3.0)
        ),
    ],
)
def test_a_site_made_of_given_noise_is_drawn_from_its_distribution(site: Any) -> None:
    def guide() -> None:
        numpyro.sample("x", site)

    counted = Counted(guide)
    trace(seed(counted, jax.random.key(0))).get_trace()
    assert counted.complete

    def one(noise: Any) -> Any:
        return trace(seed(Given(guide, noise), jax.random.key(0))).get_trace()["x"]["value"]

    drawn = jax.vmap(one)(jnp.asarray(balanced(np.random.default_rng(0), 400, len(counted.mixed))))
    own = site.sample(jax.random.key(1), (200_000,))
    np.testing.assert_allclose(np.mean(drawn, axis=0), np.mean(own, axis=0), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T, bias=True), np.cov(own.T), atol=0.15)


@pytest.mark.parametrize("site", [dist.Gamma(2.0, 1.0), dist.StudentT(3.0), dist.Uniform(0.0, 1.0)])
def test_noise_that_is_not_normal_is_noticed(site: Any) -> None:
    counted = Counted(lambda: numpyro.sample("x", site))
    trace(seed(counted, jax.random.key(0))).get_trace()
    assert not counted.complete


def test_a_point_takes_no_noise() -> None:
    counted = Counted(lambda: numpyro.sample("x", dist.Delta(1.0)))
    trace(seed(counted, jax.random.key(0))).get_trace()
    assert counted.complete
    assert not counted.mixed


def test_lbfgs_ends_where_it_gains_nothing_and_says_so() -> None:
    def bowl(point: np.ndarray) -> tuple[float, np.ndarray]:
        sizes = np.logspace(0, 3, len(point))
        return float(np.sum(sizes * (point - 1) ** 2)), 2 * sizes * (point - 1)

    found = minimise(bowl, np.zeros(6), gain=1e-9, window=3, most=200)
    assert found.level
    np.testing.assert_allclose(found.point, 1, atol=1e-4)
    assert not minimise(bowl, np.zeros(6), gain=1e-9, window=3, most=2).level


def test_lbfgs_steps_back_from_where_a_loss_is_not_finite() -> None:
    def cliff(point: np.ndarray) -> tuple[float, np.ndarray]:
        value = -np.log(point[0]) + point[0] if point[0] > 0 else np.nan
        return float(value), np.array([1 - 1 / point[0]])

    assert minimise(cliff, np.array([30.0]), gain=1e-10, window=3, most=100).point[0] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("start", [-30.0, -60.0, -90.0, -95.0])
def test_lbfgs_does_not_leap_to_where_nothing_is_known(start: float) -> None:
    def with_a_pit(point: np.ndarray) -> tuple[float, np.ndarray]:
        # Nearly straight where it begins: a step by its curvature there leads far beyond the bottom, into the pit.
        away = np.hypot(1.0, point - 3.0)
        return (
            (float(away.sum()), (point - 3.0) / away) if np.all(np.abs(point) < 100) else (-1e9, np.zeros_like(point))
        )

    found = minimise(with_a_pit, np.array([start]), gain=1e-10, window=3, most=100)
    assert found.point[0] == pytest.approx(3, abs=1e-3)


def test_lbfgs_gets_far_in_few_iterations_where_a_loss_is_a_bowl_and_where_it_is_concave() -> None:
    def far(point: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.sum((point - 1e6) ** 2) / 2), point - 1e6

    found = minimise(far, np.zeros(2), gain=1e-10, window=3, most=100)
    np.testing.assert_allclose(found.point, 1e6, rtol=1e-9)
    assert len(found.losses) < 25

    def tail(point: np.ndarray) -> tuple[float, np.ndarray]:  # of a Student t far away: concave
        away = point - 3e4
        return float(np.log1p(away**2).sum()), 2 * away / (1 + away**2)

    found = minimise(tail, np.zeros(1), gain=1e-10, window=3, most=100)
    assert found.point[0] == pytest.approx(3e4, abs=1e-3)
    assert len(found.losses) < 60


def test_of_long_paths_of_many_numbers_some_points_are_remembered_and_the_best_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def bowl(point: np.ndarray) -> tuple[float, np.ndarray]:
        sizes = np.logspace(0, 4, len(point))
        return float(np.sum(sizes * (point - 1) ** 2)), 2 * sizes * (point - 1)

    whole = minimise(bowl, np.zeros(20), gain=1e-12, window=3, most=200)
    assert [one.iteration for one in whole.points] == list(range(1, len(whole.losses) + 1))
    monkeypatch.setattr(lbfgs, "REMEMBERED", 5 * 20)
    thinned = minimise(bowl, np.zeros(20), gain=1e-12, window=3, most=200)
    assert thinned.losses == whole.losses
    np.testing.assert_array_equal(thinned.point, whole.point)
    assert 2 <= len(thinned.points) <= 6
    for iteration, point in thinned.points:
        np.testing.assert_array_equal(point, whole.points[iteration - 1].point)
    assert thinned.points[-1].iteration == len(thinned.losses)
    leg = Leg(np.zeros(20)).after(thinned).after(thinned)
    assert [one.iteration for one in leg.points] == [
        *(one.iteration for one in thinned.points),
        *(len(thinned.losses) + one.iteration for one in thinned.points),
    ]


def test_the_more_parameters_a_guide_has_beside_its_draws_the_more_of_these_are_computed_at_once() -> None:
    assert draws_at_once(3, 0) == 1  # a point
    assert draws_at_once(2 * 50, 50) == AT_ONCE  # independent coordinates
    assert draws_at_once(26 * 29 // 2, 26) == AT_ONCE  # a small matrix
    assert draws_at_once(1_000 * (2 + 32), 1_000) == 4 * AT_ONCE  # low rank
    assert draws_at_once(1_000 * 1_003 // 2, 1_000) == MOST_AT_ONCE
    assert draws_at_once(1_000 * 1_003 // 2, 1_000, 10_000) == 2 * AT_ONCE  # what caches hold of the data
    assert draws_at_once(1_000 * 1_003 // 2, 1_000, 10_000_000) == AT_ONCE


def test_a_polish_averages_noise_away_and_leaves_out_what_is_not_finite() -> None:
    rng = np.random.default_rng(0)

    def noisy(point: np.ndarray) -> tuple[float, np.ndarray]:
        if rng.uniform() < 0.02:
            return np.nan, point
        return float(np.sum(point**2) / 2), point + rng.standard_normal(len(point))

    found = polish(noisy, np.full(4, 0.5), steps=2_000, rate=0.02)
    assert 0 < found.skipped < 100
    assert np.max(np.abs(found.point)) < 0.1
    assert np.isfinite(found.point).all()


def test_what_is_not_finite_is_no_gain() -> None:
    fine, broken = np.zeros(10), np.full(10, np.nan)
    assert gain(fine, broken).mean == -np.inf
    assert gain(broken, fine).mean == np.inf
    assert gain(fine, fine + 0.1) == pytest.approx((0.1, 0.0))
