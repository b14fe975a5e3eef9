"""Counts with more zeros than a Poisson distribution has: whether somebody fished at all is a discrete latent."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def fishing(hours, group, caught=None):
    share = numpyro.sample("share", dist.Beta(2, 2))
    intercept = numpyro.sample("intercept", dist.Normal(0, 1))
    b_hours = numpyro.sample("hours", dist.Normal(0, 1))
    b_group = numpyro.sample("group", dist.Normal(0, 1))

    rate = jnp.exp(intercept + b_hours * jnp.log(hours / 3) + b_group * (group - 2))
    with numpyro.plate("visitors", hours.shape[0]):
        fished = numpyro.sample("fished", dist.Bernoulli(share), infer={"enumerate": "parallel"})
        numpyro.sample("caught", dist.Poisson(jnp.where(fished == 1, rate, 1e-8)), obs=caught)
