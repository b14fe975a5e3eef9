"""Six models as their users write them: what the numbers must obey, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import guidebench as gb
from guidebench.contracts import Problem
from guidebench.engine.minibatches import inspect_problem
from guidebench.inference.target import Target
from guidebench.results import Fit
from guidebench.results.inference_data import group
from tests.models.cases import CASES

QUICK = {"steps": 1000, "restarts": 1, "draws": 1000, "reference": "none"}

GAUSSIANS = ("auto_normal", "auto_multivariate_normal")


@pytest.fixture(scope="module")
def quick() -> Callable[..., Fit]:
    """Fit a guide to one of the models as it is told of in its case, once."""
    found: dict[tuple[str, str], Fit] = {}

    def run(name: str, guide: str) -> Fit:
        if (name, guide) not in found:
            case = CASES[name]
            found[name, guide] = gb.compare(case.model, guides=guide, **case.options, **QUICK)[guide]
        return found[name, guide]

    return run


def elbo(fit: Fit) -> tuple[float, float]:
    metric = fit.metric("elbo")
    assert metric is not None
    assert metric.mcse is not None
    return metric.value, metric.mcse


#: Whose Gaussians do not take long.
SMALL = ("logistic",)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SMALL else [pytest.mark.slow]) for name in CASES]
)
def test_the_full_rank_gaussian_is_no_worse_and_holds_the_truth(name: str, quick: Callable[..., Fit]) -> None:
    diagonal, full = (quick(name, guide) for guide in ("auto_normal", "auto_multivariate_normal"))

    (low, low_error), (high, high_error) = elbo(diagonal), elbo(full)
    assert high >= low - 0.05 - 4 * np.hypot(low_error, high_error)

    posterior = group(full.inference_data, "posterior")
    for site, truth in CASES[name].truth.items():
        if site not in posterior:
            continue  # a deterministic one
        draws = posterior[site].to_numpy()
        bounds = np.quantile(draws.reshape(-1, *draws.shape[2:]), [0.005, 0.995], axis=0)
        assert np.all((bounds[0] <= truth) & (truth <= bounds[1])), (site, truth, bounds)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["radon", "ratings"])
def test_minibatches_end_where_all_data_do(name: str, quick: Callable[..., Fit]) -> None:
    case = CASES[name]
    whole = gb.compare(case.model, guides="auto_normal", **case.read(), **QUICK)["auto_normal"]

    (part, part_error), (all_, all_error) = elbo(quick(name, "auto_normal")), elbo(whole)

    assert part == pytest.approx(all_, abs=0.05 + 2 * np.hypot(part_error, all_error))


def by_hand(hours: Any, group: Any, caught: Any = None) -> None:
    """The zero-inflated model with its indicator summed out on paper."""
    share = numpyro.sample("share", dist.Beta(2, 2))
    intercept = numpyro.sample("intercept", dist.Normal(0, 1))
    b_hours = numpyro.sample("hours", dist.Normal(0, 1))
    b_group = numpyro.sample("group", dist.Normal(0, 1))
    rate = jnp.exp(intercept + b_hours * jnp.log(hours / 3) + b_group * (group - 2))
    with numpyro.plate("visitors", hours.shape[0]):
        numpyro.sample("caught", dist.ZeroInflatedPoisson(1 - share, rate), obs=caught)


def test_the_density_without_a_discrete_latent_is_that_by_hand() -> None:
    # Near enough for counts that nobody would see who did not fish: the model gives them a rate of 1e-8, the hand none.
    points = jnp.asarray(0.3 * np.random.default_rng(0).normal(size=(10, 4)), jnp.float32)

    def density(model: Callable[..., Any]) -> np.ndarray:
        found = inspect_problem(Problem(name="fishing", model=model, kwargs=CASES["fishing"].read()), {})
        target = Target.of(found.problem.model, found.arguments, found.structure)
        assert list(target.shapes) == ["share", "intercept", "hours", "group"]
        return np.asarray(jax.vmap(target.log_density, in_axes=(0, None))(points, found.arguments.arrays))

    np.testing.assert_allclose(density(CASES["fishing"].model), density(by_hand), rtol=1e-4)


@pytest.mark.slow
def test_a_discrete_latent_is_summed_out_as_by_hand(quick: Callable[..., Fit]) -> None:
    summed = quick("fishing", "auto_multivariate_normal")

    # Under the same name all random numbers are the same.
    options = {**CASES["fishing"].read(), **QUICK, "name": "fishing"}
    hand = gb.compare(by_hand, guides="auto_multivariate_normal", **options)["auto_multivariate_normal"]

    (found, found_error), (expected, expected_error) = elbo(summed), elbo(hand)
    assert found == pytest.approx(expected, abs=0.01 + 4 * np.hypot(found_error, expected_error))
