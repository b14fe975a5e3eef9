"""Local latents and minibatches: rows of a table at a time, or people at a time, each with a level of their own."""

import numpyro
import numpyro.distributions as dist


def radon(county, floor, n_county, log_radon=None, batch_size=None):
    mean = numpyro.sample("mean", dist.Normal(0, 5))
    between = numpyro.sample("between", dist.HalfNormal(1))
    b_floor = numpyro.sample("floor", dist.Normal(0, 1))
    noise = numpyro.sample("noise", dist.HalfNormal(1))
    with numpyro.plate("counties", n_county):
        level = numpyro.sample("level", dist.Normal(mean, between))

    with numpyro.plate("houses", county.shape[0], subsample_size=batch_size) as i:
        mu = level[county[i]] + b_floor * floor[i]
        numpyro.sample("obs", dist.Normal(mu, noise), obs=None if log_radon is None else log_radon[i])


def ratings(rating, batch_size=None):
    people, visits = rating.shape
    mean = numpyro.sample("mean", dist.Normal(0, 2))
    between = numpyro.sample("between", dist.HalfNormal(1))
    noise = numpyro.sample("noise", dist.HalfNormal(1))
    visit = numpyro.sample("visit", dist.Normal(0, 1).expand([visits]).to_event(1))
    with numpyro.plate("people", people, dim=-2, subsample_size=batch_size):
        seen = numpyro.subsample(rating, event_dim=0)
        level = numpyro.sample("level", dist.Normal(0, 1))
        with numpyro.plate("visits", visits, dim=-1):
            numpyro.sample("obs", dist.Normal(mean + between * level + visit, noise), obs=seen)
