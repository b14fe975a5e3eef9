"""What is said to have been computed is what was: held against a model that counts, and against sums by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import guidebench as gb
from guidebench.inference import nuts
from guidebench.inference.arguments import Arguments
from guidebench.inference.chains.moves import CHAINS, Moves
from guidebench.inference.chains.run import run_chains
from guidebench.inference.chains.whitening import by_moments, plain
from guidebench.inference.coordinates import Affine
from guidebench.inference.derivatives import DRAWS, Functions
from guidebench.inference.device.precision import double
from guidebench.inference.large import expand
from guidebench.inference.mixture import witness
from guidebench.inference.modes import explore
from guidebench.inference.pointwise import AT_A_TIME, Pointwise
from guidebench.inference.start import FiniteAt, uniform_points
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from guidebench.inference.wide import PROBES, explore_wide
from guidebench.results import Comparison, Work
from guidebench.results.work import OF_A_FIT, OF_A_PROBLEM, merged, total

SIZE = 3


class Counted:
    """A posterior that counts how often its log density is computed, each lane of what is vectorised."""

    def __init__(self, size: int = SIZE) -> None:
        self._calls, self._size = 0, size

        @jax.custom_jvp
        def nothing(u: jax.Array) -> jax.Array:
            like = jax.ShapeDtypeStruct((), np.int32)
            return jax.pure_callback(self._count, like, u, vmap_method="expand_dims").astype(u.dtype)

        nothing.defjvp(lambda primals, _: (nothing(*primals), jnp.zeros((), primals[0].dtype)))
        self._nothing = nothing

    def model(self, y: Any = 0.5) -> None:
        u = numpyro.sample("u", dist.Normal(0.0, 1.0).expand([self._size]).to_event(1))
        numpyro.factor("counted", self._nothing(u))
        numpyro.sample("y", dist.Normal(u.sum(), 1.0), obs=y)

    def _count(self, u: np.ndarray) -> np.ndarray:
        self._calls += int(np.prod(u.shape[:-1]))
        return np.zeros(u.shape[:-1], np.int32)

    def calls(self) -> int:
        """Return how often since this was asked last."""
        found, self._calls = self._calls, 0
        return found


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def target(counted: Counted) -> Target:
    return target_of(counted)


def target_of(counted: Counted) -> Target:
    arguments = Arguments.split(counted.model, {})
    return Target.of(counted.model, arguments, inspect_model(counted.model, arguments))


def test_starting_points_count_by_whole_batches(counted: Counted, target: Target) -> None:
    finite_at = FiniteAt(target, 4)
    counted.calls()
    finite_at(np.zeros((5, SIZE)))
    assert counted.calls() == finite_at.computed == 8
    found = uniform_points([1, 2, 3], finite_at)
    assert counted.calls() == found.gradients == 4


def test_where_many_coordinates_begin_both_precisions_count() -> None:
    counted = Counted(120)
    moves = Moves(target_of(counted), {})
    draws = np.random.default_rng(0).standard_normal((CHAINS, 120))
    whitening = plain(by_moments(draws, dense=False))
    counted.calls()
    assert moves.single_will_do(moves.begin(draws, whitening, 0.2), whitening)
    assert counted.calls() == 2 * CHAINS


def test_the_pieces_of_a_search_count_every_lane(counted: Counted, target: Target) -> None:
    with double():
        functions = Functions(target, 4, {})
        points = np.random.default_rng(0).standard_normal((5, SIZE))
        functions.slope(points[0])
        functions.many(points)
        functions.second(points)
        counted.calls()
        functions.work = Work()
        functions.slope(points[0])
        assert (functions.work, counted.calls()) == (Work(gradients=1), 1)
        functions.many(points)  # one batch, most of which only fills it up
        assert (functions.work.densities, counted.calls()) == (4 * DRAWS, 4 * DRAWS)
        functions.second(points)
    # Two batches of four; a Hessian counts as a gradient for each coordinate, which share one call of the model.
    assert functions.work.gradients == 1 + 8 * (1 + SIZE)


def test_points_that_are_weighed_count_by_whole_batches(counted: Counted, target: Target) -> None:
    pointwise = Pointwise(target, {})
    pointwise(np.zeros((1, SIZE)))
    counted.calls()
    pointwise(np.zeros((AT_A_TIME + 1, SIZE)))
    assert counted.calls() == pointwise.work(AT_A_TIME + 1).densities == 2 * AT_A_TIME


def test_a_mixture_says_what_it_weighed(counted: Counted, target: Target) -> None:
    landscape = explore(target, np.zeros((2, SIZE)), {}, 0)
    pointwise = Pointwise(target, {})
    pointwise(np.zeros((1, SIZE)))
    counted.calls()
    found = witness(pointwise, landscape, 0)
    assert found.accepted
    assert found.work == Work(densities=counted.calls())


def test_chains_count_their_leaps_and_where_they_began(counted: Counted, target: Target) -> None:
    moves = Moves(target, {})
    counted.calls()
    draws = np.random.default_rng(0).standard_normal((1_000, SIZE))
    found = run_chains(moves, draws, 0, 100_000)
    assert found.work.gradients == counted.calls()
    began = found.work.gradients - found.gradients  # once, and wherever they were whitened anew
    assert began >= CHAINS
    assert began % CHAINS == 0


def test_nuts_counts_its_leapfrog_steps_with_those_of_warm_up(counted: Counted, target: Target) -> None:
    settings = nuts.Settings(chains=1, warmup=nuts.BLOCK, draws=nuts.BLOCK, doublings=0)
    starts = nuts.Places(centres=np.zeros((1, SIZE)), noise=np.zeros((1, SIZE)))
    affine = Affine(center=np.zeros(SIZE), factor=np.ones(SIZE))
    (found,) = nuts.rounds(target, {}, affine, starts, 0, settings)
    assert found.gradients == counted.calls()
    assert found.draws["u"].shape == (1, nuts.BLOCK, SIZE)


def test_a_search_in_many_dimensions_counts_products_with_the_hessian_as_gradients() -> None:
    def model() -> None:
        numpyro.sample("u", dist.Normal(0.0, 1.0).expand([SIZE]).to_event(1))

    arguments = Arguments.split(model, {})
    found = explore_wide(Target.of(model, arguments, inspect_model(model, arguments)), np.ones((1, SIZE)), {}, 0)
    assert found.work.gradients >= 2 * PROBES
    assert found.work.densities % DRAWS in (0, DRAWS // 2)


def test_work_adds_up() -> None:
    one, two = Work(gradients=3, densities=5, seconds=1.0), Work(gradients=4, seconds=2.0)
    assert one + two == Work(gradients=7, densities=5)
    assert (one + two).seconds == 3.0
    assert total([one, two, one]) == Work(gradients=10, densities=10)
    assert merged({"a": one}, {"a": two, "b": one}) == {"a": one + two, "b": one}
    assert Work(gradients=10, densities=1).of_part(1, 3) == Work(gradients=4, densities=1)


def _quick(model: Callable[..., Any], **options: Any) -> Any:
    given = {"guides": "auto_normal", "steps": 40, "restarts": 2, "particles": 3, "draws": 100, "reference": "none"}
    return gb.compare(model, **given | options)


def test_training_takes_a_gradient_for_each_particle_of_each_start_in_each_step(counted: Counted) -> None:
    counts = []
    for steps in (40, 80):
        counted.calls()
        fit = _quick(counted.model, steps=steps, learning_rate=0.01)["auto_normal"]
        counts.append((counted.calls(), fit.work["training"].gradients))
    assert counts[0][1] == 40 * 2 * 3
    # All else of the two runs is the same: only the steps differ.
    assert counts[1][0] - counts[0][0] == counts[1][1] - counts[0][1] == 40 * 2 * 3


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    guides = ["auto_normal", "auto_laplace_approximation", "auto_delta"]
    found: Comparison = gb.compare(
        "linear-regression", guides=guides, steps=800, restarts=2, particles=8, reference="nuts"
    )
    return found


@pytest.mark.slow
def test_phases_add_up_to_the_whole(comparison: Comparison) -> None:
    for fit in comparison:
        assert set(fit.work) <= set(OF_A_FIT)
        assert fit.gradients == total(fit.work.values()).gradients == fit.value("gradients")
        assert total(fit.work.values()).seconds == pytest.approx(fit.seconds)
        assert fit.work["training"].gradients == 800 * 2 * 8
    (record,) = comparison.problems
    assert set(record.work) <= set(OF_A_PROBLEM)
    assert record.work["nuts"].gradients > 4 * 2_000
    assert record.work["search"].gradients > 0


def test_scoring_counts_the_draws_of_every_start_and_the_hessian_of_laplace(comparison: Comparison) -> None:
    def course(guide: str) -> int:
        return comparison[guide].inference_data["training_course"].sizes["step"]

    # Two starts are ranked, ten batches scored, and one drawn for each step of the course, 4,000 draws each.
    assert comparison["auto_normal"].work["scoring"] == Work(densities=(12 + course("auto_normal")) * 4_000)
    dim = int(comparison.problems[0].features["dimension"])
    laplace = comparison["auto_laplace_approximation"].work["scoring"]
    assert laplace == Work(gradients=12 * dim, densities=12 * 4_001)
    assert comparison["auto_delta"].work["scoring"] == Work(
        densities=(1 + course("auto_delta")) * 4_000  # a point is drawn once
    )


def test_it_is_saved_read_back_and_in_the_table(comparison: Comparison, tmp_path: Any) -> None:
    again = gb.load(comparison.save(tmp_path / "saved"))
    for fit, other in zip(comparison, again, strict=True):
        assert fit.work == other.work
        assert {name: one.seconds for name, one in fit.work.items()} == {
            name: one.seconds for name, one in other.work.items()
        }
    assert comparison.problems[0].work == again.problems[0].work
    assert comparison.summary()["gradients"].tolist() == [fit.gradients for fit in comparison]


def test_the_expansion_of_large_data_is_one_gradient_and_one_hessian(counted: Counted, target: Target) -> None:
    expand(target, np.zeros(SIZE), {})
    assert counted.calls() >= 1  # prepared.py counts 1 + D


def _phases(comparison: Comparison) -> Iterator[tuple[str, Work]]:
    for fit in comparison:
        yield from fit.work.items()


@pytest.mark.slow
def test_worker_processes_count_the_same(comparison: Comparison) -> None:
    guides = ["auto_normal", "auto_laplace_approximation", "auto_delta"]
    again = gb.compare("linear-regression", guides=guides, steps=800, restarts=2, particles=8, reference="nuts", jobs=2)
    assert list(_phases(again)) == list(_phases(comparison))
    assert again.problems[0].work == comparison.problems[0].work
