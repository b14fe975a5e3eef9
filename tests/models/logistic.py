"""A logistic regression on a table with words, flags, whole and real numbers."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def logistic(age, income, smoker, region, n_region, bought=None):
    intercept = numpyro.sample("intercept", dist.Normal(0, 1.5))
    b_age = numpyro.sample("age", dist.Normal(0, 1))
    b_income = numpyro.sample("income", dist.Normal(0, 1))
    b_smoker = numpyro.sample("smoker", dist.Normal(0, 1))
    with numpyro.plate("regions", n_region):
        b_region = numpyro.sample("region", dist.Normal(0, 0.5))

    logits = (
        intercept + b_age * (age - 45) / 15 + b_income * jnp.log(income / 30) + b_smoker * smoker + b_region[region]
    )
    with numpyro.plate("customers", len(age)):
        numpyro.sample("obs", dist.Bernoulli(logits=logits), obs=bought)
