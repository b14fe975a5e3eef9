"""The answers of the test bed, against the models: what a model's density alone says of exact draws.

An answer comes from algebra and quadrature in NumPy and SciPy; the tests here know only the NumPyro model.  Where modes
lie far apart Stein's identity holds of any masses, so these are looked at by importance sampling.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest
from numpyro.handlers import seed
from numpyro.infer.util import unconstrain_fn
from scipy import stats
from scipy.special import logsumexp

from guidebench.inference.arguments import Arguments
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from guidebench.metrics.evidence import scalars
from tests.numerics.bed.catalogue import KINDS, problems
from tests.numerics.bed.problem import Draws

try:
    from jax import enable_x64
except ImportError:  # older versions of jax
    from jax.experimental import enable_x64

BED = problems()
PROPER = [name for name, one in BED.items() if one.proper]
SEVERAL_MODES = [name for name, one in BED.items() if one.mode is not None]

#: Two of each class stand for all where an answer is broken on purpose.
TO_BREAK = [
    name for kind in KINDS for name in [one.name for one in BED.values() if one.kind == kind and one.proper][:2]
]

#: Up to this many coordinates every pair of them is looked at, and each alone beyond.
PAIRS = 25


@cache
def target(name: str) -> tuple[Target, dict[str, np.ndarray]]:
    model, given = BED[name].problem.model, BED[name].problem.arguments()
    arguments = Arguments.split(model, given)
    with enable_x64(True):
        arrays = {key: np.asarray(value) for key, value in arguments.arrays.items()}
        return Target.of(model, arguments, inspect_model(model, arguments)), arrays


@cache
def density(name: str) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return what gives log density and gradient at unconstrained points, in float64."""
    found, arrays = target(name)
    evaluate = jax.value_and_grad(lambda point: found.log_density(point, arrays))
    size = max(1, *(value.size for value in arrays.values())) if arrays else 1
    run = jax.jit(lambda points: jax.lax.map(evaluate, points, batch_size=max(1, min(1_000, 30_000_000 // size))))

    def both(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with enable_x64(True):
            value, gradient = run(points)
        return np.asarray(value), np.asarray(gradient)

    return both


def unconstrained(name: str, draws: Draws) -> np.ndarray:
    problem = BED[name].problem
    with enable_x64(True):
        model = seed(problem.model, jax.random.key(0))  # for a discrete latent, whose value does not matter
        one = jax.jit(jax.vmap(lambda values: unconstrain_fn(model, problem.args, problem.kwargs, values)))
        found = {site: np.asarray(values) for site, values in one(draws).items()}
    return target(name)[0].flatten(found)


def count(name: str) -> int:
    """How many draws are looked at: fewer where each holds many numbers, or costs many rows."""
    found, arrays = target(name)
    rows = sum(value.size for value in arrays.values())
    return int(np.clip(min(2_500_000 / found.dim, 300_000_000 / max(rows, 1)), 1_000, 20_000))


@cache
def exact(name: str) -> np.ndarray:
    return unconstrained(name, BED[name].draws(3, count(name)))


def worst_score(name: str, points: np.ndarray) -> float:
    """Return the largest violation of Stein's identity over what chance allows at 1e-4: above one draws are wrong.

    E[f'(z) + f(z) d log p / dz] = 0 for f = 1, z, sin z and cos z, z being a coordinate in units of its sd, and
    E[w(z_j) (f'(z_i) + f(z_i) d log p / dz_i)] = 0 for all pairs, w being z, or 1 above the mean.  The last sees what
    the others cannot where a gradient has no variance, as in groups whose scale is near zero.
    """
    scale = points.std(axis=0)
    z = (points - points.mean(axis=0)) / scale
    gradient = density(name)(points)[1] * scale
    terms = [
        gradient,
        z * gradient + 1,
        np.sin(z) * gradient + np.cos(z),
        np.cos(z) * gradient - np.sin(z),
    ]
    if 1 < z.shape[1] <= PAIRS:
        for other in (np.roll(z, shift, axis=1) for shift in range(1, z.shape[1])):
            terms += [other * gradient, (other > 0) * gradient, (other > 0) * terms[1]]
    together = np.concatenate(terms, axis=1)
    scores = together.mean(axis=0) / (together.std(axis=0) / np.sqrt(len(together)))
    return float(np.abs(scores).max() / stats.norm.isf(0.5e-4 / scores.size))


def some(names: Iterable[str]) -> list[Any]:
    """Return names for the default run, two of each class, and all others for the slow tests."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[BED[name].kind] += 1
        found.append(pytest.param(name, marks=[pytest.mark.slow] if seen[BED[name].kind] > 2 else []))
    return found


# The bed itself


def test_the_bed_holds_every_class() -> None:
    assert len(BED) >= 60
    assert {one.kind for one in BED.values()} == set(KINDS)
    assert len(set(KINDS)) == len(KINDS) == 15
    assert all(one.problem.name == name for name, one in BED.items())


def test_a_third_is_held_out_and_some_of_every_class() -> None:
    held_out = [one for one in BED.values() if one.held_out]
    assert 0.25 < len(held_out) / len(BED) < 0.42
    assert {one.kind for one in held_out} == set(KINDS)


def test_no_answer_is_given_away() -> None:
    for one in BED.values():
        assert one.problem.reference is None
        assert one.problem.reference_draws is None
        assert one.problem.log_evidence is None
        assert one.problem.truth is None


# The draws, judged by the model's density


@pytest.mark.parametrize("name", some(PROPER))
def test_draws_obey_the_identity_of_stein(name: str) -> None:
    assert worst_score(name, exact(name)) < 1


@pytest.mark.parametrize("name", TO_BREAK)
def test_a_wrong_answer_breaks_the_identity(name: str) -> None:
    points = exact(name)
    mean, sd = points.mean(axis=0), points.std(axis=0)
    for at in {0, points.shape[1] - 1}:
        wide, moved = points.copy(), points.copy()
        wide[:, at] = mean[at] + 1.15 * (points[:, at] - mean[at])
        moved[:, at] += 0.15 * sd[at]
        assert worst_score(name, wide) > 1
        assert worst_score(name, moved) > 1


# The masses of modes, by importance sampling from what fits each


def masses(name: str, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return masses of the modes and their errors: from t distributions, as many as there are modes and all alike."""
    points = exact(name)
    found = np.unique(labels)
    rng = np.random.default_rng(4)
    parts = []
    for label in found:
        own = points[labels == label]
        shape = np.cov(own.T).reshape(own.shape[1], own.shape[1])
        parts.append(stats.multivariate_t(own.mean(axis=0), 1.5 * shape, df=5))
    each = 40_000 // len(found)
    proposed = np.concatenate([part.rvs(each, random_state=rng).reshape(each, -1) for part in parts])
    log_q = logsumexp([np.atleast_1d(part.logpdf(proposed)) for part in parts], axis=0)
    log_w = np.nan_to_num(density(name)(proposed)[0], nan=-np.inf, posinf=-np.inf) - log_q
    weights = np.exp(log_w - logsumexp(log_w))
    assert 1 / np.sum(weights**2) > 1_000
    modes = BED[name].mode
    assert modes is not None
    inside = modes(constrained(name, proposed))[:, None] == found
    share = weights @ inside
    return share, np.sqrt(weights**2 @ (inside - share) ** 2)


def constrained(name: str, points: np.ndarray) -> Draws:
    found = target(name)[0]
    with enable_x64(True):
        values = jax.jit(jax.vmap(lambda point: found.constrain(point, target(name)[1])[0]))(points)
    return {site: np.asarray(value) for site, value in values.items()}


@pytest.mark.parametrize("name", SEVERAL_MODES)
def test_masses_of_modes(name: str) -> None:
    modes = BED[name].mode
    assert modes is not None
    draws = BED[name].draws(3, count(name))
    labels = modes(draws)
    own = (labels[:, None] == np.unique(labels)).mean(axis=0)
    assert len(own) > 1
    share, error = masses(name, labels)
    both = np.sqrt(error**2 + own * (1 - own) / len(labels))
    assert np.all(np.abs(share - own) < 4.5 * both)
    # And a share that is a tenth of its sd off, as a user counts, would have been seen.
    assert np.all(4.5 * both < 0.1 * np.sqrt(own * (1 - own)))


# Moments, against draws


@pytest.mark.parametrize("name", some(name for name in PROPER if BED[name].moments is not None))
def test_moments_are_those_of_the_draws(name: str) -> None:
    known = BED[name].answer
    size = int(min(200_000, 10_000_000 // len(known)))
    limit = stats.norm.isf(0.5e-4 / len(known))
    for component, values in scalars(BED[name].draws(5, size)):
        if component not in known:
            continue
        mean, sd = known[component].mean, known[component].sd
        assert abs(values.mean() - mean) < limit * sd / np.sqrt(size), component
        if known[component].ask_sd:
            kurtosis = max(np.mean((values - mean) ** 4) / sd**4, 3.0)  # of a sample it goes with its sd
            error = np.sqrt(kurtosis - 1) / 2 / np.sqrt(size)
            assert abs(values.std() / sd - 1) < limit * error, component


@pytest.mark.parametrize("name", some(name for name in PROPER if len(BED[name].answer) <= 60))
def test_what_is_asked_can_be_answered(name: str) -> None:
    """10,000 exact draws find every sd that is asked for within 15 %, and four of five sds of chance below that."""
    for site in range(20):
        for component, values in scalars(BED[name].draws(100 + site, 10_000)):
            known = BED[name].answer.get(component)
            if known is not None and known.ask_sd:
                assert abs(values.std() / known.sd - 1) < 0.12, component


# What has no posterior


@pytest.mark.parametrize("name", [name for name, one in BED.items() if not one.proper])
def test_the_density_never_falls_where_there_is_no_posterior(name: str) -> None:
    escape = BED[name].escape
    assert escape is not None
    places = [escape(at) for at in (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)]
    points = target(name)[0].flatten({site: np.stack([np.asarray(one[site]) for one in places]) for site in places[0]})
    values = density(name)(points)[0]
    assert np.all(np.diff(values) > -1e-9 * np.abs(values[:-1]))


def test_the_density_falls_where_there_is_one() -> None:
    values = density("banana-thin")(np.array([[1.0, 1.0], [3.0, 1.0], [10.0, 1.0]]))[0]
    assert np.all(np.diff(values) < -1)


def test_a_name_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.numerics.bed import catalogue, heavy

    monkeypatch.setattr(catalogue, "CLASSES", (heavy, heavy))
    with pytest.raises(ValueError, match="used more than once"):
        catalogue.problems()


def test_a_grid_that_ends_too_early_is_refused() -> None:
    from tests.numerics.bed import grids

    cells: Any = grids.cells(lambda at: -0.5 * at**2, np.linspace(-2, 2, 101))
    with pytest.raises(ValueError, match="too short"):
        cells(np.random.default_rng(0), 1)
