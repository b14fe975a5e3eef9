"""A Gaussian process: the curve integrated out, the hyperparameters of its kernel left."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def kernel(left, right, variance, lengthscale):
    return variance * jnp.exp(-0.5 * ((left[:, None] - right) / lengthscale) ** 2)


def gp(x, y=None):
    variance = numpyro.sample("variance", dist.LogNormal(0, 1))
    lengthscale = numpyro.sample("lengthscale", dist.LogNormal(0, 1))
    noise = numpyro.sample("noise", dist.LogNormal(-1, 1))
    k = kernel(x, x, variance, lengthscale) + (noise + 1e-6) * jnp.eye(x.shape[0])
    numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(x.shape[0]), covariance_matrix=k), obs=y)
