"""An autoregression, and predators with their prey."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

#: Runge-Kutta steps from one year to the next: their error is far below that of float32.
STEPS_PER_YEAR = 12


def autoregression(lags: Any, y: Any = None) -> None:
    """y_t ~ N(alpha + sum_k beta_k y_(t-k), sigma), given the first values.

    Row t of `lags` holds y_(t-1), ..., y_(t-K).
    """
    alpha = numpyro.sample("alpha", dist.Normal(0, 10))
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([lags.shape[1]]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    with numpyro.plate("time", lags.shape[0]):
        numpyro.sample("y", dist.Normal(alpha + lags @ beta, sigma), obs=y)


def lotka_volterra(years: int, y_init: Any = None, y: Any = None) -> None:
    """Hares u and lynxes v: du/dt = (a - b v) u, dv/dt = (-c + d u) v, counted with log-normal errors.

    Parameters
    ----------
    years : int
        How many years after the first one were counted; each is one unit of time.
    y_init, y : array
        Counts of the first year, shape ``(2,)``, and of the others, shape ``(years, 2)``.
    """
    centre, spread = jnp.asarray([1.0, 0.05, 1.0, 0.05]), jnp.asarray([0.5, 0.05, 0.5, 0.05])
    theta = numpyro.sample("theta", dist.TruncatedNormal(centre, spread, low=0.0).to_event(1))
    z_init = numpyro.sample("z_init", dist.LogNormal(jnp.log(10.0), 1.0).expand([2]).to_event(1))
    sigma = numpyro.sample("sigma", dist.LogNormal(-1.0, 1.0).expand([2]).to_event(1))
    logs = numpyro.deterministic("log_population", solve(theta, jnp.log(z_init), years))
    with numpyro.plate("species", 2):
        numpyro.sample("y_init", dist.LogNormal(jnp.log(z_init), sigma), obs=y_init)
        with numpyro.plate("year", years):
            numpyro.sample("y", dist.LogNormal(logs, sigma), obs=y)


def solve(theta: Any, start: Any, years: int) -> Any:
    """Return the logarithms of both populations after 1, 2, ... years, shape ``(years, 2)``.

    In logarithms, x = log u and w = log v, the equations are x' = a - b e^w, w' = -c + d e^x: no
    population can become negative, whatever the step of the classical Runge-Kutta method.
    """
    step = 1.0 / STEPS_PER_YEAR
    a, b, c, d = theta

    def slope(state: Any) -> Any:
        return jnp.stack([a - b * jnp.exp(state[1]), -c + d * jnp.exp(state[0])])

    def advance(state: Any, _: Any) -> tuple[Any, None]:
        first = slope(state)
        second = slope(state + step / 2 * first)
        third = slope(state + step / 2 * second)
        fourth = slope(state + step * third)
        return state + step / 6 * (first + 2 * second + 2 * third + fourth), None

    def year(state: Any, _: Any) -> tuple[Any, Any]:
        state, _ = jax.lax.scan(advance, state, None, length=STEPS_PER_YEAR)
        return state, state

    _, states = jax.lax.scan(year, start, None, length=years)
    return states
