"""Models of one's own, small ones, for requests right and wrong."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def line(x, y=None, *, scale=1.0):
    w = numpyro.sample("w", dist.Normal(0, scale))
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(w * x, 1), obs=y)


def groups(region, n_region, y):
    with numpyro.plate("regions", n_region):
        a = numpyro.sample("a", dist.Normal(0, 1))
    numpyro.sample("y", dist.Normal(a[region], 1), obs=y)


def matrix(X, y):  # noqa: N803 - as the columns X_1, X_2 are called
    w = numpyro.sample("w", dist.Normal(0, 1).expand([X.shape[1]]).to_event(1))
    numpyro.sample("y", dist.Normal(X @ w, 1), obs=y)


def sized(n, y):
    w = numpyro.sample("w", dist.Normal(0, 1))
    with numpyro.plate("rows", n):
        numpyro.sample("y", dist.Normal(w, 1), obs=y)


def local(y):
    with numpyro.plate("rows", y.shape[0]):
        z = numpyro.sample("z", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(z, 1), obs=y)


def two(y, z):
    w = numpyro.sample("w", dist.Normal(0, 1))
    numpyro.sample("y_", dist.Normal(w, 1), obs=y)
    numpyro.sample("z_", dist.Normal(w, 1), obs=z)


def prior(loc=0.0):
    numpyro.sample("w", dist.Normal(loc, 1))


def batched(x, y, batch_size):
    w = numpyro.sample("w", dist.Normal(0, 1))
    with numpyro.plate("rows", x.shape[0], subsample_size=batch_size) as rows:
        numpyro.sample("y", dist.Normal(w * x[rows], 1), obs=y[rows])


def knots(x, at, y):
    w = numpyro.sample("w", dist.Normal(0, 1).expand([at.shape[0]]).to_event(1))
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(jnp.exp(-((x[:, None] - at) ** 2)) @ w, 1), obs=y)


def only(y, /):
    pass


NUMBER = 3
