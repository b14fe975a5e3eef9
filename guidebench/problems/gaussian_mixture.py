"""A mixture of two Gaussians, their means in order, and which point belongs to which summed out."""

from __future__ import annotations

from typing import Any

import numpy as np

from guidebench.contracts import Problem

#: The weight of the first component, and means and sds of both.
WEIGHT, MEANS, SDS = 0.35, (-1.5, 1.0), (0.6, 0.9)

SIZE, HELDOUT_SIZE = 60, 200

#: log p(y) in nats, by quadrature of all five dimensions; good to 0.001.
LOG_EVIDENCE = -114.494


def model(n: int, y: Any = None) -> None:
    """y ~ weight N(means[0], sds[0]) + (1 - weight) N(means[1], sds[1]), means[0] < means[1].

    The first mean is N(0, 2), and the distance to the second one is log-normal(0.5, 0.75).
    """
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.distributions.transforms import OrderedTransform

    weight = numpyro.sample("weight", dist.Beta(2, 2))
    base = dist.Normal(jnp.array([0.0, 0.5]), jnp.array([2.0, 0.75])).to_event(1)
    means = numpyro.sample("means", dist.TransformedDistribution(base, OrderedTransform()))
    with numpyro.plate("component", 2):
        sds = numpyro.sample("sds", dist.LogNormal(0, 0.5))
    mixing = dist.Categorical(probs=jnp.stack([weight, 1 - weight]))
    with numpyro.plate("data", n):
        numpyro.sample("y", dist.MixtureSameFamily(mixing, dist.Normal(means, sds)), obs=y)


def simulate(seed: int, size: int) -> dict[str, Any]:
    """Return data from the true mixture, by NumPy's legacy generator, whose streams are frozen for good."""
    random = np.random.RandomState(seed)
    which = (random.uniform(size=size) > WEIGHT).astype(int)
    y = np.asarray(MEANS)[which] + np.asarray(SDS)[which] * random.standard_normal(size)
    return {"n": size, "y": y.astype(np.float32)}


def problem() -> Problem:
    """Return the problem ``gaussian-mixture``."""
    return Problem(
        name="gaussian-mixture",
        model=model,
        kwargs=simulate(60, SIZE),
        heldout=simulate(61, HELDOUT_SIZE),
        truth={"weight": WEIGHT, "means": np.asarray(MEANS), "sds": np.asarray(SDS)},
        log_evidence=LOG_EVIDENCE,
        summary="Two overlapping Gaussian components, in order: weight, means and sds unknown",
        cite="Frühwirth-Schnatter (2006), Finite Mixture and Markov Switching Models, doi:10.1007/978-0-387-35768-3",
    )
