"""Intercepts and slopes that vary together from café to café, with an LKJ prior on their correlation."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def cafes(cafe, afternoon, n_cafe, wait=None):
    mean = numpyro.sample("mean", dist.Normal(jnp.array([5.0, -1.0]), jnp.array([2.0, 0.5])).to_event(1))
    sd = numpyro.sample("sd", dist.Exponential(1).expand([2]).to_event(1))
    chol_corr = numpyro.sample("chol_corr", dist.LKJCholesky(2, concentration=2))
    numpyro.deterministic("corr", (chol_corr @ chol_corr.T)[0, 1])
    noise = numpyro.sample("noise", dist.Exponential(1))
    with numpyro.plate("cafes", n_cafe):
        effect = numpyro.sample("effect", dist.MultivariateNormal(mean, scale_tril=sd[:, None] * chol_corr))

    with numpyro.plate("visits", wait.shape[0] if wait is not None else cafe.shape[0]):
        numpyro.sample("obs", dist.Normal(effect[cafe, 0] + effect[cafe, 1] * afternoon, noise), obs=wait)
