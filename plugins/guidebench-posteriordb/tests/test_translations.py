"""The translations are right: NUTS on each of them agrees with the reference draws of the database.

Every mean has to be within four combined Monte Carlo standard errors and every standard deviation within 5 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS, init_to_value

from guidebench import Problem
from guidebench_posteriordb.catalogue import POSTERIORS, Posterior
from guidebench_posteriordb.database import Database

CHAINS = 4
WARMUP = 1_500
DRAWS = 6_000


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Sample in float64: on raw scales a coefficient can be 1e4 times another."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def sample(problem: Problem, start: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return draws by NUTS, each of shape ``(chains, draws, ...)``; `start` is where the chains begin."""
    # A funnel and a mixture need small steps; the full mass matrix sees correlations of 0.999.
    kernel = NUTS(problem.model, init_strategy=init_to_value(values=start), dense_mass=True, target_accept_prob=0.95)
    sampler = MCMC(
        kernel,
        num_warmup=WARMUP,
        num_samples=DRAWS,
        num_chains=CHAINS,
        chain_method="vectorized",
        progress_bar=False,
    )
    sampler.run(jax.random.key(1), *problem.args, **problem.kwargs)
    return {name: np.asarray(value) for name, value in sampler.get_samples(group_by_chain=True).items()}


def scalars(chains: dict[str, Any], sites: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every scalar component of `sites`, shape ``(chains, draws)``."""
    for name in sites:
        value = np.asarray(chains[name])
        for index in np.ndindex(value.shape[2:]):
            yield f"{name}{list(index) if index else ''}", value[(slice(None), slice(None), *index)]


@pytest.mark.slow
@pytest.mark.parametrize("posterior", POSTERIORS, ids=lambda one: one.name)
def test_nuts_agrees_with_the_reference_draws(posterior: Posterior, database: Database) -> None:
    problem = posterior.problem(database)
    assert problem.reference_draws is not None
    reference = problem.reference_draws().chains
    own = sample(problem, {name: value.mean(axis=(0, 1)) for name, value in reference.items()})
    worst_mean, worst_sd = (0.0, ""), (0.0, "")
    for (name, expected), (_, found) in zip(scalars(reference, reference), scalars(own, reference), strict=True):
        # ESS of a function is not that of another; the second moment decides how well the sd is known.
        assert split_gelman_rubin(found) < 1.01, name
        errors = [draws.std() / np.sqrt(effective_sample_size(draws)) for draws in (expected, found)]
        mean = abs(found.mean() - expected.mean()) / np.hypot(*errors)
        sd = abs(found.std() / expected.std() - 1)
        worst_mean, worst_sd = max(worst_mean, (float(mean), name)), max(worst_sd, (float(sd), name))
    print(  # noqa: T201 - shown by -rP
        f"{posterior.name}: the mean farthest off by {worst_mean[0]:.2f} standard errors ({worst_mean[1]}), "
        f"the sd by {worst_sd[0]:.1%} ({worst_sd[1]})"
    )
    assert worst_mean[0] < 4
    assert worst_sd[0] < 0.05
