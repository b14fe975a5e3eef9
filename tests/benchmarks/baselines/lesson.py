"""The baseline: six guides on the seed problem, trained the way a teaching notebook does it.

A Python loop calls a jitted ``svi.update`` once per step and, after each, brings the loss and the
parameters back to the host.  Nothing else happens here: no restarts, no scores, no report.
``bench_run.py`` times this script beside ``guidebench run``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import (
    AutoDelta,
    AutoIAFNormal,
    AutoLaplaceApproximation,
    AutoMultivariateNormal,
    AutoNormal,
)

# fmt: off
X = jnp.array([-2.8102133, -2.5248766, -0.08326931, 1.1389861, 1.4956162,
               2.619388, 2.8142188, 4.413685, 6.642333, 6.9359946])
Y = jnp.array([-2.512595, -2.7735069, -0.10528082, 0.73988307, -0.6569609,
               0.2016108, 1.2039449, 1.9934832, 1.32374, 3.4774048])
# fmt: on


def model(x, y=None):
    w = numpyro.sample("w", dist.Normal(0.0, 10.0))
    b = numpyro.sample("b", dist.Normal(0.0, 10.0))
    s_eps = numpyro.sample("s_eps", dist.HalfCauchy(10.0))
    with numpyro.plate("data", x.shape[0]):
        mu = numpyro.deterministic("mu", x * w + b)
        numpyro.sample("y", dist.Normal(mu, s_eps), obs=y)


def manual_guide(x, y=None):
    w_loc = numpyro.param("w_loc", 0.0)
    w_scale = numpyro.param("w_scale", 1.0, constraint=constraints.positive)
    b_loc = numpyro.param("b_loc", 0.0)
    b_scale = numpyro.param("b_scale", 1.0, constraint=constraints.positive)
    s_eps_loc = numpyro.param("s_eps_loc", 0.0)
    s_eps_scale = numpyro.param("s_eps_scale", 1.0, constraint=constraints.positive)
    numpyro.sample("w", dist.Normal(w_loc, w_scale))
    numpyro.sample("b", dist.Normal(b_loc, b_scale))
    numpyro.sample("s_eps", dist.LogNormal(s_eps_loc, s_eps_scale))


def train(guide, steps):
    svi = SVI(model, guide, numpyro.optim.Adam(0.01), Trace_ELBO())
    state = svi.init(jax.random.PRNGKey(0), X, Y)
    update = jax.jit(svi.update)
    losses, params = [], []
    for _ in range(steps):
        state, loss = update(state, X, Y)
        losses.append(loss.item())
        params.append(svi.get_params(state))
    return losses, params


def lessons():
    """Return name, guide and steps of each lesson."""
    return [
        ("mean_field", manual_guide, 1_000),
        ("auto_normal", AutoNormal(model), 1_000),
        ("auto_delta", AutoDelta(model), 300),
        ("auto_multivariate_normal", AutoMultivariateNormal(model), 4_000),
        ("auto_laplace_approximation", AutoLaplaceApproximation(model), 1_000),
        ("auto_iaf_normal", AutoIAFNormal(model), 4_000),
    ]


def main() -> None:
    for name, guide, steps in lessons():
        losses, _ = train(guide, steps)
        print(f"{name:28s} {steps:5d} steps, final loss {losses[-1]:9.3f}")


if __name__ == "__main__":
    main()
